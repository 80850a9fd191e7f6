"""What a connection may load, read and open, and how often its loop may turn: a budget that no clock decides about.

A real ``ssh`` runs a command through a proxy whose audit events are kept. What a message costs the protocol is counted
in ``tests/protocol/test_cost.py``.
"""

import contextlib
import json
import shlex
import socket
import sys
import threading
from pathlib import Path

import botocore
import pytest

from ssmssh.protocol.limits import DEFAULT_PAYLOAD_BYTES
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client
from tests.session.observed import ObservedProxy

WATCHED = Path(__file__).with_name("watched.py")

MAX_MODULES = 430
"""400 with Python 3.11, botocore 1.44 and websockets 17: 45 of ours, 70 of botocore's, the rest is theirs."""

MAX_OWN_MODULES = 81
"""One mechanism a file: each costs 0.2 ms of every start."""

FORBIDDEN = {
    "_awscrt", "asyncio", "asyncssh", "boto3", "click", "cryptography", "difflib", "multiprocessing", "moto",
    "paramiko", "psutil", "pygments", "requests", "rich", "s3transfer", "sqlite3", "sshconf", "ssmssh.cli",
    "ssmssh.commands", "ssmssh.nodes", "ssmssh.sandbox", "ssmssh.sshconfig", "unittest",
}  # fmt: skip
"""Each of these costs 3 to 50 ms of every start, and none is needed for a connection that succeeds."""

FILES = {"aws_config", "aws_credentials", "boot_id", "bundle.pem"}
"""Names of the files that are read, besides code, what is named after botocore, and the session's own note."""

Event = tuple[str, list[str]]


@pytest.fixture(scope="module")
def events(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Those of a second connection: the first has filled the cache."""
    directory = tmp_path_factory.mktemp("watched")
    client = Client(sandbox.environment, directory)
    log = directory / "events"
    words = [sys.executable, str(WATCHED), str(log), "--stream-endpoint-url", sandbox.stream_endpoint]
    command = f"ProxyCommand={shlex.join(words)} %h %p"
    for _ in range(2):
        assert client.run("ssh", "-o", command, EC2_HOST, "echo hello").stdout == b"hello\n"
    client.close()
    return [(event, arguments) for event, arguments in map(json.loads, log.read_text().splitlines())]


def of(events: list[Event], kind: str) -> list[list[str]]:
    return [arguments for event, arguments in events if event == kind]


def test_modules(events: list[Event]) -> None:
    modules = {name for name, *_ in of(events, "import")}
    forbidden = {module for module in modules for name in FORBIDDEN if f"{module}.".startswith(f"{name}.")}
    assert not forbidden
    assert len([module for module in modules if module.startswith("ssmssh.")]) <= MAX_OWN_MODULES
    assert 300 < len(modules) <= MAX_MODULES


def test_connections(events: list[Event]) -> None:
    """One to the API, one to the gateway, each looked up once."""
    looked_up = [(host, port) for host, port, *_ in of(events, "socket.getaddrinfo")]
    assert len(looked_up) == len(set(looked_up)) == 2
    assert len(of(events, "socket.connect")) == 2


def test_files(events: list[Event]) -> None:
    code = (".py", ".pyc", ".so")
    opened = [path for path, mode, _ in of(events, "open") if not path.endswith(code) and not path.isdecimal()]
    data = str(Path(botocore.__file__).parent / "data")
    assert [path for path in opened if path.startswith(data)] == []
    cached = [path for path in opened if Path(path).name.startswith("botocore-")]
    assert len(cached) == 1
    rest = [path for path in opened if path not in {*cached, "/dev/null"} and "/state/sessions/" not in path]
    assert {Path(path).name for path in rest} <= FILES
    assert len(rest) <= 5


def test_directories(events: list[Event]) -> None:
    """Those that are listed are packages, by the import system; and the journal's, once, behind the handshake."""
    listed = [path for path, *_ in of(events, "os.listdir")]
    others = [path for path in listed if not list(Path(path).glob("__init__.*"))]
    assert [Path(path).name for path in others] == ["sessions"]


def test_programs(events: list[Event]) -> None:
    assert [event for event, _ in events if event.startswith(("subprocess.", "os.exec", "os.fork", "os.posix"))] == []


SIZE = 8 * 1024 * 1024
TURNS_PER_MESSAGE = 0.1
"""Each is some ten system calls. A turn takes all that has come and sends all that may go: 0.03 on an idle machine, and
fewer where there is much else to do."""


def test_turns_of_the_loop(sandbox: Sandbox, client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sandbox.open_port(3999, server.getsockname()[1])
        echo = threading.Thread(target=send_back_in_the_end, args=(server,))
        echo.start()
        proxy = ObservedProxy(client, port=3999)
        proxy.write(bytes(SIZE))
        received = proxy.stdout.read(SIZE)
        proxy.stdin.close()
        assert proxy.wait() == 0, proxy.line
        echo.join()
    assert len(received) == SIZE
    messages = 2 * SIZE / DEFAULT_PAYLOAD_BYTES
    assert 0 < proxy.turns < TURNS_PER_MESSAGE * messages


def send_back_in_the_end(server: socket.socket) -> None:
    """Take all that is to come, and send as much."""
    connection, _ = server.accept()
    with connection:
        left = SIZE
        while left:
            left -= len(connection.recv(left))
        connection.sendall(bytes(SIZE))
        connection.recv(1)


ANY = ("127.0.0.1", 0)
PACED_SIZE = 1024 * 1024
SWITCHES_PER_MESSAGE = 1.2
"""At the pace of an agent each message comes alone and wakes the loop, and nobody else. With a thread that is handed
each of them, these were more than three."""


def test_waiting_at_the_pace_of_an_agent(paced: Sandbox, tmp_path: Path) -> None:
    with contextlib.closing(Client(paced.environment, tmp_path)) as client, socket.create_server(ANY) as server:
        paced.open_port(3998, server.getsockname()[1])
        proxy = ObservedProxy(client, port=3998)
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"x")
            assert proxy.stdout.read(1) == b"x"
            before = proxy.switches()
            sender = threading.Thread(target=connection.sendall, args=(bytes(PACED_SIZE),))
            sender.start()
            assert len(proxy.stdout.read(PACED_SIZE)) == PACED_SIZE
            switches = proxy.switches() - before
            sender.join()
        proxy.stdin.close()
        assert proxy.wait() == 0, proxy.line
    assert switches < SWITCHES_PER_MESSAGE * PACED_SIZE / DEFAULT_PAYLOAD_BYTES
