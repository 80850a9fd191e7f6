"""A config of its own for each test, and the versions of ssh that judge."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.openssh.unpack import RELEASES, ssh_of
from tests.sshconfig.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def short_home() -> Iterator[Home]:
    """One whose path leaves room for the names of sockets."""
    with TemporaryDirectory(prefix="h") as directory:
        yield Home(Path(directory))


@pytest.fixture(params=RELEASES)
def each_ssh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have ``ssh`` be that of each release in turn; `tasks.py` unpacks them."""
    ssh = ssh_of(request.param)
    assert ssh.exists(), f"there is no {ssh}: tests/openssh/unpack.py unpacks it"
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
    return str(ssh)
