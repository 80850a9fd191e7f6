"""What the tests of the sandbox share: a target that echoes, and a sandbox with many instances."""

import contextlib
import itertools
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests import leaks
from tests.complaints import Complaints

_numbers = itertools.count(2000)


@pytest.fixture(scope="session")
def fleet(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    """A sandbox with three hundred instances more, in two regions and accounts."""
    with leaks.watched(Sandbox(unpaced=True, instances=300), temporary_directory) as box:
        yield box


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


@pytest.fixture
def echo_port(sandbox: Sandbox) -> Iterator[int]:
    """The number under which sessions reach a server that sends back what it gets."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        number = next(_numbers)
        sandbox.open_port(number, server.server_address[1])
        yield number
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _nothing_breaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test during which a process of the sandbox logged an error: an exception that nothing foresaw."""
    boxes: list[Sandbox] = [
        request.getfixturevalue(name) for name in ("sandbox", "fleet") if name in request.fixturenames
    ]
    names = ("front.log", "gateway.log", "front.err", "gateway.err")
    logs = [box.directory / name for box in boxes for name in names]
    before = [log.stat().st_size for log in logs]
    yield
    for log, size in zip(logs, before, strict=True):
        new = log.read_bytes()[size:].decode()
        assert " ERROR " not in new, new
        assert log.suffix != ".err" or not new, new
