"""Where the outputs of a command go besides a descriptor: into memory, or out of base64 into another output."""

import binascii
from collections.abc import Callable
from typing import Final

from ssmssh.session.commandline import END_MARK
from ssmssh.session.sides.command import Output

CAPTURED_BYTES: Final = 64 * 1024 * 1024
"""Of each output, kept in memory: what is larger should not pass through an agent that writes all of it to its disk."""

LARGE_BYTES: Final = 10_000_000
"""Of what was base64, above which `on_large` is called, once: an agent writes all of it to its disk."""

_MARK_BYTES: Final = 64
"""Of a line that begins as the end mark does; longer ones are none."""


class Captured:
    """An output in memory; more than `limit_bytes` of it break it."""

    is_full = False

    def __init__(self, limit_bytes: int = CAPTURED_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: list[bytes] = []
        self._size = 0

    def put(self, chunks: list[bytes]) -> None:
        """Keep it."""
        self._size += sum(map(len, chunks))
        if not self.is_broken:
            self._chunks += chunks

    @property
    def is_broken(self) -> bool:
        """Whether there was too much."""
        return self._size > self._limit_bytes

    def getvalue(self) -> bytes:
        """All of it."""
        return b"".join(self._chunks)


class Base64Output:
    """Passes on what `ssmssh.session.commandline.as_base64` has encoded, and knows whether it was all.

    Lines may have any length: some systems' ``base64`` makes but one. `on_large` is called when it has become much.
    """

    def __init__(self, inner: Output, on_large: Callable[[], None] = lambda: None) -> None:
        self._inner = inner
        self._on_large: Callable[[], None] | None = on_large
        self._passed_bytes = 0
        self._line = bytearray()
        self._is_in_data = False
        self._encoded = bytearray()
        self._is_valid = True
        self._has_ended = False
        self.status: int | None = None
        """Of the command; None until its end mark, and if that says that there was no ``base64``."""
        self.lacks_encoder = False
        """Whether it says so."""

    @property
    def is_full(self) -> bool:
        """Whether the inner one is."""
        return self._inner.is_full

    @property
    def is_broken(self) -> bool:
        """Whether the inner one is."""
        return self._inner.is_broken

    @property
    def is_whole(self) -> bool:
        """Whether everything has come, with the mark behind it."""
        return self._is_valid and self.status is not None

    def put(self, chunks: list[bytes]) -> None:
        """Decode what is there in full, and pass it on."""
        self._line += b"".join(chunks)
        while self._is_valid and self._line:
            if not self._take_from_line():
                break
        usable = len(self._encoded) // 4 * 4
        encoded = bytes(self._encoded[:usable])
        del self._encoded[:usable]
        try:
            decoded = binascii.a2b_base64(encoded, strict_mode=True)
        except binascii.Error:
            self._is_valid = False
            return
        if decoded:
            self._inner.put([decoded])
            self._passed_bytes += len(decoded)
        if self._passed_bytes > LARGE_BYTES and self._on_large is not None:
            self._on_large()
            self._on_large = None

    def _take_from_line(self) -> bool:
        """Take the line's data, or the mark; False if it takes more of the line to know which."""
        end = self._line.find(b"\n")
        if self._has_ended:
            self._is_valid = False  # something behind the mark
        elif self._is_in_data:
            data_end = len(self._line) if end < 0 else end
            self._encoded += self._line[:data_end]
            del self._line[: data_end + 1]
            self._is_in_data = end < 0
        elif self._line[: len(END_MARK)] == END_MARK[: len(self._line)]:
            if end < 0:
                self._is_valid = len(self._line) <= _MARK_BYTES
                return False
            self._end(bytes(self._line[:end]))
            del self._line[: end + 1]
        else:
            self._is_in_data = True
        return True

    def _end(self, mark: bytes) -> None:
        words = mark.split()
        self._has_ended = True
        self._is_valid = words[0] == END_MARK and len(self._encoded) % 4 == 0
        self.lacks_encoder = words[2:] == [b"failed"]
        if len(words) == 2 and words[1].isdigit():
            self.status = int(words[1][:3])
