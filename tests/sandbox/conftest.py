"""What the tests of the sandbox share: a target that echoes."""

import contextlib
import itertools
import socketserver
import threading
from collections.abc import Iterator

import pytest

from ssmssh.sandbox import Sandbox

_numbers = itertools.count(2000)


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
    if "sandbox" not in request.fixturenames:
        yield
        return
    box: Sandbox = request.getfixturevalue("sandbox")
    logs = [box.directory / name for name in ("front.log", "gateway.log", "front.err", "gateway.err")]
    before = [log.stat().st_size for log in logs]
    yield
    for log, size in zip(logs, before, strict=True):
        new = log.read_bytes()[size:].decode()
        assert " ERROR " not in new, new
        assert log.suffix != ".err" or not new, new
