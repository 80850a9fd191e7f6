"""What keeps the code in pieces that can be read: files, functions, classes and the package's root have their limits.

A class with more attributes than `MAX_ATTRIBUTES` does more than one job, or says in its docstring why it does not:
in a paragraph that begins with "One class, because".
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_SOURCE_LINES = 450
MAX_FILE_LINES = 600
"""Of tests, benchmarks and examples."""
MAX_FUNCTION_LINES = 60
MAX_ATTRIBUTES = 12
MAX_ROOT_MODULES = 16

REASON = "\n\nOne class, because "

PACKAGE = ROOT / "src" / "ssmssh"

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
    assert len(text.splitlines()) <= (MAX_SOURCE_LINES if PACKAGE in path.parents else MAX_FILE_LINES)
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    too_long = [
        f"{function.name} at line {function.lineno}"
        for function in functions
        if (function.end_lineno or 0) - function.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not too_long


def test_the_root_of_the_package_can_be_taken_in_at_a_glance() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert "errors" in modules
    assert len(modules) <= MAX_ROOT_MODULES, sorted(modules)


def attributes(source: ast.ClassDef) -> set[str]:
    """What an instance has: what a class declares, as dataclasses do, and what its methods assign to."""
    declared = {
        statement.target.id
        for statement in source.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and "ClassVar" not in ast.unparse(statement.annotation)
    }
    assigned = {
        node.attr
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return declared | assigned


def test_attributes_are_counted() -> None:
    text = """
class Example:
    of_all: ClassVar[int] = 1
    declared: int

    def __init__(self, other):
        self.one, self.two = 1, 2
        self.three: int = 3
        self.one += 1
        other.four = self.five
"""
    (example,) = ast.parse(text).body
    assert isinstance(example, ast.ClassDef)
    assert attributes(example) == {"declared", "one", "two", "three"}


def test_a_class_does_one_job() -> None:
    large = {}
    for path in SOURCES:
        if PACKAGE in path.parents:
            for source in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(source, ast.ClassDef) and len(attributes(source)) > MAX_ATTRIBUTES:
                    has_reason = REASON in f"\n\n{ast.get_docstring(source)}"
                    large[f"{path.relative_to(PACKAGE).as_posix()}:{source.name}"] = len(attributes(source)), has_reason
    without = {name: count for name, (count, has_reason) in large.items() if not has_reason}
    assert without == {}


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
