"""``ssmssh host add NAME TARGET`` with all that a TARGET may be, and the real ssh to what was written."""

import shutil
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, Terminal
from tests.acceptance.test_names import LISTING, VILLAGE, WEST, counting, sandbox, village, villager
from tests.acceptance.test_sync import config, run, says_hello

__all__ = ["config", "sandbox", "village", "villager"]

SOLO, ABROAD, THEIRS, ALIKE = (VILLAGE[number].instance_id for number in (0, 1, 2, 4))


def written(config: Path) -> str:
    """The options that stand above the only entry."""
    (line,) = [line for line in config.read_text().splitlines() if line.startswith("# options:")]
    return line.removeprefix("# options: ")


def add(client: Client, config: Path, *words: str, status: int = 0) -> str:
    return run(client, config, "host", "add", "mine", "--user", "root", "--yes", *words, status=status)


@pytest.mark.parametrize(
    ("words", "instance_id", "where"),
    [
        (["Solo"], SOLO, "--region us-east-1"),
        (["tag:Role=Build Host"], SOLO, "--region us-east-1"),
        (["10.7.0.1"], SOLO, "--region us-east-1"),
        (["ip-10-7-0-1.ec2.internal"], SOLO, "--region us-east-1"),
        (["abroad", "--region", WEST], ABROAD, f"--region {WEST}"),
        (["theirs", "--region", WEST, "--profile", "other"], THEIRS, f"--profile other --region {WEST}"),
    ],
)
def test_what_is_looked_up_is_written_as_its_id_and_where_it_is(
    villager: Client, config: Path, words: list[str], instance_id: str, where: str
) -> None:
    add(villager, config, *words)
    assert written(config) == f"--user root {where} --target {instance_id}"
    says_hello(villager, config, "mine")


def test_a_group(villager: Client, config: Path) -> None:
    said = add(villager, config, "tag:Name=web-1", status=4)
    assert "4 instances have the tag 'Name=web-1'" in said
    assert "choose newest or oldest" in said
    add(villager, config, "tag:Name=web-1", "--choose", "newest")
    newest = written(config)
    add(villager, config, "tag:Name=web-1", "--choose", "oldest")
    assert written(config) != newest
    says_hello(villager, config, "mine")


def test_the_region_of_an_earlier_run_is_kept(villager: Client, config: Path) -> None:
    add(villager, config, "abroad", "--region", WEST)
    add(villager, config, "tag:Name=abroad")
    assert written(config) == f"--user root --region {WEST} --target {ABROAD}"
    before = config.read_bytes()
    assert "No managed instance has the Name 'abroad'" in add(villager, config, "abroad", "--reset", status=4)
    assert config.read_bytes() == before


def test_what_is_remembered_does_not_count(villager: Client, village: Sandbox, config: Path) -> None:
    """What is written stays; a Name may have moved within the last ten minutes."""
    for _ in range(2):
        with counting(village) as calls:
            add(villager, config, "Solo")
        assert calls == {LISTING: 1}


def test_an_id_asks_nobody(villager: Client, village: Sandbox, config: Path) -> None:
    with counting(village) as calls:
        add(villager, config, f"{ABROAD}.{WEST}")
    assert calls == {}
    assert written(config) == f"--user root --region {WEST} --target {ABROAD}"


def test_a_person_chooses_among_several(villager: Client, config: Path) -> None:
    assert shutil.which("fzf")
    words = ["ssmssh", "host", "add", "--config-file", str(config), "--yes", "--user", "root", "mine", "alike 1"]
    with Terminal(villager, *words, columns=160) as terminal:
        terminal.expect(b"'alike 1' means 2 instances")
        terminal.expect(b"2/2")
        terminal.type(ALIKE.encode())
        terminal.expect(b"1/2")
        terminal.type(b"\r")
        assert terminal.wait() == 0
    assert written(config) == f"--user root --region us-east-1 --target {ALIKE}"


def test_a_person_who_leaves_the_choice(villager: Client, config: Path) -> None:
    before = config.read_bytes()
    words = ["ssmssh", "host", "add", "--config-file", str(config), "--yes", "--user", "root", "mine", "alike 1"]
    with Terminal(villager, *words, columns=160) as terminal:
        terminal.expect(b"2/2")
        terminal.type(b"\x1b")
        assert terminal.wait() == 130
    assert config.read_bytes() == before
