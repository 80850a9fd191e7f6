"""What is remembered of relays, for whom, and for how long."""

import json
from pathlib import Path

import pytest

from ssmssh.bundle.places import REFUSED_SECONDS, UNGROWN_SECONDS, Place, Places

PLACE = Place(40001, bytes(range(32)))
PURPOSE = ("i-0123456789abcdef0", "ec2-user", 22)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def places(tmp_path: Path, clock: Clock) -> Places:
    return Places(tmp_path / "relays", "who", PURPOSE, clock)


def test_a_place(places: Places, tmp_path: Path) -> None:
    assert places.find() is None
    places.keep(PLACE)
    assert places.find() == PLACE
    assert places.refusal() == ""
    (file,) = (tmp_path / "relays").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    places.forget()
    places.forget()
    assert places.find() is None


def test_the_secret_is_in_no_repr() -> None:
    assert PLACE.secret.hex() not in repr(PLACE)
    assert "secret" not in repr(PLACE)


@pytest.mark.parametrize(
    ("identity", "purpose"),
    [
        ("other", PURPOSE),
        ("who", ("i-0fedcba9876543210", *PURPOSE[1:])),
        ("who", (PURPOSE[0], "root", 22)),
        ("who", (*PURPOSE[:2], 2222)),
    ],
)
def test_another_purpose_has_another_relay(
    places: Places, tmp_path: Path, identity: str, purpose: tuple[str, str, int]
) -> None:
    places.keep(PLACE)
    assert Places(tmp_path / "relays", identity, purpose).find() is None


def test_a_refusal_is_remembered_for_an_hour(places: Places, clock: Clock) -> None:
    places.keep(PLACE)
    places.refuse("no Python")
    assert places.refusal() == "no Python"
    assert places.find() is None
    clock.now += REFUSED_SECONDS - 1
    assert places.refusal() == "no Python"
    clock.now += 1
    assert places.refusal() == ""


def test_a_clock_that_was_set_back_keeps_no_refusal(places: Places, clock: Clock) -> None:
    places.refuse("no Python")
    clock.now -= 1
    assert places.refusal() == ""


def test_growth_is_stopped_for_all_of_an_identity(places: Places, tmp_path: Path, clock: Clock) -> None:
    assert places.may_grow
    places.stop_growth()
    other = Places(tmp_path / "relays", "who", ("mi-0123456789abcdef0", "root", 22), clock)
    assert (places.may_grow, other.may_grow) == (False, False)
    assert Places(tmp_path / "relays", "someone else", PURPOSE, clock).may_grow
    clock.now += UNGROWN_SECONDS
    assert Places(tmp_path / "relays", "who", PURPOSE, clock).may_grow


@pytest.mark.parametrize("kept", [[], {"port": "x", "secret": "00"}, {"port": 1, "secret": "xy"}, {"port": 1}, 7])
def test_what_is_no_place_is_none(places: Places, tmp_path: Path, kept: object) -> None:
    from ssmssh.keptfiles import write_kept

    places.keep(PLACE)
    (file,) = (tmp_path / "relays").iterdir()
    write_kept(file, json.dumps(kept).encode())
    assert places.find() is None
    assert places.refusal() == ""


def test_a_file_that_others_can_write_is_none(places: Places, tmp_path: Path) -> None:
    places.keep(PLACE)
    (file,) = (tmp_path / "relays").iterdir()
    file.chmod(0o666)
    assert places.find() is None


def test_a_directory_that_cannot_be_made_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = Places(tmp_path / "file" / "relays", "who", PURPOSE)
    places.keep(PLACE)
    assert places.find() is None
    assert places.may_grow
