r"""What every program does at its ends: streams, signals, the line of a failure, the log, helpers, exit status.

    begin   no core dumps, which would hold credentials; signals are caught, records kept
    run     the work; whatever it raises becomes one line for a person and an exit status, never a traceback
    end     helpers are ended, output is flushed, the process leaves with its status

Theory of operation. A signal that asks us to end is noted, the first one only, and the status is then 128 + its number.
How the program hears of it depends on what it does. A loop is woken, since PEP 475 would restart its blocked wait.
What calls one thing after the other is interrupted: KeyboardInterrupt in the main thread, whichever signal it was,
and once. So all that it has opened is closed on its way out, which must be bounded, because nothing interrupts that any
more; Ctrl-\ does not wait for it. Python handles signals between two calls of the system: what blocks for long in
one of them (names, a helper) belongs in another thread. A signal that was ignored when we were started stays ignored,
as ssh does it: under ``nohup`` we go on when the terminal goes.

Who has asked us to end is told of no failure any more. Nor is a pipe that nobody reads any more one: ``| head``.
"""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import NoReturn

from ssmssh.descriptors import has_reader
from ssmssh.errors import DoubledError, ExitStatus, FileError, Guess, SsmsshError

SIGNALLED = 128
"""Added to the number of the signal that has ended a program, in its exit status."""

NO_READER_STATUS = SIGNALLED + 13
"""As of SIGPIPE, for which Windows has no name: nobody reads the output any more, as with ``| head``."""

_CANNOT_WRITE = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""The disk or the device is at fault, whatever was to be written there."""


class StopRequest:
    """Whether a signal asked the program to end, and which was the first."""

    def __init__(self) -> None:
        self.signal_number = 0
        self._interrupts = False

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def catch(self) -> None:
        """Take note of signals; `interrupting` raises them."""
        self._catch("SIGHUP", "SIGTERM", "SIGINT")

    def wake(self, wakeup_fd: int) -> None:
        """Take note of signals, and wake the loop that waits for the other end of the socket `wakeup_fd`."""
        self._interrupts = False
        self._catch("SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT")
        signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Meanwhile the first signal is raised, as KeyboardInterrupt; at once if there has been one."""
        self._interrupts = True
        try:
            if self:
                raise KeyboardInterrupt
            yield
        finally:
            self._interrupts = False

    def release(self) -> None:
        """From now on signals do what they do by default."""
        for name in ("SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == self._on_signal:
                signal.signal(number, signal.SIG_DFL)

    def _catch(self, *names: str) -> None:
        for name in names:
            number = getattr(signal, name, None)  # Windows has no SIGHUP and no SIGQUIT
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        is_first = not self
        if is_first:
            self.signal_number = number
        if is_first and self._interrupts:
            raise KeyboardInterrupt


class Program:
    """One run of a program.

    Args:
        name: As people know it; its lines begin with that.
        is_seen: Whether a person sees its lines. If not, the log of each failure is kept, otherwise that of defects.
        on_failure: Is given each failure's line, too.
    """

    def __init__(self, name: str, *, is_seen: bool = True, on_failure: Callable[[str], None] = lambda _: None) -> None:
        from ssmssh.connectionlog import ConnectionLog

        self.name = name
        self.stop = StopRequest()
        self._is_seen = is_seen
        self._on_failure = on_failure
        self._log = ConnectionLog(name)
        self._is_logging = False
        self._told: SsmsshError | None = None
        self.examination: Callable[[], str] = str
        """Gives the command that finds out what a `Guess` only guesses, to be told in its place; empty for none."""

    def begin(self, wakeup_fd: int | None = None) -> None:
        """Before anything else is done; with a `wakeup_fd` signals wake a loop from now on."""
        forbid_core_dumps()
        if wakeup_fd is None:
            self.stop.catch()
        else:
            self.stop.wake(wakeup_fd)
        self._log.install()

    def direct_log(self, path: str | None, *, is_verbose: bool) -> None:
        """Have everything logged where an option or the environment says, if one does; raises FileError."""
        from ssmssh import settings

        path = path or settings.from_environment().log_file
        if path or is_verbose:
            self._is_logging = True
            self._log.write_at_once(path, echo=is_verbose)

    def run(self, work: Callable[[], int]) -> int:
        """The status of `work`, or that of what it raises, which is told if it has not been."""
        try:
            return self._status_of(work)
        except KeyboardInterrupt:
            number = self.stop.signal_number or signal.SIGINT
            self.say("interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}")
            return SIGNALLED + number

    def fail(self, error: SsmsshError) -> None:
        """Tell a failure, unless it has been or nobody waits for us; for when it takes time until `run` would do it."""
        if error is self._told or (self.stop and not isinstance(error, DoubledError)):
            return
        self._told = error
        self._report(self._line_of(error))

    def warn(self, sentence: str) -> None:
        """One line about what somebody else is about to fail for; where failures are logged it is in a log, too."""
        import logging

        logging.getLogger(__name__).warning("%s", sentence)
        where = self._log.save() if not self._is_seen or self._is_logging else None
        self.say(sentence + (f" (log: {where})" if where else ""))

    def say(self, sentence: str) -> None:
        """One line for a person, on stderr, as far as that takes it at once."""
        from ssmssh.connectionlog import print_if_possible

        print_if_possible(f"{self.name}: {sentence}")

    def end(self, status: int, *, waits_for_threads: bool) -> NoReturn:
        """End the process, with `status` or for the signal that there was; blocks as long as helpers take to end.

        Args:
            status: Of the work.
            waits_for_threads: Whether those that are left will come to an end. After a signal none is waited for.
        """
        if helpers := sys.modules.get("ssmssh.aws.helpers"):
            helpers.end_helpers()
        _flush_or_drop()
        if self.stop or not waits_for_threads:
            os._exit(SIGNALLED + self.stop.signal_number if self.stop else status)
        self.stop.release()
        sys.exit(status)

    def _status_of(self, work: Callable[[], int]) -> int:
        try:
            status = work()
            sys.stdout.flush()
        except SsmsshError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours is one line and a log, too
            if self._is_seen and isinstance(error, BrokenPipeError) and not (has_reader(1) and has_reader(2)):
                return NO_READER_STATUS
            if not isinstance(error, OSError) or error.errno not in _CANNOT_WRITE:
                self._report(describe_defect(error), error.__traceback__)
                return ExitStatus.UNEXPECTED
            failure = FileError(f"Cannot write {error.filename or 'the output'}: {error.strerror}")
        else:
            return status
        self.fail(failure)
        return failure.exit_status

    def _line_of(self, error: SsmsshError) -> str:
        command = self.examination() if isinstance(error.hint, Guess) else ""
        if not command:
            return str(error)
        import logging

        logging.getLogger(__name__).info("what it may be: %s", error.hint)
        return f"{error.sentence}; to find out why, run: {command}"

    def _report(self, sentence: str, traceback: TracebackType | None = None) -> None:
        """One line for a person, and in the log."""
        import logging

        logger = logging.getLogger(__name__)
        logger.error("%s", sentence)
        if traceback is not None:
            from traceback import format_tb

            logger.error("%s", "".join(format_tb(traceback)))
        is_kept = not self._is_seen or self._is_logging or traceback is not None
        where = self._log.save() if is_kept else None
        sentence += f" (log: {where})" if where else ""
        self._on_failure(f"{self.name}: {sentence}")
        self.say(sentence)


def child_status(returncode: int) -> int:
    """The exit status of a program whose child ended so, as a shell has it: 128 + n for a signal, Popen's -n."""
    return SIGNALLED - returncode if returncode < 0 else returncode


def complete_standard_streams() -> None:
    """Have a descriptor 0, 1 and 2, which what is opened next would be otherwise: those that were closed are empty.

    What is printed then goes nowhere. A write to a standard output that was closed fails all the same (EBADF).
    """
    null = os.open(os.devnull, os.O_RDONLY)
    while null < 2:
        null = os.dup(null)
    os.close(null)
    null = os.open(os.devnull, os.O_RDWR)
    if null > 2:
        os.close(null)
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - no `pathlib` yet; for the process's life
            setattr(sys, name, stream)


def forbid_core_dumps() -> None:
    """Keep credentials and tokens out of core files (POSIX)."""
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def describe_defect(error: Exception) -> str:
    """What can be said of an exception whose text nobody has looked through for secrets."""
    import re

    text = re.sub(r"[\w+/=%-]{32,}", "...", " ".join(str(error).split()))
    return f"Unexpected failure, please report it: {type(error).__name__}: {text[:200]}"


def _flush_or_drop() -> None:
    """Nothing is left for the interpreter to flush, which would complain where that cannot be."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
