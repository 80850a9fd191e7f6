"""``ssmssh forward``: port forwarding without ssh, to an instance and to whatever that can reach."""

import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

import click

from ssmssh import settings
from ssmssh.aws.pages import Pager
from ssmssh.aws.rds import endpoint_of
from ssmssh.commands._detaching import CAN_DETACH, Detached, detach
from ssmssh.commands._group import current_program
from ssmssh.commands._serving import Child, Lines, serve
from ssmssh.commands._target import Reached, TargetOptions, reach, target_options
from ssmssh.errors import ExitStatus, ProtocolError, SsmsshError, TargetError, UsageError
from ssmssh.forwarding import registry
from ssmssh.forwarding.forwarder import Forwarder
from ssmssh.forwarding.routes import session_to
from ssmssh.forwarding.specs import Destination, Forwarding, TcpBind, destination, parse_dynamic, parse_local
from ssmssh.lifecycle import Program
from ssmssh.session.remote import RemoteSession
from ssmssh.sshconfig.diff import visible
from ssmssh.target import excerpt

_EXAMPLES = """\b
Examples:
  ssmssh forward web-1 -L 8080:80
  ssmssh forward i-0123456789abcdef0 -L 5432:db.internal:5432
  ssmssh forward bastion -L :db.internal:5432 -- psql -h localhost -p {port} app
  ssmssh forward bastion --rds 5432:orders
  ssmssh forward bastion -D 1080 --background
  ssmssh forward --list
  ssmssh forward --stop 1080
"""

_REVERSE = (
    "-R is not possible without ssh: Session Manager opens connections on the instance only",
    "use ssh -R with ssmssh's block in the ssh config (ssmssh install-config)",
)

_IDENTIFIER = re.compile("[A-Za-z][A-Za-z0-9-]{0,62}")
"""Of a database instance or cluster (RDS: CreateDBInstance)."""

_PLACEHOLDER = re.compile(r"\{port([1-9][0-9]?)?\}")


@click.command("forward", epilog=_EXAMPLES)
@target_options
@click.option(
    "-L", "local", metavar="[BIND:]PORT:HOST:HOSTPORT", multiple=True, help="A port here that leads to a port there."
)
@click.option("-D", "dynamic", metavar="[BIND:]PORT", multiple=True, help="A SOCKS proxy here.")
@click.option(
    "--rds", metavar="[PORT:]ID", multiple=True, help="A port here that leads to a database of RDS or Aurora."
)
@click.option("--document-name", metavar="NAME", help="A session document for forwarding, instead of AWS's.")
@click.option("-R", "reverse", metavar="...", multiple=True, hidden=True)
@click.option("--background", is_flag=True, help="Go to the background once the ports listen.")
@click.option("--list", "lists", is_flag=True, help="List what runs in the background.")
@click.option(
    "--stop",
    metavar="[PORT]",
    is_flag=False,
    flag_value="all",
    help="End what listens at PORT in the background; without PORT, all that runs there.",
)
@click.argument("target", metavar="TARGET", required=False)
@click.argument("command", metavar="[-- CMD...]", nargs=-1)
def forward(
    *,
    target: str | None,
    command: Sequence[str],
    local: Sequence[str],
    dynamic: Sequence[str],
    rds: Sequence[str],
    document_name: str | None,
    reverse: Sequence[str],
    background: bool,
    lists: bool,
    stop: str | None,
    **options: Unpack[TargetOptions],
) -> int:
    """Forward ports through an instance, to itself and to whatever it can reach.

    -L PORT:HOSTPORT leads to the instance itself, -L PORT:HOST:HOSTPORT to a host in its network, -L PATH:HOST:HOSTPORT
    from a Unix socket. Without a PORT, or with 0, a free one is picked and printed on stdout, alone. All of it listens
    on loopback, unless a BIND address is written. --rds finds out where the database instance or cluster of that
    identifier listens, and leads there. CMD is run with {port} filled in (several: {port2}, ...), and its end
    ends the forwarding.
    """
    if lists or stop is not None:
        if target is not None or local or dynamic or rds or background or (lists and stop is not None):
            raise UsageError(f"{'--list' if lists else '--stop'} is given alone")
        return _list() if lists else _stop(stop or "all")
    if reverse:
        raise UsageError(*_REVERSE)
    forwardings = [*map(parse_local, local), *map(parse_dynamic, dynamic)]
    databases = [_database(each) for each in rds]
    if target is None or not (forwardings or databases):
        raise UsageError("What is to be forwarded?", "give a TARGET, and -L, -D or --rds; see ssmssh forward --help")
    if command and background:
        raise UsageError("--background has no CMD", "start the command yourself, or leave --background out")
    if command and shutil.which(command[0]) is None:
        raise UsageError(f"There is no command {command[0][:80]!r}")
    if background and not CAN_DETACH:
        raise UsageError("--background needs Linux or macOS", "start it in a window of its own")
    program = current_program()
    detached = detach() if background else None
    if isinstance(detached, int):
        return detached
    reached = reach(target, options)
    forwardings += [_to_database(reached, *each) for each in databases]

    def make_remote(destination: Destination) -> RemoteSession:
        return RemoteSession(reached.caller, session_to(reached.session, destination, document_name))

    return _forward(program, reached, target, forwardings, command, detached, make_remote)


def _forward(
    program: Program,
    reached: Reached,
    target: str,
    forwardings: Sequence[Forwarding],
    command: Sequence[str],
    detached: Detached | None,
    make_remote: Callable[[Destination], RemoteSession],
) -> int:
    lines = Lines(program)
    child = Child()
    note: registry.Note | None = None

    def ready() -> None:
        nonlocal note
        shown = [_shown(*each) for each in zip(forwarder.listeners, forwardings, strict=True)]
        ports = [listener.port for listener in forwarder.listeners]
        picked = "".join(f"{listener.port}\n" for listener in forwarder.listeners if listener.is_picked)
        if detached is not None:
            note = registry.record(_directory(), registry.Noted(target, tuple(shown), tuple(ports), time.time()))
            detached.leave(picked)
        elif command:
            child.start([_filled(word, ports) for word in command], forwarder.wakeup)
        else:
            sys.stdout.write(picked)
            sys.stdout.flush()
        for each in shown:
            lines.mention(f"{each}, through {reached.caller.describe(reached.instance_id)}")

    def is_done() -> bool:
        return child.is_done or (note is not None and note.is_removed)

    forwarder = Forwarder(forwardings, make_remote, lines, ready)
    try:
        return serve(program, forwarder, child, is_done)
    finally:
        if note is not None:
            note.remove()


def _database(text: str) -> tuple[TcpBind, str]:
    """Where to listen, and the identifier, as ``--rds`` has them."""
    port, separator, identifier = text.rpartition(":")
    if not _IDENTIFIER.fullmatch(identifier) or (separator and not re.fullmatch("[0-9]{0,5}", port, re.ASCII)):
        raise UsageError(f"--rds {excerpt(text)} is no database", "write it as [PORT:]ID, with its identifier")
    number = int(port or 0)
    if number > 65535:
        raise UsageError(f"{port} is not a port number")
    return TcpBind(None, number), identifier


def _to_database(reached: Reached, bind: TcpBind, identifier: str) -> Forwarding:
    to = destination(*endpoint_of(Pager(reached.caller.client), identifier))
    if to is None:
        raise ProtocolError(f"The endpoint of the database {identifier} is none")
    return Forwarding(bind, to)


def _shown(listener: object, forwarding: Forwarding) -> str:
    return f"{listener} leads to {forwarding.destination or 'what SOCKS clients ask for'}"


def _filled(word: str, ports: Sequence[int]) -> str:
    """A word of the command with ports filled in: ``{port}`` is the first one, ``{port2}`` the second."""

    def port(match: re.Match[str]) -> str:
        number = int(match[1] or 1)
        if number > len(ports):
            raise UsageError(
                f"{match[0]} is filled in with the port of forwarding {number}, and there are {len(ports)}"
            )
        return str(ports[number - 1])

    return _PLACEHOLDER.sub(port, word)


def _directory() -> Path:
    return settings.state_directory() / "forwards"


def _list() -> int:
    with registry.running(_directory()) as found:
        for each in found:
            for line in each.noted.forwardings:
                minutes = max(0, int(time.time() - each.noted.started)) // 60
                click.echo(visible(f"{line}, through {each.noted.target}, for {minutes} min"))
    return ExitStatus.DONE


def _stop(which: str) -> int:
    if which != "all" and not (which.isascii() and which.isdigit()):
        raise UsageError(f"--stop {which[:20]!r} is not a port number")
    with registry.running(_directory()) as found:
        chosen = [each for each in found if which == "all" or int(which) in each.noted.ports]
        if not chosen and which != "all":
            raise TargetError(f"Nothing in the background listens at port {which}", "see ssmssh forward --list")
        left = [each for each in chosen if not each.stop()]
    if left:
        raise SsmsshError(f"{len(left)} of {len(chosen)} did not end within {registry.STOP_SECONDS:.0f} s")
    return ExitStatus.DONE
