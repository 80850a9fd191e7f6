"""The library in a program: this one, which has the sandbox's environment, or a small one of its own."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, wait_until
from tests.inside import inside
from tests.library.farside import FarSide
from tests.library.programs import Program, our_threads

PORTS = itertools.count(4500)


@pytest.fixture
def here(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox, with this process in it; in the end no session is open, and no thread of ours is left."""
    inside(sandbox, monkeypatch)
    yield sandbox
    wait_until(lambda: not our_threads(), "the end of our threads", explain=lambda: str(threading.enumerate()))


@pytest.fixture
def far_side(sandbox: Sandbox) -> Iterator[FarSide]:
    """A server behind a port of the instance."""
    with FarSide(sandbox, next(PORTS)) as far_side:
        yield far_side


@pytest.fixture
def program(sandbox: Sandbox, tmp_path: Path) -> Iterator[Program]:
    """Runs Python programs in the sandbox."""
    client = Client(sandbox.environment, tmp_path)
    yield Program(client)
    client.close()
