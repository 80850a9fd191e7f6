"""``ssmssh shell``: a shell on an instance, without ssh and without a key."""

from typing import Unpack

import click

from ssmssh.commands._rawterminal import RawTerminal
from ssmssh.commands._target import TargetOptions, reach, target_options
from ssmssh.commands._terminalsession import run_in_terminal
from ssmssh.request import parse_parameters

_EPILOG = """\b
At the start of a line: ~. ends the session, ~^Z suspends ssmssh, ~- has no escapes from then on, ~? lists them, ~~ is
a tilde.

\b
Examples:
  ssmssh shell web-1
  ssmssh shell i-0123456789abcdef0.eu-west-1.prod
  ssmssh shell web-1 < script.sh
"""


@click.command("shell", epilog=_EPILOG)
@target_options
@click.option("--document-name", metavar="NAME", help="A session document for a shell.  [default: the account's]")
@click.option("--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="Of the document; repeatable.")
@click.argument("target", metavar="TARGET")
def shell(
    *, target: str, document_name: str | None, parameters: tuple[str, ...], **options: Unpack[TargetOptions]
) -> int:
    """Open a shell on TARGET: an id, a Name, a tag, an address.

    It is the shell that the account's Session Manager preferences say. A lost connection is resumed for up to 15
    minutes. What is shown is also in the session logs of the account, if it keeps them.
    """
    reached = reach(target, options, document_name=document_name, parameters=parse_parameters(parameters))
    return run_in_terminal(reached.caller, reached.session, RawTerminal(0, 1))
