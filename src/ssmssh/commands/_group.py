"""The group of all commands: what click would do by itself and `ssmssh.lifecycle` does for every program.

click answers a closed pipe with status 1, Ctrl-C with an empty line, and wrong usage with three lines. Here whatever
ends a command leaves click as it came, but for what is click's own, which is translated.
"""

import contextlib
import copy
import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from ssmssh.errors import ExitStatus, UsageError
from ssmssh.lifecycle import Program


class Commands(click.Group):
    """A group that knows what its commands are called and do, and imports the one that is used.

    Command ``a-b`` is ``a_b`` in ``ssmssh.commands.a_b``. `Program` is the contexts' object, and each command has
    its log's options.
    """

    def __init__(self, *arguments: Any, summaries: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, for help and completion."""
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is none of that name."""
        if cmd_name not in self._summaries:
            return None
        if cmd_name == "sandbox" and sys.platform == "win32":
            raise UsageError("The sandbox needs Linux or macOS", "run it in WSL")
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"ssmssh.commands.{name}"), name)
        if not isinstance(command, click.Command) or command.callback is None:
            raise TypeError(f"ssmssh.commands.{name} has no command of its name")
        logged = copy.copy(command)
        logged.params = [*command.params, *_log_options()]
        logged.callback = _logged(command.callback)
        return logged

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """As click's; ``--help`` writes here."""
        with _carried():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's; an error in a command's words has its context, to say where help is."""
        try:
            with _carried():
                return super().invoke(ctx)
        except click.UsageError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if error.ctx is None and command is not None:
                error.ctx = click.Context(command, parent=ctx, info_name=command.name)
            raise


def current_program() -> Program:
    """The program that runs the command whose context this is."""
    program = click.get_current_context().find_object(Program)
    if program is None:
        raise AssertionError("a command is run by a program")
    return program


def call(group: Commands, name: str, program: Program) -> int:
    """Run the command line of this process; the status. What a command raises is raised, and UsageError."""
    try:
        result = group.main(prog_name=name, standalone_mode=False, obj=program)
    except _Carried as carried:
        raise carried.error from None
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitStatus.USAGE
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        words = context.command_path if context else name
        raise UsageError(error.format_message().rstrip("."), f"see {words} --help") from None
    except click.Abort:  # Ctrl-D at a question
        raise KeyboardInterrupt from None
    return result if isinstance(result, int) else ExitStatus.DONE


class _Carried(Exception):  # noqa: N818 - it is never seen
    """What click must not get to see."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


@contextlib.contextmanager
def _carried() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyboardInterrupt) as error:
        raise _Carried(error) from None


def _log_options() -> list[click.Parameter]:
    """As the proxy has them."""
    return [
        click.Option(["--log-file"], metavar="PATH", help="Log everything there."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Log everything at once, on stderr too."),
    ]


def _logged(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def run(*arguments: Any, log_file: str | None, verbose: bool, **settings: Any) -> Any:
        program = click.get_current_context().find_object(Program)
        if program is not None:
            program.direct_log(log_file, is_verbose=verbose)
        return callback(*arguments, **settings)

    return run
