"""VS Code's Remote-SSH, as its logs show it: a script on stdin, a SOCKS port, a server behind it.

The extension is closed, so this does what it does: ``ssh -T -D PORT -o ConnectTimeout=15 HOST bash`` with an
install script on stdin that stays open (or, with its local server, ``ssh -v …`` without the command). The script
starts a server that outlives it and prints its port; the editor then talks to the server through the SOCKS port, one
large download and many small requests at once, and ends ssh with a signal.
"""

import os
import re
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from subprocess import Popen

import psutil

from tests.acceptance.clients import (
    PATIENCE_SECONDS,
    Client,
    accepts,
    connect_through_socks,
    digest,
    free_port,
    payload,
    wait_until,
)

SCRIPT = r"""
set -e
uname -rsv
cd {directory}
cat > server.py <<'END_OF_SERVER'
{server}
END_OF_SERVER
setsid nohup {python} server.py > server.log 2>&1 < /dev/null &
echo "pid==$!=="
while ! grep -q listening server.log; do sleep 0.05; done
echo "port==$(sed -n 's/listening on //p' server.log)=="
"""
"""The multi-line command: install, start, report, in one stream that the shell reads as it runs."""

SERVER = """
import http.server, pathlib

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = pathlib.Path(self.path[1:]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening on", server.server_port, flush=True)
server.serve_forever()
"""


def script_for(client: Client, python: str) -> bytes:
    return SCRIPT.format(directory=client.directory, server=SERVER, python=python).encode()


def answer(process: Popen[bytes], name: str) -> int:
    """What the script reports as ``name==number==``."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.fullmatch(rf"{name}==(\d+)==\n", line.decode()):
            return int(found[1])
    raise AssertionError(f"the script ended without a {name}")


def fetch(socks_port: int, port: int, name: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port)
    connection.sock = connect_through_socks(socks_port, "127.0.0.1", port)
    try:
        connection.request("GET", f"/{name}")
        response: HTTPResponse = connection.getresponse()
        return response.read()
    finally:
        connection.close()


def connect_install_and_work(client: Client, words: Sequence[str]) -> None:
    """A window: `words` are ssh's last, a host and what there is to run."""
    contents = {"large": payload(2_000_000)} | {f"small{number}": payload(50_000, number) for number in range(8)}
    for name, data in contents.items():
        (client.directory / name).write_bytes(data)
    socks_port = free_port()
    with (client.directory / "editor.log").open("wb") as log:
        process = client.start(
            "ssh", "-T", "-D", str(socks_port), "-o", "ConnectTimeout=15", *words,
            stderr=log, variables={"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"},
        )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(script_for(client, "/usr/bin/env python3"))
    process.stdin.flush()
    server = psutil.Process(answer(process, "pid"))
    try:
        port = answer(process, "port")
        wait_until(lambda: accepts(socks_port), "the SOCKS port")
        with ThreadPoolExecutor(len(contents)) as pool:
            fetched = pool.map(lambda name: fetch(socks_port, port, name), contents)
            assert {name: digest(data) for name, data in zip(contents, fetched, strict=True)} == {
                name: digest(data) for name, data in contents.items()
            }
        os.kill(process.pid, signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
        assert server.is_running()  # it is there for the next window
    finally:
        server.kill()
