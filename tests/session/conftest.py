"""A sandbox for trouble, and the watch over its sessions."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests import leaks
from tests.acceptance.clients import Client, wait_until
from tests.complaints import Complaints
from tests.session.observed import PORT


@pytest.fixture(scope="session")
def slow_box(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    """With the real agent's pacing: what is in flight when a connection breaks is what it would be there."""
    with leaks.watched(Sandbox(seed=1), temporary_directory) as box:
        yield box


@pytest.fixture
def paced(slow_box: Sandbox) -> Iterator[Sandbox]:
    """The same for one test, after which none of its sessions is open."""
    yield slow_box
    _wait_for_no_session(slow_box)


@pytest.fixture
def client(sandbox: Sandbox, tmp_path: Path) -> Iterator[Client]:
    """Runs programs as ``ssmssh sandbox -- …`` would; afterwards no session of theirs is open."""
    client = Client(sandbox.environment, tmp_path)
    yield client
    client.close()
    _wait_for_no_session(sandbox)


@pytest.fixture
def listener(sandbox: Sandbox) -> Iterator[socket.socket]:
    """Stands for a program on the instance, at `PORT`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        sandbox.open_port(PORT, listener.getsockname()[1])
        yield listener


def _wait_for_no_session(box: Sandbox) -> None:
    wait_until(
        lambda: not [session for session in box.sessions() if session.is_open],
        "the end of all sessions",
        explain=lambda: "\n".join(str(session) for session in box.sessions() if session.is_open),
    )
