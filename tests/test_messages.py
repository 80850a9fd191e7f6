"""The page of messages is what the code says, and has every error of it."""

import ast
from pathlib import Path

import pytest

from benchmarks import messages
from ssmssh.errors import ExitStatus

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")

EXAMPLE = """
from ssmssh.errors import FileError, UsageError

HINT = "try again"
_LIMIT = 7


def _reason(number):
    return "it is too small" if number else "it is nothing"


def check(path, error, name):
    words = f"{path} cannot be read"
    if path:
        raise FileError(f"{words}: {error.strerror}", HINT)
    raise UsageError("No {} of {}".format(name, path) + f" ({_reason(1)})", hint=f"at most {_LIMIT}")
"""


def test_the_page_is_that_of_the_code() -> None:
    """Made anew with ``python -m benchmarks.messages > docs/messages.md``."""
    assert messages.page() == PAGE


def test_what_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "example_of_messages"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text(EXAMPLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(messages, "PACKAGE", package)
    usage = "No {name} of {path} "
    assert [(each.status, each.sentence, each.hint) for each in messages.messages(package)] == [
        (ExitStatus.USAGE, f"{usage}(it is too small)", "at most 7"),
        (ExitStatus.USAGE, f"{usage}(it is nothing)", "at most 7"),
        (ExitStatus.FILE, "{path} cannot be read: {reason}", "try again"),
    ]


def test_no_error_is_forgotten() -> None:
    """Where an error is made by its class there is a sentence on the page, or what is passed on varies as a whole."""
    told = {each.module for each in messages.messages()}
    silent = []
    for path in sorted(messages.PACKAGE.rglob("*.py")):
        reader = messages.Reader(path)
        made = [
            call
            for _, call, _ in reader.calls()
            if call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
        ]
        if made and reader.module not in told:
            silent.append(reader.module)
    assert not silent


def test_every_status_has_its_errors() -> None:
    for status in set(ExitStatus) - {ExitStatus.DONE}:
        assert f"\n## {int(status)}: " in PAGE
