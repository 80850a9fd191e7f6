"""The sandbox as a user's environment, and the watch over its sessions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, wait_until


@pytest.fixture
def client(sandbox: Sandbox, tmp_path: Path) -> Iterator[Client]:
    """Runs programs as ``ssmssh sandbox -- …`` would; afterwards no session of theirs is open."""
    client = Client(sandbox.environment, tmp_path)
    yield client
    client.close()
    wait_until(
        lambda: not [session for session in sandbox.sessions() if session.is_open],
        "the end of all sessions",
        explain=lambda: "\n".join(str(session) for session in sandbox.sessions() if session.is_open),
    )
