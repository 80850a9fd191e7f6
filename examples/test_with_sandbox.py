"""How a project that uses the library tests itself: a fixture with a sandbox, in which its own code runs."""

import os
from collections.abc import Iterator

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox


@pytest.fixture(scope="session")
def instance() -> Iterator[str]:
    """An instance that Session Manager leads to, for the code under test; no AWS account is asked."""
    with Sandbox(unpaced=True) as box, pytest.MonkeyPatch.context() as patch:
        for name, value in box.environment_changes.items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        assert os.environ["AWS_CA_BUNDLE"]
        yield "i-0123456789abcdef0"


def test_the_server_greets(instance: str) -> None:
    with ssmssh.connect(instance) as sock:
        assert sock.recv(8) == b"SSH-2.0-"
