"""Forwardings as people write them: ssh's spelling, and ours where ssh has none."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.forwarding.specs import (
    Destination,
    Forwarding,
    TcpBind,
    UnixBind,
    destination,
    parse_dynamic,
    parse_local,
)


@pytest.mark.parametrize(
    ("text", "bind", "host", "port"),
    [
        ("8080:web:80", TcpBind(None, 8080), "web", 80),
        ("127.0.0.1:8080:web:80", TcpBind("127.0.0.1", 8080), "web", 80),
        ("localhost:8080:web:80", TcpBind(None, 8080), "web", 80),
        ("[::1]:8080:[2001:DB8::1]:80", TcpBind("::1", 8080), "2001:db8::1", 80),
        ("*:8080:web:80", TcpBind("", 8080), "web", 80),
        (":8080:web:80", TcpBind("", 8080), "web", 80),
        ("8080:[::1]:80", TcpBind(None, 8080), "localhost", 80),
        ("8080:127.0.0.1:80", TcpBind(None, 8080), "localhost", 80),
        ("8080:LocalHost:80", TcpBind(None, 8080), "localhost", 80),
        ("15432:5432", TcpBind(None, 15432), "localhost", 5432),
        ("0:db.internal:5432", TcpBind(None, 0), "db.internal", 5432),
        (":5432", TcpBind(None, 0), "localhost", 5432),
        (":DB:5432", TcpBind(None, 0), "db", 5432),
        ("/run/db.sock:db:5432", UnixBind("/run/db.sock"), "db", 5432),
        ("/run/db.sock:5432", UnixBind("/run/db.sock"), "localhost", 5432),
        (r"/run/a\:b.sock:5432", UnixBind("/run/a:b.sock"), "localhost", 5432),
        ("[/run/a:b.sock]:5432", UnixBind("/run/a:b.sock"), "localhost", 5432),
        ("  8080:web:80", TcpBind(None, 8080), "web", 80),
    ],
)
def test_local(text: str, bind: TcpBind | UnixBind, host: str, port: int) -> None:
    assert parse_local(text) == Forwarding(bind, Destination(host, port))


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "5432", "a:b:c:d:e", "8080:web:80:1:2", "8080:web:0", "8080:web:65536", "8080:web:http", "x:web:80"),
        *("8080:we b:80", "8080:-web:80", "8080::80", "[::1:8080:web:80", "[::1]x:8080:web:80", "8080:2001:db8::1:80"),
        *("8080:/run/x", "/a:/b", "::1:8080:web:80", "99999:web:80", "-1:web:80", "8080:web:80\\", "٨٠:web:80"),
        *("/a:8080:web:80", f"/{'x' * 103}:5432", "8080:web:\n80"),
    ],
)
def test_no_local(text: str) -> None:
    with pytest.raises(UsageError, match=r"-L .* is not a forwarding"):
        parse_local(text)


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("1080", TcpBind(None, 1080)),
        ("0", TcpBind(None, 0)),
        ("127.0.0.1:1080", TcpBind("127.0.0.1", 1080)),
        ("[::1]:1080", TcpBind("::1", 1080)),
        ("*:1080", TcpBind("", 1080)),
        (":1080", TcpBind("", 1080)),
    ],
)
def test_dynamic(text: str, bind: TcpBind) -> None:
    assert parse_dynamic(text) == Forwarding(bind, None)


@pytest.mark.parametrize("text", ["a:b:c", "x", "/run/x", "1080:web:80", "65536", "[::1", "1:2:3"])
def test_no_dynamic(text: str) -> None:
    with pytest.raises(UsageError, match=r"-D .* is not a forwarding"):
        parse_dynamic(text)


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-z:\[\]\\/*.]{0,40}", fullmatch=True))
def test_whatever_is_written_is_a_forwarding_or_refused(text: str) -> None:
    for parse in (parse_local, parse_dynamic):
        try:
            forwarding = parse(text)
        except UsageError:
            continue
        to = forwarding.destination
        assert to is None or destination(to.host, to.port) == to


@pytest.mark.parametrize(
    "text", ["8080:web:80", "[::1]:8080:[::1]:80", "*:8080:web:80", "/tmp/x.sock:web:80", r"/tmp/a\:b:web:80"]
)
def test_ssh_takes_the_same(text: str) -> None:
    ssh = shutil.which("ssh")
    assert ssh is not None
    done = subprocess.run([ssh, "-G", "-F", "none", "-L", text, "host"], capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("localforward ")]
    forwarding = parse_local(text)
    assert forwarding.destination is not None
    if isinstance(forwarding.bind, UnixBind):
        assert forwarding.bind.path in line
    else:
        assert f"]:{forwarding.bind.port}" in line or f" {forwarding.bind.port} " in line
    assert line.endswith(f":{forwarding.destination.port}")
