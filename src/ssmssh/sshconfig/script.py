"""The path of ``ssmssh-proxy`` that goes into the config: absolute, ours, and good for longer than today.

The program belongs to the distribution that is running (its list of installed files names it). In front of it
there is often a link that survives upgrades, beside the ``ssmssh`` that was called: pipx and ``uv tool`` put
one into ``~/.local/bin``, Homebrew into its ``bin``. A link is taken if it leads to our program. A *shim*
(pyenv, asdf, mise) chooses a program by the directory it is called in, and the caches of ``uvx`` and ``pipx run``
are emptied one day: neither is written down.
"""

import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PureWindowsPath

from ssmssh.errors import UsageError

PROGRAM = "ssmssh-proxy"

_TEMPORARY = (
    (re.compile(r"/(?:archive|environments|builds)-v\d+/"), "uvx", "uv tool install ssmssh"),
    (re.compile(r"/(?:\.cache|[Cc]aches?)/pipx/|/pipx/\.?cache/"), "pipx run", "pipx install ssmssh"),
)
_SHIM = re.compile(r"/shims/[^/]+$")
_CELLAR = re.compile(r"(?P<prefix>.*)/Cellar/(?P<formula>[^/]+)/[^/]+(?P<rest>/.*)")


def find(called: str | None = None) -> str:
    """The path to write, in the spelling that lasts longest.

    Args:
        called: How this program was called; None: as ``sys.argv`` says.

    Raises:
        UsageError: The program is missing, or is in a place that does not last.
    """
    name = PROGRAM + (".exe" if os.name == "nt" else "")
    installed = next((path for path in _installed(name) if os.access(path, os.X_OK)), None)
    if installed is None:
        raise UsageError(f"the program {name} of this installation was not found", "install ssmssh again")
    beside = os.path.abspath(Path(called or sys.argv[0]).with_name(name))  # noqa: PTH100 - resolve() follows links
    path = next(path for path in spellings(beside, str(installed)) if path == str(installed) or _same(path, installed))
    return _WRITTEN.get(os.name, str)(check_lasting(path, os.path.realpath(path)))


def spellings(beside: str, installed: str) -> Iterator[str]:
    """Paths that may lead to our program, the one that lasts longest first; `installed` is always the last.

    Args:
        beside: The program beside the one that was called.
        installed: Where the installation put it.
    """
    for path in (beside, installed):
        found = _CELLAR.fullmatch(path)
        if found is not None:
            yield f"{found['prefix']}/bin/{path.rsplit('/', 1)[1]}"
            yield f"{found['prefix']}/opt/{found['formula']}{found['rest']}"
        if path == installed or not _SHIM.search(path):
            yield path


def check_lasting(path: str, resolved: str) -> str:
    """Return a path that may be written down; UsageError if it leads into a cache that is emptied one day."""
    for place, program, instead in _TEMPORARY:
        if place.search(path.replace("\\", "/")) or place.search(resolved.replace("\\", "/")):
            raise UsageError(
                f"{path} is in the cache of {program} and will be gone one day", f"install it with: {instead}"
            )
    return path


def windows_spelling(path: str) -> str:
    """How a path is written for Windows' ssh and for Git's: with forward slashes, and with its ``.exe``.

    Backslashes are eaten by shells and by clients that split the line themselves; without the suffix old
    versions of Win32-OpenSSH do not find the program. Blanks need double quotes, as elsewhere (`block.quote_word`).

    Raises:
        UsageError: The path is not absolute.
    """
    if not PureWindowsPath(path).is_absolute():
        raise UsageError(f"{path} is not an absolute path")
    spelled = PureWindowsPath(path).as_posix()
    return spelled if spelled.lower().endswith(".exe") else f"{spelled}.exe"


_WRITTEN = {"nt": windows_spelling}
"""How paths are written on systems where it is not as they are."""


def _installed(name: str) -> Iterator[Path]:
    for file in metadata.distribution("ssmssh").files or ():
        if file.name == name:
            yield Path(os.path.abspath(str(file.locate())))  # noqa: PTH100 - without following links
    yield Path(sysconfig.get_path("scripts")) / name


def _same(path: str, other: Path) -> bool:
    return os.access(path, os.X_OK) and Path(path).samefile(other)
