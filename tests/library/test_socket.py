"""A socket of `ssmssh.connect` is one: bytes, ends, time-outs, files, copies."""

import asyncio
import getpass
import selectors
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor

import asyncssh
import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, echo_server, payload, receive_exactly, wait_until
from tests.library.farside import FarSide, read_all


def is_open(box: Sandbox, session: ssmssh.OpenSession) -> bool:
    return [each.is_open for each in box.sessions() if each.session_id == session.session_id] == [True]


def test_what_is_known_of_a_session(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.open_session(f"{EC2_HOST}.{here.region}", far_side.number, region="eu-west-1") as session:
        assert is_open(here, session)
        assert session.target == f"{EC2_HOST} in {here.region}"
        assert session.agent_version.count(".") == 3
        assert session.session_id in repr(session)
        assert not session.wait(0)
    assert session.wait(0)
    assert not is_open(here, session)


@pytest.mark.parametrize("host", [EC2_HOST, HYBRID_HOST])
def test_every_byte_both_ways(here: Sandbox, host: str) -> None:
    data = payload(3_000_000)
    with echo_server() as port:
        here.open_port(4400, port)
        with ssmssh.connect(host, 4400) as end, ThreadPoolExecutor(1) as pool:
            sending = pool.submit(end.sendall, data)
            assert receive_exactly(end, len(data)) == data
            sending.result()


def test_it_is_a_socket(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.connect(EC2_HOST, far_side.number) as end:
        assert isinstance(end, socket.socket)
        assert (end.type, end.gettimeout(), end.get_inheritable()) == (socket.SOCK_STREAM, None, False)
        there = far_side.accept()
        with selectors.DefaultSelector() as selector:
            selector.register(end, selectors.EVENT_READ)
            assert not selector.select(0)
            there.sendall(b"hello")
            assert selector.select(60)
        assert end.recv_into(bytearray(100), 2) == 2
        assert end.recv(100, socket.MSG_PEEK) == end.recv(100) == b"llo"
        assert end.recv(0) == b""
        assert end.send(b"a") + end.sendmsg([b"b", b"c"]) == 3
        assert receive_exactly(there, 3) == b"abc"


def test_time_outs(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.connect(EC2_HOST, far_side.number, timeout=30) as end:
        assert end.gettimeout() == 30
        end.settimeout(0.01)
        with pytest.raises(TimeoutError):
            end.recv(1)
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(1)


def test_the_far_side_closes(here: Sandbox, far_side: FarSide) -> None:
    """In order: what it said comes, then an empty read; writing fails as it does at any socket."""
    with ssmssh.open_session(EC2_HOST, far_side.number) as session:
        with far_side.accept() as there:
            there.sendall(b"goodbye")
        assert read_all(session.socket) == b"goodbye"
        assert session.socket.recv_into(bytearray(1)) == 0
        with pytest.raises(BrokenPipeError):
            session.socket.sendall(b"too late")
        assert session.wait(60)


def test_the_far_side_closes_on_a_program_that_writes(here: Sandbox, far_side: FarSide) -> None:
    """What it wrote and nobody has taken is no reset, but a failure that says so."""
    with ssmssh.connect(EC2_HOST, far_side.number) as end:
        there = far_side.accept()
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(end.sendall, bytes(30_000_000))
            receive_exactly(there, 100_000)
            there.sendall(b"enough")
            assert receive_exactly(end, 6) == b"enough"
            there.close()
            with pytest.raises(ssmssh.errors.SessionEndedError, match="before everything had arrived"):
                read_all(end)
            with pytest.raises(ssmssh.errors.SessionEndedError, match="before everything had arrived"):
                writing.result()


def test_a_half_close(here: Sandbox, far_side: FarSide) -> None:
    """All that was written arrives, and the answer to it."""
    data = payload(500_000)
    with ssmssh.open_session(EC2_HOST, far_side.number) as session:
        there = far_side.accept()
        session.socket.sendall(data)
        session.socket.shutdown(socket.SHUT_WR)
        assert receive_exactly(there, len(data)) == data
        there.setblocking(False)
        with pytest.raises(BlockingIOError):  # it is not told
            there.recv(1)
        there.setblocking(True)
        with there:
            there.sendall(data)
        assert read_all(session.socket) == data


def test_shut_down_both_ways_is_the_end(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.open_session(EC2_HOST, far_side.number) as session:
        there = far_side.accept()
        session.socket.sendall(b"the last word")
        session.socket.shutdown(socket.SHUT_RDWR)
        assert read_all(there) == b"the last word"
        assert session.wait(60)


def test_files(here: Sandbox, far_side: FarSide) -> None:
    """`close` waits for the last of them, as that of any socket."""
    session = ssmssh.open_session(EC2_HOST, far_side.number)
    there = far_side.accept()
    with session.socket.makefile("rw", newline="\n") as lines:
        session.close()
        assert is_open(here, session)
        lines.write("question\n")
        lines.flush()
        assert receive_exactly(there, 9) == b"question\n"
        there.sendall(b"answer\n")
        assert lines.readline() == "answer\n"
    assert session.wait(0)


def test_a_file_is_sent(here: Sandbox, far_side: FarSide, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("sent") / "file"
    path.write_bytes(payload(300_000))
    with ssmssh.connect(EC2_HOST, far_side.number) as end, path.open("rb") as file:
        assert end.sendfile(file) == 300_000
        assert receive_exactly(far_side.accept(), 300_000) == payload(300_000)


def test_a_descriptor_that_was_taken_out_is_the_session(here: Sandbox, far_side: FarSide) -> None:
    session = ssmssh.open_session(EC2_HOST, far_side.number)
    there = far_side.accept()
    with socket.socket(fileno=session.socket.detach()) as plain:
        session.close()
        plain.sendall(b"hello")
        assert receive_exactly(there, 5) == b"hello"
    assert session.wait(60)


def test_closing_one_copy_ends_all(here: Sandbox, far_side: FarSide) -> None:
    session = ssmssh.open_session(EC2_HOST, far_side.number)
    there = far_side.accept()
    with session.socket.dup() as copy:
        copy.sendall(b"from the copy")
        assert receive_exactly(there, 13) == b"from the copy"
        session.close()
        assert session.wait(0)
        assert copy.recv(1) == b""


def test_what_is_forgotten_is_warned_of_and_ended(here: Sandbox, far_side: FarSide) -> None:
    session: ssmssh.OpenSession | None = ssmssh.open_session(EC2_HOST, far_side.number)
    assert session is not None
    session_id = session.session_id
    with pytest.warns(ResourceWarning, match="unclosed.*SessionSocket"):
        session = None
    there = far_side.accept()
    assert read_all(there) == b""
    wait_until(
        lambda: not [each for each in here.sessions() if each.is_open and each.session_id == session_id], "its end"
    )


def test_nothing_is_warned_of_where_all_is_closed(here: Sandbox, far_side: FarSide) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            ssmssh.connect(EC2_HOST, far_side.number).close()
    assert said == []


def test_close_flushes_what_was_written(here: Sandbox, far_side: FarSide) -> None:
    data = payload(1_000_000)
    with ssmssh.connect(EC2_HOST, far_side.number) as end:
        there = far_side.accept()
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_all, there)
            end.sendall(data)
            end.close()
            assert reading.result() == data


def test_close_gives_up_on_a_far_side_that_takes_nothing(here: Sandbox, far_side: FarSide) -> None:
    """It is bounded, and so is what goes on behind."""
    session = ssmssh.open_session(EC2_HOST, far_side.number)
    far_side.accept()
    session.socket.settimeout(1.0)
    with pytest.raises(TimeoutError):
        session.socket.sendall(bytes(50_000_000))
    session.close()
    assert session.wait(30)


def test_it_has_no_address_and_no_options_of_tcp(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.connect(EC2_HOST, far_side.number) as end:
        assert end.getpeername() == end.getsockname() == ""
        with pytest.raises(OSError, match="not supported"):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def test_asyncssh_takes_it(here: Sandbox) -> None:
    async def run() -> object:
        end = await asyncio.to_thread(ssmssh.connect, EC2_HOST, 22)
        key = str(here.directory / "id_ed25519")
        async with asyncssh.connect(
            EC2_HOST, sock=end, known_hosts=None, username=getpass.getuser(), client_keys=[key], config=None
        ) as connection:
            return (await connection.run("echo here", check=True)).stdout

    assert asyncio.run(run()) == "here\n"
