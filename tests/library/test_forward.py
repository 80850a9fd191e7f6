"""`ssmssh.forward`: a port in a program, and what is left of it."""

import gc
import socket
import threading

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, accepts, echo_server, wait_until
from tests.inside import inside
from tests.library.programs import Program

ECHO = 7


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inside(sandbox, monkeypatch)


def is_gone() -> bool:
    return not any(thread.name == "forwarding" for thread in threading.enumerate())


def test_connections_through_a_port(sandbox: Sandbox) -> None:
    with echo_server() as port:
        sandbox.open_port(ECHO, port, "echo.internal")
        with ssmssh.forward(EC2_HOST, ECHO, host="echo.internal") as forward:
            assert repr(forward) == f"<Forward at port {forward.port}>"
            with socket.create_connection(("localhost", forward.port), 30) as connection:
                for size in (1, 100_000):
                    connection.sendall(b"x" * size)
                    received = 0
                    while received < size:
                        received += len(connection.recv(65536))
        assert not accepts(forward.port)
        forward.close()
        wait_until(is_gone, "its thread to end")


def test_what_keeps_it_from_being_opened_is_raised(sandbox: Sandbox) -> None:
    with sandbox.faults.during("access-denied"), pytest.raises(ssmssh.errors.AccessDeniedError):
        ssmssh.forward(EC2_HOST, ECHO)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ssmssh.errors.UsageError, match="in use"):
        ssmssh.forward(EC2_HOST, ECHO, local_port=taken.getsockname()[1])
    with (
        sandbox.faults.during("slow-agent-start:seconds=5"),
        pytest.raises(ssmssh.errors.NetworkError, match="took more than"),
    ):
        ssmssh.forward(EC2_HOST, ECHO, timeout=0.1)
    for wrong in ({"host": "no host"}, {"host": 7}, {"local_port": 65536}, {"port": 0}, {"timeout": -1}):
        with pytest.raises(ssmssh.errors.UsageError):
            ssmssh.forward(EC2_HOST, **({"port": ECHO} | wrong))
    wait_until(is_gone, "all threads to end")


def test_what_is_forgotten_ends() -> None:
    forward = ssmssh.forward(EC2_HOST, ECHO)
    port = forward.port
    del forward
    gc.collect()
    wait_until(lambda: not accepts(port), "the port to be closed")
    wait_until(is_gone, "its thread to end")


def test_the_end_of_the_program_ends_it(program: Program) -> None:
    said = program.run(
        f"""
        import ssmssh
        forward = ssmssh.forward("{EC2_HOST}", {ECHO})
        print(forward.port)
        """
    )
    assert not accepts(int(said))


def test_a_forked_child_leaves_it_alone(program: Program, sandbox: Sandbox) -> None:
    with echo_server() as port:
        sandbox.open_port(ECHO, port)
        program.run(
            f"""
            import os, socket, warnings, ssmssh
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
            forward = ssmssh.forward("{EC2_HOST}", {ECHO})
            with socket.create_connection(("localhost", forward.port)) as connection:
                connection.sendall(b"hello")
                assert connection.recv(10) == b"hello"
                if not os.fork():
                    forward.close()
                    os._exit(0)
                assert os.wait()[1] == 0
                connection.sendall(b"again")
                assert connection.recv(10) == b"again"
            forward.close()
            """
        )
