"""``ssmssh sandbox``: a shell or a command in a stand-in for Session Manager."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, cast

import click

from ssmssh import settings
from ssmssh.errors import UsageError
from ssmssh.lifecycle import SIGNALLED, child_status
from ssmssh.sandbox import processes
from ssmssh.sandbox.box import Sandbox, stop_directory
from ssmssh.sandbox.broken.registry import BROKEN
from ssmssh.sandbox.character import AGENT_VERSION
from ssmssh.sandbox.control import ControlError, connect
from ssmssh.sandbox.environment import shell_lines
from ssmssh.sandbox.faults import FAULT_TYPES, parse

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_COMMAND_MISSING = 127
_COMMAND_NOT_EXECUTABLE = 126

_PATIENCE_SECONDS = 3.0
"""For the command to end after a signal, before it gets the next stronger one."""


@click.command("sandbox", context_settings={"allow_interspersed_args": False})
@click.option("--unpaced", is_flag=True, help="Lift the limit of just under 1 MB/s that real agents have.")
@click.option("--fault", "faults", metavar="NAME[:ARGS]", multiple=True, help="Something to go wrong; may be repeated.")
@click.option("--broken", metavar="NAME[,NAME]|list", help="A set-up that does not work, for doctor to find out why.")
@click.option("--list-faults", is_flag=True, help="Say what can go wrong, and leave.")
@click.option(
    "--ssh-server",
    type=click.Choice(["auto", "system", "library"]),
    default="auto",
    show_default=True,
    help="The SSH server behind the instances: sshd of this system, or asyncssh.",
)
@click.option("--instances", metavar="FILE|N", help="More instances: those of a JSON file, or so many made-up ones.")
@click.option("--gateways", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes for the data.")
@click.option("--agent-version", default=AGENT_VERSION, show_default=True, help="What the agents say they are.")
@click.option("--unsigned-opens", is_flag=True, help="Take WebSockets as plugins before 1.2.764.0 open them.")
@click.option("--no-key", is_flag=True, help="Give ssh no key: one must be pushed before it is let in.")
@click.option(
    "--policy",
    "policies",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    multiple=True,
    help="Let the caller do what a policy of IAM allows, and no more; may be repeated.",
)
@click.option(
    "--caller",
    type=click.Choice(["role", "user"]),
    default="role",
    show_default=True,
    help="Whose credentials there are: of an assumed role, or of a user of IAM.",
)
@click.option(
    "--preferences",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The content of SSM-SessionManagerRunShell: time-outs, run-as, a KMS key, a shell profile.",
)
@click.option(
    "--minute-seconds",
    type=click.FloatRange(0.01, 60),
    default=60.0,
    show_default=True,
    help="How long a minute of preferences is.",
)
@click.option("--seed", type=int, help="Make chance in faults repeatable.")
@click.option("--keep", is_flag=True, help="Leave it running and print what a shell must export to be in it.")
@click.option("--stop", type=_DIRECTORY, metavar="DIR", help="Stop the one that --keep left in DIR.")
@click.option("--set", "set_", metavar="NAME[:ARGS]", help="In a sandbox: have a fault from now on.")
@click.option("--clear", metavar="NAME|all", help="In a sandbox: have it no longer.")
@click.option("--session", metavar="ID", help="With --set and --clear: for one session only.")
@click.option("--sessions", is_flag=True, help="In a sandbox: list the sessions, one JSON object a line.")
@click.option("--calls", is_flag=True, help="In a sandbox: list the calls of the API, one JSON object a line.")
@click.argument("command", metavar="[-- CMD ...]", nargs=-1, type=click.UNPROCESSED)
def sandbox(
    *,
    broken: str | None,
    list_faults: bool,
    instances: str | None,
    no_key: bool,
    keep: bool,
    stop: Path | None,
    set_: str | None,
    clear: str | None,
    session: str | None,
    sessions: bool,
    calls: bool,
    command: Sequence[str],
    **options: Any,
) -> int:
    """Run CMD, or a shell, where ssh reaches make-believe instances on this computer.

    No AWS account is needed or touched. The instances are i-0123456789abcdef0 (web-1), i-0fedcba9876543210 (db-1)
    and mi-0123456789abcdef0 (on-prem-1), and those that --instances adds; a login on any of them is one on this
    computer, as you.
    """
    if list_faults or broken == "list":
        _show_faults() if list_faults else _show_broken()
        return 0
    if stop is not None:
        stop_directory(stop)
        return 0
    if set_ is not None or clear is not None or sessions or calls:
        lists = [name for name, is_asked_for in (("sessions", sessions), ("calls", calls)) if is_asked_for]
        _control(set_, clear, session, lists)
        return 0
    if keep and command:
        raise UsageError("--keep takes no command", "run the command after the lines it prints")
    names = broken.split(",") if broken is not None else ()
    # All other options are named as the arguments.
    box = Sandbox(instances=_inventory(instances), offers_key=not no_key, broken=names, keep=keep, **options)
    with _signals_held(box) as held, box:
        if keep:
            click.echo(shell_lines(box.environment_changes), nl=False)
            click.echo(f"# ssmssh sandbox --stop {box.directory}")
            return 0
        status = _run(box, command, held)
        box.check()
        return status


def _show_faults() -> None:
    for fault in FAULT_TYPES.values():
        parameters = ",".join(f"{name}={value:g}" for name, value in fault.parameters.items())
        subject = f"{fault.subject}," if fault.subject else ""
        click.echo(f"{fault.name}:{subject}{parameters}\n    {fault.meaning}")


def _show_broken() -> None:
    for each in BROKEN.values():
        click.echo(f"{each.name} ({each.kind})\n    {each.meaning}")


def _inventory(text: str | None) -> Path | int:
    """The instances that are asked for; digits are a number, and ``./7`` a file of that name."""
    if text is None:
        return 0
    return int(text) if text.isascii() and text.isdigit() else Path(text)


def _control(fault: str | None, cleared: str | None, session_id: str | None, lists: Sequence[str]) -> None:
    """Talk to the sandbox that this process is in; `lists` are the calls that have rows to show."""
    directory = settings.sandbox_directory()
    if directory is None:
        raise UsageError("this is no sandbox", "run this in the shell or command of ssmssh sandbox")
    caller = connect(directory / "control.sock")
    try:
        if cleared is not None:
            caller.call("clear_fault", name=None if cleared == "all" else cleared, session_id=session_id)
        if fault is not None:
            caller.call("set_fault", fault=str(parse(fault)), session_id=session_id)
        for name in lists:
            for row in cast("list[object]", caller.call(name)):
                click.echo(json.dumps(row))
    finally:
        caller.close()


class _Held:
    """The handler of signals while a sandbox is up. They are for the command; when it has ended, so have we.

    A command that does not end on SIGTERM, as an interactive shell, is told more and more plainly. That the sandbox's
    main process has ended under the command is a reason to end it, too.
    """

    def __init__(self, box: Sandbox) -> None:
        self.number = 0
        self._box = box
        self._child: subprocess.Popen[bytes] | None = None
        self._stronger = [signal.SIGKILL, signal.SIGHUP]

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        if number == signal.SIGALRM:
            self._send(self._stronger.pop() if len(self._stronger) > 1 else self._stronger[0])
            return
        if number == signal.SIGCHLD:
            self._follow_sandbox()
            return
        self.number = number
        # Ctrl-C at our terminal reaches the command by itself; a `kill -INT` where we have none does not.
        if number not in (signal.SIGINT, signal.SIGQUIT) or not _is_at_terminal():
            self._end(number)

    def attach(self, child: "subprocess.Popen[bytes]") -> None:
        """`child` is the command; what has come since it was begun to be started is for it, too."""
        self._child = child
        if self.number:
            self._send(self.number)
        self._follow_sandbox()

    def _follow_sandbox(self) -> None:
        """End the command if there is one and the sandbox has ended."""
        try:
            self._box.check()
        except ControlError:
            if self._child is not None:
                self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        self._send(number)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS, _PATIENCE_SECONDS)

    def _send(self, number: int) -> None:
        """To the command and what it runs: a shell that dies does not take along what it waits for."""
        if self._child is None:
            return
        below = processes.descendants(self._child.pid)
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(number)
        for pid in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


@contextlib.contextmanager
def _signals_held(box: Sandbox) -> Iterator[_Held]:
    held = _Held(box)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGCHLD)
    ignored = {number for number in numbers if signal.getsignal(number) == signal.SIG_IGN}  # nohup: it stays so
    before = {number: signal.signal(number, held) for number in numbers if number not in ignored}
    try:
        yield held
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_at_terminal() -> bool:
    """Whether this process is in the foreground of a terminal, whose keys send their signals to the command as well."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _run(box: Sandbox, command: Sequence[str], held: _Held) -> int:
    if held.number:
        return SIGNALLED + held.number
    words = list(command) or [settings.read().get("SHELL") or "/bin/sh"]
    if not command and sys.stdin.isatty():
        click.echo("This is the sandbox. Try:  ssh i-0123456789abcdef0   and leave with exit.", err=True)
    try:
        child = subprocess.Popen(words, env=box.environment, preexec_fn=processes.die_with_parent)  # noqa: PLW1509 - no threads
    except FileNotFoundError:
        click.echo(f"ssmssh: {words[0]}: command not found", err=True)
        return _COMMAND_MISSING
    except OSError as error:
        click.echo(f"ssmssh: {words[0]}: {error.strerror}", err=True)
        return _COMMAND_NOT_EXECUTABLE
    held.attach(child)
    status = child.wait()
    return child_status(status)
