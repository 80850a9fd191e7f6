"""``ssmssh forward`` with the programs that people have: a database, web clients, SOCKS, netcat, Redis."""

import contextlib
import functools
import http.server
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import (
    EC2_HOST,
    Client,
    digest,
    echo_server,
    free_port,
    payload,
    wait_until,
)
from tests.acceptance.forwarding import CLOSED, ECHO, Forwarding, connect, exchange_all, postgres, running

CURL = ("curl", "-sS", "--noproxy", "", "-x")


@pytest.fixture(scope="module")
def echo(sandbox: Sandbox) -> Iterator[int]:
    """An echo server at port `ECHO` of the instance, and of three other hosts; its port here."""
    with echo_server() as port:
        sandbox.open_port(ECHO, port)
        for host in ("echo.internal", "10.0.0.7", "fd00::7"):
            sandbox.open_port(ECHO, port, host)
        yield port


class Pages(http.server.BaseHTTPRequestHandler):
    """Pages of 5000 bytes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(b"x" * 5000)

    def log_message(self, *_: object) -> None:
        pass


class WebServer(http.server.ThreadingHTTPServer):
    request_queue_size = 512


@pytest.fixture(scope="module")
def web(sandbox: Sandbox) -> Iterator[None]:
    """A web server at port 80 of the instance and of web.internal, in both families."""
    with WebServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        port = server.server_address[1]
        sandbox.open_port(80, port)
        for host in ("web.internal", "10.0.0.8", "fd00::8"):
            sandbox.open_port(80, port, host)
        yield
        server.shutdown()
        thread.join()


def test_postgresql(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    table = "".join(f"{number}\t{digest(str(number).encode())}\n" for number in range(300_000))
    (tmp_path / "table").write_text(table)
    assert len(table) > 20_000_000
    with postgres(free_port()) as server:
        sandbox.open_port(5432, server.port, "db.internal")
        with Forwarding(client, "-L", ":db.internal:5432") as forwarding:
            psql = ("psql", "-X", "-q", "-A", "-t", f"postgresql://app@localhost:{forwarding.port}/postgres", "-c")
            client.run(*psql, "create table t (number int, text text)")
            client.run(*psql, r"\copy t from 'table'")
            client.run(*psql, r"\copy t to 'copy'")
            assert digest((tmp_path / "copy").read_bytes()) == digest(table.encode())
            with ThreadPoolExecutor(20) as pool:
                count = functools.partial(client.run, *psql, "select count(*), pg_sleep(0.5) from t")
                answers = list(pool.map(lambda _: count().stdout, range(20)))
            assert {answer.partition(b"|")[0] for answer in answers} == {b"300000"}
            assert forwarding.said() == ""


@pytest.mark.usefixtures("web")
def test_a_web_server_under_200_clients(client: Client) -> None:
    with Forwarding(client, "-L", ":80") as forwarding:
        report = client.run("ab", "-q", "-n", "1000", "-c", "200", f"http://127.0.0.1:{forwarding.port}/").stdout
        assert re.search(rb"Complete requests: +1000\n", report)
        assert re.search(rb"Failed requests: +0\n", report)
        assert forwarding.said() == ""


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("proxy", "host"),
    [
        ("socks5h", "web.internal"),
        ("socks5h", "localhost"),
        ("socks5", "10.0.0.8"),
        ("socks5", "[fd00::8]"),
        ("socks4a", "web.internal"),
        ("socks4", "10.0.0.8"),
    ],
)
def test_curl_through_socks(client: Client, proxy: str, host: str) -> None:
    with Forwarding(client, "-D", "0") as forwarding:
        words = (
            "curl",
            "-sS",
            "-g",
            "--noproxy",
            "",
            "-x",
            f"{proxy}://127.0.0.1:{forwarding.port}",
            f"http://{host}/",
        )
        assert client.run(*words).stdout == b"x" * 5000
        assert forwarding.said() == ""


def test_curl_is_told_of_a_refusal(client: Client) -> None:
    with Forwarding(client, "-D", "0") as forwarding:
        proxy = f"127.0.0.1:{forwarding.port}"
        refused = client.run(*CURL, f"socks5h://{proxy}", f"http://localhost:{CLOSED}/", status=97)
        assert b"(5)" in refused.stderr
        refused = client.run(*CURL, f"socks4a://{proxy}", f"http://localhost:{CLOSED}/", status=97)
        assert b"(91)" in refused.stderr
        refused = client.run(*CURL, f"socks5://{proxy}", "http://169.254.169.254/", status=97)
        assert b"(1)" in refused.stderr
        forwarding.wait_said("is forbidden")
        assert f"cannot connect to localhost:{CLOSED}" in forwarding.said()


@pytest.mark.usefixtures("web")
def test_netcat_half_closes(client: Client) -> None:
    with Forwarding(client, "-L", ":80") as forwarding:
        request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = client.run("nc.openbsd", "-N", "localhost", str(forwarding.port), stdin=request).stdout
        assert answer.endswith(b"x" * 5000)


def test_redis(client: Client, sandbox: Sandbox) -> None:
    port = free_port()
    with running(client, ("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""), port):
        sandbox.open_port(6379, port)
        with Forwarding(client, "-L", ":6379") as forwarding:
            redis = ("redis-cli", "-p", str(forwarding.port))
            assert client.run(*redis, "set", "key", "value").stdout == b"OK\n"
            assert client.run(*redis, stdin=b"get key\n" * 1000).stdout == b"value\n" * 1000
            many = b"".join(b"set key%d %s\n" % (number, b"v" * 1000) for number in range(2000))
            assert b"errors: 0, replies: 2000" in client.run(*redis, "--pipe", stdin=many).stdout


@pytest.mark.usefixtures("echo")
def test_both_loopback_addresses_and_a_unix_socket(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Forwarding(client, "-L", f":echo.internal:{ECHO}") as forwarding:
        for address in ("127.0.0.1", "::1"):
            assert exchange_all(connect(forwarding.port, address)) == b"hello"
    process = client.start("ssmssh", "forward", EC2_HOST, "-L", f"{path}:{ECHO}")
    wait_until(path.exists, "the socket")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
    process.terminate()
    assert process.wait(30) == 128 + 15
    assert not path.exists()


@pytest.mark.usefixtures("echo")
def test_slow_clients_hold_up_nobody(client: Client) -> None:
    """One never reads, one takes 50 kB/s, one pauses for 8 s, and 20 others read: all but the first get every byte."""
    with Forwarding(client, "-L", f":{ECHO}") as forwarding:
        sleeper = connect(forwarding.port)

        def fill() -> None:
            with contextlib.suppress(OSError):
                sleeper.sendall(payload(24_000_000))

        threading.Thread(target=fill, daemon=True).start()
        with sleeper, ThreadPoolExecutor(22) as pool:
            slow = pool.submit(read_slowly, connect(forwarding.port), payload(600_000, 1), 50_000)
            paused = pool.submit(read_after, connect(forwarding.port), payload(3_000_000, 2), 8.0)
            others = [pool.submit(read_after, connect(forwarding.port), payload(300_000, 3), 0.0) for _ in range(20)]
            assert all(each.result() == payload(300_000, 3) for each in others)
            assert paused.result() == payload(3_000_000, 2)
            assert slow.result() == payload(600_000, 1)
        forwarding.wait_said("took nothing for a while")
        assert len(forwarding.said().splitlines()) == 1


def read_slowly(connection: socket.socket, data: bytes, rate: int) -> bytes:
    with connection:
        threading.Thread(target=connection.sendall, args=(data,), daemon=True).start()
        received = bytearray()
        while len(received) < len(data):
            received += connection.recv(rate // 10)
            time.sleep(0.1)
        return bytes(received)


def read_after(connection: socket.socket, data: bytes, seconds: float) -> bytes:
    with connection:
        threading.Thread(target=connection.sendall, args=(data,), daemon=True).start()
        time.sleep(seconds)
        received = bytearray()
        while len(received) < len(data):
            received += connection.recv(65536)
        return bytes(received)


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_connections_leave_nothing(client: Client, count: int) -> None:
    with Forwarding(client, "-L", f":{ECHO}") as forwarding:
        process = psutil.Process(forwarding.process.pid)

        def use() -> None:
            for _ in range(count):
                assert exchange_all(connect(forwarding.port)) == b"hello"

        use()
        before = process.num_fds(), process.num_threads(), process.memory_info().rss
        use()
        wait_until(lambda: process.num_fds() <= before[0], "descriptors to be closed", 40)
        assert process.num_threads() <= before[1]
        assert process.memory_info().rss < before[2] + 4_000_000
