"""Hostile names are refused before anything happens; secrets stay where they belong; files are their owner's."""

import os
import re
import signal
import stat
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client, wait_until
from tests.acceptance.rogue import TOKEN, rogue_api
from tests.session.observed import ObservedProxy
from tests.session.rogueagent import RogueAgent, rogue_session

HOSTILE_HOSTS = (
    "i-$(touch canary)",
    "i-`touch canary`",
    "i-0123456789abcdef0;touch canary",
    "i-0123456789abcdef0|touch canary",
    "i-0123456789abcdef0\ntouch canary",
    "i-0123456789abcdef0 canary",
    "i-0123456789abcdef0'",
    'i-0123456789abcdef0"',
    "i-0123456789abcdef0%h",
    "i-" + "0" * 10_000,
    "i-0123456789abcdef0." + "a" * 10_000,
    "i-0123456789abcdef0" + ".a" * 5_000,
    "i-0123456789\u0430bcdef0",  # a Cyrillic letter
    "\u0456-0123456789abcdef0",
    "i-\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19abcdef0",
    "i\u20100123456789abcdef0",  # a hyphen, but not that one
    "i-0123456789abcdef0\u200b",
    "i-0123456789abcdef0.eu-west-1.eu-west-1",
    "i-0123456789abcdef0.no-such-1",
    "i-0123456789abcdef0.nobody",
    "i-0123456789abcdef0.../../etc/passwd",
    "../i-0123456789abcdef0",
)

HOSTILE_OPTIONS = ("-oProxyCommand=touch canary", "--endpoint-url=http://example.com", "-v", "--")


@pytest.fixture
def watched(client: Client) -> Client:
    """A client whose credential helper would leave a trace: the file ``canary``."""
    helper = client.directory / "helper"
    helper.touch(mode=0o700)
    helper.write_text("#!/bin/sh\ntouch canary\nexit 1\n")
    config = client.directory / "config"
    config.write_text(f"[default]\nregion = us-east-1\ncredential_process = {helper}\n")
    client.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return client


@pytest.mark.parametrize("host", [*HOSTILE_HOSTS, *HOSTILE_OPTIONS], ids=lambda host: ascii(host)[:40])
def test_a_hostile_host_is_refused_before_anything_happens(watched: Client, host: str) -> None:
    with rogue_api() as api:
        watched.environment["AWS_ENDPOINT_URL"] = api.url
        done = watched.run("ssmssh-proxy", host, "22", status=2)
    assert api.calls == []
    assert not (watched.directory / "canary").exists()
    line = done.stderr.decode()
    assert line.count("\n") == 1
    assert len(line) < 500
    assert "\u200b" not in line


@pytest.mark.parametrize("host", HOSTILE_HOSTS, ids=lambda host: ascii(host)[:40])
def test_a_hostile_host_given_to_ssh(client: Client, sandbox: Sandbox, host: str) -> None:
    """ssh puts it into a shell's command: refusing it there is ssh's part, and what gets through is ours."""
    before = len(sandbox.sessions())
    client.run("ssh", "-o", "ProxyCommand=ssmssh-proxy %h %p", "--", host, "true", status=255)
    assert len(sandbox.sessions()) == before
    assert not (client.directory / "canary").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--profile", "nobody"), ("--profile", "../x"), ("--region", "no where"), ("--region", "x.example.com/")],
)
def test_a_profile_or_region_that_cannot_be(watched: Client, option: str, value: str) -> None:
    with rogue_api() as api:
        watched.environment["AWS_ENDPOINT_URL"] = api.url
        watched.run("ssmssh-proxy", option, value, EC2_HOST, "22", status=2)
    assert api.calls == []
    assert not (watched.directory / "canary").exists()


def secrets(sandbox: Sandbox) -> list[bytes]:
    key = sandbox.credentials
    return [key.secret_access_key.encode(), key.session_token.encode(), TOKEN.encode(), b"Signature="]


def assert_silent(text: bytes, sandbox: Sandbox) -> None:
    """Say where a secret is, but not the text: this goes into logs, too."""
    found = [match.start() for secret in secrets(sandbox) if (match := re.search(re.escape(secret), text))]
    assert not found, f"a secret at {found}"


def test_no_secret_in_process_log_or_journal(client: Client, sandbox: Sandbox) -> None:
    """Of a session that starts, is cut, resumes, and ends with an error, with everything logged."""

    def behave(agent: RogueAgent) -> None:
        agent.shake_hands()
        agent.say(b"SSH-2.0-rogue\r\n")
        agent.hear()
        agent.connection.close(1011, f"the reason repeats {TOKEN}"[:120])

    with rogue_session(behave) as api:
        proxy = ObservedProxy(client, "-v", "--endpoint-url", api.url)
        assert proxy.stdout.readline() == b"SSH-2.0-rogue\r\n"
        process = Path(f"/proc/{proxy.process.pid}")
        assert_silent((process / "cmdline").read_bytes(), sandbox)
        assert_silent((process / "environ").read_bytes(), sandbox)
        entries = list((sandbox.directory / "ssmssh" / "state").rglob("*.json"))
        assert entries
        for entry in entries:
            assert_silent(entry.read_bytes(), sandbox)
        api.refuse("ValidationException", f"the answer repeats {TOKEN}")
        proxy.write(b"SSH-2.0-test\r\n")
        proxy.wait_for_log("not resumed")
        proxy.process.send_signal(signal.SIGTERM)
        proxy.wait()
    assert "lost the connection" in proxy.log


def test_children_are_given_no_secret(client: Client, sandbox: Sandbox) -> None:
    """A credential helper sees the environment that we were given, and none of what we know."""
    helper = client.directory / "helper"
    key = sandbox.credentials
    helper.touch(mode=0o700)
    helper.write_text(
        "#!/bin/sh\n"
        f"tr '\\0' '\\n' < /proc/$$/environ > {client.directory}/seen\n"
        f"cat /proc/$$/cmdline /proc/$PPID/cmdline >> {client.directory}/seen\n"
        f"ls -l /proc/$$/fd > {client.directory}/descriptors\n"
        'echo \'{"Version": 1, "AccessKeyId": "' + key.access_key_id + '", "SecretAccessKey": "'
        + key.secret_access_key + '", "SessionToken": "' + key.session_token + "\"}'\n"
    )  # fmt: skip
    config = client.directory / "config"
    config.write_text(f"[profile helped]\ncredential_process = {helper}\n")
    client.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    proxy = ObservedProxy(client, "--profile", "helped")
    assert proxy.stdout.readline().startswith(b"SSH-2.0-")
    with sandbox.faults.during("expired-credentials"):  # so that the helper is called once more, by one who knows
        sandbox.faults.set("cut", proxy.log.partition("started session ")[2].split()[0])
        proxy.wait_for_log("not resumed")
    proxy.wait_for_log("resumed after")
    assert_silent((client.directory / "seen").read_bytes(), sandbox)
    descriptors = (client.directory / "descriptors").read_text()
    assert "socket:" not in descriptors, "the SSH stream and the connections are not inherited"
    proxy.stdin.close()
    assert proxy.wait() == 0


def test_what_is_written_is_its_owner_s(client: Client, tmp_path: Path) -> None:
    """Whatever the umask: cache, journal, log."""
    home = tmp_path / "home"
    client.environment["SSMSSH_HOME"] = str(home)
    command = 'umask 0; exec "$@"'
    proxy = ObservedProxy(client, before=("sh", "-c", command, "sh"))
    assert proxy.stdout.readline().startswith(b"SSH-2.0-")
    done = client.run("sh", "-c", command, "sh", "ssmssh-proxy", f"{EC2_HOST}.nowhere", "22", status=2)
    assert b"(log: " in done.stderr
    made = [path for path in home.rglob("*") if path.name != "environment"]
    assert {path.parent.name for path in made if path.is_file()} >= {"sessions", "log"}
    for path in made:
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == (0o700 if path.is_dir() else 0o600), path
    limits = Path(f"/proc/{proxy.process.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE), "a core file would hold the token"
    proxy.stdin.close()
    assert proxy.wait() == 0


def test_representations_are_silent() -> None:
    from ssmssh.aws.answers import StartedSession
    from ssmssh.protocol.channel import DataChannel
    from ssmssh.protocol.expectation import ONE_CONNECTION
    from ssmssh.protocol.payloads import OpenDataChannelInput

    opening = OpenDataChannelInput(token=TOKEN, client_id="c", request_id="r", client_version="1.2.3.4")
    started = StartedSession("session", TOKEN, f"wss://ssmmessages/?token={TOKEN}")
    channel = DataChannel(client_id="c", expectation=ONE_CONNECTION)
    channel.open(TOKEN, 0, 0)
    for thing in (opening, started, channel, channel.statistics):
        assert TOKEN not in repr(thing)
        assert TOKEN not in str(thing)


def test_a_failure_tells_no_secret(client: Client, sandbox: Sandbox) -> None:
    for fault in ("access-denied", "expired-credentials", "forbidden", "internal-error"):
        with sandbox.faults.during(fault):
            done = client.run("sh", "-c", f"ssmssh-proxy -v --wait 1 {EC2_HOST} 22 2>&1; true")
        assert done.stdout
        assert_silent(done.stdout, sandbox)
    logs = list((sandbox.directory / "ssmssh" / "log").glob("*.log"))
    assert logs
    for log in logs:
        assert_silent(log.read_bytes(), sandbox)
    wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of all sessions")
