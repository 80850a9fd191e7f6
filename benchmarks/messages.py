"""``python -m benchmarks.messages > docs/messages.md``: every error of the programs, read from the code that raises it.

An error is a call of a class below `SsmsshError`, with a sentence and perhaps a hint. Both are expressions; a `Reader`
makes of each what a person may meet: texts, what stands in them for something that varies, and alternatives. What it
cannot read is something that varies. The errors of AWS have tables of their own (`ssmssh.aws.errors`,
`ssmssh.aws.advice`), whose rows are told as they are.
"""

import ast
import functools
import importlib
import inspect
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import ssmssh
from ssmssh.aws import advice
from ssmssh.aws import errors as aws_errors
from ssmssh.errors import ExitStatus, SsmsshError

PACKAGE = Path(ssmssh.__file__).parent
_DEPTH = 6
"""How far a name or a function is followed to a text."""
_MOST = 8
"""Alternatives of one expression that are told; where there are more, it varies."""
_TRANSPARENT = frozenset({"str", "int", "repr", "quote", "sorted", "excerpt", "shlex", "os", "bracketed", "type"})
"""Functions, and modules of functions, behind which what varies is named by what they are given."""

_HEAD = """\
# Messages

Every error of `ssmssh` and `ssmssh-proxy`, by the exit status that goes with it; made from the code by
`python -m benchmarks.messages > docs/messages.md`. An error is one line on standard error: `ssmssh: `, the sentence,
and behind a semicolon what to do (here behind an arrow). What varies is in braces: `{path}`. [The README](../README.md)
tells the statuses in short, and `ssmssh doctor TARGET` finds out what is behind a message.
"""
_TITLES = {
    ExitStatus.UNEXPECTED: "unexpected, or a difference under --check",
    ExitStatus.USAGE: "usage: the command line, a setting, the document, a parameter",
    ExitStatus.CREDENTIALS: "credentials",
    ExitStatus.TARGET: "the target: not found, not connected, ambiguous, nothing answers",
    ExitStatus.ACCESS_DENIED: "access denied",
    ExitStatus.NETWORK: "network, throttling, time-out",
    ExitStatus.SESSION_ENDED: "the session was ended",
    ExitStatus.PROTOCOL: "the far side broke the protocol",
    ExitStatus.FILE: "a file could not be read or written safely",
}


class Message(NamedTuple):
    """One error: its status, where it comes from, what happened, and what to do."""

    status: ExitStatus
    module: str
    sentence: str
    hint: str


class Reader:
    """Reads expressions of one module."""

    def __init__(self, path: Path) -> None:
        self.module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        self.tree = ast.parse(path.read_text("utf-8"))
        self.names = vars(importlib.import_module(self.module))
        self._functions = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}
        self._makers: dict[ast.AST, object] = {
            child: self.names.get(node.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ClassDef)
            for child in node.body
            if isinstance(child, ast.FunctionDef)
        }
        self._late = dict(_imported(self.tree))
        self._assigned: dict[ast.AST, dict[str, list[ast.expr]]] = {}

    def calls(self) -> Iterator[tuple[type[SsmsshError], ast.Call, ast.AST]]:
        """Each that makes an error, with its class, and what it is in."""
        for function, node in _nodes(self.tree, self.tree):
            match node:
                case ast.Call(func=ast.Name(id=name)):
                    made = self.names.get(name) or self._late.get(name)
                case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")):
                    made = self._makers.get(function)
                case _:
                    continue
            if not inspect.isclass(made) or not issubclass(made, SsmsshError):
                continue
            # What makes a sentence of its own has it where it calls what is above it.
            if isinstance(node.func, ast.Attribute) or "sentence" in inspect.signature(made).parameters:
                yield made, node, function

    def texts(self, node: ast.AST | None, function: ast.AST, depth: int = _DEPTH) -> list[str]:
        """What an expression may be; placeholders for what cannot be known."""
        found = self._texts(node, function, depth)
        return found if node is None or len(found) <= _MOST else [_placeholder(node)]

    def _texts(self, node: ast.AST | None, function: ast.AST, depth: int) -> list[str]:
        found: list[str] = []
        match node:
            case None:
                found = [""]
            case ast.Constant(value=str(text)):
                found = [text]
            case ast.JoinedStr(values=parts):
                found = self._joined(parts, function, depth)
            case ast.FormattedValue(value=value, conversion=conversion):
                quoted = "'{}'" if conversion == ord("r") else "{}"
                found = [quoted.format(each) for each in self.texts(value, function, depth)]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                found = self._joined([left, right], function, depth)
            case ast.IfExp(body=one, orelse=other):
                found = [*self.texts(one, function, depth), *self.texts(other, function, depth)]
            case ast.Name(id=name) if depth:
                found = self._named(name, function, depth)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join"), args=[ast.Name(id=name)]):
                found = self._named(name, function, depth)
            case ast.Call(func=ast.Attribute(value=text, attr="format"), args=values, keywords=named):
                found = self._formatted(self.texts(text, function, depth), values, named)
            case ast.Call(func=ast.Name(id=name)) if depth and name in self._functions:
                found = self._returned(self._functions[name], depth)
        return found or [_placeholder(node)]

    def _joined(self, parts: Sequence[ast.AST], function: ast.AST, depth: int) -> list[str]:
        every = [self.texts(part, function, depth) for part in parts]
        return ["".join(each) for each in itertools.islice(itertools.product(*every), _MOST + 1)]

    def _named(self, name: str, function: ast.AST, depth: int) -> list[str]:
        """What a variable may be: what a function assigns to it, or a constant."""
        assigned = [] if isinstance(function, ast.Module) else self._assignments(function).get(name, [])
        if assigned:
            return [text for value in assigned for text in self.texts(value, function, depth - 1)]
        value = self.names.get(name)
        return [_shown(value)] if name.isupper() or isinstance(value, str) else []

    def _assignments(self, function: ast.AST) -> dict[str, list[ast.expr]]:
        """What a function assigns, by the name of the variable."""
        if function not in self._assigned:
            found = self._assigned[function] = defaultdict(list)
            for node in ast.walk(function):
                for target in node.targets if isinstance(node, ast.Assign) else ():
                    if isinstance(target, ast.Name) and isinstance(node, ast.Assign):
                        found[target.id].append(node.value)
        return self._assigned[function]

    def _returned(self, function: ast.FunctionDef, depth: int) -> list[str]:
        returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
        texts = [text for value in returns for text in self.texts(value, function, depth - 1)]
        return texts if any(not re.fullmatch(r"\{[^}]*\}", text) for text in texts) else []

    def _formatted(self, texts: Sequence[str], values: Sequence[ast.expr], named: Sequence[ast.keyword]) -> list[str]:
        names = {each.arg: _placeholder(each.value) for each in named if each.arg}
        given = [_placeholder(value) for value in values]
        try:
            return [text.format(*given, **names) for text in texts]
        except (LookupError, ValueError):
            return list(texts)


@functools.cache
def messages(package: Path = PACKAGE) -> list[Message]:
    """All, in the order of the status, the module and the line."""
    found: list[Message] = []
    for path in sorted(package.rglob("*.py")):
        reader = Reader(path)
        for made, call, function in reader.calls():
            named = {each.arg: each.value for each in call.keywords}
            sentence = call.args[0] if call.args else named.get("sentence")
            hint = call.args[1] if len(call.args) > 1 else named.get("hint")
            hints = " / ".join(_told(reader.texts(hint, function)))
            found += [
                Message(made.exit_status, reader.module, text, hints)
                for text in _told(reader.texts(sentence, function))
                if not re.fullmatch(r"\W*\{[^}]*\}\W*", text)  # what is passed on is told where it is made
            ]
    return sorted(dict.fromkeys(found), key=lambda each: (each.status, each.module))


def page() -> str:
    """The document."""
    by_status: dict[ExitStatus, list[str]] = defaultdict(list)
    for each in messages():
        line = f"- {_cleared(each.sentence)}" + (f" → {_cleared(each.hint)}" if each.hint else "")
        by_status[each.status].append(line)
    for status, lines in _of_aws().items():
        by_status[status] += lines
    parts = [_HEAD]
    for status in sorted(by_status):
        lines = list(dict.fromkeys(by_status[status]))
        parts.append(f"\n## {int(status)}: {_TITLES[status]}\n\n" + "\n".join(lines) + "\n")
    parts.append("\n## Credentials, by where they come from\n\nWhat to do where AWS or a log-in refuses them:\n\n")
    parts.append("\n".join(_of_credentials()) + "\n")
    return "".join(parts)


def _of_aws() -> dict[ExitStatus, list[str]]:
    """What is made of AWS's own codes and of botocore's exceptions."""
    found: dict[ExitStatus, list[str]] = defaultdict(list)
    said = "Cannot {do something} (region {region}, profile {profile}): "
    for codes, made, hint, _ in aws_errors._CODES:  # noqa: SLF001 - nobody else needs the table
        found[made.exit_status].append(
            f"- {said}{_cleared(', '.join(sorted(codes)))}: {{AWS's words}} → {_cleared(hint)}"
        )
    for types, made, hint, _ in aws_errors._BOTOCORE:  # noqa: SLF001 - nobody else needs the table
        names = ", ".join(each.__name__ for each in types)
        found[made.exit_status].append(f"- {said}{{botocore's words}} ({_cleared(names)}) → {_cleared(hint)}")
    return found


def _of_credentials() -> list[str]:
    lines = []
    for method, advices in advice._ADVICE.items():  # noqa: SLF001 - nobody else needs the table
        for hint, troubles in itertools.groupby(advices.items(), key=lambda each: each[1]):
            names = ", ".join(trouble.name.lower() for trouble, _ in troubles)
            lines.append(f"- `{method}`, {names} → {_cleared(hint)}")
    return lines


def _shown(constant: object) -> str:
    """A constant as it is told."""
    if isinstance(constant, str | int | float):
        return f"{constant:g}" if isinstance(constant, float) else str(constant)
    if isinstance(constant, Iterable):
        return ", ".join(sorted(map(str, constant)) if isinstance(constant, AbstractSet) else map(str, constant))
    return "{text}"


def _told(texts: Sequence[str]) -> list[str]:
    return [text for each in dict.fromkeys(texts) if (text := " ".join(each.split()).strip("; "))]


def _cleared(text: str) -> str:
    """Fit for Markdown: what it would take for itself is told as it is."""
    return re.sub(r"([*_<>|\[\]`#])", r"\\\1", text)


def _nodes(node: ast.AST, function: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each node with the function that it is in."""
    for child in ast.iter_child_nodes(node):
        inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield function, child
        yield from _nodes(child, inner)


def _imported(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """The errors that functions import, late, with their names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                if each.name.endswith("Error"):
                    yield each.asname or each.name, getattr(importlib.import_module(node.module), each.name, None)


def _placeholder(node: ast.AST | None) -> str:
    """A name for what varies."""
    words = _words(node).strip("_").replace("_", " ") or "text"
    return "{" + {"strerror": "reason", "error": "reason", "self": "text"}.get(words, words) + "}"


def _words(node: ast.AST | None) -> str:
    """A name for an expression; empty where it has none."""
    words, inner = "", None
    match node:
        case ast.Name(id=words) | ast.Attribute(attr=words):
            pass
        case ast.Call(func=ast.Name(id="len"), args=[value, *_]):
            words = f"number of {_words(value)}"
        case (
            ast.Call(func=ast.Name(id=name), args=[value, *_])
            | ast.Call(func=ast.Attribute(value=ast.Name(id=name)), args=[value, *_])
        ) if name in _TRANSPARENT:
            inner = value
        case ast.Call(func=ast.Attribute(attr="join"), args=[value, *_]) | ast.Call(func=ast.Attribute(value=value)):
            inner = value
        case ast.Call(func=ast.Name(id=words)):
            pass
        case ast.Subscript(value=value) | ast.BoolOp(values=[value, *_]):
            inner = value
        case ast.GeneratorExp(generators=[ast.comprehension(iter=value), *_]):
            inner = value
    return words if inner is None else _words(inner)


if __name__ == "__main__":
    print(page(), end="")
