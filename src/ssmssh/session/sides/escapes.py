"""The escapes of a terminal: what is typed after a line's start and a tilde is for this end, not for the far one.

The letters are those of the official client (1.2.835.0: ``~.``, ``~?``, ``~-``, ``~~``) and ``~^Z`` of ssh. As with ssh
the session's begin is a line's start, so that one which never says anything can be left. Whatever else follows a tilde
is passed on with it.
"""

from enum import Enum
from typing import Final


class Escape(Enum):
    """What a person asks this end for."""

    END = "end the session"
    HELP = "list the escapes"
    SUSPEND = "stop this program, as Ctrl-Z does with others"


HELP: Final = (
    "~?\r\nEscapes, at the start of a line:\r\n"
    " ~.   end the session\r\n"
    " ~^Z  suspend ssmssh\r\n"
    " ~-   no escapes from now on\r\n"
    " ~?   this list\r\n"
    " ~~   a tilde\r\n"
)
"""For a terminal that is raw."""

_TILDE: Final = ord("~")
_LINE_ENDS: Final = b"\r\n"
_DISABLE: Final = ord("-")
_ESCAPES: Final = {ord("."): Escape.END, ord("?"): Escape.HELP, 0x1A: Escape.SUSPEND}


class Escapes:
    """Takes the escapes out of what is typed."""

    def __init__(self) -> None:
        self._is_at_start = True
        self._has_tilde = False
        self._is_enabled = True

    def feed(self, typed: bytes) -> list[bytes | Escape]:
        """What is to be passed on of `typed`, and what is to be done in between; a tilde may be held back."""
        if not self._is_enabled:
            return [typed]
        found: list[bytes | Escape] = []
        passed = bytearray()
        for position, byte in enumerate(typed):
            if self._has_tilde:
                self._has_tilde = self._is_at_start = False
                if byte == _DISABLE:
                    self._is_enabled = False
                    passed += typed[position + 1 :]
                    break
                if escape := _ESCAPES.get(byte):
                    found += [bytes(passed), escape] if passed else [escape]
                    passed.clear()
                    self._is_at_start = escape is not Escape.END
                    continue
                passed.append(_TILDE)
                if byte == _TILDE:
                    continue
            elif self._is_at_start and byte == _TILDE:
                self._has_tilde = True
                continue
            passed.append(byte)
            self._is_at_start = byte in _LINE_ENDS
        return [*found, bytes(passed)] if passed else found
