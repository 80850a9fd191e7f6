"""What ``ssmssh sync`` keeps, writes, prunes and refuses, decided from listings alone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssmssh.commands._synced import Found, Wish
from ssmssh.nodes.filters import parse_filters
from ssmssh.nodes.naming import parse_template
from ssmssh.nodes.node import Node
from ssmssh.sshconfig import install
from ssmssh.sshconfig.diff import unified_diff
from ssmssh.sshconfig.document import SYNC
from ssmssh.sshconfig.entries import Entry
from ssmssh.sshconfig.hosts import Edited, Free, HostsJob
from ssmssh.sshconfig.options import EntryOptions
from ssmssh.sshconfig.places import place_of
from ssmssh.sshconfig.plan import Plan
from tests.sshconfig.home import Home
from tests.sshconfig.test_other_parsers import by_asyncssh, by_libssh, by_npm, by_paramiko, by_ssh

ACCOUNT, OTHER = "123456789012", "210987654321"
HERE, THERE = "us-east-1", "eu-west-1"
HOSTS_SCRIPT = Path(__file__).parent.parent / "node" / "hosts.mjs"
CONFIG = b"Host gate web-9\n    User me\n\nHost db-*\n    ProxyJump gate\n"


def node(number: int, name: str, region: str = HERE) -> Node:
    return Node(instance_id=f"i-{number:017x}", name=name, region=region, profile="prod")


def found(nodes: Iterable[Node], *, account: str = ACCOUNT, region: str = HERE, is_complete: bool = True) -> Found:
    return Found(account, region, list(nodes), is_complete)


def wish(template: str = "{Name}", filters: Sequence[str] = (), user: str | None = "ec2-user") -> Wish:
    return Wish(parse_filters(filters), parse_template(template), EntryOptions(user=user))


def edited(there: Iterable[Entry], *listings: Found, template: str = "{Name}", filters: Sequence[str] = ()) -> Edited:
    return wish(template, filters).edited(list(there), lambda _: "", listings)


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


def test_an_incomplete_listing_renames_nothing_and_adds_what_it_has() -> None:
    listing = found([node(1, "front"), node(3, "new")], is_complete=False)
    assert names(edited(FIRST, listing).entries) == {"web": A, "db": B, "new": C}
    assert names(edited(FIRST, listing._replace(is_complete=True)).entries) == {"front": A, "new": C}
    there = edited([], found([node(1, "mix"), node(2, "mix")])).entries
    for listed in ([node(2, "mix")], [node(2, "")], []):
        assert list(edited(there, found(listed, is_complete=False)).entries) == list(there)


def test_what_only_ec2_knows_is_not_written() -> None:
    """And has no say about names; its entry stays as it is."""
    bare = replace(node(1, "web"), is_managed=False)
    assert names(edited([], found([bare, node(3, "web")], is_complete=False)).entries) == {"web": C}
    moved = replace(bare, name="other")
    assert list(edited(FIRST, found([moved, node(2, "db")], is_complete=False)).entries) == list(FIRST)


def test_who_has_a_name_keeps_it_when_another_comes_or_goes() -> None:
    second = edited(FIRST, found([node(1, "web"), node(2, "db"), node(3, "web")])).entries
    assert names(second) == {"web": A, "db": B, f"web-{C[-8:]}": C}
    alone = edited(second, found([node(3, "web")])).entries
    assert names(alone) == {f"web-{C[-8:]}": C}


def test_a_name_does_not_go_from_one_instance_to_another_in_one_run() -> None:
    heir = found([node(2, "db"), node(3, "web")])
    between = edited(FIRST, heir)
    assert names(between.entries) == {"db": B}
    assert between.refused[0].startswith(f"{C} in {HERE}, Name 'web': another has the name 'web', or had it until now")
    assert names(edited(between.entries, heir).entries) == {"db": B, "web": C}
    renamed = edited(FIRST, found([node(1, "old"), node(2, "db"), node(3, "web")])).entries
    assert names(renamed) == {"old": A, "db": B}


def test_two_instances_that_change_their_names_pass_none_on() -> None:
    swapped = found([node(1, "db"), node(2, "web")])
    assert names(edited(FIRST, swapped).entries) == {}
    assert names(edited([], swapped).entries) == {"db": A, "web": B}


def test_names_are_judged_by_all_that_was_listed() -> None:
    tagged = [replace(node(number, "web"), tags={"Env": env}) for number, env in ((1, "prod"), (2, "test"))]
    only = edited([], found(tagged), filters=["tag:Env=prod"]).entries
    assert names(only) == {f"web-{A[-8:]}": A}
    assert names(edited(only, found(tagged)).entries) == {f"web-{each[-8:]}": each for each in (A, B)}


def test_an_account_that_is_asked_as_two_profiles_has_each_instance_once() -> None:
    mine, whole = found([node(1, "web")], is_complete=False), found([replace(node(1, "web"), profile="admin")])
    (entry,) = edited([], mine, whole).entries
    assert (entry.name, entry.options.profile) == ("web", "admin")


LISTING = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(["web", "db", "web-00000001", "other"])),
    unique_by=lambda each: each[0],
)


@settings(max_examples=60, derandomize=True)
@given(runs=st.lists(st.tuples(LISTING, st.booleans()), min_size=2, max_size=5))
def test_no_name_moves_between_two_runs(runs: list[tuple[list[tuple[int, str]], bool]]) -> None:
    entries: Sequence[Entry] = ()
    for listing, is_complete in runs:
        before = names(entries)
        entries = edited(
            entries, found([node(number, name) for number, name in listing], is_complete=is_complete)
        ).entries
        after = names(entries)
        assert len(after) == len(entries)
        assert not [name for name in after if before.get(name, after[name]) != after[name]]
        if not is_complete:
            assert before.items() <= after.items()
        listed = {f"i-{number:017x}": name for number, name in listing}
        for name, key in before.items():
            if (wanted := listed.get(key)) and name.removesuffix(f"-{key[-8:]}") == wanted:
                assert after.get(name) == key


def test_the_name_of_an_entry_that_stays_is_taken() -> None:
    there = edited([], found([node(3, "web", THERE)], region=THERE)).entries
    both = edited(there, found([node(1, "web")])).entries
    assert names(both) == {"web": C, f"web-{A[-8:]}": A}
    assert names(edited(both, found([node(3, "web", THERE)], region=THERE)).entries) == names(both)


@pytest.mark.parametrize("name", ["*", "web-*", "w?b", "!web"])
def test_a_pattern_is_refused(name: str) -> None:
    entries, refused, _ = edited([], found([node(1, name), node(2, "db")]))
    assert names(entries) == {"db": B}
    assert len(refused) == 1
    assert A in refused[0]
    assert "it is a pattern" in refused[0]


def test_a_tag_says_neither_another_region_nor_the_suffix() -> None:
    """What it may say: where the instance is, and what the template has there, too."""
    tags = ["web.eu-west-1", "db.us-east-1", f"mail.{OTHER}", f"time.{ACCOUNT}", "box.ssm"]
    listing = found(node(number, name) for number, name in enumerate(tags, 1))
    entries, refused, _ = edited([], listing)
    assert names(entries).keys() == {"db.us-east-1", f"time.{ACCOUNT}"}
    assert [each.rpartition(": ")[2] for each in refused] == [
        "a tag alone says '.ssm'",
        f"a tag alone says '.{OTHER}'",
        "a tag alone says '.eu-west-1'",
    ]
    for template in ("{Name}.{region}", "{Name}.ssm", "{Name}.{account}", "{Name}.{id}"):
        assert len(edited([], listing, template=template).entries) == len(tags)


def test_an_incomplete_listing_keeps_a_name_that_another_template_made() -> None:
    there = edited([], found([node(1, "web")]), template="{Name}.ssm").entries
    assert names(edited(there, found([node(1, "web")], is_complete=False)).entries) == {"web.ssm": A}


def test_without_the_tag_there_is_no_entry() -> None:
    assert edited([], found([node(1, "")])) == Edited([], (f"{A} in {HERE}, Name '': it lacks a tag of {{Name}}",))


def written(home: Home, tags: Iterable[str], *, include: bool | None = None, user: str | None = None) -> Edited:
    """The config as sync writes it for instances of these names."""
    listing = found(node(number, name) for number, name in enumerate(tags, 1))
    kept: list[Edited] = []

    def edit(there: Sequence[Entry], free: Free) -> Edited:
        kept.append(wish(user=user).edited(there, free, [listing]))
        return kept[-1]

    job = HostsJob(SYNC, edit, include, script="/opt/ssmssh-proxy")

    def show(plan: Plan, _doubt: str) -> None:
        list(unified_diff(str(home.config), plan.before.main, plan.main))

    install.carry_out(job, place_of(home.config, home.state, None), show, None)
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
    entries, refused, _ = written(home, [*tags, "plain"])
    assert len(entries) + len(refused) == len(tags) + 1
    assert {host: home.ssh(host) for host in others} == before
    for entry in [*entries][:2]:
        said = by_ssh(home, entry.name)
        assert (said.hostname, entry.options.account) == (entry.target, ACCOUNT)
        for parser in (by_paramiko, by_asyncssh, by_libssh):
            assert parser(home, entry.name) == said


def test_a_hostile_inventory(home: Home) -> None:
    home.write(CONFIG)
    entries, refused, _ = written(home, HOSTILE)
    assert sorted(name.rpartition("-")[0] for name in names(entries) if name.startswith("a-b-")) == ["a-b"] * 4
    assert len(entries) == 4
    assert not {"gate", "web-9", "db-1", "github.com", "localhost", A, "mi-server"} & set(names(entries))
    assert len(entries) + len(refused) == len(HOSTILE)
    for entry in entries:
        said = by_ssh(home, entry.name)
        assert said.hostname == entry.target
        assert by_npm(home, entry.name) == said
    assert by_npm(home, "gate") == by_ssh(home, "gate")


def listed_by_editors(home: Home) -> list[str]:
    """The hosts that open-remote-ssh lists, in the order of the file."""
    done = subprocess.run(["node", HOSTS_SCRIPT, home.config], capture_output=True, check=True)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("include", [False, True])
def test_what_editors_list(home: Home, include: bool) -> None:
    """Each entry by its name and no pattern, beside the user's own hosts."""
    home.write(CONFIG)
    home.install("--user", "ec2-user", *(["--include"] if include else []))
    entries, *_ = written(home, [*HOSTILE, *many(20)], include=include)
    assert len(entries) == 24
    assert listed_by_editors(home) == [*[entry.name for entry in entries], "gate", "web-9"]


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


def python_calls(do: Callable[[], object]) -> int:
    """How many functions of Python's are called."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        do()
    finally:
        sys.setprofile(before)
    return count


def test_the_work_is_as_much_as_there_are_entries(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the entries: ten times the work, and ssh is asked as often."""
    programs, starts = home.directory / "programs", home.directory / "starts"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\necho >> {starts}\nexec {shutil.which("ssh")} "$@"\n')
    ssh.chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    work: dict[int, list[int]] = {}
    asked: dict[int, int] = {}
    for count in (200, 2000):
        home.write(CONFIG)
        starts.write_text("")
        work[count] = [
            python_calls(lambda user=user, count=count: written(home, many(count), user=user))  # type: ignore[misc]
            for user in ("me", "you")
        ]
        asked[count] = starts.read_text().count("\n")
        assert home.config.read_bytes().count(b"\nHost host-") == count
    for few, large in zip(work[200], work[2000], strict=True):
        assert large < 12 * few
    assert 0 < asked[2000] <= asked[200] <= 60
