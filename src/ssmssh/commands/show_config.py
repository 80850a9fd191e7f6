"""``ssmssh show-config``: what ssh does for a host, and why."""

import shlex
from pathlib import Path

import click

from ssmssh.commands import _config
from ssmssh.errors import ExitStatus, SsmsshError
from ssmssh.sshconfig import aliases, install, script
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.patterns import SAMPLE_IDS
from ssmssh.sshconfig.show import Setting, host_of, report


@click.command("show-config")
@click.option(
    "--config-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="An ssh config to read alone, as ssh -F does.  [default: yours, then the system's]",
)
@click.argument("host", default=SAMPLE_IDS[0], required=False)
def show_config(*, host: str, config_file: Path | None) -> int:
    """Show what ssh will do for HOST, which lines of which files decide it, and whether the proxy runs.

    Without HOST an instance id stands for all of them. Match exec commands of your ssh config are run.
    Exits with 1 if ssh would not come to ssmssh, or not get it to run.
    """
    found = report(host, None if config_file is None else config_file.absolute(), _config.is_target)
    click.echo(visible(f"ssh {host}"))
    width = max(len(setting.keyword) for setting in found.settings)
    for setting in found.settings:
        click.echo(
            visible(f"  {setting.keyword:<{width}}  {setting.value}  ({_origin(setting, host, is_told=found.is_told)})")
        )
    text = visible(f"Note: {found.trouble}.") if found.trouble else "The proxy is there and runs."
    click.echo(text, err=bool(found.trouble))
    if found.instance:
        click.echo(visible(f"Note: {_way_to(host_of(host), found.instance, config_file)}."), err=True)
    if found.doubt:
        click.echo(f"Note: {found.doubt}.", err=True)
    return ExitStatus.UNEXPECTED if found.trouble else ExitStatus.DONE


def _way_to(name: str, instance: str, config_file: Path | None) -> str:
    """Why no block answers for a name that leads to an instance, and how one will, which is tried first."""
    why = f"{name} is {instance} in your ssh config, but ssh compares what is typed, and no block answers for {name}"
    where = _config.place(config_file)
    try:
        job = install.Installation("", BlockOptions(), reset=False, script=script.find(), is_target=_config.is_target)
        patterns = install.intended(job, where).patterns
        install.preview(job._replace(options=BlockOptions(host_pattern=(*patterns, name))), where)
    except SsmsshError:
        return why
    file = f"--config-file {shlex.quote(str(config_file))} " if config_file else ""
    return f"{why}; run: ssmssh install-config {file}{aliases.patterns_with(patterns, [name])}"


def _origin(setting: Setting, host: str, *, is_told: bool) -> str:
    if setting.decided_by is not None:
        return str(setting.decided_by)
    if setting.keyword == "User" and "@" in host:
        return "as typed"
    return "no line of yours" if is_told else "the line cannot be told"
