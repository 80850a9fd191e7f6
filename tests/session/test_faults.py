"""Every fault against every kind of use: each byte arrives, or it ends with the reason; nothing hangs."""

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


OF_LISTS = {"empty-pages"}
"""What no session meets: tests/sandbox/test_nodes.py has it."""


def test_no_fault_is_forgotten() -> None:
    assert {parse(fault).name for row in (*ROWS, *FORWARD_ROWS) for fault in row.faults} == set(FAULT_TYPES) - OF_LISTS
