"""Where the files are that make up the config, and their bytes."""

from pathlib import Path
from typing import NamedTuple

from ssmssh import settings
from ssmssh.errors import FileError
from ssmssh.sshconfig import files
from ssmssh.sshconfig.plan import Files


class Place(NamedTuple):
    """Where the files are.

    `config` is the user's, `state` our state directory; `directory`, beside the config, is for our own file and control
    sockets, and `directory_name` is how ssh configs spell it. `keys_name` is the spelling of where our key and our
    known_hosts are, whatever the config. `is_standard` tells whether the config is in ``~/.ssh``,
    which is made if need be. `users` is the config that ssh reads by itself, where that is known.
    """

    config: Path
    state: Path
    directory: Path
    directory_name: str
    keys_name: str
    is_standard: bool
    users: Path | None

    @property
    def own(self) -> Path:
        """Our own file, for ``--include``."""
        return self.directory / "config"


def default_place(config_file: Path | None = None) -> Place:
    """Where the files are for the config that ssh reads, or for another one that somebody has named.

    ssh goes by the password database and not by $HOME, and so do we. In a sandbox the config is the one that the
    sandbox's ssh reads: a block there names files that go with the sandbox, and would be in the way of the user's own
    instances.

    Raises:
        UsageError: There is no home directory.
    """
    home = settings.home_directory()
    sandbox = settings.sandbox_directory()
    default = sandbox / "ssh_config" if sandbox else home / ".ssh" / "config"
    config = config_file.absolute() if config_file else default
    return place_of(config, settings.state_directory(), home, settings.ssh_directory(), tilde=Path.home() == home)


def place_of(config: Path, state: Path, home: Path | None, keys: Path | None = None, *, tilde: bool = True) -> Place:
    """Where the files are for a config.

    Args:
        config: The config.
        state: Our state directory.
        home: The home directory that ssh goes by.
        keys: Where our key and our known_hosts are; None: beside the config, too.
        tilde: Whether ``~`` means `home` to all that reads the config.
    """
    directory = config.parent / "ssmssh"
    is_standard = home is not None and config.parent == home / ".ssh"
    directory_name = "~/.ssh/ssmssh" if is_standard and tilde else str(directory)
    keys_name = directory_name if keys is None else str(keys)
    if keys is not None and home is not None and tilde and keys.is_relative_to(home):
        keys_name = f"~/{keys.relative_to(home).as_posix()}"
    return Place(config, state, directory, directory_name, keys_name, is_standard, home and home / ".ssh" / "config")


def read(place: Place) -> tuple[Files, tuple[files.Found, files.Found]]:
    """The files as they are; raises FileError where they cannot be read, or are in no directory."""
    main, own = files.read(place.config), files.read(place.own)
    directory = place.config.parent
    if place.is_standard and directory.is_symlink() and not directory.exists():
        target = directory.readlink()
        raise FileError(
            f"{directory} is a link to {target}, which is not there", "make that directory, or mend the link"
        )
    is_to_be_made = place.is_standard and not directory.exists()
    if not is_to_be_made and not main.resolved.parent.is_dir():
        raise FileError(f"there is no directory {main.resolved.parent}", "make it if that is what you meant")
    return Files(str(place.config), main.data, f"{place.directory_name}/config", own.data), (main, own)
