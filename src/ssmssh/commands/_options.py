"""Options that several commands on the ssh config have: what a section of ours is to say, and how it gets there."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from ssmssh.settings import PUSH_WAYS
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.sharing import CONTROL_PERSIST

_Options = TypeVar("_Options", bound=BlockOptions)

include_option = click.option(
    "--include/--inline", default=None, help="Keep the block in a file of its own.  [default: inline]"
)


def file_options(function: Any) -> Any:
    """Which config is changed, and whether somebody is asked."""
    return with_options(
        function,
        click.option("--yes", "-y", is_flag=True, help="Write without asking."),
        click.option(
            "--check",
            is_flag=True,
            help="Write nothing; exit with 1 if the file would change or ssh would not come to us.",
        ),
        click.option("--dry-run", "-n", is_flag=True, help="Show what would change and write nothing."),
        click.option(
            "--config-file",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The ssh config to change.  [default: ~/.ssh/config]",
        ),
    )


def caller_options(function: Any) -> Any:
    """Who calls, and where."""
    return with_options(
        function,
        click.option("--profile", metavar="PROFILE", help="AWS profile."),
        click.option("--region", metavar="REGION", help="AWS region."),
    )


def section_options(function: Any) -> Any:
    """What a section says, but for who calls."""
    return with_options(
        function,
        click.option("--user", metavar="USER", help="User to log in as; auto finds it out, for single instances."),
        click.option("--document-name", metavar="NAME", help="Session document.  [default: AWS-StartSSHSession]"),
        click.option("--reason", metavar="TEXT", help="Reason that sessions are started with, for the audit log."),
        click.option("--identity-file", metavar="FILE", help="Private key to offer."),
        click.option("--identities-only/--no-identities-only", default=None, help="Offer no other keys."),
        click.option(
            "--verify-host-keys",
            metavar="POLICY",
            help="Have AWS vouch for host keys; accept-new takes an unknown one, enforce refuses it.",
        ),
        click.option(
            "--push-key",
            metavar="[WAY]",
            is_flag=False,
            flag_value=PUSH_WAYS[0],
            help="Have the instance take the key for a minute: no key of yours needs to be there.  "
            f"[WAY: {', '.join(PUSH_WAYS)}; default: {PUSH_WAYS[0]}]",
        ),
        click.option("--forward-agent/--no-forward-agent", default=None, help="Forward the SSH agent."),
        click.option("--local-forward", metavar="SPEC", multiple=True, help="A forwarding, spelled as for ssh -L."),
        click.option("--remote-forward", metavar="SPEC", multiple=True, help="A forwarding, spelled as for ssh -R."),
        click.option("--compression/--no-compression", default=None, help="Compress what ssh sends."),
        click.option("--server-alive", metavar="SECONDS", type=click.IntRange(0, 100_000), help="0: no keep-alive."),
        click.option(
            "--multiplex",
            metavar="[TIME]",
            is_flag=False,
            flag_value=CONTROL_PERSIST,
            help="Let connections to a host share one session, kept for TIME after the last.  "
            f"[default: {CONTROL_PERSIST}]",
        ),
        click.option("--option", metavar="'KEY VALUE'", multiple=True, help="Any other ssh setting; may be repeated."),
    )


def chosen_options(chosen: Mapping[str, object], kind: type[_Options]) -> _Options:
    """The options as given: an option that was not given is None, an empty value means "none"."""
    given: dict[str, object] = {}
    for field in fields(kind):
        value = chosen.get(field.name)
        if isinstance(value, tuple):
            value = tuple(text for text in value if text) if value else None
        given[field.name] = value
    identity = given["identity_file"]
    if isinstance(identity, str) and identity and not identity.startswith(("~", "%")):
        given["identity_file"] = str(Path(identity).absolute())
    return kind(**given)  # type: ignore[arg-type]


def with_options(function: Any, *options: Any) -> Any:
    """`function` with options, which the help shows in this order."""
    for option in reversed(options):
        function = option(function)
    return function
