"""Where a block goes, and which files are looked at for that."""

import os
import subprocess
from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.sshconfig import position
from ssmssh.sshconfig.document import Document, Line
from ssmssh.sshconfig.position import Reader, documents, host_patterns, needs_closing, runs_commands, spelling, walk


def include(argument: str) -> Line:
    return next(iter(Document(f"Include {argument}\n".encode()).lines))


def names(reader: Reader, argument: str) -> list[str]:
    return [name for name, _ in reader.included(include(argument))]


def test_includes_are_found_where_ssh_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home directory of an Include is $HOME, other than that of the config: that is glob(3)'s doing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / ".ssh" / "d"
    directory.mkdir(parents=True)
    for name in ("b", "a", ".hidden"):
        (directory / name).write_text(f"SendEnv {name}\n")
        (directory / name).chmod(0o600)
    for argument in ("d/*", "~/.ssh/d/*", f"{directory}/*", "d/[ab]", '"d/a" "d/b"'):
        assert names(Reader(), argument) == [f"{directory}/a", f"{directory}/b"]
        config = tmp_path / "config"
        config.write_text(f"Include {argument}\n")
        done = subprocess.run(["ssh", "-G", "-F", str(config), "x"], check=True, capture_output=True, text=True)
        assert [line for line in done.stdout.splitlines() if "sendenv" in line] == ["sendenv a", "sendenv b"]
    assert names(Reader(), "none ~nobody-of-that-name/x") == []


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        (r"@/\[a\]\*", ["[a]*"]),
        (r'"@/\\[a\]\\*"', ["[a]*"]),
        (r"@/\a @/\b", ["a", "b"]),
        (r"@/\?", ["?"]),
        (r"@/?", ["?", "a", "b"]),
        (r"@/[!ab]", ["?"]),
        (r"@/[^ab]", ["a", "b"]),
        (r"@/\\\\x", ["\\x"]),
    ],
)
def test_globs_are_read_as_ssh_reads_them(tmp_path: Path, argument: str, found: list[str]) -> None:
    for name in ("a", "b", "?", "[a]*", "\\x"):
        (tmp_path / name).write_text(f"SendEnv {name}\n")
        (tmp_path / name).chmod(0o600)
    argument = argument.replace("@", str(tmp_path))
    config = tmp_path / "config"
    config.write_text(f"Include {argument}\n")
    done = subprocess.run(["ssh", "-G", "-F", str(config), "x"], check=True, capture_output=True, text=True)
    assert [line.partition(" ")[2] for line in done.stdout.splitlines() if "sendenv" in line] == found
    assert names(Reader(), argument) == [f"{tmp_path}/{name}" for name in found]


def test_what_cannot_be_read_is_left_to_ssh(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "gone").symlink_to("nowhere")
    assert names(Reader(), f"{tmp_path}/*") == []


def test_a_document_stands_for_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("")
    document = Document(b"User me\n")
    reader = Reader({str(path): document})
    assert list(reader.included(include(str(path)))) == [(str(path), document)]


def test_there_are_not_endlessly_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position, "MAX_INCLUDED_FILES", 3)
    for number in range(4):
        (tmp_path / f"{number}").write_text("")
    with pytest.raises(FileError, match="includes more than 3 files"):
        names(Reader(), f"{tmp_path}/*")


def test_circles_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(f"Host x*\nHost !y\nInclude {path}\nInclude {path}\n")
    document = Document(path.read_bytes())
    assert [name for name, _ in documents(document, str(path), Reader())] == [str(path)]
    assert list(host_patterns(document, str(path), Reader())) == ["x*"]
    with pytest.raises(FileError, match="more than 16 levels deep"):
        list(walk(document, str(path), Reader(), lambda path, line: True))


def test_commands_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('Match host web exec "true"\n')
    assert runs_commands(Document(f"Host x\n  Include {tmp_path}/a\n".encode()), "config", Reader())
    assert not runs_commands(Document(b'Host exec\nMatch host exec\nMatch "\n# Match exec x\n'), "config", Reader())


@pytest.mark.parametrize(
    ("following", "closing"),
    [
        (b"", True),
        (b"# comment\n\n", True),
        (b"Host x\nUser y\n", False),
        (b"# comment\nUser y\n", True),
        (b"Include x\n", True),
        (b"# >>> ssmssh a >>>\nHost i-*\n# <<< ssmssh a <<<\nUser y\n", True),
        (b"# >>> ssmssh a >>>\nHost i-*\n# <<< ssmssh a <<<\nHost y\n", False),
    ],
)
def test_a_section_is_closed_if_it_would_swallow_lines_now_or_later(following: bytes, closing: bool) -> None:
    before = b"User me\n"
    assert needs_closing(Document(before + following), len(before)) is closing


def test_keywords_are_spelled_as_in_the_manual() -> None:
    lines = Document(b"proxyJUMP x\nUseKeychain yes\n").lines
    assert [spelling(line) for line in lines] == ["ProxyJump", "usekeychain"]
