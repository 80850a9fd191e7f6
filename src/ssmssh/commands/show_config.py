"""``ssmssh show-config``: what ssh does for a host, and why."""

from pathlib import Path

import click

from ssmssh.commands import _config
from ssmssh.errors import ExitStatus
from ssmssh.sshconfig.patterns import SAMPLE_IDS
from ssmssh.sshconfig.show import report


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
    found = report(host, None if config_file is None else config_file.absolute(), _config.home())
    click.echo(f"ssh {host}")
    width = max(len(setting.keyword) for setting in found.settings)
    for setting in found.settings:
        origin = f"({setting.decided_by})" if setting.decided_by else "(no line of yours)"
        click.echo(f"  {setting.keyword:<{width}}  {setting.value}  {origin}")
    click.echo(f"Note: {found.trouble}." if found.trouble else "The proxy is there and runs.", err=bool(found.trouble))
    return ExitStatus.UNEXPECTED if found.trouble else ExitStatus.DONE
