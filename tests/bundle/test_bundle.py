"""OpenSSH's programs, rsync and git over several sessions at a time, and what happens to these."""

import re

import psutil
import pytest

from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, Terminal, digest, payload, wait_until
from tests.bundle.stage import Download, Stage, home_file, kill


def test_one_helper_for_a_connection_and_none_for_the_next(stage: Stage) -> None:
    assert stage.run("echo hello") == b"hello\n"
    first = stage.sessions
    assert len(first) == 2, "the helper's, and one member's"
    assert stage.run("echo again") == b"again\n"
    assert len(stage.sessions) == 3
    assert len(stage.relays) == 1
    assert "one session, not several" not in stage.said


def test_an_upload_needs_one_member(warm: Stage) -> None:
    before, data = len(warm.sessions), payload(6_000_000)
    assert warm.run("sha256sum", stdin=data).split()[0].decode() == digest(data)
    assert len(warm.sessions) == before + 1


def test_what_comes_back_is_what_was_sent(warm: Stage) -> None:
    data = payload(500_000)
    assert digest(warm.run("cat", stdin=data)) == digest(data)


def test_a_shell_has_one_session(warm: Stage) -> None:
    """While somebody types in it, and looks at output that goes on and on: for as long as a download would get more."""
    before = len(warm.sessions)
    with Terminal(warm.client, "ssh", *warm.options, EC2_HOST) as terminal:
        terminal.type(b"PS1='> '; echo in''side\n")
        terminal.expect(b"inside\r\n")
        terminal.type(b"for n in $(seq 40); do seq 300; sleep 0.1; done; echo a''ll\n")
        terminal.expect(b"all\r\n")
        for letter in b"echo typed":
            terminal.type(bytes([letter]))
            terminal.expect(bytes([letter]))
        terminal.type(b"\nexit\n")
        assert terminal.wait() == 0
    assert len(warm.sessions) == before + 1
    assert "another one" not in warm.said[warm.said.rindex("handshake complete") :]


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_members_that_carry_nothing_are_given_back(stage: Stage) -> None:
    download = Download(stage)
    stage.wait_for_members(3)
    (stage.client.directory / "rest").touch()
    wait_until(lambda: len(stage.members) == 1, "a rest", timeout_seconds=120, explain=lambda: stage.said)
    assert stage.said.count("has had nothing to carry") >= 2
    (stage.client.directory / "rest").unlink()
    download.wait_for_more(200_000)
    download.finish()


def test_the_status_and_the_standard_error_of_a_command(warm: Stage) -> None:
    done = warm.client.run("ssh", *warm.options, EC2_HOST, "echo wrong >&2; exit 3", status=3)
    assert done.stderr.endswith(b"wrong\n")


def test_scp_sftp_rsync_and_git(warm: Stage) -> None:
    data = payload(200_000)
    near, far = warm.client.directory, warm.client.directory / "far"
    (near / "up").write_bytes(data)
    far.mkdir()
    warm.client.run("scp", "-q", *warm.options, "up", f"{EC2_HOST}:{far}/copied")
    warm.client.run("scp", "-q", *warm.options, f"{EC2_HOST}:{far}/copied", "down")
    (near / "batch").write_text(f"get {far}/copied fetched\n")
    warm.client.run("sftp", *warm.options, "-b", "batch", EC2_HOST)
    files = near / "many"
    files.mkdir()
    for number in range(30):
        (files / str(number)).write_bytes(payload(2000, number))
    warm.client.run("rsync", "-a", "-e", warm.ssh, "many", f"{EC2_HOST}:{far}")
    warm.client.run("rsync", "-a", "-e", warm.ssh, f"{EC2_HOST}:{far}/many/", "back")
    commit = "git -c user.name=x -c user.email=x@example.com commit -qm x"
    warm.run(f"cd {far}/many && git init -q && git add . && {commit}")
    variables = {"GIT_SSH_COMMAND": warm.ssh}
    warm.client.run("git", "clone", "-q", f"ssh://{EC2_HOST}{far}/many", "clone", variables=variables)
    assert {digest((near / name).read_bytes()) for name in ("down", "fetched")} == {digest(data)}
    for number in range(30):
        assert (near / "back" / str(number)).read_bytes() == payload(2000, number)
        assert (near / "clone" / str(number)).read_bytes() == payload(2000, number)
    assert "one session, not several" not in warm.said


FAULTS = ["cut", "bye", "half-open", "agent-cut:away=0.3,double=1", "pause:away=1", "garbage", "agent-dies:away=0.5"]


@pytest.mark.improper
def test_faults_of_one_member_are_not_noticed(stage: Stage) -> None:
    """One after the other, and the last one ends it; what somebody has ended is another test's."""
    download = Download(stage)
    stage.wait_for_members(2)
    assert re.search(r"1 members, \d+ kB/s: another one", stage.said)
    first = stage.members[0].session_id
    for fault in FAULTS:
        stage.box.faults.set(fault, first)
        download.wait_for_more(500_000)
    wait_until(lambda: first not in {each.session_id for each in stage.members}, "the end of the member")
    download.finish()


@pytest.mark.improper
@pytest.mark.parametrize("fault", ["cut", "agent-cut:away=0.3,double=1", "session-terminated-elsewhere"])
def test_a_fault_of_all_members_is_not_noticed(stage: Stage, fault: str) -> None:
    """An upload, where an agent that lost its connection writes a message twice (protocol.md 15.1)."""
    data = payload(3_000_000)
    with home_file(stage.box, "cut.sh", "head -c 1500000 | sha256sum; touch ~/half; sha256sum; rm ~/half") as script:
        process = stage.client.start("ssh", *stage.options, EC2_HOST, f"sh {script}")
        assert process.stdin is not None
        process.stdin.write(data[:1_500_000])
        process.stdin.flush()
        wait_until((script.parent / "half").exists, "the first half")
        process.stdin.write(data[1_500_000:2_000_000])
        process.stdin.flush()
        for member in stage.members:
            stage.box.faults.set(fault, member.session_id)
        got, said = process.communicate(data[2_000_000:], timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said.decode() + stage.said
    assert [line.split()[0].decode() for line in got.splitlines()] == [
        digest(data[:1_500_000]), digest(data[1_500_000:])
    ]  # fmt: skip


def test_a_relay_that_is_killed_ends_the_connection_with_a_reason(stage: Stage) -> None:
    process = stage.client.start("ssh", *stage.options, EC2_HOST, "echo here; cat")
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    (relay,) = stage.relays
    kill(relay)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 255
    assert b"several" in said or b"relay" in said, said
    assert stage.run("echo again") == b"again\n", "over another relay"


def test_a_proxy_that_is_killed_leaves_nothing(stage: Stage) -> None:
    """The next connection ends what the service still has of it; the relay waits for another member for a while."""
    process = stage.client.start("ssh", *stage.options, EC2_HOST, "echo here; exec cat")
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    (proxy,) = [each for each in psutil.Process(process.pid).children() if "ssmssh-proxy" in " ".join(each.cmdline())]
    kill(proxy)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 255
    assert stage.run("echo again") == b"again\n"
    wait_until(lambda: not stage.members, "the end of its sessions", explain=lambda: stage.said)


def test_a_client_that_leaves_ends_what_it_has_started(stage: Stage) -> None:
    process = stage.client.start("ssh", *stage.options, EC2_HOST, "echo $$; exec cat")
    assert process.stdout is not None
    far = int(process.stdout.readline())
    process.terminate()  # ssh itself; the proxy hears SIGHUP
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_until(lambda: not stage.members, "the end of its sessions", explain=lambda: stage.said)
    (relay,) = stage.relays
    wait_until(
        lambda: not [each for each in relay.net_connections() if each.status != psutil.CONN_LISTEN],
        "the relay's connections",
    )
    wait_until(lambda: not psutil.pid_exists(far), "the end of the command")


@pytest.mark.parametrize(
    "fault", ["throttle", "session-limit:1", pytest.param("access-denied", marks=pytest.mark.soak)]
)
def test_members_that_cannot_be_had_are_missing(stage: Stage, fault: str) -> None:
    download = Download(stage)
    stage.wait_for_members(1)
    with stage.box.faults.during(fault):
        wait_until(
            lambda: "member 2 has left: " in stage.said,
            "a member that is refused",
            timeout_seconds=PATIENCE_SECONDS,
            explain=lambda: stage.said,
        )
        download.finish()
    assert len(stage.sessions) == 2, "a helper's, and the first member's"


@pytest.mark.parametrize(
    "is_policy",
    [pytest.param(False, id="somebody", marks=pytest.mark.soak), pytest.param(True, id="a policy")],
)
def test_a_member_that_somebody_ends_stops_growth(stage: Stage, is_policy: bool) -> None:
    """For an hour, and for the connections of the same identity that come after."""
    download = Download(stage)
    stage.wait_for_members(1)
    if is_policy:
        stage.box.faults.set("ends-oldest:1")
    else:
        stage.wait_for_members(2)
        stage.box.faults.set("session-terminated-elsewhere", stage.members[0].session_id)
    try:
        wait_until(
            lambda: "no other is added for an hour" in stage.said,
            "the end of growth",
            timeout_seconds=PATIENCE_SECONDS,
            explain=lambda: stage.said,
        )
        download.wait_for_more(200_000)
        download.finish()
        before = len(stage.sessions)
        assert len(stage.run("head -c 2500000 /dev/zero")) == 2_500_000
    finally:
        stage.box.faults.clear("ends-oldest")
    assert len(stage.sessions) == before + 1


@pytest.mark.parametrize("stage_of_life", ["no agent yet", pytest.param("no proof yet", marks=pytest.mark.soak)])
def test_a_member_that_somebody_ends_before_it_carries_stops_growth_too(stage: Stage, stage_of_life: str) -> None:
    download = Download(stage)
    stage.wait_for_members(1)
    if stage_of_life == "no agent yet":
        stage.box.faults.set("slow-agent-start:30")  # it is waited for, but not so long
        wait_until(lambda: len(stage.members) == 2, "a second member", explain=lambda: stage.said)
    else:
        wait_until(lambda: "another one" in stage.said, "a second member", explain=lambda: stage.said)
        (relay,) = stage.relays
        relay.suspend()
        wait_until(lambda: stage.said.count("handshake complete") == 3, "its session", explain=lambda: stage.said)
    try:
        stage.box.faults.set("session-terminated-elsewhere", stage.members[-1].session_id)
        wait_until(lambda: "member 2 has left" in stage.said, "its end", explain=lambda: stage.said)
    finally:
        stage.box.faults.clear("slow-agent-start")
        for relay in stage.relays:
            relay.resume()
    wait_until(lambda: "no other is added for an hour" in stage.said, "the end of growth", explain=lambda: stage.said)
    download.finish()


class TestPlain:
    """Where a bundle cannot be had there is a connection, and the reason, once."""

    def reason(self, stage: Stage) -> str:
        assert stage.run("echo hello") == b"hello\n"
        lines = {line.partition(" ")[2] for line in stage.said.splitlines() if "one session, not several" in line}
        assert len(lines) == 1, stage.said
        assert not stage.relays
        return lines.pop()

    def test_no_python(self, stage: Stage) -> None:
        (stage.client.directory / "bin").mkdir()
        for program in ("sh", "true"):
            (stage.client.directory / "bin" / program).symlink_to(f"/bin/{program}")
        with home_file(stage.box, ".bashrc", f"PATH={stage.client.directory}/bin\n"):
            assert "no Python" in self.reason(stage)
            before = len(stage.sessions)
            assert stage.run("echo hello") == b"hello\n"
        assert len(stage.sessions) == before + 1, "it is remembered"

    def test_a_port_that_no_document_lets_through(self, stage: Stage) -> None:
        """It may be any, so that of the relay is not."""
        with stage.box.faults.during(f"one-port:{stage.port}"):
            assert stage.run("echo hello") == b"hello\n"
        stage.end_relays()
        before = len(stage.sessions)
        line = self.reason(stage)
        assert "not reached" in line
        assert "portNumber" in line
        assert len(stage.sessions) == before + 1, "it is remembered"

    def test_a_profile_that_takes_its_time(self, stage: Stage) -> None:
        flag = stage.client.directory / "slow"
        flag.touch()
        with home_file(stage.box, ".bashrc", f"[ -e {flag} ] && rm {flag} && exec sleep 7\n"):
            assert "took more than 6 s" in self.reason(stage)

    def test_port_22_of_a_sandbox(self, stage: Stage) -> None:
        """Where a relay would reach the server of this very machine."""
        stage.port = 22
        assert "in a sandbox port 22 is no relay's" in self.reason(stage)
        assert len(stage.sessions) == 1, "nothing is started there"

    def test_no_login_name(self, stage: Stage) -> None:
        stage.proxy = stage.proxy.removesuffix(' "%r"')
        assert '"%r"' in self.reason(stage)

    def test_a_log_in_that_is_refused(self, stage: Stage) -> None:
        """As where the outer ssh is given a key by hand, or asks for a password."""
        directory = stage.client.directory / "bin"
        directory.mkdir()
        ssh = directory / "ssh"
        ssh.write_text('#!/bin/sh\necho "user@host: Permission denied (publickey,password)." >&2\nexit 255\n')
        ssh.chmod(0o755)
        stage.proxy = f"/usr/bin/env PATH={directory}:/usr/bin:/bin {stage.proxy}"
        assert "a key that asks nothing" in self.reason(stage)

    def test_one_session_is_plain(self, stage: Stage) -> None:
        stage.proxy = stage.proxy.replace("--sessions 8", "--sessions 1")
        assert stage.run("echo hello") == b"hello\n"
        assert len(stage.sessions) == 1
        assert "several" not in stage.said


def test_a_banner_of_the_profile_is_no_hindrance(stage: Stage) -> None:
    with home_file(stage.box, ".bashrc", "echo Welcome to this instance\n"):
        assert stage.run("echo hello") == b"Welcome to this instance\nhello\n"
    assert "several" not in stage.said
    assert len(stage.relays) == 1


@pytest.mark.parametrize(("option", "variable", "sessions"), [("8", "1", 1), ("1", "8", 2)])
def test_the_variable_beats_the_option(stage: Stage, option: str, variable: str, sessions: int) -> None:
    stage.proxy = stage.proxy.replace("--sessions 8", f"--sessions {option}")
    stage.client.environment["SSMSSH_SESSIONS"] = variable
    assert stage.run("echo hello") == b"hello\n"
    assert len(stage.sessions) == sessions


@pytest.mark.parametrize("number", ["17", "x"])
def test_a_number_of_sessions_that_is_none(stage: Stage, number: str) -> None:
    stage.client.environment["SSMSSH_SESSIONS"] = number
    done = stage.client.run("ssh", *stage.options, EC2_HOST, "true", status=255)
    assert b"is no number of sessions from 1 to 16" in done.stderr
