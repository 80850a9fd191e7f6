"""The cache of what was answered: right, fresh, private, bounded; and never a reason to fail."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssmssh.nodes import cache as cache_module
from ssmssh.nodes.cache import FRESH_SECONDS, KEPT_ENTRIES, LONGEST_ENTRY_BYTES, Cache
from ssmssh.nodes.node import Node

ME, ANOTHER = "123456789012 eu-west-1", "210987654321 eu-west-1"

WEB = Node(
    instance_id="i-0123456789abcdef0",
    region="eu-west-1",
    profile="prod",
    name="\x1b[2J\N{ROCKET} $(x)\n\"'",
    tags={"Name": "web", "Env": ""},
    ping_status="Online",
    last_ping=1_700_000_000.5,
    other_addresses=("10.0.1.7", "2001:db8::7"),
    launched=1_600_000_000.0,
)
BARE = Node(instance_id="mi-0123456789abcdef0", region="eu-west-1")


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "nodes"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(directory: Path, clock: Clock) -> Cache:
    return Cache(directory, clock)


def only_file(directory: Path) -> Path:
    (path,) = directory.iterdir()
    return path


def test_what_is_kept_is_found(cache: Cache, directory: Path) -> None:
    cache.keep(ME, "names", [WEB, BARE])
    assert cache.find(ME, "names") == [WEB, BARE]
    assert Cache(directory, Clock()).find(ME, "names") == [WEB, BARE]  # by another process


def test_nothing_is_found_that_was_not_asked_so(cache: Cache) -> None:
    assert cache.find(ME, "names") is None
    cache.keep(ME, "names", [WEB])
    assert cache.find(ANOTHER, "names") is None
    assert cache.find(ME, "address 10.0.0.7") is None


def test_an_answer_replaces_the_one_before(cache: Cache, directory: Path) -> None:
    cache.keep(ME, "names", [WEB])
    cache.keep(ME, "names", [BARE])
    assert cache.find(ME, "names") == [BARE]
    only_file(directory)


@pytest.mark.parametrize(
    ("later", "is_fresh"), [(0.0, True), (FRESH_SECONDS - 1, True), (FRESH_SECONDS, False), (-1.0, False)]
)
def test_how_long_it_counts(cache: Cache, clock: Clock, later: float, is_fresh: bool) -> None:
    cache.keep(ME, "names", [WEB])
    clock.now += later
    assert (cache.find(ME, "names") is not None) == is_fresh


def test_forgetting_is_for_one_identity(cache: Cache) -> None:
    for identity in (ME, ANOTHER):
        cache.keep(identity, "names", [WEB])
        cache.keep(identity, "address 10.0.0.7", [WEB])
    cache.forget(ME)
    assert cache.find(ME, "names") is None
    assert cache.find(ME, "address 10.0.0.7") is None
    assert cache.find(ANOTHER, "names") == [WEB]


def test_it_is_for_its_owner_only(cache: Cache, directory: Path) -> None:
    umask = os.umask(0)
    try:
        cache.keep(ME, "names", [WEB])
    finally:
        os.umask(umask)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert only_file(directory).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
def test_a_file_that_others_can_write_is_no_entry(cache: Cache, directory: Path, mode: int) -> None:
    cache.keep(ME, "names", [WEB])
    only_file(directory).chmod(mode)
    assert cache.find(ME, "names") is None


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_directory_that_others_can_write_is_not_used(cache: Cache, directory: Path, mode: int) -> None:
    cache.keep(ME, "names", [WEB])
    directory.chmod(mode)
    assert cache.find(ME, "names") is None
    cache.keep(ME, "other", [WEB])
    only_file(directory)


def test_a_link_is_not_followed(cache: Cache, directory: Path, tmp_path: Path) -> None:
    cache.keep(ME, "names", [WEB])
    path = only_file(directory)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.find(ME, "names") is None


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(cache: Cache, directory: Path) -> None:
    cache.keep(ME, "names", [WEB])
    path = only_file(directory)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert cache.find(ME, "names") is None


@pytest.mark.parametrize("length", [0, 1, 8, 9, 10, 100])
def test_half_a_file_is_no_entry(cache: Cache, directory: Path, length: int) -> None:
    cache.keep(ME, "names", [WEB])
    path = only_file(directory)
    path.write_bytes(path.read_bytes()[:length])
    assert cache.find(ME, "names") is None
    cache.keep(ME, "names", [BARE])  # and is no obstacle
    assert cache.find(ME, "names") == [BARE]


def change(entry: Any, **values: Any) -> Any:
    return {**entry, **values}


@pytest.mark.parametrize(
    "foreign",
    [
        lambda _: [],
        lambda _: None,
        lambda _: {},
        lambda entry: change(entry, release="0.0.1"),
        lambda entry: change(entry, identity=ANOTHER),
        lambda entry: change(entry, question="all"),
        lambda entry: change(entry, made="now"),
        lambda entry: change(entry, nodes=None),
        lambda entry: change(entry, nodes=[{"instance_id": "i-0123456789abcdef0"}]),
        lambda entry: change(entry, nodes=[{**entry["nodes"][0], "colour": "red"}]),
        lambda entry: change(entry, nodes=[{**entry["nodes"][0], "other_addresses": 7}]),
    ],
)
def test_a_whole_file_of_another_form_is_no_entry(cache: Cache, directory: Path, foreign: Callable[[Any], Any]) -> None:
    cache.keep(ME, "names", [WEB])
    path = only_file(directory)
    content = json.dumps(foreign(json.loads(path.read_bytes().partition(b"\n")[2]))).encode()
    path.write_bytes(b"%08x\n%s" % (zlib.crc32(content), content))
    assert cache.find(ME, "names") is None


def test_it_holds_so_many_and_not_more(cache: Cache, directory: Path) -> None:
    for number in range(KEPT_ENTRIES + 3):
        cache.keep(ME, f"address {number}", [WEB])
        os.utime(max(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns), ns=(number, number))
    assert len(list(directory.iterdir())) == KEPT_ENTRIES
    assert cache.find(ME, "address 0") is None
    assert cache.find(ME, f"address {KEPT_ENTRIES + 2}") == [WEB]


def test_what_killed_writers_left_is_bounded_too(
    cache: Cache, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "KEPT_ENTRIES", 2)
    cache.keep(ME, "names", [WEB])
    for number in range(5):
        (directory / f".{only_file_name(directory)}.{number}").touch()
    cache.keep(ME, "names", [WEB])
    assert len([path for path in directory.iterdir() if path.name.startswith(".")]) == 2


def only_file_name(directory: Path) -> str:
    (name,) = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    return name


def test_what_is_too_long_is_not_kept(cache: Cache, directory: Path) -> None:
    long = Node(instance_id="i-0123456789abcdef0", region="eu-west-1", name="x" * 1000)
    count = LONGEST_ENTRY_BYTES // 1000
    cache.keep(ME, "names", [long] * (count - count // 10))
    assert len(cache.find(ME, "names") or []) == count - count // 10
    cache.keep(ME, "more", [long] * count)
    assert cache.find(ME, "more") is None
    only_file(directory)


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "nodes")
    cache.keep(ME, "names", [WEB])
    cache.forget(ME)
    assert cache.find(ME, "names") is None


WRITER = """
import sys
from pathlib import Path
from ssmssh.nodes.cache import Cache
from ssmssh.nodes.node import Node
cache = Cache(Path(sys.argv[1]))
nodes = [Node(instance_id=f"i-{number:017x}", region="eu-west-1", name=sys.argv[2] * 100) for number in range(200)]
for _ in range(100):
    cache.keep("me", "names", nodes)
    found = cache.find("me", "names")
    assert found is not None and len({node.name for node in found}) == 1 and len(found) == 200, found
"""


def test_several_processes_at_once(directory: Path) -> None:
    """Each finds what one of them has kept, as a whole."""
    command = [sys.executable, "-c", WRITER, str(directory)]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in "abc"]
    for writer in writers:
        _, said = writer.communicate()
        assert (writer.returncode, said) == (0, b"")
    only_file(directory)
