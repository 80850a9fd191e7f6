"""Three connections at a time to a forwarded echo server: ``python forwardclient.py PORT BYTES``.

Each sends a third of the bytes and reads them back. Exits with 0 if they are the same, and with 1 if not.
"""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.acceptance.clients import payload

CONNECTIONS = 3
SECONDS = 60.0


def is_returned(port: int, data: bytes) -> bool:
    """Whether all of it comes back."""
    try:
        with socket.create_connection(("localhost", port), SECONDS) as connection, ThreadPoolExecutor(1) as sender:
            sending = sender.submit(connection.sendall, data)
            received = bytearray()
            while len(received) < len(data) and (piece := connection.recv(65536)):
                received += piece
            connection.shutdown(socket.SHUT_RDWR)
            sending.result()
    except OSError:
        return False
    return received == data


def main(port: int, size: int) -> int:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        sent = [payload(size // CONNECTIONS, seed) for seed in range(CONNECTIONS)]
        return 0 if all(pool.map(is_returned, [port] * CONNECTIONS, sent)) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
