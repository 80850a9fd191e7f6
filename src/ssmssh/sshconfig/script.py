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
from pathlib import Path

from ssmssh.errors import UsageError

PROGRAM = "ssmssh-proxy"

_TEMPORARY = (
    (re.compile(r"/(?:archive|environments|builds)-v\d+/"), "uvx", "uv tool install ssmssh"),
    (re.compile(r"/(?:\.cache|Caches)/pipx/|/pipx/\.cache/"), "pipx run", "pipx install ssmssh"),
)
_SHIM = re.compile(r"/shims/[^/]+$")
_CELLAR = re.compile(r"^(?P<prefix>.*)/Cellar/(?P<formula>[^/]+)/[^/]+(?P<rest>/.*)$")


def find() -> str:
    """The path to write, in the spelling that lasts longest.

    Raises:
        UsageError: The program is missing, or is in a place that does not last.
    """
    name = PROGRAM + (".exe" if os.name == "nt" else "")
    installed = next((path for path in _installed(name) if os.access(path, os.X_OK)), None)
    if installed is None:
        raise UsageError(f"the program {name} of this installation was not found", "install ssmssh again")
    called = Path(os.path.abspath(sys.argv[0])).with_name(name)  # noqa: PTH100 - resolve() would follow the link
    candidates = [str(called), *stable_spellings(str(installed)), str(installed)]
    return check_lasting(next(path for path in candidates if not _SHIM.search(path) and _same(path, installed)))


def stable_spellings(path: str) -> list[str]:
    """Links that Homebrew keeps in front of a versioned path of its Cellar; most stable first."""
    found = _CELLAR.match(path)
    if found is None:
        return []
    prefix, program = found["prefix"], path.rsplit("/", 1)[1]
    return [f"{prefix}/bin/{program}", f"{prefix}/opt/{found['formula']}{found['rest']}"]


def check_lasting(path: str) -> str:
    """Return a path that may be written down; UsageError if it is in a cache that is emptied one day."""
    for place, program, instead in _TEMPORARY:
        if place.search(path):
            raise UsageError(
                f"{path} is in the cache of {program} and will be gone one day", f"install it with: {instead}"
            )
    return path


def _installed(name: str) -> Iterator[Path]:
    for file in metadata.distribution("ssmssh").files or ():
        if file.name == name:
            yield Path(os.path.abspath(str(file.locate())))  # noqa: PTH100 - without following links
    yield Path(sysconfig.get_path("scripts")) / name


def _same(path: str, other: Path) -> bool:
    try:
        return os.access(path, os.X_OK) and Path(path).samefile(other)
    except OSError:
        return False
