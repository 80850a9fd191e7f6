"""What keeps the code in pieces that can be read: no file over 600 lines, no function over 60."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60

SOURCES = sorted(
    path
    for folder in ("src", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)


def test_the_sources_are_found() -> None:
    assert ROOT / "src" / "ssmssh" / "session" / "session.py" in SOURCES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_size_limits(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    too_long = [
        f"{function.name} at line {function.lineno}"
        for function in functions
        if (function.end_lineno or 0) - function.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not too_long


def test_what_the_program_says_is_ascii() -> None:
    """SSH clients are sent its lines before the server's own, as ASCII; and a terminal may not be one of UTF-8."""
    wrong = [
        f"{path.name} at line {line}: {text!r}"
        for path in SOURCES
        if ROOT / "src" in path.parents
        for line, text in _said(ast.parse(path.read_text(encoding="utf-8")))
        if not text.isascii()
    ]
    assert not wrong


def _said(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The strings of a module and their lines, but for those that stand alone: its documentation."""
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            yield node.lineno, node.value
