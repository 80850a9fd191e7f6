"""To the background, once everything that may ask or fail has been done.

The process forks before it has done anything. The child does the work, at the terminal, where it may ask for a code and
says what fails; the parent waits for it. When it leaves, it tells the parent what to print, has a session of its own,
and its streams lead to nothing.
"""

import os
import signal
import sys

from ssmssh.lifecycle import child_status

CAN_DETACH = sys.platform != "win32"
"""Whether a process can go to the background."""

_LEFT = b"+"
_LONGEST = 64 * 1024


if sys.platform != "win32":

    class Detached:
        """The child's end."""

        def __init__(self, descriptor: int) -> None:
            self._descriptor = descriptor

        def leave(self, text: str) -> None:
            """Leave the terminal; the parent prints `text` and ends."""
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(null, descriptor)
            os.close(null)
            os.write(self._descriptor, _LEFT + text.encode())
            os.close(self._descriptor)

    def detach() -> Detached | int:
        """Fork: the child's end, or, in the parent, when the child has left or ended, the exit status."""
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            return Detached(writer)
        os.close(writer)
        try:
            told = b""
            while data := os.read(reader, _LONGEST):
                told += data
            if told.startswith(_LEFT):
                sys.stdout.write(told[len(_LEFT) :].decode())
                return 0
            return child_status(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        except KeyboardInterrupt:
            os.kill(pid, signal.SIGTERM)  # a child that nobody has waited for: the number is still its own
            raise
        finally:
            os.close(reader)

else:  # pragma: no cover

    class Detached:
        """There is none."""

        def leave(self, text: str) -> None:
            """Nobody gets here."""

    def detach() -> Detached | int:
        """To be called where `CAN_DETACH`."""
        raise OSError("there is no background")
