"""Copies of one version of the files for ssh to look at, and the names of the files behind them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.sshconfig import files, including
from ssmssh.sshconfig.document import Document

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
"""What ssh reads after the user's config."""


class Config(NamedTuple):
    """One version of the files: main, and our own one that it may include under the name `own_path`.

    `has_system` tells whether ssh reads the system's config after them.
    """

    main: bytes
    own: bytes | None
    own_path: str
    has_system: bool = False


@contextlib.contextmanager
def written(config: Config) -> Iterator[Path]:
    """A version of the files in a directory of its own, with the Include line leading to the copy.

    Raises:
        FileError: They could not be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="ssmssh-"))
            main = Path(name) / "config"
            own = _own_beside(main)
            document = Document(config.main)
            line = including.find(document, config.own_path)
            if line is not None:
                document = document.splice(line.start, line.end, f"Include {own}\n".encode())
            ending = b"" if document.is_terminated else document.newline
            main.write_bytes(document.data + ending + _system(config, main))
            own.write_bytes(config.own or b"")
            own.chmod(0o600)
        except OSError as error:
            raise FileError(
                f"could not write a copy for ssh to prove: {error.strerror}", "nothing was changed; is the disk full?"
            ) from None
        yield main


def original(name: str, copy: Path, config: Config, main_path: str) -> str:
    """The name of the file that is behind the name of a copy; other names are returned as they are."""
    copied = {str(copy): main_path} | {copied: real for real, copied in names(copy, config).items()}
    return copied.get(name, name)


def names(copy: Path, config: Config) -> dict[str, str]:
    """The names of the files beside the copy of main, by those of their originals."""
    return {config.own_path: str(_own_beside(copy)), str(SYSTEM_CONFIG): str(_system_beside(copy))}


def _own_beside(main: Path) -> Path:
    return main.with_name("own")


def _system_beside(main: Path) -> Path:
    return main.with_name("system")


def _system(config: Config, main: Path) -> bytes:
    """What includes a copy of the system's config, if ssh reads that.

    In an included file a relative Include means ``~/.ssh`` and not, as there, the directory of the system's config.
    """
    try:
        data = files.read(SYSTEM_CONFIG).data if config.has_system else None
    except FileError:
        data = None  # then ssh cannot read it, either
    if data is None:
        return b""
    document = Document(data)
    for line in reversed([line for line in document.lines if line.keyword == "include"]):
        words = (word.decode("utf-8", "surrogateescape") for word in line.arguments() or ())
        absolute = " ".join(f'"{SYSTEM_CONFIG.parent / word}"' for word in words)
        document = document.splice(line.start, line.end, os.fsencode(f"Include {absolute}\n"))
    copy = _system_beside(main)
    copy.write_bytes(document.data)
    copy.chmod(0o600)
    return f"Match all\nInclude {copy}\n".encode()
