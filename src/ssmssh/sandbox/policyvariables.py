"""Patterns in policies: ``*`` and ``?``, and variables like ``${aws:userid}``, whose values are no patterns.

IAM User Guide, "IAM policy elements: Variables and tags": ``${key, 'default'}`` has a value for where the request has
none, ``${*}``, ``${?}`` and ``${$}`` are the characters themselves.
"""

import re
from collections.abc import Mapping, Sequence

_PIECES = re.compile(r"\$\{(?P<special>[*?$])\}|\$\{(?P<key>[^},']+?)\s*(?:,\s*'(?P<default>[^']*)')?\}|(?P<wild>[*?])")
_NEVER = re.compile(r"(?!)")


def pattern(text: str, values: Mapping[str, Sequence[str]] | None) -> "re.Pattern[str]":
    """The expression of a pattern, with its variables put in (keys of `values` are in lower case).

    None for `values` takes variables for plain text. A variable without one value makes a pattern of nothing.
    """
    parts, at = [], 0
    for piece in _PIECES.finditer(text):
        if piece["wild"] is None and values is None:
            continue
        parts.append(re.escape(text[at : piece.start()]))
        at = piece.end()
        if piece["wild"] is not None:
            parts.append(".*" if piece["wild"] == "*" else ".")
        elif piece["special"] is not None:
            parts.append(re.escape(piece["special"]))
        else:
            value = _value(piece["key"], piece["default"], values or {})
            if value is None:
                return _NEVER
            parts.append(re.escape(value))
    return re.compile("".join(parts) + re.escape(text[at:]), re.DOTALL)


def literal(text: str, values: Mapping[str, Sequence[str]] | None) -> str | None:
    """The text itself, with its variables put in, for what has no wildcards; None where one has no value."""
    is_missing = False

    def value(piece: "re.Match[str]") -> str:
        nonlocal is_missing
        if piece["wild"] is not None:
            return piece["wild"]
        if piece["special"] is not None:
            return piece["special"]
        found = _value(piece["key"], piece["default"], values or {})
        is_missing = is_missing or found is None
        return found or ""

    filled = text if values is None else _PIECES.sub(value, text)
    return None if is_missing else filled


def _value(key: str, default: str | None, values: Mapping[str, Sequence[str]]) -> str | None:
    has = values.get(key.lower(), ())
    return has[0] if len(has) == 1 else default
