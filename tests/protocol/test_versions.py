"""The version gates."""

import pytest

from ssmssh.protocol.versions import (
    CLIENT_VERSION,
    MULTIPLEXING_AFTER,
    SMUX_KEEPALIVE_OFF_AFTER,
    TERMINATE_SESSION_AFTER,
    supports,
)


@pytest.mark.parametrize("gate", [TERMINATE_SESSION_AFTER, MULTIPLEXING_AFTER, SMUX_KEEPALIVE_OFF_AFTER])
def test_a_gate_is_not_passed_by_its_own_version(gate: str) -> None:
    *front, last = gate.split(".")
    assert not supports(gate, gate)
    assert supports(".".join([*front, str(int(last) + 1)]), gate)


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("3.0.197.0", True),
        ("3.1.0.0", True),
        ("10.0.0.0", True),
        ("3.0.196.1", True),
        ("3.0.195.9999", False),
        ("2.9.999.0", False),
        ("3.0.200", False),
        ("3.0.200.0.0", False),
        ("", False),
        ("latest", False),
        ("3.0.x.0", False),
        (" 3.3.0.0", False),
        ("3.3.0.-1", False),
        ("3.3.0.0\n", False),
        ("٣.3.0.0", False),
        ("9" * 5000 + ".0.0.0", False),
    ],
)
def test_versions_are_compared_part_by_part_and_need_four(agent: str, expected: bool) -> None:
    assert supports(agent, MULTIPLEXING_AFTER) is expected


def test_a_gate_of_another_form_is_never_passed() -> None:
    assert not supports("3.3.0.0", "1.1.70")


def test_the_version_we_announce_agrees_with_what_we_do() -> None:
    """See the module's text: smux without keep-alives, signed open, not too old."""
    ours = tuple(int(part) for part in CLIENT_VERSION.split("."))
    assert ours >= (1, 1, 70)
    assert ours > (1, 2, 331, 0)
    assert ours >= (1, 2, 764, 0)
