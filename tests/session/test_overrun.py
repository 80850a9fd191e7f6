"""What bounds an upload, seen from the service: through the real proxy, at a service that closes on more than that."""

import socket
import threading
import time

import pytest

from ssmssh.protocol.limits import DEFAULT_PAYLOAD_BYTES
from ssmssh.protocol.pace import BURST_SECONDS
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, digest, payload
from tests.session.observed import PORT, ObservedProxy

KIB = 1024
MEGABYTE = 1024 * KIB


def upload(listener: socket.socket, proxy: ObservedProxy, size: int) -> float:
    """Upload so many bytes, all of which must arrive; the seconds from before the first to behind the last."""
    data, received = payload(size), bytearray()
    far, _ = listener.accept()
    with far:
        far.settimeout(60)
        far.sendall(b"!")  # a port that has said nothing when its session ends is taken for a closed one
        assert proxy.stdout.read(1) == b"!", proxy.log
        began = time.monotonic()
        writer = threading.Thread(target=proxy.write, args=(data,))
        writer.start()
        while len(received) < size:
            received += far.recv(MEGABYTE)
        seconds = time.monotonic() - began
        writer.join()
        proxy.stdin.close()
    assert proxy.wait() == 0, proxy.line
    assert digest(bytes(received)) == digest(data)
    return seconds


LIMIT = 128 * KIB
HALVINGS = 6
"""From the largest window to less than `LIMIT`: so often it may be overrun if each of them is remembered."""


def test_where_an_overrun_closes_the_connection_it_is_not_overrun_again_and_again(
    client: Client, listener: socket.socket, sandbox: Sandbox
) -> None:
    """Sixty times what the service holds. A window that grew to the same point again would lose it as often."""
    with sandbox.faults.during(f"overrun-closes:limit={LIMIT},rate=4000000"):
        upload(listener, ObservedProxy(client, port=PORT), 64 * LIMIT)
    overruns = sandbox.sessions()[-1].opens - 1
    assert 1 <= overruns <= HALVINGS


@pytest.mark.parametrize("way", ["--window", "SSMSSH_WINDOW"])
@pytest.mark.parametrize(("window", "is_too_much"), [(LIMIT // KIB, False), (LIMIT // KIB + 8, True)])
def test_window(
    client: Client, listener: socket.socket, sandbox: Sandbox, way: str, window: int, is_too_much: bool
) -> None:
    """It is used up, and never exceeded, envelopes included."""
    client.environment |= {} if way.startswith("--") else {way: str(window)}
    proxy = ObservedProxy(client, *([way, str(window)] if way.startswith("--") else []), port=PORT)
    with sandbox.faults.during(f"overrun-closes:limit={LIMIT},rate=2000000"):
        upload(listener, proxy, 12 * LIMIT)
    assert (sandbox.sessions()[-1].opens > 1) == is_too_much


@pytest.mark.parametrize("way", ["--rate", "SSMSSH_RATE"])
def test_rate(client: Client, listener: socket.socket, way: str) -> None:
    rate, size = 100, 150_000
    client.environment |= {} if way.startswith("--") else {way: str(rate)}
    proxy = ObservedProxy(client, *([way, str(rate)] if way.startswith("--") else []), port=PORT)
    at_once = max(BURST_SECONDS * rate * 1000, 4 * 2 * DEFAULT_PAYLOAD_BYTES)
    assert upload(listener, proxy, size) >= (size - at_once) / (rate * 1000)
