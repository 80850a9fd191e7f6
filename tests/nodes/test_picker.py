"""The list that narrows as one types: what each key does, without a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ssmssh.commands._picker import (
    BACKSPACE,
    CLEAR,
    DOWN,
    ENTER,
    ESCAPE,
    MAX_TYPED,
    UP,
    Picker,
    parse_keys,
)

ROWS = ["web-1  10.0.0.1  production", "Web-2  10.0.0.2  staging", "db-1  10.0.0.3  production"]


def typed(text: str) -> Picker:
    picker = Picker(ROWS)
    for key in parse_keys(text):
        picker.press(key)
    return picker


@pytest.mark.parametrize(
    ("text", "shown", "chosen"),
    [
        ("", [0, 1, 2], 0),
        ("web", [0, 1], 0),
        ("WEB-2", [1], 1),
        ("prod web", [0], 0),
        ("prod", [0, 2], 0),
        ("nothing", [], None),
        ("nothing\x15", [0, 1, 2], 0),
        ("dbx\x7f", [2], 2),
        ("\x7f", [0, 1, 2], 0),
        ("2", [0, 1, 2], 1),
        ("3", [0, 1, 2], 2),
        ("10", [0, 1, 2], 0),  # no such number: part of all addresses
        ("0", [0, 1, 2], 0),
        ("db\x7f\x7f2", [0, 1, 2], 1),  # a number is one of the whole list
        ("\x1b[B", [0, 1, 2], 1),
        ("\x1b[B\x1b[B\x1b[B\x1b[B", [0, 1, 2], 2),
        ("\x1b[B\x1b[A\x1b[A", [0, 1, 2], 0),
        ("prod\x1bOB", [0, 2], 2),
        ("nothing\x1b[B", [], None),
        ("\x1b[5~\x1b[1;5C\tweb", [0, 1], 0),  # keys that mean nothing here
    ],
)
def test_keys(text: str, shown: list[int], chosen: int | None) -> None:
    picker = typed(text)
    assert (picker.shown, picker.chosen) == (shown, chosen)


def test_names_of_keys() -> None:
    assert parse_keys("a\r\n\x1b\x04\x7f\x08\x15\x10\x0e") == [
        *("a", ENTER, ENTER, ESCAPE, ESCAPE, BACKSPACE, BACKSPACE, CLEAR, UP, DOWN)
    ]


def test_what_is_typed_is_bounded() -> None:
    assert len(typed("x" * 500).typed) == MAX_TYPED


@pytest.mark.parametrize("height", [1, 2, 3, 10, 100])
def test_the_marked_row_is_seen(height: int) -> None:
    picker = Picker([f"row {number}" for number in range(50)])
    for _ in range(30):
        picker.press(DOWN)
    lines = picker.lines(80, height)
    assert any(line.startswith(">   31  row 30") for line in lines)
    assert len(lines) <= max(height, 3)
    assert lines[-1] == "> "


@given(
    st.text(max_size=80), st.lists(st.text(st.characters(categories=["L", "N", "So"]), max_size=60)), st.integers(2, 90)
)
def test_any_keys_on_any_rows(keys: str, rows: list[str], width: int) -> None:
    picker = Picker(rows)
    for key in parse_keys(keys):
        picker.press(key)
        assert picker.chosen is None or picker.chosen in range(len(rows))
    assert all(cell_len(line) < width for line in picker.lines(width, 10))
