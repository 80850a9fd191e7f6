"""Sandboxes with more than the usual three instances, and who asks in them."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.sandbox import Instance, Sandbox, generate
from tests import leaks
from tests.complaints import Complaints
from tests.inside import inside

REGION, OTHER_REGION = "us-east-1", "eu-west-1"

WEB, DB, OFFICE = "i-0123456789abcdef0", "i-0fedcba9876543210", "mi-0123456789abcdef0"
"""What is always there, in `REGION` and the profile ``sandbox``."""

TOWN = (
    Instance("i-00000000000000001", "Front_1", "10.0.0.1", tags={"Role": "Front End", "Odd": "a*b?c\\d"}),
    Instance("i-00000000000000002", "front-1", "10.0.0.2", region=OTHER_REGION),
    Instance("i-00000000000000003", "twin", "10.0.0.3", public_address="198.51.100.3", age_seconds=300),
    Instance("i-00000000000000004", "twin", "10.0.0.4", public_address="198.51.100.4", age_seconds=200),
    Instance("i-00000000000000005", "twin", "10.0.0.5", age_seconds=100, ping_status="ConnectionLost"),
    Instance("i-00000000000000006", "twin", "10.0.0.6", state="terminated"),
    Instance("i-00000000000000007", "alike 1", "10.0.0.7"),
    Instance("i-00000000000000008", "Alike/1", "10.0.0.8"),
    Instance("i-00000000000000009", "member", "10.0.0.9", group="fleet 1", age_seconds=50),
    Instance("i-0000000000000000a", "member", "10.0.0.10", group="fleet 1", age_seconds=60),
    Instance("i-0000000000000000b", "bare", "10.0.0.11", managed=False, tags={"Role": "Front End"}),
    Instance("i-0000000000000000c", "stopped", "10.0.0.12", state="stopped", ping_status="ConnectionLost"),
    Instance("i-0000000000000000d", "elsewhere", "10.0.0.13", profile="other", region=OTHER_REGION),
    Instance("i-0000000000000000e", "same address", "10.9.9.9"),
    Instance("i-0000000000000000f", "same address", "10.9.9.9"),
    Instance("i-00000000000000010", WEB, "10.0.0.16"),
    Instance("i-00000000000000011", "10.0.0.3", "10.0.0.17"),
    Instance("i-00000000000000012", "ip-10-0-0-4.ec2.internal", "10.0.0.18", tags={"aws": "asg:fleet 1"}),
    Instance("mi-00000000000000001", "Printer Room", "192.168.7.7", tags={"Role": "print", "Empty": ""}),
    Instance("mi-00000000000000002", "claims", "10.0.0.1", computer_name="ip-10-0-0-2.ec2.internal"),
    Instance("mi-00000000000000003", "azure-1", "192.168.7.9", source="azure", tags={"Role": "Front End"}),
    Instance("mi-00000000000000004", "gcp-1", "192.168.7.10", source="gcp"),
)
"""A few of each kind."""


def started(temporary_directory: Path, instances: list[Instance]) -> Iterator[Sandbox]:
    with leaks.watched(Sandbox(unpaced=True, instances=instances), temporary_directory) as box:
        yield box


@pytest.fixture(scope="session")
def town(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    """A sandbox with the instances of `TOWN`."""
    yield from started(temporary_directory, list(TOWN))


@pytest.fixture(scope="session")
def fleet(temporary_directory: Path, complaints: Complaints) -> Iterator[Sandbox]:
    """A sandbox with 300 instances by the rule, and 2300 more in one account and region."""
    many = generate(2600, regions=[REGION], profiles=["sandbox"])[300:]
    yield from started(temporary_directory, [*generate(300), *many])


ClientMaker = Callable[..., AwsClient]


def maker(box: Sandbox, patch: pytest.MonkeyPatch) -> ClientMaker:
    """Have this process be in `box`; what makes clients there."""
    inside(box, patch)

    def make(profile: str | None = "sandbox", region: str | None = REGION) -> AwsClient:
        return AwsClient(AwsSettings(profile=profile, region=region, data_cache=box.directory / "ssmssh" / "cache"))

    return make


@pytest.fixture
def in_town(town: Sandbox, monkeypatch: pytest.MonkeyPatch) -> ClientMaker:
    return maker(town, monkeypatch)


@pytest.fixture
def in_fleet(fleet: Sandbox, monkeypatch: pytest.MonkeyPatch) -> ClientMaker:
    return maker(fleet, monkeypatch)


@contextmanager
def counting(box: Sandbox) -> Iterator[dict[str, int]]:
    """The calls that are made in `box` while the block lasts, by action; filled when it ends."""
    before = Counter({call.action: 0 for call in box.calls()})
    for call in box.calls():
        before[call.action] += call.calls
    made: dict[str, int] = {}
    yield made
    after: Counter[str] = Counter()
    for call in box.calls():
        after[call.action] += call.calls
    made.update(after - before)
