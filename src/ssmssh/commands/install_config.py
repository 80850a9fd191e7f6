"""``ssmssh install-config``: write or update our block in the ssh config."""

from pathlib import Path

import click

from ssmssh.commands import _config, _doubts, _options
from ssmssh.commands._loginusers import refuse_for_patterns
from ssmssh.errors import ExitStatus
from ssmssh.settings import MAX_SESSIONS
from ssmssh.sshconfig import install, script
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.options import BlockOptions

_USERS = ("ec2-user", "ubuntu", "admin", "none")

_EXAMPLES = """\b
Examples:
  ssmssh install-config --user ec2-user --profile prod
  ssmssh install-config --name prod --profile prod --region eu-west-1
  ssmssh install-config --name fast --sessions 8
  ssmssh install-config --identity-file ~/.ssh/id_work --identities-only --dry-run

The second is for hosts like i-0123456789abcdef0.prod, beside the block for all others; the third for
downloads from i-0123456789abcdef0.fast.
"""


@click.command("install-config", epilog=_EXAMPLES)
@_options.file_options
@click.option("--name", default="", metavar="NAME", help="Which block, if there are several.")
@_options.section_options
@_options.caller_options
@click.option("--host-pattern", metavar="PATTERN", multiple=True, help="Hosts to answer for.  [default: i-* and mi-*]")
@click.option("--suffix", metavar="WORD", help="Answer for Names, too, with this word behind them: web-1.ssm.")
@click.option("--by", metavar="WHAT", help="What the hosts are: name, private-ip, public-ip, dns or tag:KEY.")
@click.option("--choose", metavar="WHICH", help="newest or oldest, where --suffix or --by may find a group.")
@click.option(
    "--sessions",
    metavar="N",
    type=click.IntRange(1, MAX_SESSIONS),
    help="Downloads over up to N sessions at a time, 2 to 16.  [default: 1]",
)
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
    refuse_for_patterns(options.user)
    where = _config.place(config_file)
    job = install.Installation(name, options, reset, script.find(), _config.is_target)
    text = install.intended(job, where)
    if text.drop_word:
        _config.check_no_target_word(text.name)
        job = job._replace(is_target=_config.is_target_before(text.drop_word))
    for doubt in _doubts.about_block(text):
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
        _config.compile_program()
    return status


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
            click.echo(visible(f"Hint: {_config.USER_NOTE.format(local)}."), err=True)
        return options
    with _config.asking():
        answer = click.prompt(
            f"User to log in as ({', '.join(_USERS)}, or another)",
            default=chosen[0] if chosen else _USERS[0],
            err=True,
            show_default=True,
        )
    return options.changed_by(BlockOptions(user="" if answer == "none" else answer))
