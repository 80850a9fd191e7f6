"""The life of ``ssmssh forward``: how it begins, goes on and ends, and what it says."""

import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.forwarding.routes import MAX_POOLED
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import (
    EC2_HOST,
    Client,
    Terminal,
    accepts,
    connect_through_socks,
    echo_server,
    end,
    free_port,
    receive_exactly,
    wait_until,
)
from tests.acceptance.forwarding import CLOSED, ECHO, Forwarding, connect, exchange_all


@pytest.fixture(scope="module")
def echo(sandbox: Sandbox) -> Iterator[int]:
    """An echo server at port `ECHO` of the instance; its port here."""
    with echo_server() as port:
        sandbox.open_port(ECHO, port)
        yield port


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(client: Client, echo: int, number: signal.Signals) -> None:
    assert echo
    with Forwarding(client, "-L", f":{ECHO}") as forwarding, connect(forwarding.port) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
        assert end(forwarding.process, number) == 128 + number
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert len(forwarding.said().splitlines()) == 0


def test_the_command_is_given_ports_and_gives_its_status(client: Client, echo: int) -> None:
    assert echo
    program = (
        "import sys, socket; [socket.create_connection(('localhost', int(each))) for each in sys.argv[1:]]; sys.exit(7)"
    )
    words = ("-L", f":{ECHO}", "-D", "0", "--", sys.executable, "-c", program, "{port}", "{port2}")
    done = client.run("ssmssh", "forward", EC2_HOST, *words, status=7)
    assert done.stdout == b""
    done = client.run("ssmssh", "forward", EC2_HOST, *words[:4], "--", "sh", "-c", "kill -KILL $$", status=128 + 9)
    done = client.run("ssmssh", "forward", EC2_HOST, *words[:4], "--", "no-such-command", status=2)
    assert b"no command" in done.stderr
    done = client.run("ssmssh", "forward", EC2_HOST, *words[:2], "--", "echo", "{port2}", status=2)
    assert b"{port2}" in done.stderr


def test_sigterm_ends_the_command_and_sigint_is_its_own_to_answer(client: Client, echo: int) -> None:
    assert echo
    for number in (signal.SIGTERM, signal.SIGINT):
        script = "trap 'echo got it; exit 3' INT TERM; echo ready; while :; do sleep 0.05; done"
        process = client.start("ssmssh", "forward", EC2_HOST, "-L", f":{ECHO}", "--", "sh", "-c", script)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does it
        else:
            process.send_signal(number)
        assert process.stdout.readline() == b"got it\n"
        assert process.wait(30) == (3 if number == signal.SIGINT else 128 + 15)


def test_in_the_background(client: Client, echo: int) -> None:
    assert echo
    words = ("ssmssh", "forward", EC2_HOST, "-L", f":{ECHO}", "-D", "0", "--background")
    first = [int(line) for line in client.run(*words).stdout.splitlines()]
    second = [int(line) for line in client.run(*words).stdout.splitlines()]
    assert [len(first), len(second)] == [2, 2]
    assert exchange_all(connect(first[0])) == b"hello"
    listed = client.run("ssmssh", "forward", "--list").stdout.decode().splitlines()
    assert len(listed) == 4
    assert f"127.0.0.1:{first[0]} and [::1]:{first[0]} leads to localhost:{ECHO}, through {EC2_HOST}" in listed[0]
    client.run("ssmssh", "forward", "--stop", str(first[1]))
    assert not accepts(first[0])
    assert exchange_all(connect(second[0])) == b"hello"
    assert b"Nothing in the background" in client.run("ssmssh", "forward", "--stop", str(first[0]), status=4).stderr
    client.run("ssmssh", "forward", "--stop")
    assert not accepts(second[0])
    assert client.run("ssmssh", "forward", "--list").stdout == b""


def test_what_fails_before_it_is_in_the_background_is_told(client: Client) -> None:
    words = ("ssmssh", "forward", EC2_HOST.replace("0123", "9123"), "-L", ":80", "--background")
    done = client.run(*words, status=4)
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert client.run("ssmssh", "forward", "--list").stdout == b""


def test_a_destination_that_refuses_is_named_and_others_live_on(client: Client, echo: int) -> None:
    assert echo
    with Forwarding(client, "-L", f":{ECHO}", "-L", f":{CLOSED}") as forwarding:
        with connect(forwarding.ports[0]) as good:
            good.sendall(b"hello")
            assert good.recv(100) == b"hello"
            with connect(forwarding.ports[1]) as bad, pytest.raises(ConnectionResetError):
                bad.recv(1)
            good.sendall(b"again")
            assert good.recv(100) == b"again"
        assert f"cannot connect to localhost:{CLOSED}" in forwarding.said()


def test_a_session_that_was_ended_is_begun_anew(client: Client, sandbox: Sandbox, echo: int) -> None:
    assert echo
    with Forwarding(client, "-L", f":{ECHO}") as forwarding:
        with connect(forwarding.port) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
            ended = contextlib.suppress(ConnectionResetError)
            with sandbox.faults.during("session-terminated-elsewhere"), ended:
                connection.sendall(b"more")
                while connection.recv(100):
                    pass
            forwarding.wait_said("the next connection begins another")
        assert exchange_all(connect(forwarding.port)) == b"hello"


def test_a_service_that_is_not_there_any_more_fails_the_connection_only(
    client: Client, sandbox: Sandbox, echo: int
) -> None:
    assert echo
    with Forwarding(client, "-D", "0") as forwarding:
        with sandbox.faults.during("access-denied"):
            assert not is_through(forwarding.port)
            forwarding.wait_said("no way to localhost:7: ")
        wait_until(lambda: is_through(forwarding.port), "another try to work")


def is_through(port: int, host: str = "localhost") -> bool:
    """Whether a SOCKS client comes to the echo server."""
    with connect(port) as connection:
        connection.sendall(b"\5\1\0" + b"\5\1\0\3" + bytes([len(host)]) + host.encode() + ECHO.to_bytes(2))
        return receive_exactly(connection, 4)[3] == 0


def test_usage(client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, told in (
            (("-R", "80:localhost:80"), "-R is not possible without ssh"),
            (("-L", "nonsense"), "-L 'nonsense' is not a forwarding"),
            (("-L", f"{port}:80"), f"Cannot listen at port {port}: Address already in use"),
            ((), "What is to be forwarded?"),
            (("-L", ":80", "--list"), "--list is given alone"),
            (("-L", ":80", "--background", "--", "true"), "--background has no CMD"),
        ):
            done = client.run("ssmssh", "forward", EC2_HOST, *words, status=2)
            assert told in done.stderr.decode()
            assert done.stderr.count(b"\n") == 1
    done = client.run("ssmssh", "forward", EC2_HOST, "-L", f"{tmp_path / 'file'}:80", status=9)
    assert "which is no socket" in done.stderr.decode()
    assert (tmp_path / "file").read_text() == "precious"


MAKE_DATABASES = """
import boto3
rds = boto3.client("rds")
who = {"MasterUsername": "app", "MasterUserPassword": "not-a-secret"}
instance = {"DBInstanceIdentifier": "orders", "DBInstanceClass": "db.t3.micro", "AllocatedStorage": 20}
rds.create_db_instance(Engine="postgres", **instance, **who)
print(rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]["Endpoint"]["Address"])
print(rds.create_db_cluster(DBClusterIdentifier="many", Engine="aurora-mysql", **who)["DBCluster"]["Endpoint"])
"""


def test_a_database_by_its_identifier(client: Client, sandbox: Sandbox, echo: int) -> None:
    instance, cluster = client.run(sys.executable, "-c", MAKE_DATABASES).stdout.decode().split()
    sandbox.open_port(5432, echo, instance)
    sandbox.open_port(3306, echo, cluster)
    for identifier in ("orders", "many"):
        with Forwarding(client, "--rds", identifier) as forwarding:
            assert exchange_all(connect(forwarding.port)) == b"hello"
    done = client.run("ssmssh", "forward", EC2_HOST, "--rds", "other", status=4)
    assert b"look for the database 'other'" in done.stderr
    client.run("ssmssh", "forward", EC2_HOST, "--rds", "x:orders", status=2)


def test_a_lost_connection_is_said_on_a_terminal_and_resumed(client: Client, sandbox: Sandbox, echo: int) -> None:
    assert echo
    port = free_port()
    with Terminal(client, "ssmssh", "forward", EC2_HOST, "-L", f"{port}:{ECHO}") as terminal:
        terminal.expect(f"[::1]:{port} leads to localhost:{ECHO}, through {EC2_HOST}".encode())
        with connect(port) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
            with sandbox.faults.during("cut:bytes=0"):
                connection.sendall(b"again")
                terminal.expect(b"is lost, and is being resumed")
            terminal.expect(b"is there again")
            assert connection.recv(100) == b"again"
        terminal.type(b"\x03")
        assert terminal.wait() == 128 + 2


def test_a_pause_that_the_service_asks_for_is_no_end(client: Client, sandbox: Sandbox, echo: int) -> None:
    assert echo
    with Forwarding(client, "-L", f":{ECHO}") as forwarding, connect(forwarding.port) as connection:
        connection.sendall(b"hello")
        assert receive_exactly(connection, 5) == b"hello"
        with sandbox.faults.during("pause-client:away=1,bytes=0"):
            connection.sendall(b"again")
            assert receive_exactly(connection, 5) == b"again"
            connection.sendall(b"later")
            assert receive_exactly(connection, 5) == b"later"
        assert exchange_all(connect(forwarding.port)) == b"hello"
        assert forwarding.said() == ""


def test_the_pool_of_socks_is_bounded(client: Client, sandbox: Sandbox, echo: int) -> None:
    """16 destinations at a time: a 17th waits for five seconds, or takes the place of one that is idle."""
    hosts = [f"host{number}.internal" for number in range(MAX_POOLED + 1)]
    for host in hosts:
        sandbox.open_port(ECHO, echo, host)
    with Forwarding(client, "-D", "0") as forwarding, contextlib.ExitStack() as held:
        clients = [held.enter_context(connect_through_socks(forwarding.port, host, ECHO)) for host in hosts[:-1]]
        for client_socket in clients:
            client_socket.sendall(b"hello")
            assert receive_exactly(client_socket, 5) == b"hello"
        assert not is_through(forwarding.port, hosts[-1])
        before = {session.session_id for session in sandbox.sessions() if session.is_open}
        clients[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        clients[-1].close()  # with a reset: an end alone is not taken for one at once
        with connect_through_socks(forwarding.port, hosts[-1], ECHO) as last:
            last.sendall(b"hello")
            assert receive_exactly(last, 5) == b"hello"
        wait_until(
            lambda: len(before - {session.session_id for session in sandbox.sessions() if session.is_open}) == 1,
            "the session that was idle to end",
        )


@pytest.fixture
def old_box(temporary_directory: Path) -> Iterator[Sandbox]:
    """With an agent that knows no smux."""
    with Sandbox(unpaced=True, agent_version="3.0.196.0") as box:
        yield box


def test_old_agents_carry_one_connection_at_a_time(old_box: Sandbox, tmp_path: Path) -> None:
    client = Client(old_box.environment, tmp_path)
    with echo_server() as port, contextlib.closing(client):
        old_box.open_port(ECHO, port)
        with Forwarding(client, "-L", f":{ECHO}") as forwarding:
            with connect(forwarding.port) as first, connect(forwarding.port) as second:
                second.sendall(b"second")
                first.sendall(b"first")
                assert receive_exactly(first, 5) == b"first"
                first.close()
                assert receive_exactly(second, 6) == b"second"
            assert exchange_all(connect(forwarding.port)) == b"hello"
        done = client.run("ssmssh", "forward", EC2_HOST, "-L", f":db.internal:{ECHO}", status=2)
        assert b"cannot connect to other hosts" in done.stderr
