"""``ssmssh sync`` and ``host add`` under every fault that a call of theirs can have, and when they are interrupted."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Instance, Sandbox
from tests.acceptance.clients import Client, Terminal, wait_until
from tests.complaints import Complaints
from tests.nodes.conftest import DB, OTHER_REGION, REGION, WEB, counting, started

PROPERTIES, INFORMATION = "ssm:DescribeInstanceProperties", "ssm:DescribeInstanceInformation"
EC2, STS = "ec2:DescribeInstances", "sts:GetCallerIdentity"
PLACES = ("--region", f"{REGION},{OTHER_REGION}")
USERS = b"Host gate\n    User me\n"

HAMLET = (
    Instance("i-000000000aaaaaaa1", "mix", "10.0.0.1", tags={"Role": "print"}),
    Instance("i-000000000bbbbbbb2", "mix", "10.0.0.2", state="stopped", ping_status="ConnectionLost"),
    Instance("i-00000000000000003", "west", "10.0.0.3", region=OTHER_REGION),
    Instance("i-00000000000000004", "bare", "10.0.0.4", managed=False),
    Instance("mi-00000000000000005", "printer", "192.168.7.7", tags={"Role": "print"}),
)
NAMES = {"mix-aaaaaaa1", "mix-bbbbbbb2", "web-1", "db-1", "on-prem-1", "printer"}
"""In the usual region."""


@pytest.fixture(scope="module")
def hamlet(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    yield from started(temporary_directory, list(HAMLET))


@pytest.fixture
def client(hamlet: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(hamlet.environment | {"SSMSSH_HOME": str(tmp_path / "home")}, tmp_path)
    (tmp_path / "config").write_bytes(USERS)
    (tmp_path / "config").chmod(0o600)
    yield client
    client.close()


def config_of(client: Client) -> Path:
    return client.directory / "config"


def sync(client: Client, *words: str, status: int = 0) -> str:
    return client.run(
        "ssmssh", "sync", "--yes", "--config-file", config_of(client), *words, status=status
    ).stderr.decode()


def add(client: Client, target: str = WEB, status: int = 0) -> str:
    words = ("--yes", "--config-file", config_of(client), "mine", target)
    return client.run("ssmssh", "host", "add", *words, status=status).stderr.decode()


def names(client: Client) -> set[str]:
    lines = config_of(client).read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith("Host ")} - {"gate"}


# -- listings that are not complete ------------------------------------------------------------------------------------


@pytest.mark.parametrize("denied", [[PROPERTIES], [PROPERTIES, EC2], [PROPERTIES, INFORMATION]])
def test_nothing_is_renamed_or_removed_for_an_incomplete_listing(
    client: Client, hamlet: Sandbox, denied: list[str]
) -> None:
    sync(client, "--user", "root")
    before = config_of(client).read_bytes()
    assert names(client) == NAMES
    with hamlet.faults.during(*[f"deny:{action}" for action in denied]):
        said = sync(client, "--user", "root")
        assert "us-east-1 was not listed whole" in said
        assert "Nothing to change." in said
        said = sync(client, "--user", "root", "name:nothing of that name", status=5 if EC2 in denied else 0)
        assert ("whether further instances pass the filters is not known" in said) == (EC2 in denied)
    assert config_of(client).read_bytes() == before


def test_an_instance_that_only_ec2_tells_of_is_not_written(client: Client, hamlet: Sandbox) -> None:
    with hamlet.faults.during(f"deny:{PROPERTIES}", f"deny:{INFORMATION}"):
        assert "which instances can be reached" in sync(client)
    assert config_of(client).read_bytes() == USERS


def test_what_may_not_be_known_does_not_pass_and_stays(client: Client, hamlet: Sandbox) -> None:
    sync(client, "tag:Role=print")
    assert names(client) == {"mix-aaaaaaa1", "printer"}  # though only one of the two passes
    before = config_of(client).read_bytes()
    for denied in (EC2, INFORMATION):
        with hamlet.faults.during(f"deny:{denied}"):
            assert "was not listed whole" in sync(client, "tag:Role=print", status=5)
        assert config_of(client).read_bytes() == before


# -- every fault -------------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[list[str], int, str]] = {
    "throttled": (["throttle:every=3"], 0, ""),
    "every second call throttled": (["throttle:every=2"], 0, ""),
    "empty pages": (["empty-pages:every=2"], 0, ""),
    "throttled, with empty pages": (["throttle:every=2", "empty-pages:every=2"], 0, ""),
    "sessions alone refused": (["access-denied", "forbidden", "target-not-connected", "invalid-document"], 0, ""),
    "internal errors": (["internal-error:every=2"], 0, ""),
    "expired": (["expired-credentials"], 3, "expired"),
    "nothing is permitted": (["deny:ssm:*", "deny:ec2:*"], 5, f"ask for {PROPERTIES}"),
    "the account is not told": ([f"deny:{STS}"], 5, f"ask for {STS}"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_sync_under_every_fault(client: Client, hamlet: Sandbox, fault: str) -> None:
    """It writes all, or nothing; and an error is said once for each place."""
    faults, status, said = FAULTS[fault]
    with hamlet.faults.during(*faults):
        shown = sync(client, *PLACES, status=status)
        assert said in shown
    if status:
        assert config_of(client).read_bytes() == USERS
        lines = [line for line in shown.splitlines() if line.startswith("ssmssh: ")]
        assert len(lines) == len(set(lines)) <= 2
    else:
        assert names(client) == {*NAMES, "west"}


@pytest.mark.parametrize("fault", FAULTS)
def test_host_add_under_every_fault(client: Client, hamlet: Sandbox, fault: str) -> None:
    """An id needs nobody's word."""
    with hamlet.faults.during(*FAULTS[fault][0]), counting(hamlet) as calls:
        add(client)
    assert calls == {}
    assert names(client) == {"mine"}


@pytest.mark.parametrize("fault", [each for each in FAULTS if each != "the account is not told"])
def test_host_add_of_a_name_under_every_fault(client: Client, hamlet: Sandbox, fault: str) -> None:
    """It writes what the name means, or nothing."""
    faults, status, said = FAULTS[fault]
    with hamlet.faults.during(*faults):
        shown = add(client, "db-1", status)
    if status:
        assert said in shown
        assert config_of(client).read_bytes() == USERS
    else:
        assert names(client) == {"mine"}
        assert f"HostName {DB}" in config_of(client).read_text()


def test_host_add_says_one_thing_of_a_name_that_cannot_be(client: Client) -> None:
    words = ("--yes", "--config-file", config_of(client), "gate", WEB)
    (line,) = client.run("ssmssh", "host", "add", *words, status=2).stderr.decode().splitlines()
    assert "has a host of that name" in line


def test_a_person_sees_how_far_it_is_and_that_calls_fail(client: Client, hamlet: Sandbox) -> None:
    words = ("ssmssh", "sync", "--yes", "--config-file", str(config_of(client)))
    with hamlet.faults.during("throttle:times=3"), Terminal(client, *words, columns=160) as terminal:
        terminal.expect(b"0 of 1 region, 0 instances; us-east-1: ThrottlingException, trying again")
        terminal.expect(b"0 of 1 region, 6 instances")
        terminal.expect(b"\r\x1b[K")
        assert terminal.wait() == 0
    assert names(client) == NAMES


def test_a_person_sees_that_the_look_for_a_name_fails(client: Client, hamlet: Sandbox) -> None:
    words = ("ssmssh", "host", "add", "--yes", "--config-file", str(config_of(client)), "mine", "db-1")
    with hamlet.faults.during("throttle:times=2"), Terminal(client, *words, columns=160) as terminal:
        terminal.expect(b"looking for 'db-1': ThrottlingException, trying again")
        terminal.expect(b"\r\x1b[Klooking for 'db-1'\r\x1b[K")
        assert terminal.wait() == 0
    assert names(client) == {"mine"}


def test_the_account_is_asked_for_once_and_at_the_pace_that_is_allowed(client: Client, hamlet: Sandbox) -> None:
    with counting(hamlet) as calls:
        sync(client, *PLACES)
    assert calls == {PROPERTIES: 2, STS: 1}
    with counting(hamlet) as calls, hamlet.faults.during("throttle:every=3"):
        assert "Nothing to change." in sync(client, *PLACES)
    assert calls == {PROPERTIES: 2, STS: 2}


def test_one_place_that_fails_is_told_once_and_its_entries_stay(client: Client) -> None:
    sync(client)
    before = config_of(client).read_bytes()
    shown = sync(client, "--region", "af-south-1", status=3)
    assert shown.count("ssmssh: ") == 1
    assert sync(client, "--region", f"af-south-1,{REGION}", status=3).count("ssmssh: ") == 1
    assert config_of(client).read_bytes() == before


def test_places_as_list_has_them(client: Client, hamlet: Sandbox) -> None:
    sync(client, "--all-regions")
    assert names(client) == {*NAMES, "west"}
    with hamlet.faults.during("deny:ec2:DescribeRegions"):
        assert "Nothing to change." in sync(client, "--all-regions")
    sync(client, "--all-regions", "--region", REGION, status=2)
    assert "--region names no region" in sync(client, "--region", "", status=2)
    assert "nobody" in sync(client, "--profile", "nobody", status=2)


# -- interrupted -------------------------------------------------------------------------------------------------------

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def traces(client: Client) -> set[str]:
    """What is beside the config."""
    return {path.name for path in client.directory.iterdir()}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_mid_listing(client: Client, hamlet: Sandbox, number: signal.Signals) -> None:
    words = ("--yes", "--config-file", str(config_of(client)), *PLACES)
    before = traces(client)
    with hamlet.faults.during("throttle"):
        process = client.start("ssmssh", "sync", *words)
        calls = hamlet.count_calls(PROPERTIES)
        wait_until(lambda: hamlet.count_calls(PROPERTIES) > calls, "a call that is being waited for", 60)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    assert config_of(client).read_bytes() == USERS
    assert traces(client) <= {*before, "home"}


@pytest.mark.parametrize("command", ["sync", "host add"])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_at_the_question(client: Client, command: str, number: signal.Signals) -> None:
    words = [*command.split(), "--config-file", str(config_of(client)), *(["mine", WEB] if command != "sync" else [])]
    with Terminal(client, "ssmssh", *words, columns=200) as terminal:
        terminal.expect(b"Write this? [Y/n]: ")
        os.kill(terminal.pid, number)
        terminal.type(b"y\n")  # should the signal come just before Python reads, this wakes it up
        assert terminal.wait() == 128 + number
    assert config_of(client).read_bytes() == USERS


def test_two_at_the_same_time(client: Client) -> None:
    """As cron starts them when one takes long: both end well, and the file is what one alone writes."""
    sync(client, *PLACES)
    alone = config_of(client).read_bytes()
    words = ("--yes", "--config-file", str(config_of(client)), *PLACES)
    config_of(client).write_bytes(USERS)
    both = [client.start("ssmssh", "sync", *words) for _ in range(2)]
    ended = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert config_of(client).read_bytes() == alone
    assert sorted(b"Written: " in stderr for _, stderr in ended) == [False, True]
