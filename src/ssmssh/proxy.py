"""``ssmssh-proxy HOST PORT``, the ProxyCommand: standard input and output become a port of HOST.

ssh starts it dozens of times an hour and never shows what it prints, so it imports next to nothing and is
silent while it is healthy. Standard input and output are the SSH stream and nothing else's: before anything
else runs they are moved to private descriptors, and what reads or writes descriptors 0 and 1 from then on
(a ``credential_process``, a prompt, a stray print) meets /dev/null and stderr.

A failure is one line on stderr. If the far side has said nothing yet, the same line goes to standard
output too, ended by CR LF: before the server's version line SSH clients skip such lines, and
``ssh -v`` shows them (RFC 4253, 4.2). stderr alone would be lost on ssh's ControlPersist and in editors.

ssh ends us with SIGHUP and does not wait. The handlers set a flag and wake the loop, nothing more. A signal that was
ignored when we were started stays ignored, as ssh does it: under ``nohup`` both go on when the terminal goes.
"""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn

from ssmssh.errors import DoubledError, ExitStatus, SsmsshError, UsageError
from ssmssh.session.streams import InputPump, OutputPump, Wakeup

if TYPE_CHECKING:
    import argparse

    from ssmssh.connectionlog import ConnectionLog
    from ssmssh.session.remote import RemoteSession

MAX_INHERITED = 4096
"""Descriptors below this are closed at the start: more than a busy editor leaks, and still one system call."""

_PROGRAM = "ssmssh-proxy"


def main() -> NoReturn:
    """Run the program and end the process; the exit statuses are those of `ExitStatus`, or 128 + signal."""
    if {"--version", "--help", "-h"}.intersection(sys.argv[1:2]):
        parse_arguments(sys.argv[1:])  # typed by a person: prints to standard output and leaves
    gc.disable()  # until connected: the start makes a hundred thousand objects and hardly any garbage
    source_fd, sink_fd = take_standard_streams()
    forbid_core_dumps()
    stop = StopRequest()
    wakeup = Wakeup()
    stop.install(wakeup)
    source, sink = InputPump(source_fd, wakeup), OutputPump(sink_fd, wakeup)
    try:
        status = run(sys.argv[1:], source, sink, wakeup, stop)
    except SystemExit as leave:  # argparse: --help, --version and usage errors, printed to stderr
        status = leave.code if isinstance(leave.code, int) else int(ExitStatus.USAGE)
    if helpers := sys.modules.get("ssmssh.aws.helpers"):
        helpers.end_helpers()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # The threads that are left block in reads of the standard input or in calls that nobody waits for.
    os._exit(128 + stop.signal_number if stop.signal_number else status)


def run(arguments: Sequence[str], source: InputPump, sink: OutputPump, wakeup: Wakeup, stop: "StopRequest") -> int:
    """Connect as `arguments` say, until either side ends; the exit status. Failures have been reported."""
    from ssmssh.connectionlog import ConnectionLog

    def fail(error: SsmsshError) -> None:
        if not stop or isinstance(error, DoubledError):
            _report(str(error), sink, log)

    log = ConnectionLog()
    log.install()
    try:
        try:
            options = parse_arguments(arguments)
            _direct_log(log, options)
            service = _prepare(options)
            from ssmssh.session.attempts import Attempts

            source.start()
            sink.start()
        except SsmsshError as error:
            fail(error)
            raise
        sessions = Attempts(
            service, source, sink, wakeup, stop_requested=lambda: bool(stop), on_failure=fail, on_wait=_say_awaited
        )
        sessions.run()  # tells its failures by itself
    except SsmsshError as error:
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - the last resort: a defect of ours is one line and a log, too
        _report(_describe_defect(error), sink, log, error.__traceback__)
        return ExitStatus.UNEXPECTED
    return ExitStatus.DONE


def take_standard_streams() -> tuple[int, int]:
    """Move standard input and output to private descriptors, and close whatever else was inherited.

    libssh leaks the other end of our own input to us: left open, its end would never be seen.
    """
    os.closerange(3, MAX_INHERITED)
    null = os.open(os.devnull, os.O_RDWR)
    while null < 3:  # a caller that closed standard streams: descriptors below 3 stay what they are for
        null = os.dup(null)
    source_fd, sink_fd = os.dup(0), os.dup(1)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    if sys.stderr is None:  # it was closed; descriptor 2 leads to /dev/null now
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for the process's life
    return source_fd, sink_fd


def forbid_core_dumps() -> None:
    """Keep credentials and tokens out of core files (POSIX)."""
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


class StopRequest:
    """Whether a signal asked us to end, and which was the first."""

    def __init__(self) -> None:
        self.signal_number = 0

    def __bool__(self) -> bool:
        return self.signal_number != 0

    def install(self, wakeup: Wakeup) -> None:
        """Catch what ends a ProxyCommand, and wake the loop: PEP 475 would restart a blocked wait."""
        for name in ("SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP and no SIGQUIT
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(wakeup.signal_fd, warn_on_full_buffer=False)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = self.signal_number or number


def parse_arguments(arguments: Sequence[str]) -> "argparse.Namespace":
    """The command line; raises UsageError."""
    import argparse

    from ssmssh import __version__
    from ssmssh.settings import DEFAULT_DOCUMENT

    def port(text: str) -> int:
        if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port number from 1 to 65535")

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UsageError(message[:200], f"see {_PROGRAM} --help")

    parser = Parser(
        prog=_PROGRAM,
        description="The ProxyCommand of ssmssh: connects standard input and output to a port of an instance.",
        allow_abbrev=False,
    )
    parser.add_argument("host", metavar="HOST", help="i-... or mi-..., then optional .region and .profile words")
    parser.add_argument("port", metavar="PORT", type=port, help="TCP port on the instance")
    parser.add_argument(
        "--target", metavar="STRING", help="what StartSession gets as its Target, as it is; HOST is not looked at then"
    )
    parser.add_argument("--profile", help="AWS profile")
    parser.add_argument("--region", help="AWS region")
    parser.add_argument("--document-name", metavar="NAME", help=f"session document, {DEFAULT_DOCUMENT} by default")
    parser.add_argument(
        "--parameter", metavar="NAME=VALUE", action="append", default=[], help="parameter of the document, repeatable"
    )
    parser.add_argument("--reason", help="noted in the account's session history")
    parser.add_argument("--endpoint-url", metavar="URL", help="endpoint of the ssm API")
    parser.add_argument("--stream-endpoint-url", metavar="URL", help="endpoint of the ssmmessages service")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        help="how long to wait for an instance that is starting: to connect, to take a session, to open its port",
    )
    parser.add_argument("--window", metavar="KIB", help="the most of an upload that is on its way, 16 to 4096 KiB")
    parser.add_argument("--rate", metavar="KB", help="the rate of an upload at most, in 1000 bytes a second, from 50")
    parser.add_argument("--log-file", metavar="PATH", help="log everything there")
    parser.add_argument("-v", "--verbose", action="store_true", help="log everything at once, on stderr too")
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    return parser.parse_args(arguments)


def _prepare(options: "argparse.Namespace") -> "RemoteSession":
    """The service's side of what is asked for; no network, no helper yet."""
    from ssmssh import settings, trust

    bundle = trust.likely_bundle(settings.ca_bundle())
    early = trust.EarlyContext(bundle) if bundle else None
    from ssmssh.aws.login import forbid_library

    forbid_library()
    from ssmssh.request import parse_parameters, prepare, understand
    from ssmssh.session.caller import Caller
    from ssmssh.session.remote import RemoteSession

    request = prepare(
        understand(options.host, target=options.target),
        options.port,
        profile=options.profile,
        region=options.region,
        document_name=options.document_name,
        parameters=parse_parameters(options.parameter),
        reason=options.reason,
        endpoint_url=options.endpoint_url,
        stream_endpoint_url=options.stream_endpoint_url,
        wait=options.wait,
        window=options.window,
        rate=options.rate,
    )
    caller = Caller(request.aws, request.journal_directory, early_tls=early)
    return RemoteSession(caller, request.session, on_open=_collect_garbage_again)


def _collect_garbage_again() -> None:
    """From now on, and without looking at what the start has made ever again: most of it stays."""
    gc.freeze()
    gc.enable()


def _direct_log(log: "ConnectionLog", options: "argparse.Namespace") -> None:
    """Have everything logged where the options or the environment say, if they do; raises FileError."""
    from ssmssh import settings

    path = options.log_file or settings.from_environment().log_file
    if path or options.verbose:
        log.write_at_once(path, echo=options.verbose)


def _report(sentence: str, sink: OutputPump, log: "ConnectionLog", traceback: TracebackType | None = None) -> None:
    """One line for a person: on stderr, in the log, and on standard output as long as it holds nothing else."""
    import logging

    from ssmssh.connectionlog import print_if_possible

    logger = logging.getLogger(__name__)
    logger.error("%s", sentence)
    if traceback is not None:
        from traceback import format_tb

        logger.error("%s", "".join(format_tb(traceback)))
    where = log.save()
    line = f"{_PROGRAM}: {sentence}" + (f" (log: {where})" if where else "")
    sink.put_first_line(line)
    print_if_possible(line)


def _say_awaited(awaited: str) -> None:
    """A line for a person who sits at a terminal and sees nothing happen; for nobody else: see `_report`."""
    from ssmssh.connectionlog import print_if_possible

    if os.isatty(2):
        print_if_possible(f"{_PROGRAM}: waiting for {awaited}")


def _describe_defect(error: Exception) -> str:
    """What can be said of an exception whose text nobody has looked through for secrets."""
    import re

    text = re.sub(r"[\w+/=%-]{32,}", "...", " ".join(str(error).split()))
    return f"Unexpected failure, please report it: {type(error).__name__}: {text[:200]}"
