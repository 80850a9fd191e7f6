"""How long the first answer is waited for, and what is said then."""

import math

import pytest

from ssmssh.errors import NetworkError, TargetError
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.expectation import ONE_CONNECTION
from ssmssh.protocol.statistics import Statistics
from ssmssh.session.patience import (
    ATTEMPT_HANDSHAKE_SECONDS,
    ATTEMPT_PORT_SECONDS,
    NOTICE_SECONDS,
    PORT_SECONDS,
    START_SECONDS,
    Patience,
)

NOTHING = DataChannel(client_id="", expectation=ONE_CONNECTION).statistics
SENT = NOTHING._replace(unacknowledged_messages=1)
ANSWERS_BY = 1009.5


@pytest.fixture
def patience() -> Patience:
    return Patience(lambda: "i-1 in eu-west-1 with profile prod", "port 22", 9.5, 1000.0)


def check(patience: Patience, now: float, statistics: Statistics = NOTHING, answers_by: float = ANSWERS_BY) -> None:
    """Nothing happens before the deadline that is told, and nothing is told that has passed."""
    deadline = patience.next_deadline(answers_by)
    if deadline > now:
        patience.check(math.nextafter(deadline, 0) if deadline < math.inf else 1e9, answers_by, statistics)
    patience.check(now, answers_by, statistics)


def test_a_person_may_take_long_to_log_in(patience: Patience) -> None:
    check(patience, 1000.0 + START_SECONDS - 1, answers_by=math.inf)
    with pytest.raises(NetworkError, match="credentials"):
        check(patience, 1000.0 + START_SECONDS, answers_by=math.inf)


def test_a_session_that_does_not_start(patience: Patience) -> None:
    check(patience, 1009.4)
    with pytest.raises(NetworkError, match=r"Starting .* i-1 in eu-west-1 with profile prod took more than 9\.5 s"):
        check(patience, ANSWERS_BY)


def test_an_agent_that_does_not_shake_hands(patience: Patience) -> None:
    patience.connected(1000.5)
    check(patience, 1009.4)
    with pytest.raises(NetworkError, match=r"handshake.*--wait"):
        check(patience, ANSWERS_BY)


def test_a_key_that_does_not_come(patience: Patience) -> None:
    patience.connected(1000.5)
    patience.key_requested()
    patience.lost("cut")
    patience.connected(1001.5)
    check(patience, 1009.4)
    with pytest.raises(NetworkError, match=r"KMS did not give a key .* i-1 .* within 9\.5 s; check that KMS"):
        check(patience, ANSWERS_BY)


def test_an_agent_that_is_silent_once_it_has_the_key(patience: Patience) -> None:
    patience.connected(1000.5)
    patience.key_requested()
    patience.key_provided()
    with pytest.raises(NetworkError, match="did not complete the handshake"):
        check(patience, ANSWERS_BY)


def test_connections_that_do_not_last_until_the_handshake(patience: Patience) -> None:
    patience.connected(1000.5)
    patience.lost("The service closed the WebSocket (1009): too big")
    with pytest.raises(NetworkError, match=r"i-1 .* \(1009\): too big"):
        check(patience, ANSWERS_BY)


@pytest.mark.parametrize(("waits", "seconds"), [(False, PORT_SECONDS), (True, ATTEMPT_PORT_SECONDS)])
def test_a_port_that_does_not_answer(waits: bool, seconds: float) -> None:
    patience = Patience(lambda: "i-1", "port 22", 9.5, 1000.0, waits=waits)
    patience.connected(1000.5)
    patience.shaken()
    patience.check(1010.0, ANSWERS_BY, SENT)
    patience.check(1010.0 + seconds - 0.1, ANSWERS_BY, SENT)
    assert patience.next_deadline(ANSWERS_BY) == 1010.0 + seconds
    with pytest.raises(TargetError, match=r"port 22 of i-1; .*--wait"):
        patience.check(1010.0 + seconds, ANSWERS_BY, SENT)


def test_a_port_cannot_answer_while_the_connection_is_lost(patience: Patience) -> None:
    patience.connected(1000.5)
    patience.shaken()
    patience.check(1002.0, ANSWERS_BY, SENT)
    patience.lost("cut")
    patience.connected(1059.0)
    patience.check(1060.0, ANSWERS_BY, SENT)
    patience.check(1060.0 + PORT_SECONDS - 0.1, ANSWERS_BY, SENT)


def test_an_agent_that_does_not_shake_hands_is_given_up_before_the_waiting_is() -> None:
    """The next session may find another one."""
    patience = Patience(lambda: "i-1", "port 22", 600.0, 1000.0, waits=True)
    patience.connected(1100.0)
    patience.lost("cut")
    patience.connected(1110.0)
    check(patience, 1100.0 + ATTEMPT_HANDSHAKE_SECONDS - 0.1, answers_by=1600.0)
    with pytest.raises(NetworkError, match=r"No connection to i-1 has lasted, in 30 s: cut"):
        check(patience, 1100.0 + ATTEMPT_HANDSHAKE_SECONDS, answers_by=1600.0)


def test_what_is_waited_for_is_told_once() -> None:
    told: list[str] = []
    patience = Patience(lambda: "i-1", "port 22", 60.0, 1000.0, waits=True, on_wait=told.append)
    check(patience, 1100.0, answers_by=math.inf)  # a person is typing a code
    answers_by = 1100.0 + 60.0
    check(patience, 1100.0 + NOTICE_SECONDS - 0.1, answers_by=answers_by)
    assert told == []
    check(patience, 1100.0 + NOTICE_SECONDS, answers_by=answers_by)
    patience.connected(1120.0)
    check(patience, 1121.0, answers_by=answers_by)
    assert told == ["a session with i-1"]


@pytest.mark.parametrize(("is_shaken", "words"), [(False, "the agent of i-1"), (True, "port 22 of i-1 to answer")])
def test_what_is_waited_for(is_shaken: bool, words: str) -> None:
    told: list[str] = []
    patience = Patience(lambda: "i-1", "port 22", 60.0, 1000.0, on_wait=told.append)
    patience.connected(1000.5)
    if is_shaken:
        patience.shaken()
        patience.check(1005.0, 1060.0, SENT)
    check(patience, 1000.0 + NOTICE_SECONDS, SENT, answers_by=1060.0)
    assert told == [words]


def test_a_port_that_was_sent_nothing_is_not_waited_for() -> None:
    told: list[str] = []
    patience = Patience(lambda: "i-1", "port 22", 9.5, 1000.0, on_wait=told.append)
    patience.connected(1000.5)
    patience.shaken()
    patience.check(1020.0, ANSWERS_BY, NOTHING)
    assert told == []


@pytest.mark.parametrize(
    "answer",
    [SENT._replace(any_data_acknowledged=True), SENT._replace(data_received=True)],
    ids=["acknowledged", "data"],
)
def test_a_port_that_has_answered_may_be_silent(patience: Patience, answer: Statistics) -> None:
    patience.connected(1000.5)
    patience.shaken()
    patience.check(1002.0, ANSWERS_BY, SENT)
    patience.check(1003.0, ANSWERS_BY, answer)
    assert patience.next_deadline(ANSWERS_BY) == math.inf
    patience.check(1e9, ANSWERS_BY, SENT)


def test_a_port_that_was_sent_nothing_may_be_silent(patience: Patience) -> None:
    patience.connected(1000.5)
    patience.shaken()
    patience.check(1e6, ANSWERS_BY, NOTHING)
    assert patience.next_deadline(ANSWERS_BY) == math.inf


def test_without_a_port_it_is_the_agent_that_is_silent() -> None:
    told: list[str] = []
    patience = Patience(lambda: "i-1", "", 9.5, 1000.0, on_wait=told.append)
    patience.connected(1001.0)
    patience.shaken()
    patience.check(1002.0, ANSWERS_BY, SENT)
    patience.check(1010.0, ANSWERS_BY, SENT)
    assert told == ["the agent of i-1 to answer"]
    with pytest.raises(TargetError, match=r"^The agent of i-1 takes no input; check"):
        patience.check(1002.0 + PORT_SECONDS, ANSWERS_BY, SENT)
