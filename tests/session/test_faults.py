"""Every fault against every kind of use: each byte arrives, or it ends with the reason; nothing hangs."""

import re
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.faults import FAULT_TYPES, parse
from tests.session.matrix import FORWARD_ROWS, ROWS, Row, run_row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_fault(row: Row, paced: Sandbox, tmp_path: Path) -> None:
    outcomes = run_row(row, paced, tmp_path)
    wrong = {name: outcome for name, outcome in outcomes.items() if not row.holds(outcome)}
    assert not wrong, "\n".join(f"{name}: {outcome}\n{outcome.log}" for name, outcome in wrong.items())


@pytest.mark.parametrize("row", FORWARD_ROWS, ids=lambda row: row.name)
def test_fault_of_a_forwarding(row: Row, paced: Sandbox, tmp_path: Path) -> None:
    (outcome,) = run_row(row, paced, tmp_path, ["forward"]).values()
    assert row.holds(outcome), f"{outcome}\n{outcome.log}"


TESTS = Path(__file__).parent.parent


def test_no_fault_is_forgotten() -> None:
    """What no transfer meets (of lists, of commands, of keys) is tried somewhere else, by its name."""
    elsewhere = set(FAULT_TYPES) - {parse(fault).name for row in (*ROWS, *FORWARD_ROWS) for fault in row.faults}
    texts = [path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")]
    assert not {name for name in elsewhere if not any(re.search(f"[\"']{name}[\"':]", text) for text in texts)}
