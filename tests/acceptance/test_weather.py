"""ssh transfers while things go wrong underneath: every byte arrives, once and in order, and the session goes on."""

from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client, digest, payload


@pytest.mark.parametrize(
    "faults",
    [
        ["cut:bytes=500000,times=3"],
        ["cut:bytes=500000", "resume-error:times=2"],
        ["bye:bytes=500000,times=2"],
        ["half-open:bytes=500000"],
    ],
    ids=" ".join,
)
def test_an_upload_over_lost_connections(client: Client, sandbox: Sandbox, faults: list[str]) -> None:
    data = payload(2_000_000)
    with sandbox.faults.during(*faults):
        done = client.run("ssh", EC2_HOST, "sha256sum", stdin=data)
    assert done.stdout.split()[0].decode() == digest(data)
    assert b"ssmssh-proxy" not in done.stderr
    assert sandbox.sessions()[-1].opens > 1


@pytest.mark.parametrize(
    "fault",
    [
        "pause:bytes=500000,times=2",
        "agent-cut:bytes=500000,orderly=1",
        "agent-cut:bytes=500000,double=0",
        "garbage:bytes=500000,count=20",
        "loss:0.01",
        "ack-loss:0.05",
        "duplicate:0.2",
        "reorder:0.2",
        "delay:seconds=0.05,jitter=0.05",
        "slow-agent-start:seconds=2",
        "oversize-refused:4096",
    ],
)
def test_both_ways_on_a_bad_line(client: Client, sandbox: Sandbox, fault: str) -> None:
    data = payload(1_500_000)
    with sandbox.faults.during(fault):
        done = client.run("ssh", EC2_HOST, "cat", stdin=data)
    assert digest(done.stdout) == digest(data)
    assert b"ssmssh-proxy" not in done.stderr


def test_what_cannot_be_resumed_ends_with_the_reason(client: Client, sandbox: Sandbox) -> None:
    with sandbox.faults.during("cut:bytes=500000", "resume-expired"):
        done = client.run("ssh", EC2_HOST, "cat", stdin=payload(2_000_000), status=255)
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("ssmssh-proxy: ")]
    assert len(lines) == 1
    assert EC2_HOST in lines[0]


def test_at_the_pace_of_the_real_agent(client: Client, temporary_directory: Path) -> None:
    """A kilobyte a millisecond at most, and what a cut connection loses is sent again once every 100 ms."""
    data = payload(500_000)
    with Sandbox(faults=["cut:bytes=400000"]) as paced:
        done = Client(paced.environment, client.directory).run("ssh", EC2_HOST, "cat", stdin=data)
        assert digest(done.stdout) == digest(data)
        (session,) = paced.sessions()
        assert (session.opens, session.is_open) == (2, False)
