"""Every fault of the sandbox in the middle of a download, on one of two members and on all that there are."""

import pytest

from ssmssh.sandbox.faults import FAULT_TYPES, Kind, parse
from tests.bundle.stage import Download, Stage
from tests.session.matrix import ROWS, Row

pytestmark = [pytest.mark.soak, pytest.mark.improper, pytest.mark.timeout(240)]


def is_of_sessions(row: Row) -> bool:
    """Whether its faults can be of one session."""
    return any(FAULT_TYPES[parse(fault).name].kind is not Kind.CALL for fault in row.faults)


def is_in_the_middle(row: Row) -> bool:
    """Whether it happens to what runs."""
    return row.name not in ("no fault", "nothing listens on the port", "nothing listens, told at once")


CASES = [
    pytest.param(row, is_of_all, id=f"{'all' if is_of_all else 'one'}: {row.name}")
    for row in filter(is_in_the_middle, ROWS)
    for is_of_all in (False, True)
    if is_of_all or is_of_sessions(row)
]


@pytest.mark.parametrize(("row", "is_of_all"), CASES)
def test_every_fault_in_the_middle(warm: Stage, row: Row, is_of_all: bool) -> None:
    """Each byte arrives once: whatever happens to all members, there is another one while the relay lives."""
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
        download.finish()
    finally:
        warm.box.faults.clear()
