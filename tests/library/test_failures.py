"""What keeps a session from opening, or ends it, is told where the program asks next; and nothing is left of it."""

import io
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ssmssh
from ssmssh import errors
from ssmssh.sandbox import Sandbox
from ssmssh.session import host
from tests.acceptance.clients import EC2_HOST, free_port, receive_exactly, wait_until
from tests.library.farside import FarSide
from tests.library.programs import Program

REFUSALS: list[tuple[str, type[errors.SsmsshError]]] = [
    ("target-not-connected", errors.TargetError),
    ("access-denied", errors.AccessDeniedError),
    ("invalid-document", errors.UsageError),
    ("expired-credentials", errors.CredentialsError),
]


@pytest.mark.parametrize(("fault", "error"), REFUSALS)
def test_a_session_that_is_refused(here: Sandbox, fault: str, error: type[errors.SsmsshError]) -> None:
    before = len(here.sessions())
    with here.faults.during(fault), pytest.raises(error, match=EC2_HOST):
        ssmssh.connect(EC2_HOST)
    assert len(here.sessions()) == before


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("tag:web-1", {}),
        (EC2_HOST, {"port": 0}),
        (EC2_HOST, {"wait": 1e9}),
        (EC2_HOST, {"profile": "nobody"}),
        (EC2_HOST, {"endpoint_url": "http://example.com"}),
        (EC2_HOST, {"document_name": "AWS-StartPortForwardingSession"}),
        (None, {}),
        (b"i-0123456789abcdef0", {}),
        *((EC2_HOST, {"port": port}) for port in ("22", 22.5, True, None)),
        *((EC2_HOST, {name: 3}) for name in ("profile", "region", "endpoint_url", "document_name", "reason")),
        *((EC2_HOST, {"timeout": seconds}) for seconds in (-1, float("nan"), float("inf"), "3")),
        *((EC2_HOST, {"parameters": parameters}) for parameters in ({"a": 1}, {"a": [1]}, {1: "a"}, "abc")),
        (EC2_HOST, {"wait": "3"}),
        (EC2_HOST, {"choose": "first"}),
    ],
)
def test_what_cannot_be_asked_for(here: Sandbox, target: str, settings: dict[str, object]) -> None:
    before = len(here.sessions())
    with pytest.raises(errors.UsageError):
        ssmssh.connect(target, **settings)  # type: ignore[arg-type]
    assert not any(session.is_open for session in here.sessions()[before:])


READS: dict[str, Callable[[socket.socket], object]] = {
    "recv": lambda end: end.recv(1),
    "recv_into": lambda end: end.recv_into(bytearray(1)),
    "recvfrom": lambda end: end.recvfrom(1),
    "recvfrom_into": lambda end: end.recvfrom_into(bytearray(1)),
    "recvmsg": lambda end: end.recvmsg(1),
    "recvmsg_into": lambda end: end.recvmsg_into([bytearray(1)]),
    "makefile": lambda end: end.makefile("rb").read(1),
}


@pytest.mark.parametrize("how", READS)
def test_each_way_to_read_tells_a_failure(here: Sandbox, how: str) -> None:
    with pytest.raises(errors.TargetError, match="Nothing answers"), ssmssh.connect(EC2_HOST, free_port()) as end:
        READS[how](end)


def test_aws_files_that_have_changed_are_read_again(
    here: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far_side: FarSide
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(errors.TargetError, match="eu-west-1"):
        ssmssh.connect(EC2_HOST, far_side.number)
    config.write_text(f"[default]\nregion = {here.region}\n")
    ssmssh.connect(EC2_HOST, far_side.number).close()


def test_a_time_out(here: Sandbox) -> None:
    """What was under way meanwhile is ended behind."""
    before = len(here.sessions())
    with (
        here.faults.during("slow-agent-start:seconds=2"),
        pytest.raises(errors.NetworkError, match=r"more than 0\.5 s"),
    ):
        ssmssh.connect(EC2_HOST, timeout=0.5)
    wait_until(lambda: [each.is_open for each in here.sessions()[before:]] == [False], "the end of the session")


def test_a_port_that_is_closed(here: Sandbox) -> None:
    """The session can be opened before that is known."""
    with here.faults.during("port-closed:seconds=0.5"), ssmssh.connect(EC2_HOST, free_port()) as end:
        with pytest.raises(errors.TargetError, match="Nothing answers"):
            end.recv(1)
        with pytest.raises(errors.TargetError, match="Nothing answers"):
            end.sendall(b"hello")


def read_file(end: socket.socket) -> bytes:
    with end.makefile("rb") as file:
        return file.read(1)


USES: dict[str, Callable[[socket.socket], object]] = {
    "recv": lambda end: end.recv(1),
    "recv_into": lambda end: end.recv_into(bytearray(1)),
    "makefile": read_file,
    "send": lambda end: end.send(b"x"),
    "sendall": lambda end: end.sendall(b"x"),
    "sendmsg": lambda end: end.sendmsg([b"x"]),
    "sendfile": lambda end: end.sendfile(io.BytesIO(b"x")),
}


@pytest.mark.parametrize("use", USES)
def test_the_reason_of_the_end_is_told(here: Sandbox, far_side: FarSide, use: str) -> None:
    """Again and again, each time by an error of its own; what came before is read first."""
    with ssmssh.open_session(EC2_HOST, far_side.number) as session:
        far_side.accept().sendall(b"hello")
        assert session.socket.recv(1) == b"h"
        here.faults.set("idle-timeout", session.session_id)
        with pytest.raises(errors.SessionEndedError, match="idle"):
            session.wait(60)
        assert receive_exactly(session.socket, 4) == b"ello"
        told = []
        for _ in range(2):
            with pytest.raises(errors.SessionEndedError, match="idle") as caught:
                USES[use](session.socket)
            assert caught.value.hint
            told.append(caught.value)
        assert told[0] is not told[1]


def test_who_waits_is_told(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.open_session(EC2_HOST, far_side.number) as session, ThreadPoolExecutor(2) as pool:
        there = far_side.accept()
        reading, waiting = pool.submit(session.socket.recv, 1), pool.submit(session.wait)
        receive_exactly_nothing = there.recv
        here.faults.set("idle-timeout", session.session_id)
        for each in (reading, waiting):
            with pytest.raises(errors.SessionEndedError, match="idle"):
                each.result(60)
        assert receive_exactly_nothing(1) == b""


def test_a_lost_connection_is_resumed_and_said_nowhere(program: Program, sandbox: Sandbox, far_side: FarSide) -> None:
    """A program that has not set logging up prints nothing of ours."""
    running = program.start(
        """
        import sys, ssmssh
        with ssmssh.open_session(sys.argv[1], int(sys.argv[2])) as session:
            print(session.session_id, flush=True)
            while data := session.socket.recv(100):
                session.socket.sendall(data)
        """,
        EC2_HOST,
        far_side.number,
    )
    assert running.stdout is not None
    session_id = running.stdout.readline().decode().strip()
    there = far_side.accept()
    for _ in range(2):
        sandbox.faults.set("cut", session_id)
        there.sendall(b"hello")
        assert receive_exactly(there, 5) == b"hello"
    there.close()
    assert running.communicate(timeout=60) == (b"", b"")
    assert running.returncode == 0


def test_wait_is_for_a_port_that_opens(here: Sandbox, far_side: FarSide) -> None:
    """The sessions that found it closed are ended, and what they were sent is said again, once."""
    before = len(here.sessions())
    closed = threading.Event()

    def reopen() -> None:
        wait_until(lambda: len(here.sessions()) > before + 1, "another session")
        here.faults.clear("port-closed")
        closed.set()

    with here.faults.during("port-closed:seconds=0.1"), ThreadPoolExecutor(1) as pool:
        reopening = pool.submit(reopen)
        with ssmssh.open_session(EC2_HOST, far_side.number, wait=60) as session:
            session.socket.sendall(b"hello")
            there = far_side.accept()
            assert receive_exactly(there, 5) == b"hello"
            there.sendall(b"answer")
            assert receive_exactly(session.socket, 6) == b"answer"
            assert session.session_id == here.sessions()[-1].session_id
        reopening.result()
    assert not [each for each in here.sessions()[before:] if each.is_open]


def test_wait_gives_up(here: Sandbox) -> None:
    before = len(here.sessions())
    with here.faults.during("port-closed:seconds=0.1"), ssmssh.connect(EC2_HOST, free_port(), wait=5) as end:
        with pytest.raises(errors.TargetError, match="Nothing answers"):
            end.recv(1)
        with pytest.raises(errors.TargetError, match="Nothing answers"):
            end.send(b"x")
    assert len(here.sessions()) > before + 1
    assert not [each for each in here.sessions()[before:] if each.is_open]


def test_one_defect_ends_one_session(here: Sandbox, far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is an error like the others, and the session is terminated."""
    from ssmssh.session.sides.pair import PairSide

    class Defective(PairSide):
        def received(self, events: object) -> None:
            raise ZeroDivisionError

    with ssmssh.open_session(EC2_HOST, far_side.number) as sound, monkeypatch.context() as patch:
        sound_there = far_side.accept()
        patch.setattr("ssmssh.api.PairSide", Defective)
        with ssmssh.open_session(EC2_HOST, far_side.number) as defective:
            far_side.accept().sendall(b"hello")
            with pytest.raises(errors.SsmsshError, match="report it: ZeroDivisionError") as caught:
                defective.socket.recv(1)
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
            with pytest.raises(errors.SsmsshError, match="report it"):
                defective.wait(60)
        sound_there.sendall(b"still here")
        assert receive_exactly(sound.socket, 10) == b"still here"


def test_a_loop_that_is_broken_ends_its_sessions_and_others_have_a_new_one(here: Sandbox, far_side: FarSide) -> None:
    """Its selector is taken away, as by a program that closes whatever is open."""
    with ssmssh.open_session(EC2_HOST, far_side.number) as session:
        assert host._host is not None
        with Path(os.devnull).open("rb") as null:
            os.dup2(null.fileno(), host._host._loop._selector.fileno())
        session.socket.sendall(b"a wake")
        with pytest.raises(errors.SsmsshError, match="report it: OSError"):
            session.wait(60)
        with ssmssh.connect(EC2_HOST, far_side.number) as end:
            far_side.accept().close()
            end.sendall(b"hello")
