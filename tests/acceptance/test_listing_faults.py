"""Whatever goes wrong with the calls of AWS, and every command that lists or looks up: its status and one line."""

import signal
import subprocess
from collections.abc import Sequence

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import PATIENCE_SECONDS, Client, Terminal, end, wait_until
from tests.acceptance.test_names import LISTING, VILLAGE, sandbox, village, villager

__all__ = ["sandbox", "village", "villager"]

COMMANDS = {
    "list": ["ssmssh", "list", "-q", "Solo"],
    "pick": ["ssmssh", "pick", "Solo"],
    "proxy": ["ssmssh-proxy", "--by", "name", "solo", "22"],
    "host add": ["ssmssh", "host", "add", "--config-file", "config", "--user", "root", "--dry-run", "box", "Solo"],
}
OF_LISTINGS = {"list", "pick"}
"""These are patient for two minutes, which is a test of its own."""

FINE = dict.fromkeys(COMMANDS, 0)
STATUSES: list[tuple[list[str], dict[str, int]]] = [
    ([], FINE),
    (["throttle:every=2"], FINE),
    (["throttle"], {"proxy": 6, "host add": 6}),
    (["internal-error:every=2"], FINE),
    (["internal-error"], {"proxy": 6, "host add": 6}),
    (["expired-credentials"], dict.fromkeys(COMMANDS, 3)),
    (["deny:ssm:*", "deny:ec2:*"], dict.fromkeys(COMMANDS, 5)),
    ([f"deny:{LISTING}", "deny:ssm:DescribeInstanceInformation"], FINE),
    ([f"error:{LISTING}/UnknownOperationException"], FINE),
    ([f"error:{LISTING}/ValidationException"], dict.fromkeys(COMMANDS, 2)),
    ([f"slow:{LISTING},seconds=1"], FINE),
    (["empty-pages"], FINE),
    (["target-not-connected"], FINE | {"proxy": 4}),
    (["access-denied"], FINE | {"proxy": 5}),
    (["forbidden"], FINE | {"proxy": 5}),
    (["invalid-document"], FINE | {"proxy": 2}),
]


@pytest.mark.parametrize(("faults", "statuses"), STATUSES, ids=lambda each: " ".join(each) or "none")
def test_every_fault(villager: Client, village: Sandbox, faults: Sequence[str], statuses: dict[str, int]) -> None:
    (villager.directory / "config").write_text("Host gate\n    User me\n")
    with village.faults.during(*faults):
        running = {name: villager.start(*COMMANDS[name], stdin=subprocess.DEVNULL) for name in statuses}
        done = {name: process.communicate(timeout=PATIENCE_SECONDS) for name, process in running.items()}
    assert {name: process.returncode for name, process in running.items()} == statuses, done
    for name, (out, error) in done.items():
        assert b"Traceback" not in error
        if statuses[name]:
            assert len(error.splitlines()) == 1, error
            assert error.startswith(f"{COMMANDS[name][0]}: ".encode())
            assert b"; " in error  # what to do
        elif name in OF_LISTINGS:
            assert out.decode().split() == [VILLAGE[0].instance_id]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["list", "pick"])
def test_a_signal(villager: Client, village: Sandbox, command: str, number: signal.Signals) -> None:
    """While calls are being refused: at once, with the signal's status and one line."""
    with village.faults.during("throttle"):
        before = village.count_calls(LISTING)
        process = villager.start(*COMMANDS[command], stdin=subprocess.DEVNULL)
        wait_until(lambda: village.count_calls(LISTING) > before + 1, "a call to be made again")
        assert end(process, number) == 128 + number
    assert process.stdout is not None
    assert process.stderr is not None
    said = b"interrupted" if number == signal.SIGINT else f"ended by {number.name}".encode()
    assert (process.stdout.read(), process.stderr.read()) == (b"", b"ssmssh: " + said + b"\n")


@pytest.mark.parametrize("fault", ["internal-error", "throttle"])
def test_a_person_sees_that_calls_fail(villager: Client, village: Sandbox, fault: str) -> None:
    code = {"internal-error": b"InternalServerError", "throttle": b"ThrottlingException"}[fault]
    with village.faults.during(fault), Terminal(villager, "ssmssh", "list", columns=160) as terminal:
        terminal.expect(b"0 of 1 region, 0 instances; us-east-1: " + code + b", trying again")
        terminal.type(b"\x03")
        assert terminal.wait() == 128 + signal.SIGINT
        assert terminal.seen.endswith(b"ssmssh: interrupted\r\n")


def test_what_was_seen_is_gone_when_it_has_helped(villager: Client, village: Sandbox) -> None:
    with village.faults.during("throttle:times=3"), Terminal(villager, *COMMANDS["list"], columns=160) as terminal:
        terminal.expect(b"ThrottlingException, trying again")
        assert terminal.wait() == 0
        assert b"\r\x1b[K" + VILLAGE[0].instance_id.encode() in terminal.seen
        assert b"trying again" not in terminal.seen.rpartition(VILLAGE[0].instance_id.encode())[2]
