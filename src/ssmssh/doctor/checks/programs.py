"""Programs of this computer: Python, our installation and others of ours, ssh."""

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

from ssmssh import __version__, settings
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.errors import UsageError
from ssmssh.sshconfig import script, verify

if TYPE_CHECKING:
    from ssmssh.doctor.examination import Examination

_PROGRAMS = ("ssmssh", "ssmssh-proxy")

_VERSION_SECONDS = 3.0
"""For a program to tell its version: less than a check may take."""

_OLDEST_SSH = (8, 4)
"""The oldest OpenSSH that what is written into configs is proved with."""

_USUAL_PLACES = ("/usr/bin", "/bin", "/usr/local/bin")
"""Where systems have their ssh."""

_INSTALL_SSH = {
    "apt-get": "sudo apt-get install openssh-client",
    "dnf": "sudo dnf install openssh-clients",
    "yum": "sudo yum install openssh-clients",
    "apk": "sudo apk add openssh-client",
    "pacman": "sudo pacman -S openssh",
    "zypper": "sudo zypper install openssh-clients",
}
"""By the package manager that is there."""


def _python(_examination: "Examination") -> Finding:
    return ok(f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _installation(_examination: "Examination") -> Finding:
    said = f"ssmssh {__version__} with botocore {importlib.metadata.version('botocore')} in {sys.prefix}"
    try:
        script.find(str(Path(sys.prefix) / "bin" / "ssmssh"))
    except UsageError as error:
        return failed(f"{said}: {error.sentence}", error.sentence, error.hint.removeprefix("install it with: "))
    return ok(said)


def _bytecode(_examination: "Examination") -> Finding:
    package = Path(verify.__file__).parents[1]
    sources = [path for path in package.rglob("*.py") if "sandbox" not in path.relative_to(package).parts]
    missing = [path for path in sources if not Path(cache_from_source(str(path))).exists()]
    if not missing:
        return ok(f"all {len(sources)} modules are compiled")
    if not sys.dont_write_bytecode and os.access(package, os.W_OK):
        return ok(f"{len(missing)} of {len(sources)} modules are compiled when they are used for the first time")
    return warning(
        f"{len(missing)} of {len(sources)} modules are not compiled, and never will be",
        "ssmssh's modules are not compiled, so each connection begins half a second later",
        shlex.join([sys.executable, "-m", "compileall", "-q", str(package)]),
    )


def _other_installations(_examination: "Examination") -> Finding:
    """Only what a shell would start counts: the ssh config has the proxy's whole path."""
    found = list(_on_path())
    if not found:
        return ok("no ssmssh is on the PATH; the ssh config has the whole path of the proxy")
    try:
        others = {path: version for path in found if (version := _version(path)) != __version__}
    except subprocess.TimeoutExpired as error:
        return unknown(f"{error.cmd[0]} has not told its version within {_VERSION_SECONDS:g} s")
    if not others:
        return ok(f"all on the PATH are {__version__}: {', '.join(found)}")
    told = ", ".join(f"{path} is {version or 'broken'}" for path, version in others.items())
    if found[0] not in others:
        return ok(f"{found[0]} comes first on the PATH; {told}")
    return warning(
        told,
        f"a shell starts {found[0]}, which is {others[found[0]] or 'broken'}, and not the ssmssh {__version__} that "
        "says this",
        f"rm {shlex.quote(found[0])}",
    )


def _on_path() -> Iterator[str]:
    """The programs called ssmssh that a shell finds, the first first; each once."""
    seen = set()
    for directory in settings.read().get("PATH", os.defpath).split(os.pathsep):
        path = shutil.which("ssmssh", path=directory) if directory else None
        if path is not None and (real := os.path.realpath(path)) not in seen:
            seen.add(real)
            yield path


def _version(path: str) -> str:
    """What a program says of itself; empty if it does not."""
    if os.path.realpath(path) == os.path.realpath(Path(sys.prefix) / "bin" / "ssmssh"):
        return __version__
    said = _said_by([path, "--version"])
    return said.split()[-1] if said.startswith("ssmssh ") else ""


def _ssh(_examination: "Examination") -> Finding:
    path = verify.find_ssh()
    if path is None:
        elsewhere = next((found for each in _USUAL_PLACES if (found := shutil.which("ssh", path=each))), None)
        if elsewhere is not None:
            sentence = f"There is no ssh on the PATH, though {elsewhere} is there"
            return failed(sentence, sentence, f'export PATH="$PATH:{Path(elsewhere).parent}"')
        manager = next((name for name in _INSTALL_SSH if shutil.which(name)), None)
        step = _INSTALL_SSH[manager] if manager else "# install an OpenSSH client"
        return failed("there is no ssh on the PATH", "No ssh is installed on this computer", step)
    try:
        said = _said_by([path, "-V"])
    except subprocess.TimeoutExpired:
        said = ""
    version = re.search(r"OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)", said)
    if version is None:
        return unknown(f"{path} does not say its version: {said[:80] or 'nothing'}")
    evidence = f"{said.split(',')[0]}, {path}"
    if (int(version[1]), int(version[2])) < _OLDEST_SSH:
        return warning(evidence, f"{said.split(',')[0]} is older than what ssmssh is tried with", "# update OpenSSH")
    return ok(evidence)


def _said_by(command: list[str]) -> str:
    """What a program prints, on one line; empty if it fails. Raises subprocess.TimeoutExpired."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return " ".join(done.stdout.decode("utf-8", "replace").split())


CHECKS = (
    Check("python", "Python", _python),
    Check("installation", "installation", _installation),
    Check("bytecode", "compiled modules", _bytecode, after=("installation",)),
    Check("other-installations", "ssmssh on the PATH", _other_installations),
    Check("ssh", "ssh", _ssh),
)
