"""``ssmssh install-config``: write or update our block in the ssh config."""

import compileall
import re
from collections.abc import Iterator
from pathlib import Path

import click

from ssmssh.commands import _config, _options
from ssmssh.errors import ExitStatus, UsageError
from ssmssh.sshconfig import install, script
from ssmssh.sshconfig.block import BlockText
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.patterns import SAMPLE_IDS, is_concrete
from ssmssh.target import parse_target

_USERS = ("ec2-user", "ubuntu", "admin", "none")

_USER_HINT = (
    "Hint: no --user was given, so ssh will log in with your local user name, {}. "
    "AMIs of Amazon Linux use --user ec2-user, Ubuntu's --user ubuntu, Debian's --user admin."
)


_EXAMPLES = """\b
Examples:
  ssmssh install-config --user ec2-user --profile prod
  ssmssh install-config --name prod --profile prod --region eu-west-1
  ssmssh install-config --identity-file ~/.ssh/id_work --identities-only --dry-run

The second is for hosts like i-0123456789abcdef0.prod, beside the block for all others.
"""


@click.command("install-config", epilog=_EXAMPLES)
@_options.file_options
@click.option("--name", default="", metavar="NAME", help="Which block, if there are several.")
@_options.section_options
@_options.caller_options
@click.option("--host-pattern", metavar="PATTERN", multiple=True, help="Hosts to answer for.  [default: i-* and mi-*]")
@_options.include_option
@click.option("--capture", is_flag=True, help="Answer for hosts that the config names, too, if the patterns match.")
@click.option("--reset", is_flag=True, help="Forget the options of earlier runs.")
@click.option("--print", "print_only", is_flag=True, help="Print the block, for a file that something else manages.")
def install_config(
    *,
    name: str,
    config_file: Path | None,
    dry_run: bool,
    check: bool,
    yes: bool,
    capture: bool,
    reset: bool,
    print_only: bool,
    **chosen: object,
) -> int:
    """Write the block that lets ssh reach instances, or update it.

    Options of earlier runs are kept unless they are given again; an empty value removes one.
    Shows the change, asks, and lets ssh prove it before anything is written.
    """
    options = _options.chosen_options(chosen, BlockOptions)
    where = _config.place(config_file)
    job = install.Installation(name, options, reset, script.find(), _config.is_target)
    text = install.intended(job, where)
    for doubt in _doubts(text):
        click.echo(visible(f"Note: {doubt}."), err=True)
    if print_only:
        click.echo(install.block(job, where).decode(), nl=False)
        return ExitStatus.DONE
    if text.options.user is None:
        job = job._replace(
            options=_ask_for_user(options, install.logins(job, where), can_ask=not (yes or dry_run or check))
        )
    status = _config.run(
        job,
        where,
        dry_run=dry_run,
        check=check,
        yes=yes,
        capture=capture,
        question="Write this?",
        unchanged="Nothing to change.",
    )
    if not (dry_run or check):
        compileall.compile_dir(Path(install.__file__).parents[1], quiet=2)  # saves each start of the proxy 0.6 s
    return status


def _doubts(text: BlockText) -> Iterator[str]:
    """What is not there yet of what a block names; UsageError for what can be no region.

    A key may be made and a profile be configured later, and a region be newer than the installed botocore: these are
    only mentioned.
    """
    words = {pattern.partition(".")[2] for pattern in text.patterns}
    options = text.options
    if options.identity_file and not _config.path_for_ssh(options.identity_file).exists():
        yield f"there is no file {options.identity_file} yet; ssh will not offer that key until there is"
    if not (options.region or options.profile or any(words)):
        return
    from ssmssh.aws.client import known_partitions, profile_names

    partitions = known_partitions()
    if options.region and not partitions.is_region(options.region):
        if not any(re.search(each["regionRegex"], options.region) for each in partitions.partitions):
            raise UsageError(f"--region {options.region!r} is not an AWS region", "it is written like eu-west-1")
        yield f"the region {options.region} is not known to the installed botocore; it is written all the same"
    if options.profile and options.profile not in profile_names():
        yield f"there is no AWS profile {options.profile} yet; connections will fail until it is configured"
    for each in sorted(word for word in words if word and is_concrete(word)):
        try:
            target = parse_target(
                f"{SAMPLE_IDS[0]}.{each}", is_region=partitions.is_region, profile_names=profile_names
            )
        except UsageError as error:
            yield f"connections to i-*.{each} will fail for now: {error}"
        else:
            for name, typed in (("profile", target.profile), ("region", target.region)):
                chosen = getattr(options, name)
                if typed and chosen and typed != chosen:
                    yield f"--{name} {chosen} will not be used for i-*.{each}: the word in the host name wins"


def _ask_for_user(options: BlockOptions, logins: dict[str, str], *, can_ask: bool) -> BlockOptions:
    """The options with the user that a person names, or as they are and with a hint if there is nobody to ask.

    `logins` are the users that ssh logs in as without one in the block: lines of the user's may name them.
    """
    local = _config.local_user()
    chosen = [user for user in dict.fromkeys(logins.values()) if user != local]
    if not (can_ask and _config.is_terminal()):
        for user in chosen:
            hosts = ", ".join(host for host in logins if logins[host] == user)
            click.echo(visible(f"Note: your ssh config has ssh log in as {user} ({hosts})."), err=True)
        if not chosen:
            click.echo(visible(_USER_HINT.format(local)), err=True)
        return options
    with _config.asking():
        answer = click.prompt(
            f"User to log in as ({', '.join(_USERS)}, or another)",
            default=chosen[0] if chosen else _USERS[0],
            err=True,
            show_default=True,
        )
    return options.changed_by(BlockOptions(user="" if answer == "none" else answer))
