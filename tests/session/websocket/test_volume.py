"""Much data both ways at once, compared byte for byte, and what importing all this costs others."""

import hashlib
import random
import selectors
import subprocess
import sys

import pytest

from tests.session.websocket.conftest import Connect
from tests.session.websocket.server import Peer, wait_ready

TOTAL_BYTES = 24 * 1024 * 1024
IN_FLIGHT_BYTES = 2 * 1024 * 1024


@pytest.mark.parametrize("size", [1024, 40_000])
def test_an_echo_of_many_megabytes(connect: Connect, size: int) -> None:
    """Never more than a window is on its way, as the data channel does it; the sums of both directions agree."""
    websocket = connect(Peer.echo)
    block = random.Random(size).randbytes(4 * size)
    sent, received = hashlib.sha256(), hashlib.sha256()
    sent_bytes = received_bytes = 0
    while received_bytes < TOTAL_BYTES:
        batch: list[bytes] = []
        while sent_bytes < TOTAL_BYTES and sent_bytes - received_bytes < IN_FLIGHT_BYTES:
            offset = sent_bytes % (3 * size + 1)
            batch.append(block[offset : offset + size])
            sent.update(batch[-1])
            sent_bytes += size
        websocket.send(batch)
        for message in websocket.receive():
            assert isinstance(message, bytes)
            received.update(message)
            received_bytes += len(message)
        if received_bytes < sent_bytes:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if websocket.wants_write else 0)
            wait_ready(websocket, events)
            websocket.flush()
    assert received_bytes == sent_bytes
    assert received.digest() == sent.digest()


def test_importing_is_light() -> None:
    code = "import sys, ssmssh.websocket; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "websockets.client" in modules
    heavy = {"asyncio", "http.client", "botocore", "urllib3", "requests", "cryptography", "concurrent.futures"}
    assert not heavy & set(modules)
