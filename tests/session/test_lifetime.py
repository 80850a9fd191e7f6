"""Each way in which a client ends us: the session is terminated, nothing is left, what was written has arrived.

`tests/acceptance/test_proxy_process.py` has the ways while all is well; here they meet trouble.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox, SessionReport
from ssmssh.session.journal import boot_id
from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, Client, Terminal, wait_until
from tests.session.observed import ObservedProxy


def open_sessions(box: Sandbox) -> list[SessionReport]:
    return [session for session in box.sessions() if session.is_open]


def journal(box: Sandbox) -> list[Path]:
    return sorted((box.directory / "ssmssh" / "state" / "sessions").glob("*"))


def end_of_input(proxy: ObservedProxy) -> None:
    """The client has died: both pipes are closed."""
    proxy.stdin.close()
    proxy.stdout.close()


def signalled(number: signal.Signals) -> Callable[[ObservedProxy], None]:
    return lambda proxy: proxy.process.send_signal(number)


def end_of_input_then_hup(proxy: ObservedProxy) -> None:
    proxy.stdin.close()
    proxy.process.send_signal(signal.SIGHUP)


WAYS: Mapping[str, tuple[Callable[[ObservedProxy], None], int]] = {
    "end of input, client gone": (end_of_input, 0),
    "end of input, then HUP": (end_of_input_then_hup, 128 + signal.SIGHUP),
    "HUP": (signalled(signal.SIGHUP), 128 + signal.SIGHUP),
    "TERM": (signalled(signal.SIGTERM), 128 + signal.SIGTERM),
    "INT": (signalled(signal.SIGINT), 128 + signal.SIGINT),
    "QUIT": (signalled(signal.SIGQUIT), 128 + signal.SIGQUIT),
}


@pytest.fixture(autouse=True)
def _patience(client: Client) -> None:
    """A start may take its time on a busy machine; what is timed here is the end."""
    client.environment["SSMSSH_WAIT"] = str(PATIENCE_SECONDS)


def wait_for_no_trace(sandbox: Sandbox) -> None:
    """Neither an open session nor an entry in the journal."""
    wait_until(
        lambda: not open_sessions(sandbox) and not journal(sandbox),
        "the end of all sessions and their entries",
        PATIENCE_SECONDS,
        lambda: "\n".join([*map(str, open_sessions(sandbox)), *map(str, journal(sandbox))]),
    )


def leave(way: str, proxy: ObservedProxy, sandbox: Sandbox) -> None:
    """End `proxy` in a way of `WAYS`: it must end as it should, without a word, and nothing may be left."""
    end, status = WAYS[way]
    end(proxy)
    assert proxy.wait() == status, proxy.log
    assert proxy.line == ""
    wait_for_no_trace(sandbox)


def read_banner(proxy: ObservedProxy) -> None:
    assert proxy.stdout.readline().startswith(b"SSH-2.0-"), proxy.log


def session_of(proxy: ObservedProxy) -> str:
    return proxy.log.partition("started session ")[2].split()[0]


def wait_until_it_has_reaped(proxy: ObservedProxy) -> None:
    """Until it will end no other session any more: what is left are the loop and the two streams' threads."""
    proxy.wait_for_log("handshake complete")
    wait_until(lambda: proxy.threads() == 3, "the end of the proxy's other threads", PATIENCE_SECONDS)


@pytest.mark.parametrize("way", WAYS)
def test_an_end_while_all_is_well(client: Client, sandbox: Sandbox, way: str) -> None:
    proxy = ObservedProxy(client)
    read_banner(proxy)
    leave(way, proxy, sandbox)


@pytest.mark.parametrize("way", WAYS)
def test_an_end_while_the_connection_is_dead(client: Client, sandbox: Sandbox, way: str) -> None:
    proxy = ObservedProxy(client)
    read_banner(proxy)
    sandbox.faults.set("half-open", session_of(proxy))
    proxy.write(b"SSH-2.0-test\r\n")
    leave(way, proxy, sandbox)


@pytest.mark.parametrize("way", WAYS)
def test_an_end_while_there_is_no_connection(client: Client, sandbox: Sandbox, way: str) -> None:
    proxy = ObservedProxy(client)
    read_banner(proxy)
    sandbox.faults.set("resume-error", session_of(proxy))
    sandbox.faults.set("cut", session_of(proxy))
    proxy.wait_for_log("not resumed")
    proxy.write(b"SSH-2.0-test\r\n")
    leave(way, proxy, sandbox)


@pytest.mark.parametrize("way", WAYS)
def test_an_end_before_the_handshake(client: Client, sandbox: Sandbox, way: str) -> None:
    with sandbox.faults.during("slow-agent-start:seconds=600"):
        proxy = ObservedProxy(client)
        proxy.wait_for_log("started session")
        leave(way, proxy, sandbox)


def test_a_control_c_before_the_login(client: Client, sandbox: Sandbox) -> None:
    """ssh and the proxy are in the terminal's foreground: both get it."""
    with sandbox.faults.during("slow-agent-start:seconds=600"), Terminal(client, "ssh", EC2_HOST) as terminal:
        wait_until(lambda: open_sessions(sandbox), "a session", PATIENCE_SECONDS)
        terminal.type(b"\x03")
        assert terminal.wait() in (255, 130, -signal.SIGINT)
        wait_for_no_trace(sandbox)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_was_ignored_stays_ignored(client: Client, sandbox: Sandbox, number: signal.Signals) -> None:
    """What ``nohup`` and a shell's ``&`` do to ssh and to us: the connection outlives the terminal."""
    ignore = f"trap '' {number.name.removeprefix('SIG')}; exec \"$@\""
    proxy = ObservedProxy(client, before=("sh", "-c", ignore, "sh"))
    read_banner(proxy)
    proxy.process.send_signal(number)
    proxy.write(b"SSH-2.0-test\r\n")
    assert len(proxy.stdout.read(100)) == 100, "the server's key exchange"
    end_of_input(proxy)
    assert proxy.wait() == 0
    wait_for_no_trace(sandbox)


@pytest.mark.parametrize("fault", ["agent-cut:away=1000", "resume-error"])
def test_a_client_that_dies_when_nothing_moves_any_more(client: Client, sandbox: Sandbox, fault: str) -> None:
    """Its last bytes wait in the pipe, so that its end is behind them."""
    arrived = client.directory / "arrived"
    ssh = client.start("ssh", EC2_HOST, f"cat >{arrived}", stdin=subprocess.PIPE)
    assert ssh.stdin is not None
    pipe = ssh.stdin.fileno()
    os.write(pipe, b"x")
    wait_until(lambda: arrived.exists() and arrived.stat().st_size, "the first byte", PATIENCE_SECONDS)
    (session,) = open_sessions(sandbox)
    sandbox.faults.set(fault, session.session_id)
    sandbox.faults.set("cut", session.session_id)
    os.set_blocking(pipe, False)
    written = 0

    def is_full() -> bool:
        """Whether nobody takes anything any more: neither ssh nor the proxy nor the pipes between."""
        nonlocal written
        before = written
        with contextlib.suppress(BlockingIOError):
            while True:
                written += os.write(pipe, bytes(65536))
        return before == written > 1_000_000

    wait_until(is_full, "everything to be full", PATIENCE_SECONDS)
    ssh.kill()
    ssh.wait()
    wait_for_no_trace(sandbox)


def test_a_client_that_dies_in_the_middle_of_an_upload(client: Client, sandbox: Sandbox) -> None:
    source = client.directory / "source"
    source.write_bytes(bytes(50_000_000))
    with source.open("rb") as data:
        ssh = client.start("ssh", EC2_HOST, "cat >/dev/null", stdin=data)
        wait_until(lambda: any(s.bytes_up > 1_000_000 for s in open_sessions(sandbox)), "the upload", PATIENCE_SECONDS)
        ssh.kill()
        ssh.wait()
    wait_for_no_trace(sandbox)


def test_fifty_sessions_leave_nothing(client: Client, sandbox: Sandbox) -> None:
    before = len(sandbox.sessions())
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: client.run("ssh", EC2_HOST, "true"), range(50)))
    wait_for_no_trace(sandbox)
    assert len(sandbox.sessions()) - before == 50


def test_clients_that_are_killed_leave_nothing(client: Client, sandbox: Sandbox) -> None:
    def kill_one(_: int) -> None:
        ssh = client.start("ssh", EC2_HOST, "echo ready; cat")
        assert ssh.stdout is not None
        assert ssh.stdout.readline() == b"ready\n"
        ssh.kill()
        ssh.wait()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(kill_one, range(20)))
    wait_for_no_trace(sandbox)


def test_what_was_killed_is_ended_by_the_next_run(client: Client, sandbox: Sandbox) -> None:
    proxies = [ObservedProxy(client) for _ in range(9)]
    for proxy in proxies:
        wait_until_it_has_reaped(proxy)
    for proxy in proxies:
        proxy.process.kill()
        proxy.process.wait()
    assert len(open_sessions(sandbox)) == len(proxies)
    proxy = ObservedProxy(client)
    wait_until_it_has_reaped(proxy)
    assert [session.session_id for session in open_sessions(sandbox)] == [session_of(proxy)]
    end_of_input(proxy)
    assert proxy.wait() == 0
    wait_for_no_trace(sandbox)


def write_profiles(client: Client, sandbox: Sandbox) -> None:
    """Two names for the same credentials."""
    key = sandbox.credentials
    path = client.directory / "credentials"
    path.touch(mode=0o600)
    path.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key.access_key_id}\naws_secret_access_key = {key.secret_access_key}\n"
            f"aws_session_token = {key.session_token}\n"
            for name in ("first", "second")
        )
    )
    client.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(path)


def test_the_next_run_touches_nothing_but_its_own(client: Client, sandbox: Sandbox) -> None:
    write_profiles(client, sandbox)
    live = ObservedProxy(client, "--profile", "first")
    read_banner(live)
    killed = [ObservedProxy(client, "--profile", "first") for _ in range(2)]
    for proxy in [live, *killed]:
        wait_until_it_has_reaped(proxy)
    entries = {str(json.loads(path.read_text())["session_id"]): path for path in journal(sandbox)}
    here, elsewhere = map(session_of, killed)
    for proxy in killed:
        proxy.process.kill()
        proxy.process.wait()
    noted = entries[elsewhere].read_text()
    entries[elsewhere].write_text(noted.replace(boot_id(), "another computer with the same home"))

    def run(profile: str) -> set[str]:
        """A healthy run, to its end; which sessions it has left of those there were."""
        proxy = ObservedProxy(client, "--profile", profile)
        read_banner(proxy)
        wait_until_it_has_reaped(proxy)
        end_of_input(proxy)
        assert proxy.wait() == 0
        return {session.session_id for session in open_sessions(sandbox)}

    left = run("second")
    assert len(left) == 3
    assert left - run("first") == {here}
    end_of_input(live)
    assert live.wait() == 0
    entries[elsewhere].write_text(noted)
    assert run("first") == set()


def test_nobody_is_waited_for_who_hangs_on_to_the_pipes(client: Client, sandbox: Sandbox) -> None:
    """Another process of the client has the other ends too, as after a fork: a signal ends us all the same."""
    near, given = socket.socketpair()
    held = os.dup(near.fileno())
    process = client.start("ssmssh-proxy", EC2_HOST, "22", stdin=given.fileno(), stdout=given.fileno())
    given.close()
    near.settimeout(PATIENCE_SECONDS)
    assert near.recv(8) == b"SSH-2.0-"
    near.close()
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
    os.close(held)
    wait_for_no_trace(sandbox)
