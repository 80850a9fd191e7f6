"""The file with the kept part of botocore's data: used when it is right, and never trusted blindly."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmssh.aws import loader as loader_module
from ssmssh.aws.loader import OPERATIONS, SessionLoader


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "ssmssh"


def only_file(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


def content_of(path: Path) -> Any:
    return json.loads(path.read_bytes().partition(b"\n")[2])


def with_mark(path: Path, change: Callable[[Any], None] = lambda content: None) -> None:
    """Put something into the file that is not botocore's, rightly, so that it is seen whether the file is read."""
    content = content_of(path)
    content["data"]["_retry"]["mark"] = True
    change(content)
    body = json.dumps(content).encode()
    path.write_bytes(b"%08x\n%s" % (zlib.crc32(body), body))


def was_read(cache: Path) -> bool:
    return "mark" in SessionLoader(cache).load_data("_retry")


def test_the_file_is_made_once_and_for_its_owner(cache: Path) -> None:
    SessionLoader(cache)
    path = only_file(cache)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size < 200_000
    with_mark(path)
    before = path.stat()
    assert was_read(cache)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720])
def test_a_directory_that_others_can_write(cache: Path, mode: int) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache))
    cache.chmod(mode)
    assert not was_read(cache)
    only_file(cache).unlink()
    SessionLoader(cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("mode", [0o660, 0o602])
def test_a_file_that_others_can_write(cache: Path, mode: int) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache))
    only_file(cache).chmod(mode)
    assert not was_read(cache)
    assert only_file(cache).stat().st_mode & 0o777 == 0o600  # replaced


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("of_whom", ["file", "directory"])
def test_what_belongs_to_somebody_else(cache: Path, of_whom: str) -> None:
    SessionLoader(cache)
    path = only_file(cache)
    with_mark(path)
    os.chown(path if of_whom == "file" else cache, 12345, -1)
    assert not was_read(cache)


@pytest.mark.parametrize("of_what", ["file", "directory"])
def test_symbolic_links(cache: Path, tmp_path: Path, of_what: str) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache))
    linked = only_file(cache) if of_what == "file" else cache
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    assert not was_read(cache)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    loader = SessionLoader(tmp_path / "file" / "cache")
    assert loader.load_service_model("ssm", "service-2")["operations"].keys() == set(OPERATIONS)


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_damage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    cache = tmp_path_factory.mktemp("cache") / "ssmssh"
    good = SessionLoader(cache)._kept
    path = only_file(cache)
    content = bytearray(path.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[where] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[where:]
    path.write_bytes(content)
    assert SessionLoader(cache)._kept == good
    with_mark(path)  # it has been made again, and can be read
    assert was_read(cache)


def is_replaced(cache: Path, body: bytes) -> bool:
    """Whether a file with `body` and the right checksum is not believed, and replaced by one that is."""
    good = SessionLoader(cache)._kept
    path = only_file(cache)
    path.write_bytes(b"%08x\n%s" % (zlib.crc32(body), body))
    if SessionLoader(cache)._kept != good:
        return False
    with_mark(path)
    return was_read(cache)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"[1]", b"null", b'{"sources":[]}', b'{"sources":1,"data":{}}', b"\xff", b"[" * 200_000]
)
def test_a_whole_file_of_something_else(cache: Path, body: bytes) -> None:
    assert is_replaced(cache, body)


@pytest.mark.parametrize("data", [None, [], {}, "x", {"endpoints": {}}])
def test_data_of_another_form(cache: Path, data: object) -> None:
    SessionLoader(cache)
    content = content_of(only_file(cache))
    assert is_replaced(cache, json.dumps({**content, "data": data}).encode())


@pytest.mark.parametrize("value", [None, {}, [1]])
@pytest.mark.parametrize("name", ["endpoints", "_retry", "ssm/service-2", "other"])
def test_a_part_of_another_form(cache: Path, name: str, value: object) -> None:
    SessionLoader(cache)
    content = content_of(only_file(cache))
    content["data"][name] = value
    assert is_replaced(cache, json.dumps(content).encode())


@pytest.mark.parametrize("name", ["endpoints", "_retry", "ssm/service-2"])
def test_a_part_is_missing(cache: Path, name: str) -> None:
    SessionLoader(cache)
    content = content_of(only_file(cache))
    del content["data"][name]
    assert is_replaced(cache, json.dumps(content).encode())


def test_without_sources_nothing_is_known_of_their_age(cache: Path) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache), lambda content: content["sources"].clear())
    assert not was_read(cache)


@pytest.mark.parametrize("kind", ["pipe", "directory"])
def test_no_file_at_all(cache: Path, kind: str) -> None:
    SessionLoader(cache)
    path = only_file(cache)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path, 0o600)  # nobody will ever write to it
    else:
        path.mkdir(0o700)
    descriptors = len(list(Path("/dev/fd").iterdir()))
    assert SessionLoader(cache).load_data("partitions")
    assert len(list(Path("/dev/fd").iterdir())) == descriptors
    assert only_file(cache).is_file() == (kind == "pipe")  # a pipe is replaced; nothing is left beside a directory


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("__version__", "0.0"),
        ("OPERATIONS", (*OPERATIONS, "DescribeSessions")),
        ("_MODELS", ("service-2", "endpoint-rule-set-1", "paginators-1")),
        ("_FILES", ("endpoints", "partitions", "_retry")),
        ("_CREDENTIAL_SERVICES", {"sts": "sts"}),
    ],
)
def test_a_release_that_keeps_something_else(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache))
    with monkeypatch.context() as patch:
        patch.setattr(loader_module, name, value)
        assert not was_read(cache)
        assert SessionLoader(cache)._kept.keys() >= {"endpoints", "ssm/service-2"}
    assert was_read(cache)  # the first one's is still there


@pytest.mark.parametrize("changed", [1, 2])
@pytest.mark.parametrize("source", range(8))
def test_when_a_source_has_changed(cache: Path, source: int, changed: int) -> None:
    SessionLoader(cache)

    def other(content: Any) -> None:
        assert len(content["sources"]) == 8  # six files, two directories
        content["sources"][source][changed] += 1

    with_mark(only_file(cache), other)
    assert not was_read(cache)


def test_when_a_source_has_gone(cache: Path) -> None:
    SessionLoader(cache)

    def elsewhere(content: Any) -> None:
        content["sources"][0][0] += ".gone"

    with_mark(only_file(cache), elsewhere)
    assert not was_read(cache)


def test_old_files_go(cache: Path) -> None:
    cache.mkdir(parents=True, mode=0o700)
    for n in range(6):
        old = cache / f"botocore-1.0.{n}-00000000.json"
        old.write_text("")
        os.utime(old, (n, n))
    (cache / "something-else.json").write_text("")
    SessionLoader(cache)
    left = sorted(path.name for path in cache.iterdir())
    assert left[:3] == [f"botocore-1.0.{n}-00000000.json" for n in (3, 4, 5)]
    assert len(left) == 5
    assert left[4] == "something-else.json"


def test_what_killed_writers_left(cache: Path) -> None:
    SessionLoader(cache)
    path = only_file(cache)
    path.unlink()
    for n in range(6):
        unfinished = cache / f".{path.name}.{n}"
        unfinished.write_text("")
        os.utime(unfinished, (n, n))
    (cache / f".{path.name}.{os.getpid()}").write_text("")  # of another container, in which we have had this number
    SessionLoader(cache)
    left = {file.name for file in cache.iterdir()}
    assert left == {path.name, *(f".{path.name}.{n}" for n in (3, 4, 5, os.getpid()))}
    with_mark(path)
    assert was_read(cache)


def test_many_processes_at_once(cache: Path) -> None:
    code = "import sys,pathlib; from ssmssh.aws.loader import *; sys.stdin.read(1)\n"
    code += "assert SessionLoader(pathlib.Path(sys.argv[1])).load_service_model('ssm', 'service-2')['operations']"
    command = [sys.executable, "-c", code, str(cache)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(5)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait() for process in processes] == [0] * 5
    with_mark(only_file(cache))
    assert was_read(cache)
