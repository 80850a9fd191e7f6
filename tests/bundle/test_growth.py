"""When a bundle grows, and what it gives back."""

import pytest

from ssmssh.bundle.growth import IDLE_SECONDS, LOOK_SECONDS, Growth

PACE = 700_000


def members_after(seconds: int, rate: "list[float]", most: int = 8) -> int:
    """How many there are when a download has run for so long at `rate[members]`."""
    growth, members, received, now = Growth(most, 0.0), 1, 0.0, 0.0
    while now < seconds:
        now += LOOK_SECONDS
        received += rate[min(members, len(rate) - 1)] * LOOK_SECONDS
        if growth.wants_another(int(received), members, now):
            members += 1
            growth.joined(int(received), now)
    return members


def test_a_download_at_the_pace_of_agents_gets_all() -> None:
    assert members_after(20, [count * PACE for count in range(9)]) == 8
    assert members_after(5, [count * PACE for count in range(9)]) == 6


def test_the_most_is_never_passed() -> None:
    assert members_after(60, [count * PACE for count in range(17)], most=4) == 4
    assert members_after(60, [PACE, PACE], most=1) == 1


@pytest.mark.parametrize("rate", [0.0, 1000.0, 150_000.0])
def test_a_shell_has_one(rate: float) -> None:
    assert members_after(600, [rate]) == 1


def test_a_path_that_carries_no_more_gets_no_more() -> None:
    """A second one is tried, and brings nothing."""
    assert members_after(600, [0, 400_000, 400_000, 400_000]) == 2


def test_a_path_for_three_gets_few_more() -> None:
    assert members_after(600, [0, PACE, 2 * PACE, *[3 * PACE] * 14], most=16) <= 6


def test_a_rest() -> None:
    growth = Growth(8, 0.0)
    growth.rest(60.0, 0.0)
    assert not any(growth.wants_another(second * PACE, 1, float(second)) for second in range(1, 60))
    assert growth.wants_another(60 * PACE, 1, 60.0)


def test_nothing_is_decided_in_between() -> None:
    growth = Growth(8, 0.0)
    assert not growth.wants_another(10 * PACE, 1, LOOK_SECONDS / 2)
    assert growth.wants_another(10 * PACE, 1, LOOK_SECONDS)
    assert growth.rate == pytest.approx(10 * PACE)


def test_idle_members_are_given_back_but_for_one() -> None:
    growth = Growth(8, 0.0)
    assert growth.idle({1: 5, 2: 0, 3: 7}, 0.0) == []
    assert growth.idle({1: 5, 2: 0, 3: 9}, IDLE_SECONDS - 1) == []
    assert growth.idle({1: 5, 2: 0, 3: 9}, IDLE_SECONDS) == [1, 2]
    assert growth.idle({3: 9}, 10 * IDLE_SECONDS) == []
    assert growth.idle({3: 9, 4: 0}, 10 * IDLE_SECONDS) == [3], "the new one counts from now"
    assert growth.idle({3: 9, 4: 0}, 20 * IDLE_SECONDS) == [4]
