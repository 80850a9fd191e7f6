"""What ``ssmssh sync`` keeps, writes, prunes and refuses, decided from listings alone."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssmssh.commands.sync import Found, _edited
from ssmssh.nodes.naming import parse_template
from ssmssh.nodes.node import Node
from ssmssh.sshconfig import install
from ssmssh.sshconfig.document import SYNC
from ssmssh.sshconfig.entries import Entry
from ssmssh.sshconfig.hosts import Edited, HostsJob
from ssmssh.sshconfig.options import EntryOptions
from ssmssh.sshconfig.places import place_of
from tests.sshconfig.home import Home
from tests.sshconfig.test_other_parsers import by_asyncssh, by_libssh, by_npm, by_paramiko, by_ssh

ACCOUNT, OTHER = "123456789012", "210987654321"
HERE, THERE = "us-east-1", "eu-west-1"
CONFIG = b"Host gate web-9\n    User me\n\nHost db-*\n    ProxyJump gate\n"


def node(number: int, name: str, region: str = HERE) -> Node:
    return Node(instance_id=f"i-{number:017x}", name=name, region=region, profile="prod")


def found(nodes: Iterable[Node], *, account: str = ACCOUNT, region: str = HERE, is_complete: bool = True) -> Found:
    return Found(account, region, list(nodes), is_complete)


def edited(there: Iterable[Entry], *listings: Found, template: str = "{Name}") -> Edited:
    options = EntryOptions(user="ec2-user")
    return _edited(list(there), lambda _: "", found=listings, template=parse_template(template), options=options)


def names(entries: Iterable[Entry]) -> dict[str, str]:
    return {entry.name: entry.target for entry in entries}


A, B, C = (f"i-{number:017x}" for number in (1, 2, 3))
FIRST = edited([], found([node(1, "web"), node(2, "db")])).entries


def test_every_instance_has_an_entry() -> None:
    assert names(FIRST) == {"web": A, "db": B}
    assert {entry.options for entry in FIRST} == {
        EntryOptions(user="ec2-user", profile="prod", region=HERE, target=each, account=ACCOUNT) for each in (A, B)
    }


def test_what_a_complete_listing_lacks_is_pruned() -> None:
    assert names(edited(FIRST, found([node(2, "db")])).entries) == {"db": B}
    assert names(edited(FIRST, found([])).entries) == {}


@pytest.mark.parametrize(
    "listing",
    [
        found([], is_complete=False),
        found([], account=OTHER),
        found([], region=THERE),
    ],
)
def test_what_another_listing_lacks_stays_as_it_is(listing: Found) -> None:
    assert list(edited(FIRST, listing).entries) == list(FIRST)


def test_an_incomplete_listing_changes_what_it_has() -> None:
    assert names(edited(FIRST, found([node(1, "front")], is_complete=False)).entries) == {"front": A, "db": B}


def test_the_name_of_an_entry_that_stays_is_taken() -> None:
    there = edited([], found([node(3, "web", THERE)], region=THERE)).entries
    both = edited(there, found([node(1, "web")])).entries
    assert names(both) == {"web": C, f"web-{A[-8:]}": A}
    assert names(edited(both, found([node(3, "web", THERE)], region=THERE)).entries) == names(both)


@pytest.mark.parametrize("name", ["*", "web-*", "w?b", "!web"])
def test_a_pattern_is_refused(name: str) -> None:
    entries, refused = edited([], found([node(1, name), node(2, "db")]))
    assert names(entries) == {"db": B}
    assert len(refused) == 1
    assert A in refused[0]
    assert "it is a pattern" in refused[0]


def test_without_the_tag_there_is_no_entry() -> None:
    assert edited([], found([node(1, "")])) == Edited([], (f"{A} in {HERE}, Name '': it lacks a tag of {{Name}}",))


def written(home: Home, tags: Iterable[str]) -> Edited:
    """The config as sync writes it for instances of these names."""
    listing = found(node(number, name) for number, name in enumerate(tags, 1))
    kept: list[Edited] = []

    def edit(there: Iterable[Entry], free: object) -> Edited:
        kept.append(
            _edited(list(there), free, found=[listing], template=parse_template("{Name}"), options=EntryOptions())  # type: ignore[arg-type]
        )
        return kept[-1]

    job = HostsJob(SYNC, edit, include=None, script="/opt/ssmssh-proxy")
    install.carry_out(job, place_of(home.config, home.state, None), lambda plan, doubt: None, None)
    return kept[-1]


HOSTILE = (
    "github.com", "*", "-oProxyCommand=x", "a b", "..", "x" * 300, "gate", "web-9", "db-1", "\U0001f680", "$(x)",
    "a\nHost *\nProxyCommand evil", "a\rb", "a\u2028b", '"', "'", "#", "a#b", "%h", "localhost", A, "mi-server", "",
)  # fmt: skip
PIECES = st.sampled_from([*HOSTILE, "\n", " ", "\0", ".", "-", "a", "Z", "\x85", "=", "!", "?", "\\", ","])
NAMES = st.lists(PIECES, min_size=1, max_size=4).map("".join) | st.text(max_size=20)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=st.lists(NAMES, min_size=1, max_size=8))
def test_whatever_the_tags_are(tmp_path: Path, tags: list[str]) -> None:
    """The file parses, our names lead where they should, and no other host notices."""
    home = Home(tmp_path)
    home.write(CONFIG)
    others = ("gate", "web-9", "db-1", "github.com", "localhost", "example.net")
    before = {host: home.ssh(host) for host in others}
    entries, refused = written(home, [*tags, "plain"])
    assert len(entries) + len(refused) == len(tags) + 1
    assert {host: home.ssh(host) for host in others} == before
    for entry in [*entries][:2]:
        said = by_ssh(home, entry.name)
        assert (said.hostname, entry.options.account) == (entry.target, ACCOUNT)
        for parser in (by_paramiko, by_asyncssh, by_libssh):
            assert parser(home, entry.name) == said


def test_a_hostile_inventory(home: Home) -> None:
    home.write(CONFIG)
    entries, refused = written(home, HOSTILE)
    assert sorted(name.rpartition("-")[0] for name in names(entries) if name.startswith("a-b-")) == ["a-b"] * 4
    assert len(entries) == 4
    assert not {"gate", "web-9", "db-1", "github.com", "localhost", A, "mi-server"} & set(names(entries))
    assert len(entries) + len(refused) == len(HOSTILE)
    for entry in entries:
        said = by_ssh(home, entry.name)
        assert said.hostname == entry.target
        assert by_npm(home, entry.name) == said
    assert by_npm(home, "gate") == by_ssh(home, "gate")


def many(count: int) -> list[str]:
    return [f"host-{number}" for number in range(count)]


def test_a_second_run_changes_nothing(home: Home) -> None:
    home.write(CONFIG)
    written(home, many(300))
    first = home.config.read_bytes()
    written(home, many(300))
    assert home.config.read_bytes() == first
    assert home.ssh("host-299")["hostname"] == [f"i-{300:017x}"]
    written(home, [])
    assert home.config.read_bytes() == CONFIG
