"""``ssmssh uninstall-config``: remove our block from the ssh config."""

from pathlib import Path

import click

from ssmssh.commands import _config, _options
from ssmssh.sshconfig import install
from ssmssh.sshconfig.places import Place


@click.command("uninstall-config")
@_options.file_options
@click.option("--name", default="", metavar="NAME", help="Which block, if there are several.")
def uninstall_config(*, name: str, config_file: Path | None, dry_run: bool, check: bool, yes: bool) -> int:
    """Remove the block; the file is then what it was before."""
    where = _config.place(config_file)
    return _config.run(
        install.Removal(name),
        where,
        dry_run=dry_run,
        check=check,
        yes=yes,
        question="Remove it?",
        unchanged=_absent(name, where),
    )


def _absent(name: str, where: Place) -> str:
    """That there is no block of that name, and which there are."""
    called = f"block named {name}" if name else "block without a name"
    there = [other or "one without a name" for other in install.names(where)]
    if not there:
        return f"There is no block of ssmssh in {where.config}."
    return f"There is no {called} in {where.config}; there {'is' if len(there) == 1 else 'are'}: {', '.join(there)}."
