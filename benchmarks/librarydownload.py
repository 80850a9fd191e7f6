"""A program with sessions: ``python librarydownload.py HOST PORT SESSIONS BYTES shared|each``.

Opens so many sessions to the far side's port, downloads so many bytes over each at the same time, and prints the
seconds that this took. Its one thread reads all sockets, as a program with a selector does. With ``each`` every session
has a loop and a thread of its own.
"""

import selectors
import socket
import sys
import time

import ssmssh
from ssmssh.session import host as hosts

READ_BYTES = 64 * 1024


def main(host: str, port: int, count: int, size: int, is_shared: bool) -> float:
    sessions = []
    for _ in range(count):
        sessions.append(ssmssh.open_session(host, port))
        if not is_shared:
            hosts._host = None  # noqa: SLF001 - the next one makes its own
    for session in sessions:
        while not session.socket.recv(100).endswith(b"\n"):
            pass
    started = time.monotonic()
    with selectors.DefaultSelector() as selector:
        left: dict[socket.socket, int] = {}
        for session in sessions:
            session.socket.sendall(b"source %d\n" % size)
            left[session.socket] = size
            selector.register(session.socket, selectors.EVENT_READ)
        while left:
            for key, _ in selector.select():
                end = key.fileobj
                assert isinstance(end, socket.socket)
                left[end] -= len(end.recv(READ_BYTES))
                if not left[end]:
                    selector.unregister(end)
                    del left[end]
    seconds = time.monotonic() - started
    for session in sessions:
        session.close()
    return seconds


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "shared"), flush=True)
