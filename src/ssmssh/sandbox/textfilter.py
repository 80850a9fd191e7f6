"""What an agent lets through of a shell's or a command's output: text, and of what is none most.

Bytes that are no UTF-8 pass one by one. Two things do not arrive as they were: what may be the beginning of a character
is held back for the next read, up to three bytes, and lost if there is none; and a genuine U+FFFD is taken for one of
the decoder's, so that its first byte alone passes (agent: shell.go, processStdoutData).
"""

from typing import Final

_LONGEST: Final = 4
_REPLACEMENT: Final = b"\xef\xbf\xbd"


class TextFilter:
    """One stream's."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What passes now."""
        data, self._held = self._held + data, b""
        passed = bytearray()
        position = 0
        while position < len(data):
            length = _length(data, position)
            if length == 0:
                if len(data) - position < _LONGEST:
                    self._held = data[position:]
                    break
                length = 1
            character = data[position : position + length]
            passed += character[:1] if character == _REPLACEMENT else character
            position += length
        return bytes(passed)


def _length(data: bytes, position: int) -> int:
    """Of the character that begins there; 0 if there is none, or not yet."""
    for length in range(1, _LONGEST + 1):
        try:
            data[position : position + length].decode()
        except UnicodeDecodeError:
            continue
        return length if position + length <= len(data) else 0
    return 0
