"""An SSH server of asyncssh's on standard input and output: for methods that the system's sshd is too old for.

``python hybridserver.py METHOD KEY-FILE``
"""

import asyncio
import os
import socket
import sys
import threading

import asyncssh


async def serve(method: str, key: str) -> None:
    near, far = socket.socketpair()
    for pump in (lambda: carry_in(near), lambda: carry_out(near)):
        threading.Thread(target=pump, daemon=True).start()
    server = await asyncssh.run_server(far, kex_algs=[method], server_host_keys=[key])
    await server.wait_closed()


def carry_in(end: socket.socket) -> None:
    while data := os.read(0, 65536):
        end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def carry_out(end: socket.socket) -> None:
    while data := end.recv(65536):
        os.write(1, data)


asyncio.run(serve(*sys.argv[1:]))
