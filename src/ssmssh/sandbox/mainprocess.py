"""The sandbox's main process, as the program that has started it sees it: called, watched over, ended."""

import contextlib
import subprocess
from pathlib import Path

from ssmssh.sandbox import processes
from ssmssh.sandbox.control import Caller, ControlError
from ssmssh.sandbox.files import forbid_logs

STOP_SECONDS = 15.0
"""For the processes to end by themselves when they are told to; it takes a fraction of one."""


class MainProcess:
    """Started at once, in `directory`, with so many gateways. Blocks until it can be called.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, directory: Path, gateways: int) -> None:
        self._directory = directory
        connection, self._process = processes.start(
            "ssmssh.sandbox.front", directory / "front.err", str(directory), str(gateways)
        )
        # The directory, and this file in it, are gone when the other end is; what was written can be read all the same.
        self._errors = (directory / "front.err").open(encoding="utf-8", errors="replace")
        self._caller = Caller(connection, "the sandbox")

    def call(self, name: str, /, **arguments: object) -> object:
        """Make a control call.

        Raises:
            ControlError: It is gone or refuses.
        """
        try:
            return self._caller.call(name, **arguments)
        except ControlError:
            self.check()
            raise

    def check(self) -> None:
        """See to it that it has not ended by itself, as it does when one of its processes is lost; does not block.

        Raises:
            ControlError: It has; which process it was, and what that said, as far as it is known.
        """
        if self._process.poll() is not None:
            raise ControlError(f"the sandbox has ended: {self.last_words() or 'its main process was killed'}")

    def last_words(self) -> str:
        """What it said before it ended, if anything."""
        self._errors.seek(0)
        return processes.last_words(self._errors.read())

    def end(self) -> None:
        """End it, and with it all processes of the sandbox; blocks until it is gone. `let_go` is to follow."""
        forbid_logs(self._directory / "ssmssh")
        with contextlib.suppress(ControlError):
            self._caller.call("stop")
        self._caller.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def let_go(self) -> None:
        """Close what this process has open of it; the sandbox itself lives on, unless it was ended."""
        self._caller.close()
        self._errors.close()
