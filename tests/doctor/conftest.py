"""A sandbox's user, and our modules compiled as an installation has them."""

import compileall
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Where nobody may write bytecode, doctor says so."""
    compileall.compile_dir(Path(ssmssh.__file__).parent, quiet=2)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """Runs programs as ``ssmssh sandbox -- ...`` would, from where the tests can be imported."""
    client = Client(sandbox.environment, ROOT)
    yield client
    client.close()
