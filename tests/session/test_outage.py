"""The plan of attempts to resume, under clocks that the test sets."""

import pytest

from ssmssh.errors import AccessDeniedError, CredentialsError, NetworkError, SessionEndedError, SsmsshError
from ssmssh.session.outage import (
    DELAY_SECONDS,
    MAX_DENIED,
    MAX_FRUITLESS,
    PERSONAL_RESUME_SECONDS,
    RESUME_SECONDS,
    Outage,
)
from ssmssh.websocket import WebSocketClosed

BYE = WebSocketClosed(1000, "Bye")
NO_NETWORK = NetworkError("The host is unreachable", "check the network")


@pytest.fixture(params=[0.5, 1.0], ids=["shortest delays", "longest delays"])
def outage(request: pytest.FixtureRequest) -> Outage:
    return Outage(lambda: "i-1 in eu-west-1", jitter=lambda low, high: low if request.param == 0.5 else high)


def fail_until_given_up(outage: Outage, error: SsmsshError, now: float) -> tuple[float, int, SsmsshError]:
    """Let every attempt fail at once; when the last one was, how many there were, and what is told."""
    for attempts in range(1, 1000):
        now = max(now, outage.retry_at)
        try:
            outage.failed(error, now)
        except SsmsshError as told:
            return now, attempts, told
    raise AssertionError("it goes on for ever")


def test_the_first_attempt_is_at_once(outage: Outage) -> None:
    outage.lost(BYE, 1000.0, was_fruitful=True)
    assert outage.retry_at == 1000.0


def test_hourly_closes_are_no_trouble(outage: Outage) -> None:
    now = 0.0
    for _ in range(1000):
        now += 3600
        outage.lost(BYE, now, was_fruitful=True)
        assert outage.retry_at == now
        outage.resumed(now + 1)


def test_a_network_that_stays_away_ends_it_in_time(outage: Outage) -> None:
    outage.lost(BYE, 1000.0, was_fruitful=True)
    last, attempts, told = fail_until_given_up(outage, NO_NETWORK, 1000.0)
    assert RESUME_SECONDS - DELAY_SECONDS[1] <= last - 1000.0 <= RESUME_SECONDS
    assert 20 <= attempts <= 60
    assert isinstance(told, NetworkError)
    assert "i-1 in eu-west-1" in told.sentence
    assert "unreachable" in told.sentence
    assert told.hint == NO_NETWORK.hint


def test_delays_grow_to_their_longest(outage: Outage) -> None:
    outage.lost(BYE, 0.0, was_fruitful=True)
    delays = []
    for _ in range(10):
        now = outage.retry_at
        outage.failed(NO_NETWORK, now)
        delays.append(outage.retry_at - now)
    assert delays == sorted(delays)
    assert delays[0] <= 2 * DELAY_SECONDS[0]
    assert DELAY_SECONDS[1] / 2 <= delays[-1] <= DELAY_SECONDS[1]


def test_credentials_may_be_renewed_while_it_lasts(outage: Outage) -> None:
    outage.lost(BYE, 0.0, was_fruitful=True)
    last, _, told = fail_until_given_up(outage, CredentialsError("expired", "run: aws sso login --profile prod"), 0.0)
    assert last > RESUME_SECONDS - DELAY_SECONDS[1]
    assert isinstance(told, CredentialsError)
    assert "aws sso login --profile prod" in str(told)


def test_what_is_not_allowed_is_not_asked_for_long(outage: Outage) -> None:
    outage.lost(BYE, 0.0, was_fruitful=True)
    last, attempts, told = fail_until_given_up(outage, AccessDeniedError("not allowed: ssm:ResumeSession"), 0.0)
    assert attempts == MAX_DENIED
    assert last < 5
    assert isinstance(told, AccessDeniedError)


def test_an_ended_session_is_the_end(outage: Outage) -> None:
    outage.lost(BYE, 0.0, was_fruitful=True)
    with pytest.raises(SessionEndedError, match="gone"):
        outage.failed(SessionEndedError("gone"), 0.0)


def test_connections_that_carry_nothing_are_counted(outage: Outage) -> None:
    now = 0.0
    for _ in range(MAX_FRUITLESS):
        outage.lost(WebSocketClosed(1009, "too big"), now, was_fruitful=False)
        now = outage.retry_at + 0.1
        outage.resumed(now)
    assert now < 30, "not a minute of that"
    with pytest.raises(NetworkError, match="too big"):
        outage.lost(WebSocketClosed(1009, "too big"), now, was_fruitful=False)


def test_a_connection_that_carried_something_begins_anew(outage: Outage) -> None:
    now = 0.0
    for number in range(100):
        outage.lost(BYE, now, was_fruitful=number % MAX_FRUITLESS == 0)
        outage.resumed(outage.retry_at)
        now = outage.retry_at + 10


def test_connections_in_between_do_not_hide_an_endless_outage(outage: Outage) -> None:
    """Each comes about after half of the time and dies at once."""
    outage.lost(BYE, 0.0, was_fruitful=True)
    outage.resumed(RESUME_SECONDS / 2)
    outage.lost(BYE, RESUME_SECONDS / 2, was_fruitful=False)
    last, _, _ = fail_until_given_up(outage, NO_NETWORK, RESUME_SECONDS / 2)
    assert last <= RESUME_SECONDS


def test_a_person_may_wait_for_longer() -> None:
    outage = Outage(lambda: "i-1", PERSONAL_RESUME_SECONDS, jitter=lambda low, _: low)
    outage.lost(BYE, 0.0, was_fruitful=True)
    last, _, _ = fail_until_given_up(outage, NO_NETWORK, 0.0)
    assert PERSONAL_RESUME_SECONDS - DELAY_SECONDS[1] <= last <= PERSONAL_RESUME_SECONDS


def test_an_attempt_that_does_not_return_is_given_up(outage: Outage) -> None:
    outage.lost(BYE, 50.0, was_fruitful=True)
    outage.check(50.0 + RESUME_SECONDS)
    with pytest.raises(NetworkError, match=r"i-1 in eu-west-1 was lost, and not resumed within 100 s; check"):
        outage.check(50.1 + RESUME_SECONDS)
