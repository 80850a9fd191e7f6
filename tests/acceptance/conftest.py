"""The sandbox as a user's environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, real_ssh_files


@pytest.fixture
def client(sandbox: Sandbox, tmp_path: Path) -> Iterator[Client]:
    """Runs programs as ``ssmssh sandbox -- …`` would."""
    client = Client(sandbox.environment, tmp_path)
    yield client
    client.close()


@pytest.fixture(scope="module")
def untouched_home() -> Iterator[None]:
    """The files of the user who runs this are the same before and after."""
    before = real_ssh_files()
    yield
    assert real_ssh_files() == before
