"""``ssmssh-proxy HOST PORT``, the ProxyCommand: standard input and output become a port of HOST.

ssh starts it dozens of times an hour and never shows what it prints, so it imports next to nothing and is
silent while it is healthy. Standard input and output are the SSH stream and nothing else's: before anything
else runs they are moved to private descriptors, and what reads or writes descriptors 0 and 1 from then on
(a ``credential_process``, a prompt, a stray print) meets /dev/null and stderr.

A failure is one line on stderr. If the far side has said nothing yet, the same line goes to standard
output too, ended by CR LF: before the server's version line SSH clients skip such lines, and
``ssh -v`` shows them (RFC 4253, 4.2). stderr alone would be lost on ssh's ControlPersist and in editors.

ssh ends us with SIGHUP and does not wait. Signals set a flag and wake the loop, nothing more (`ssmssh.lifecycle`).
"""

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from ssmssh.errors import ExitStatus, UsageError
from ssmssh.lifecycle import Program, complete_standard_streams
from ssmssh.session.streams import InputPump, OutputPump, Wakeup

if TYPE_CHECKING:
    import argparse

    from ssmssh.aws.client import AwsClient
    from ssmssh.session.hostkeys import HostKeyGuard
    from ssmssh.session.pushing import PushGuard
    from ssmssh.session.remote import RemoteSession
    from ssmssh.session.sides import LocalSide
    from ssmssh.target import Named, Target

MAX_INHERITED = 4096
"""Descriptors below this are closed at the start: more than a busy editor leaks, and still one system call."""

_PROGRAM = "ssmssh-proxy"


def main() -> NoReturn:
    """Run the program and end the process; the exit statuses are those of `ExitStatus`, or 128 + signal."""
    if {"--version", "--help", "-h"}.intersection(sys.argv[1:2]):
        parse_arguments(sys.argv[1:])  # typed by a person: prints to standard output and leaves
    gc.disable()  # until connected: the start makes a hundred thousand objects and hardly any garbage
    source_fd, sink_fd = take_standard_streams()
    wakeup = Wakeup()
    source, sink = InputPump(source_fd, wakeup), OutputPump(sink_fd, wakeup)
    program = Program(_PROGRAM, is_seen=False, on_failure=sink.put_first_line)
    program.begin(wakeup.signal_fd)
    try:
        status = program.run(lambda: connect(sys.argv[1:], program, source, sink, wakeup))
    except SystemExit as leave:  # argparse: --help, --version and usage errors, printed to stderr
        status = leave.code if isinstance(leave.code, int) else int(ExitStatus.USAGE)
    # The threads that are left block in reads of the standard input or in calls that nobody waits for.
    program.end(status, waits_for_threads=False)


def connect(arguments: Sequence[str], program: Program, source: InputPump, sink: OutputPump, wakeup: Wakeup) -> int:
    """Connect as `arguments` say, until either side ends; raises SsmsshError."""
    options = parse_arguments(arguments)
    program.direct_log(options.log_file, is_verbose=options.verbose)
    guards = list(_guards(options, program, wakeup))
    program.examination = lambda: _examination(options)
    remote = _prepare(options, guards)
    from ssmssh.session.attempts import Attempts
    from ssmssh.session.sides.stdio import StdioSide

    source.start()
    sink.start()
    if not guards:
        side = StdioSide(source, sink, lambda: bool(program.stop))
    else:
        from ssmssh.session.sides.gate import GatedSide

        side = GatedSide(source, sink, lambda: bool(program.stop), guards)

    def say_awaited(awaited: str) -> None:
        _mention(program, f"waiting for {awaited}")

    most = _number_of_sessions(options)
    if most == 1 or not _run_bundle(options, most, remote, side, program, wakeup):
        Attempts(remote, side, wakeup, on_failure=program.fail, on_wait=say_awaited).run()
    return ExitStatus.DONE


def _run_bundle(
    options: "argparse.Namespace",
    most: int,
    remote: "RemoteSession",
    side: "LocalSide",
    program: Program,
    wakeup: Wakeup,
) -> bool:
    """Connect over several sessions, until either side ends; whether that was possible, or nobody waits any more."""
    import logging

    from ssmssh import settings
    from ssmssh.bundle.helper import Login
    from ssmssh.bundle.start import Starter

    words = [sys.executable, *sys.orig_argv[1:]]
    login = Login(options.host, options.port, options.login_name or options.user or "", words, settings.read())
    directory = settings.state_directory() / "relays"
    starter = Starter(remote, side, wakeup, login, most=most, directory=directory)
    bundle = starter.bundle(program.fail)
    if bundle is not None:
        bundle.run()
        return True
    if side.is_gone():
        return True
    sentence = f"one session, not several: {starter.complaint}"
    logging.getLogger(__name__).warning("%s", sentence)
    _mention(program, sentence)
    return False


def _number_of_sessions(options: "argparse.Namespace") -> int:
    """How many sessions one connection may have; raises UsageError."""
    from ssmssh import settings

    text = settings.from_environment().sessions or options.sessions or "1"
    if text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= settings.MAX_SESSIONS:
        return int(text)
    raise UsageError(f"{text[:20]!r} is no number of sessions from 1 to {settings.MAX_SESSIONS}")


def take_standard_streams() -> tuple[int, int]:
    """Move standard input and output to private descriptors, and close whatever else was inherited.

    libssh leaks the other end of our own input to us: left open, its end would never be seen.
    """
    os.closerange(3, MAX_INHERITED)
    complete_standard_streams()
    source_fd, sink_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return source_fd, sink_fd


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
    parser.add_argument("login_name", metavar="USER", nargs="?", help="whom ssh logs in as: its %%r")
    parser.add_argument("--user", metavar="NAME", help="the same, where nothing is known of it in its place")
    parser.add_argument(
        "--target", metavar="STRING", help="what StartSession gets as its Target, as it is; HOST is not looked at then"
    )
    parser.add_argument("--suffix", metavar="WORD", help="HOST may be a Name, then optional words, then .WORD")
    parser.add_argument("--by", metavar="WHAT", help="what HOST is: name, private-ip, public-ip, dns or tag:KEY")
    parser.add_argument(
        "--choose", choices=["newest", "oldest"], help="which one, if HOST is of a group: one tag, one Name"
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
    _add_bounds(parser)
    parser.add_argument(
        "--sessions", metavar="N", help="a download runs over up to N sessions at a time, 2 to 16; 1 is plain"
    )
    parser.add_argument("--drop-word", metavar="WORD", help="HOST may end with .WORD, which says nothing")
    _add_guards(parser)
    parser.add_argument("--log-file", metavar="PATH", help="log everything there")
    parser.add_argument("-v", "--verbose", action="store_true", help="log everything at once, on stderr too")
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    return parser.parse_args(arguments)


def _add_bounds(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        help="how long to wait for an instance that is starting: to connect, to take a session, to open its port",
    )
    parser.add_argument(
        "--retry-access",
        metavar="SECONDS",
        help="how long to try again while access is denied: for a permission that was granted a moment ago",
    )
    parser.add_argument("--window", metavar="KIB", help="the most of an upload that is on its way, 16 to 4096 KiB")
    parser.add_argument("--rate", metavar="KB", help="the rate of an upload at most, in 1000 bytes a second, from 50")


def _add_guards(parser: "argparse.ArgumentParser") -> None:
    from ssmssh.settings import HOST_KEY_POLICIES, PUSH_WAYS

    parser.add_argument(
        "--verify-host-keys",
        metavar="POLICY",
        choices=HOST_KEY_POLICIES,
        help="have AWS vouch for the server's host key before ssh sees it: accept-new or enforce",
    )
    parser.add_argument(
        "--push-key",
        metavar="WAY",
        choices=PUSH_WAYS,
        help=f"have the instance take the key for a minute, through: {', '.join(PUSH_WAYS)}",
    )
    parser.add_argument("--identity-file", metavar="FILE", help="push FILE.pub, and no key of ssmssh's own")


def _mention(program: Program, sentence: str) -> None:
    """For a person who sits at a terminal; for nobody else."""
    if os.isatty(2):
        program.say(sentence)


def _host_key_guard(options: "argparse.Namespace", program: Program, wakeup: Wakeup) -> "HostKeyGuard":
    """What sees to it that ssh can know the host key; no network yet."""
    from ssmssh import settings
    from ssmssh.nodes.hostkeycheck import HostKeyCheck
    from ssmssh.nodes.keptkeys import KeptKeys
    from ssmssh.session.hostkeys import HostKeyGuard

    if options.target is not None or any(pair.startswith("host=") for pair in options.parameter):
        raise UsageError("--verify-host-keys is for the SSH server of an instance, and this may lead to another one")
    kept = KeptKeys(settings.state_directory(), settings.ssh_directory())
    check = HostKeyCheck(kept, options.verify_host_keys, options.host, options.port)
    return HostKeyGuard(check, wakeup, program.warn, lambda sentence: _mention(program, sentence))


def _key_guard(options: "argparse.Namespace", wakeup: Wakeup) -> "PushGuard":
    """What sees to it that the instance takes the key; no network yet. Raises UsageError."""
    from ssmssh import settings
    from ssmssh.nodes.keypush import PATIENCE_SECONDS, KeyPush
    from ssmssh.nodes.pushes import Pushes
    from ssmssh.request import parse_retry_access
    from ssmssh.session.pushing import PushGuard

    user = options.login_name or options.user
    if not user:
        raise UsageError(
            "--push-key must be told whom ssh logs in as",
            'give "%r" behind %h %p, as ssmssh install-config --push-key does, or --user NAME',
        )
    pushes = Pushes(settings.state_directory() / "pushes")
    identity_file = settings.path_for_ssh(options.identity_file) if options.identity_file else None
    access_seconds = parse_retry_access(options.retry_access)
    push = KeyPush(user, options.push_key, identity_file, settings.ssh_directory(), pushes, access_seconds)
    return PushGuard(push.make, PATIENCE_SECONDS[push.way], wakeup, access_seconds)


def _guards(options: "argparse.Namespace", program: Program, wakeup: Wakeup) -> "Iterator[HostKeyGuard | PushGuard]":
    """What must have been done before ssh hears the server."""
    if options.verify_host_keys:
        yield _host_key_guard(options, program, wakeup)
    if options.push_key:
        yield _key_guard(options, wakeup)


def _prepare(options: "argparse.Namespace", guards: "Sequence[HostKeyGuard | PushGuard]" = ()) -> "RemoteSession":
    """The service's side of what is asked for; no network, no helper yet."""
    from ssmssh import settings
    from ssmssh.network import tls

    bundle = tls.likely_bundle(settings.ca_bundle())
    early = tls.EarlyContext(bundle) if bundle else None
    from ssmssh.aws.login import forbid_library

    forbid_library()
    from ssmssh.request import parse_parameters, prepare
    from ssmssh.session.caller import Caller
    from ssmssh.session.remote import RemoteSession

    request = prepare(
        _typed(options),
        options.port,
        profile=options.profile,
        region=options.region,
        document_name=options.document_name,
        parameters=parse_parameters(options.parameter),
        reason=options.reason,
        endpoint_url=options.endpoint_url,
        stream_endpoint_url=options.stream_endpoint_url,
        wait=options.wait,
        retry_access=options.retry_access,
        window=options.window,
        rate=options.rate,
        choose=options.choose,
    )
    caller = Caller(request.aws, request.journal_directory, early_tls=early)

    def begin(client: "AwsClient", target: str) -> None:
        for guard in guards:
            guard.begin(client, target)

    return RemoteSession(caller, request.session, _collect_garbage_again, begin)


def _typed(options: "argparse.Namespace") -> "Target | Named":
    """What HOST stands for; raises UsageError."""
    from ssmssh.request import understand, without_word

    host = without_word(options.host, options.drop_word, options.suffix) if options.drop_word else options.host
    return understand(host, target=options.target, suffix=options.suffix, by=options.by)


def _examination(options: "argparse.Namespace") -> str:
    """The command that finds out why it does not work; empty where there is none."""
    from ssmssh.request import examination_of

    if options.target is not None:
        return ""
    names = ("profile", "region", "endpoint_url", "stream_endpoint_url")
    try:
        return examination_of(_typed(options), options.port, {name: vars(options)[name] for name in names})
    except UsageError:
        return ""


def _collect_garbage_again() -> None:
    """From now on, and without looking at what the start has made ever again: most of it stays."""
    gc.freeze()
    gc.enable()
