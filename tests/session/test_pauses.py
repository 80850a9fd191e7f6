"""What a client does that is told to pause and never to go on: through the real proxy."""

import socket
import threading
import time

from ssmssh.protocol.sending import PROBE_SECONDS
from ssmssh.sandbox import Sandbox, SessionReport
from tests.acceptance.clients import Client, payload, wait_until
from tests.session.observed import PORT, ObservedProxy

SIZE_BYTES = 100_000


def test_in_a_pause_without_an_end_one_message_is_sent_each_second_and_a_half(
    client: Client, listener: socket.socket, sandbox: Sandbox
) -> None:
    """The official client knows no pauses, so a service may tell of none of their ends. An answer is one."""
    data = payload(SIZE_BYTES)
    proxy = ObservedProxy(client, port=PORT)
    far, _ = listener.accept()
    with far:
        far.settimeout(60)
        far.sendall(b"!")
        assert proxy.stdout.read(1) == b"!", proxy.log
        (session_id,) = [each.session_id for each in sandbox.sessions() if each.is_open]

        def report() -> SessionReport:
            return next(each for each in sandbox.sessions() if each.session_id == session_id)

        wait_until(lambda: not report().agent_unacknowledged, "the proxy's acknowledgements")
        sandbox.faults.set("ack-loss:rate=1", session_id)
        sandbox.faults.set("pause-client", session_id)
        proxy.wait_for_log("Paused()")
        before, began = report().messages_up, time.monotonic()
        writer = threading.Thread(target=proxy.write, args=(data,))
        writer.start()
        wait_until(lambda: report().messages_up >= before + 3, "three messages in the pause")
        sent = report().messages_up - before
        assert sent <= 1 + (time.monotonic() - began) / PROBE_SECONDS
        sandbox.faults.clear("ack-loss", session_id)
        received = bytearray()
        while len(received) < SIZE_BYTES:
            received += far.recv(SIZE_BYTES)
        writer.join()
        assert received == data
        proxy.stdin.close()
    assert proxy.wait() == 0, proxy.line
