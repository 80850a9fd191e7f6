"""How an extra is added is told right for whatever has installed us: each hint is followed, by the program it names.

What is installed are stand-ins of a few bytes, in a directory, with the extras that pyproject.toml has: nothing is
downloaded. pipx and uv are those of ``tests/clients/installers.txt``.
"""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pip
import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / ".clients" / "installers" / "bin"
"""Made by ``python3 tasks.py test``."""
EXTRAS: Mapping[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
ASK = """
import sys
sys.path.insert(0, {source!r})
from ssmssh.installation import command_for
print(command_for({extra!r}))
"""
PIP = Path(pip.__file__).parent
PATIENCE_SECONDS = 60


def name_of(requirement: str) -> str:
    found = re.match(r"[\w-]+", requirement)
    assert found
    return found[0]


def write_wheel(directory: Path, name: str, lines: list[str]) -> None:
    """A package without a module; version 99 is what any requirement takes."""
    stem = f"{name.replace('-', '_')}-99"
    with zipfile.ZipFile(directory / f"{stem}-py3-none-any.whl", "w") as wheel:
        metadata = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 99", *lines, ""]
        wheel.writestr(f"{stem}.dist-info/METADATA", "\n".join(metadata))
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/entry_points.txt", "[console_scripts]\nssmssh = x:y\n" * (name == "ssmssh"))
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ours, and what its extras ask for: each of those with the extras that are asked of it."""
    directory = tmp_path_factory.mktemp("wheels")
    extras = {extra: EXTRAS[extra] for extra in ("login", "sandbox")}
    ours = [f'Requires-Dist: {wanted}; extra == "{extra}"' for extra, all_ in extras.items() for wanted in all_]
    write_wheel(
        directory, "ssmssh", ["Requires-Dist: botocore", *(f"Provides-Extra: {each}" for each in extras), *ours]
    )
    for wanted in [*extras["login"], *extras["sandbox"]]:
        found = re.search(r"\[(.*)\]", wanted)
        provided = found[1].split(",") if found else []
        lines = [f"Provides-Extra: {each}" for each in provided]
        write_wheel(directory, name_of(wanted), lines + ['Requires-Dist: awscrt; extra == "crt"'] * ("crt" in provided))
    write_wheel(directory, "awscrt", [])
    write_wheel(directory, "another", [])
    return directory


class Home:
    """Where somebody installs programs, and where nothing is but `wheels`."""

    def __init__(self, directory: Path, wheels: Path) -> None:
        self.directory = directory
        self._environment = {
            "HOME": str(directory),
            "PATH": f"{PROGRAMS}{os.pathsep}{os.defpath}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIPX_HOME": str(directory / "pipx"),
            "PIPX_BIN_DIR": str(directory / "bin"),
            "UV_NO_CONFIG": "1",
            "UV_OFFLINE": "1",
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(wheels),
            "UV_PYTHON": sys.executable,
            "UV_CACHE_DIR": str(directory / "cache"),
            "UV_TOOL_DIR": str(directory / "tools"),
            "UV_TOOL_BIN_DIR": str(directory / "bin"),
        }

    def run(self, command: str) -> str:
        """As typed into a shell; what it prints."""
        done = subprocess.run(
            ["sh", "-c", command], env=self._environment, cwd=self.directory, capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def hint(self, environment: Path, extra: str) -> str:
        """What our code says when it runs there."""
        program = ASK.format(source=str(ROOT / "src"), extra=extra)
        (self.directory / "ask.py").write_text(program)
        return self.run(f"'{environment / 'bin' / 'python'}' ask.py").strip()


def packages(environment: Path) -> set[str]:
    """What is installed there."""
    found = environment.glob("lib/python*/site-packages/*.dist-info")
    return {path.name.partition("-")[0].replace("_", "-") for path in found} - {"pip", "setuptools"}


@pytest.fixture
def home(tmp_path: Path, wheels: Path) -> Home:
    (tmp_path / "a b").mkdir()
    return Home(tmp_path / "a b", wheels)


INSTALLATIONS = {
    "pipx": ("pipx install ssmssh", "pipx/venvs/ssmssh"),
    "pipx, with a suffix": ("pipx install --suffix=-dev ssmssh", "pipx/venvs/ssmssh-dev"),
    "uv tool": ("uv tool install ssmssh", "tools/ssmssh"),
    "uv tool, with another package": ("uv tool install 'ssmssh>1' --with another", "tools/ssmssh"),
    "uv tool, of a file": ("uv tool install $UV_FIND_LINKS/ssmssh-99-py3-none-any.whl", "tools/ssmssh"),
    "an environment of uv": ("uv venv -q own && uv pip install -q --python own ssmssh", "own"),
    "an environment of pip": (
        # With a pip that is there already: to unpack one takes seconds.
        (
            f"'{sys.executable}' -m venv --without-pip own && ln -s '{PIP}' own/lib/python*/site-packages && "
            "own/bin/python -m pip install -q ssmssh"
        ),
        "own",
    ),
}


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_each_extra_is_added_as_told_and_nothing_is_lost(home: Home, name: str) -> None:
    command, where = INSTALLATIONS[name]
    home.run(command)
    environment = home.directory / where
    before = packages(environment)
    assert "botocore" in before
    assert "awscrt" not in before
    home.run(home.hint(environment, "sandbox"))
    assert packages(environment) == before | {name_of(wanted) for wanted in EXTRAS["sandbox"]}
    home.run(home.hint(environment, "login"))
    assert packages(environment) == before | {name_of(wanted) for wanted in EXTRAS["sandbox"]} | {"awscrt"}
