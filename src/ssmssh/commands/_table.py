"""Nodes as rows of a table that is printed while it grows.

The first rows decide how wide the columns are, since nobody knows what comes. On a terminal a row keeps to its width:
the Name gives way, and what does not fit in a later row is cut. Elsewhere nothing is cut, and nothing is coloured.

What others have written (Names, platforms) is shown with everything escaped that acts on a terminal.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import click
from rich.cells import cell_len, set_cell_size

from ssmssh.nodes.features import lacking
from ssmssh.nodes.node import Node
from ssmssh.sshconfig.diff import visible

_GAP = "  "
_LEAST_NAME_CELLS, _MOST_NAME_CELLS = 12, 40
"""A Name may have 256; one that is longer than most pushes the rest of its row aside."""

_AGE_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
TOO_OLD = "*"
"""Behind an agent's version that some feature needs newer."""

HEADER = ("ID", "NAME", "STATUS", "AGENT", "PLATFORM", "SOURCE", "ADDRESS", "REGION", "PROFILE")
_NAME = HEADER.index("NAME")
_STATUS = HEADER.index("STATUS")
_AGENT = HEADER.index("AGENT")


class _Row(NamedTuple):
    cells: Sequence[str]
    colours: dict[int, str]


class Table:
    """A table on standard output.

    Args:
        width: Cells of the terminal; None if it is none.

    Attributes:
        too_old: How many agents are too old for each feature that has been met.
    """

    def __init__(self, width: int | None) -> None:
        self.too_old: dict[str, int] = {}
        self._width = width
        self._columns: list[int] = []

    def add(self, nodes: Sequence[Node], now: float | None = None) -> None:
        """Print rows; the first ones come with the header. `now` is seconds since 1970."""
        now = time.time() if now is None else now
        rows = [self._row(node, now) for node in nodes]
        if not self._columns and rows:
            self._columns = self._widths([HEADER, *(row.cells for row in rows)])
            rows.insert(0, _Row(HEADER, dict.fromkeys(range(len(HEADER)), "bright_black")))
        lines = [self._line(row) for row in rows]
        if lines:
            click.echo("\n".join(lines))

    def _row(self, node: Node, now: float) -> _Row:
        lacks = lacking(node.agent_version)
        for feature in lacks:
            self.too_old[feature] = self.too_old.get(feature, 0) + 1
        colours = {_STATUS: "green" if node.is_online else "yellow"} if node.ping_status else {}
        colours |= {_AGENT: "yellow"} if lacks else {}
        cells = (
            node.instance_id,
            node.name,
            describe_status(node, now),
            node.agent_version + (TOO_OLD if lacks else ""),
            describe_platform(node),
            node.source,
            node.private_address or node.public_address,
            node.region,
            node.profile or "",
        )
        return _Row([shown(cell) or "-" for cell in cells], colours)

    def _widths(self, rows: Sequence[Sequence[str]]) -> list[int]:
        columns = [max(cell_len(row[index]) for row in rows) for index in range(len(HEADER))]
        columns[_NAME] = min(columns[_NAME], _MOST_NAME_CELLS)
        if self._width is not None:
            too_wide = sum(columns) + len(_GAP) * (len(columns) - 1) - self._width
            columns[_NAME] = max(min(columns[_NAME], _LEAST_NAME_CELLS), columns[_NAME] - max(0, too_wide))
        return columns

    def _line(self, row: _Row) -> str:
        parts = []
        for index, (cell, width) in enumerate(zip(row.cells, self._columns, strict=True)):
            text = cell
            if cell_len(text) < width:
                text = set_cell_size(text, width)
            elif self._width is not None and cell_len(text) > width:
                text = set_cell_size(text, width - 1) + "~"
            if self._width is not None and index in row.colours:
                text = click.style(text, row.colours[index])
            parts.append(text)
        return _GAP.join(parts).rstrip()


def describe_age(seconds: float) -> str:
    """A time as people say it: 12s, 5m, 3h, 2d."""
    for unit, letter in _AGE_UNITS:
        if seconds >= unit:
            return f"{int(seconds // unit)}{letter}"
    return "0s"


def describe_platform(node: Node) -> str:
    """What runs on a node."""
    return f"{node.platform_name} {node.platform_version}".strip() or node.platform_type


def describe_status(node: Node, now: float) -> str:
    """Whether a node can be reached, as far as is known."""
    words = [node.ping_status] if node.ping_status else []
    words += [describe_age(now - node.last_ping)] if node.last_ping is not None else []
    words += [f"({node.state})"] if node.state not in ("", "running") else []
    return " ".join(words)


def shown(text: str) -> str:
    """What others have written, on one line and fit for a terminal."""
    return visible(text).replace("\t", "\\t")
