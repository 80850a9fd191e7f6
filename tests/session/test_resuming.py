"""A connection that is lost while credentials, clocks or the network are not what they were."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, echo_server, wait_until
from tests.session.observed import ObservedProxy
from tests.session.rogueagent import ANSWER_SECONDS, RogueAgent, rogue_session, stream_data

LINE = b"SSH-2.0-test\r\n"


@pytest.fixture
def proxy(client: Client) -> Iterator[ObservedProxy]:
    """One that is connected."""
    proxy = ObservedProxy(client)
    assert proxy.stdout.readline().startswith(b"SSH-2.0-"), proxy.log
    proxy.wait_for_log("handshake complete")
    yield proxy
    proxy.stdin.close()


def session_id(proxy: ObservedProxy) -> str:
    return proxy.log.partition("started session ")[2].split()[0]


def assert_alive(proxy: ObservedProxy) -> None:
    """The SSH server begins the key exchange when it has the client's version."""
    proxy.write(LINE)
    assert len(proxy.stdout.read(100)) == 100, proxy.log


def test_credentials_that_expire_are_looked_for_again(client: Client, sandbox: Sandbox) -> None:
    """Those a helper gives are refused when the connection is lost; by and by it gives better ones."""
    key, calls = sandbox.credentials, client.directory / "calls"
    helper = client.directory / "helper"
    helper.touch(mode=0o700)
    found = {
        "Version": 1,
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
        "SessionToken": key.session_token,
    }
    helper.write_text(f"#!/bin/sh\necho called >> {calls}\necho '{json.dumps(found)}'\n")
    config = client.directory / "config"
    config.write_text(f"[profile helped]\ncredential_process = {helper}\n")
    client.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    proxy = ObservedProxy(client, "--profile", "helped")
    assert proxy.stdout.readline().startswith(b"SSH-2.0-"), proxy.log
    called_at_first = calls.read_text().count("called")
    with sandbox.faults.during("expired-credentials"):
        sandbox.faults.set("cut", session_id(proxy))
        proxy.wait_for_log("ExpiredToken")
    proxy.wait_for_log("resumed after")
    assert calls.read_text().count("called") > called_at_first
    assert_alive(proxy)
    proxy.stdin.close()
    assert proxy.wait() == 0


def test_what_may_not_be_resumed_ends_with_the_permission_it_lacks(proxy: ObservedProxy, sandbox: Sandbox) -> None:
    with sandbox.faults.during("access-denied"):
        sandbox.faults.set("cut", session_id(proxy))
        assert proxy.wait() == 5
    assert "ssm:ResumeSession" in proxy.line
    assert "lost and cannot be resumed" in proxy.line
    assert proxy.line.count("\n") == 1
    assert b"ssmssh-proxy" not in proxy.stdout.read(), "no word of ours behind the far side's first byte"


def test_a_session_that_is_gone_is_told_as_that(proxy: ObservedProxy, sandbox: Sandbox) -> None:
    with sandbox.faults.during("resume-expired"):
        sandbox.faults.set("cut", session_id(proxy))
        assert proxy.wait() == 7
    assert "i-0123456789abcdef0 in us-east-1" in proxy.line


def test_the_end_of_the_session_while_the_connection_is_lost(proxy: ObservedProxy, sandbox: Sandbox) -> None:
    with sandbox.faults.during("resume-error"):
        sandbox.faults.set("cut", session_id(proxy))
        proxy.wait_for_log("not resumed")
        sandbox.faults.set("session-terminated-elsewhere", session_id(proxy))
        wait_until(lambda: not [s for s in sandbox.sessions() if s.is_open], "the end of the session")
    assert proxy.wait() == 7


def wait_for_resume(proxy: ObservedProxy, count: int) -> None:
    wait_until(lambda: proxy.log.count("resumed after") == count, "the resume", explain=lambda: proxy.log)


def test_hourly_closes(client: Client, sandbox: Sandbox) -> None:
    """Two days of them, with a few words in each hour; nothing grows."""
    with echo_server() as port:
        sandbox.open_port(2224, port)
        proxy = ObservedProxy(client, port=2224)
        size = 0, 0
        for hour in range(1, 49):
            words = b"it is %d o'clock\n" % hour
            proxy.write(words)
            assert proxy.stdout.readline() == words
            if hour == 2:  # after a resume; its thread may still be about to end
                wait_until(lambda: proxy.threads() == 3, "the loop, stdin and stdout")
                size = proxy.descriptors(), 3
            sandbox.faults.set("bye", session_id(proxy))
            wait_for_resume(proxy, hour)
        assert proxy.log.count("(1000): Bye") == 48
        wait_until(lambda: (proxy.descriptors(), proxy.threads()) == size, "what there was in the second hour")
        proxy.stdin.close()
        assert proxy.wait() == 0


@pytest.fixture
def faked_time(client: Client) -> Path:
    """The file that says how far the wall clock of what runs under faketime is ahead."""
    assert shutil.which("faketime"), "this test needs Debian's package faketime"
    path = client.directory / "ahead"
    path.write_text("+0\n")
    client.environment |= {
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    return path


def start_under_faketime(client: Client) -> ObservedProxy:
    library = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))
    client.environment["LD_PRELOAD"] = str(library)
    try:
        proxy = ObservedProxy(client)
    finally:
        del client.environment["LD_PRELOAD"]
    assert proxy.stdout.readline().startswith(b"SSH-2.0-"), proxy.log
    return proxy


def wake_up(faked_time: Path, slept_seconds: int) -> None:
    new = faked_time.with_suffix(".new")
    new.write_text(f"+{slept_seconds}s\n")
    new.rename(faked_time)


def test_a_machine_that_has_slept_tests_the_connection(client: Client, faked_time: Path, sandbox: Sandbox) -> None:
    """The monotonic clock has stood still, as Linux's does: only the wall clock tells."""
    proxy = start_under_faketime(client)
    wake_up(faked_time, 120)
    proxy.wait_for_log("stood still")
    assert_alive(proxy)
    assert "lost the connection" not in proxy.log
    sandbox.faults.set("half-open", session_id(proxy))
    wake_up(faked_time, 240)
    proxy.wait_for_log("resumed after")
    assert proxy.log.count("stood still") == 2
    proxy.stdin.close()
    assert proxy.wait() == 0


@pytest.mark.parametrize(
    "answer", [b"", b"<html>Log in to the network</html>", b'{"SessionId": "rogue-', b'{"SessionId": "another"}']
)
def test_an_answer_that_says_nothing_ends_no_session(client: Client, answer: bytes) -> None:
    """Something answers ResumeSession in the place of the service, and then the service does."""
    goes_away = threading.Event()
    connections: list[RogueAgent] = []

    def behave(agent: RogueAgent) -> None:
        connections.append(agent)
        if len(connections) == 1:
            agent.shake_hands()
            agent.say(LINE)
            goes_away.wait(ANSWER_SECONDS)
        else:
            agent.connection.recv(timeout=ANSWER_SECONDS)
            agent.connection.send(stream_data(3, LINE))
            agent.hear()  # that it was all

    with rogue_session(behave) as api:
        proxy = ObservedProxy(client, "--endpoint-url", api.url)
        assert proxy.stdout.readline() == LINE
        right, api.body = api.body, answer
        goes_away.set()
        wait_until(lambda: proxy.log.count("not resumed") > 1, "attempts", explain=lambda: proxy.log)
        api.body = right
        assert proxy.stdout.readline() == LINE
        proxy.stdin.close()
        assert proxy.wait() == 0
