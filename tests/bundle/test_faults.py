"""Every fault of the sandbox in the middle of a download, on one of two members and on all that there are."""

import pytest

from ssmssh.sandbox.faults import FAULT_TYPES, Kind, parse
from tests.acceptance.clients import PATIENCE_SECONDS
from tests.bundle.stage import Download, Stage
from tests.session.matrix import ROWS, Row

pytestmark = [pytest.mark.soak, pytest.mark.improper, pytest.mark.timeout(240)]

ENDS = {"every message too big for the service": "again and again"}
"""What ends all members and whoever takes their place, and what is said then."""


def is_of_sessions(row: Row) -> bool:
    """Whether its faults can be of one session."""
    return any(FAULT_TYPES[parse(fault).name].kind is not Kind.CALL for fault in row.faults)


def is_of_one_connection(row: Row) -> bool:
    return row.name not in ("no fault", "nothing listens on the port", "nothing listens, told at once")


CASES = [
    pytest.param(row, is_of_all, id=f"{'all' if is_of_all else 'one'}: {row.name}")
    for row in filter(is_of_one_connection, ROWS)
    for is_of_all in (False, True)
    if is_of_all or is_of_sessions(row)
]


@pytest.mark.parametrize(("row", "is_of_all"), CASES)
def test_every_fault_in_the_middle(warm: Stage, row: Row, is_of_all: bool) -> None:
    """Each byte arrives once, or ssh ends and the reason is told."""
    warm.log.unlink(missing_ok=True)
    warm.forget_rest()
    download = Download(warm)
    warm.wait_for_members(2, helpers=0)
    kinds = {fault: FAULT_TYPES[parse(fault).name].kind for fault in row.faults}
    struck = warm.members if is_of_all else warm.members[:1]
    try:
        for fault, kind in kinds.items():
            if kind is Kind.CALL or (is_of_all and kind is not Kind.EVENT):
                warm.box.faults.set(fault)
            else:
                for member in struck:
                    warm.box.faults.set(fault, member.session_id)
        download.wait_for_more(600_000)
        if is_of_all and row.name in ENDS:
            _, said = download.process.communicate(timeout=PATIENCE_SECONDS)
            assert download.process.returncode == 255
            assert ENDS[row.name] in said.decode()
        else:
            download.finish()
    finally:
        warm.box.faults.clear()
