"""``ssmssh run``: a command on an instance or on many, without ssh; its output, and its status as our own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import click

from ssmssh.commands import _manyruns
from ssmssh.commands._group import current_program
from ssmssh.commands._interrupts import Interrupts
from ssmssh.commands._rawterminal import RawTerminal
from ssmssh.commands._runstatus import FAILED_STATUS, status_of, told
from ssmssh.commands._target import TargetOptions, reach, target_options
from ssmssh.commands._terminalsession import run_in_terminal
from ssmssh.commands._written import status_of_writing
from ssmssh.errors import SsmsshError, UsageError
from ssmssh.lifecycle import Program
from ssmssh.session.commandline import quoted, sendable
from ssmssh.session.remote import RemoteSession
from ssmssh.session.remotecommand import DOCUMENT, UNKNOWN_STATUS, Command, run_command
from ssmssh.session.streams import OutputPump, Wakeup

_INTERACTIVE_DOCUMENT = "AWS-StartInteractiveCommand"

_EPILOG = """\b
The words arrive as they are; no shell looks at them unless you say --shell. There is no standard input (ssh has one).
Its output is also in the session logs of the account and on the instance's disk, and the command's words in CloudTrail:
no secrets in either. For files use scp.

\b
Exits with the command's status, with 254 if nobody knows it, with 255 for a failure of ours.

\b
Examples:
  ssmssh run web-1 -- systemctl is-active nginx
  ssmssh run web-1 --shell 'df -h | tail -n 3'
  ssmssh run -t web-1 top
  ssmssh run --targets web-1,web-2 -- uptime
  ssmssh run --filter tag:Env=prod --output-dir out -- cat /etc/os-release
"""


class _Run(click.Command):
    """A command whose wrong options have the status of our failures: the one they have elsewhere may be CMD's."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            program = parent.find_object(Program) if parent is not None else None
            if program is None:
                raise
            program.fail(told(UsageError(error.format_message().rstrip("."), "see ssmssh run --help")))
            raise click.exceptions.Exit(FAILED_STATUS) from None


@click.command("run", cls=_Run, epilog=_EPILOG, context_settings={"allow_interspersed_args": False})
@target_options
@click.option("--shell", "has_shell", is_flag=True, help="Have sh -c run CMD, whose words are joined by blanks.")
@click.option("-t", "--tty", is_flag=True, help="In a terminal, with keyboard; its status is not known then.")
@click.option("--binary", "is_binary", is_flag=True, help="Any bytes of output, as base64; proved to be whole.")
@click.option("--document-name", metavar="NAME", help="A session document for commands, instead of AWS's.")
@click.option("--targets", metavar="TARGET,...", help="On each of these, beside each other.")
@click.option(
    "--filter", "filters", metavar="FILTER", multiple=True, help="On all that list shows with it; repeatable."
)
@click.option("--parallel", type=click.IntRange(1, 64), default=8, show_default=True, help="So many at a time.")
@click.option(
    "--output-dir", type=click.Path(file_okay=False, path_type=Path), help="Into files there, one for each target."
)
@click.argument("words", metavar="[TARGET] [--] CMD...", nargs=-1, type=click.UNPROCESSED)
def run(
    *,
    has_shell: bool,
    tty: bool,
    is_binary: bool,
    document_name: str | None,
    targets: str | None,
    filters: Sequence[str],
    parallel: int,
    output_dir: Path | None,
    words: Sequence[str],
    **options: Unpack[TargetOptions],
) -> int:
    """Run CMD on TARGET: an id, a Name, a tag, an address; or on several."""
    program = current_program()
    is_many = targets is not None or bool(filters)
    try:
        if tty and (is_binary or is_many):
            raise UsageError("-t goes with neither --binary nor several targets", "leave one of them out")
        target, argv = ("", _command(words)) if is_many else (_target(words), _command(words[1:]))
        command = Command(argv, has_shell=has_shell, is_binary=is_binary)
        if is_many:
            order = _manyruns.Order(command, document_name or DOCUMENT, parallel, output_dir)
            return _manyruns.run(program, order, options, (targets or "").split(","), filters)
        if tty:
            return _in_terminal(target, command, document_name or _INTERACTIVE_DOCUMENT, options)
        return _on_one(program, target, command, document_name or DOCUMENT, options)
    except SsmsshError as error:
        program.fail(told(error))
        return FAILED_STATUS


def _target(words: Sequence[str]) -> str:
    if not words:
        raise UsageError("give a TARGET and a command to run", "as in: ssmssh run web-1 -- uptime")
    return words[0]


def _command(words: Sequence[str]) -> Sequence[str]:
    argv = words[1:] if words[:1] == ("--",) else words
    if not argv:
        raise UsageError("give a command to run", "as in: ssmssh run web-1 -- uptime")
    return argv


def _in_terminal(target: str, command: Command, document_name: str, options: TargetOptions) -> int:
    text = sendable(" ".join(command.argv)) if command.has_shell else quoted(command.argv)
    reached = reach(target, options, document_name=document_name, parameters={"command": [text]})
    return run_in_terminal(reached.caller, reached.session, RawTerminal(0, 1)) or UNKNOWN_STATUS


def _on_one(program: Program, target: str, command: Command, document_name: str, options: TargetOptions) -> int:
    reached = reach(target, options, document_name=document_name, parameters=command.parameters)
    wakeup = Wakeup()
    output, errors = OutputPump(1, wakeup), OutputPump(2, wakeup)
    output.start()
    errors.start()
    program.stop.wake(wakeup.signal_fd)
    with Interrupts(program) as interrupts:
        outcome = run_command(
            command,
            RemoteSession(reached.caller, reached.session),
            output,
            errors,
            wakeup,
            stop_requested=lambda: bool(program.stop),
            on_side=interrupts.add,
            tell=program.say,
        )
    for pump in (output, errors):
        pump.drain(lambda: bool(program.stop))
    for note in outcome.notes:
        program.say(note)
    return status_of_writing(output, errors) or status_of(outcome)
