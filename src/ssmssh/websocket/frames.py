"""The frames that carry nearly everything: whole binary messages (RFC 6455, 5.2), found and built in one step each.

`websockets` parses and builds a frame for about 5 µs, because it asks the operating system for every mask and
reads every frame through a generator that can stop at any byte. A session of 64 MiB has 130,000 frames. So these two
functions know how long a frame is, and how a binary one is written; what any other frame means, and whether
it is allowed where it stands, stays for `websockets` to say.
"""

import os
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from websockets.frames import Opcode

try:
    from websockets.speedups import apply_mask
except ImportError:  # where it came without its compiled part
    from websockets.utils import apply_mask

WHOLE_BINARY: Final = 0x80 | Opcode.BINARY
"""The first byte of a frame that is a binary message by itself: FIN and the opcode, no extension."""

_SHORT: Final = struct.Struct("!BB")
_MEDIUM: Final = struct.Struct("!BBH")
_LONG: Final = struct.Struct("!BBQ")
_MASKED: Final = 0x80
_MEDIUM_MARK: Final = 126
_LONG_MARK: Final = 127

_POOLED_BYTES: Final = 1024
"""Of masks, from one call of the operating system."""
_masks: Final[list[bytes]] = []


class Extent(NamedTuple):
    """Where a frame's payload begins, where it ends, and whether it is masked; the end may not have arrived yet.

    A server's frame must not be masked, so for one that is nobody looks how long it is: it ends where it begins.
    """

    start: int
    end: int
    is_masked: bool


def extent(data: bytes, at: int) -> Extent | None:
    """The extent of the frame that begins at an index of `data`; None if its header is not there as a whole."""
    held = len(data) - at
    if held < _SHORT.size:
        return None
    mark = data[at + 1]
    length, start = mark, at + _SHORT.size
    if mark >= _MASKED:
        length = 0
    elif length == _MEDIUM_MARK:
        if held < _MEDIUM.size:
            return None
        start = at + _MEDIUM.size
        length = data[at + 2] << 8 | data[at + 3]
    elif length == _LONG_MARK:
        if held < _LONG.size:
            return None
        start = at + _LONG.size
        length = int.from_bytes(data[at + 2 : start], "big")
    return Extent(start, start + length, mark >= _MASKED)


def build_binary(messages: Iterable[bytes]) -> bytes:
    """Return each message as one masked binary frame, as a client sends it, all in one piece."""
    parts: list[bytes] = []
    for message in messages:
        length = len(message)
        if length < _MEDIUM_MARK:
            header = _SHORT.pack(WHOLE_BINARY, _MASKED | length)
        elif length < 1 << 16:
            header = _MEDIUM.pack(WHOLE_BINARY, _MASKED | _MEDIUM_MARK, length)
        else:
            header = _LONG.pack(WHOLE_BINARY, _MASKED | _LONG_MARK, length)
        mask = _next_mask()
        parts += header, mask, apply_mask(message, mask)
    return b"".join(parts)


def _next_mask() -> bytes:
    if not _masks:
        pool = os.urandom(_POOLED_BYTES)  # must be unpredictable: RFC 6455, 10.3
        _masks.extend(pool[at : at + 4] for at in range(0, _POOLED_BYTES, 4))
    return _masks.pop()
