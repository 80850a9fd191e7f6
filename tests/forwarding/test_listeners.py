"""What is listened at, with the system's own sockets."""

import contextlib
import socket
import stat
from pathlib import Path

import pytest

from ssmssh.errors import FileError, UsageError
from ssmssh.forwarding.listeners import listen
from ssmssh.forwarding.specs import TcpBind, UnixBind


def families(port: int) -> set[str]:
    """Where somebody listens at a port."""
    found = set()
    for address in ("127.0.0.1", "::1", "127.0.0.2"):
        with contextlib.suppress(OSError), socket.create_connection((address, port), 5):
            found.add(address)
    return found


def test_loopback_is_both_families_with_one_port() -> None:
    with contextlib.closing(listen(TcpBind(None, 0))) as listener:
        assert families(listener.port) == {"127.0.0.1", "::1"}
        assert listener.is_picked
        assert str(listener) == f"127.0.0.1:{listener.port} and [::1]:{listener.port}"
        with pytest.raises(UsageError, match=f"Cannot listen at port {listener.port}: .*another"):
            listen(TcpBind(None, listener.port))
    with contextlib.closing(listen(TcpBind(None, listener.port))) as again:
        assert not again.is_picked


def test_a_port_that_is_taken_in_one_family_is_taken() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other, pytest.raises(UsageError):
        listen(TcpBind(None, other.getsockname()[1]))


def test_a_written_address_is_all_there_is() -> None:
    with contextlib.closing(listen(TcpBind("127.0.0.2", 0))) as listener:
        assert families(listener.port) == {"127.0.0.2"}
    with contextlib.closing(listen(TcpBind("", 0))) as listener:
        assert families(listener.port) == {"127.0.0.1", "::1", "127.0.0.2"}
    with pytest.raises(UsageError, match=r"Cannot listen at 192\.0\.2\.1:0"):
        listen(TcpBind("192.0.2.1", 0))


def test_a_unix_socket_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = listen(UnixBind(str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(listener) == str(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    with pytest.raises(FileError, match="another program listens there"):
        listen(UnixBind(str(path)))
    listener.close()
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with contextlib.closing(listen(UnixBind(str(path)))), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(FileError, match="which is no socket"):
        listen(UnixBind(str(path)))
    assert path.read_text() == "precious"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="which is no socket"):
        listen(UnixBind(str(link)))
    with pytest.raises(FileError, match="No such file"):
        listen(UnixBind(str(tmp_path / "no" / "s")))


def test_another_ones_socket_stays_when_we_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = listen(UnixBind(str(path)))
    path.unlink()
    with contextlib.closing(listen(UnixBind(str(path)))):
        listener.close()
        assert path.exists()
