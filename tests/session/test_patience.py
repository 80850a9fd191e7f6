"""How long the first answer is waited for, and what is said then."""

import math
from dataclasses import replace

import pytest

from ssmssh.errors import NetworkError, TargetError
from ssmssh.patience import PORT_SECONDS, START_SECONDS, Patience
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.statistics import Statistics

NOTHING = DataChannel(client_id="", wall_clock_offset_seconds=0).statistics
SENT = replace(NOTHING, unacknowledged_messages=1)
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
    patience.connected()
    check(patience, 1009.4)
    with pytest.raises(NetworkError, match=r"handshake.*--wait"):
        check(patience, ANSWERS_BY)


def test_connections_that_do_not_last_until_the_handshake(patience: Patience) -> None:
    patience.connected()
    patience.lost("The service closed the WebSocket (1009): too big")
    with pytest.raises(NetworkError, match=r"i-1 .* \(1009\): too big"):
        check(patience, ANSWERS_BY)


def test_a_port_that_does_not_answer(patience: Patience) -> None:
    patience.connected()
    patience.shaken()
    patience.check(1002.0, ANSWERS_BY, SENT)
    patience.check(1002.0 + PORT_SECONDS - 0.1, ANSWERS_BY, SENT)
    assert patience.next_deadline(ANSWERS_BY) == 1002.0 + PORT_SECONDS
    with pytest.raises(TargetError, match="port 22 of i-1"):
        patience.check(1002.0 + PORT_SECONDS, ANSWERS_BY, SENT)


def test_a_port_cannot_answer_while_the_connection_is_lost(patience: Patience) -> None:
    patience.connected()
    patience.shaken()
    patience.check(1002.0, ANSWERS_BY, SENT)
    patience.lost("cut")
    patience.connected()
    patience.check(1060.0, ANSWERS_BY, SENT)
    patience.check(1060.0 + PORT_SECONDS - 0.1, ANSWERS_BY, SENT)


@pytest.mark.parametrize(
    "answer",
    [replace(SENT, any_data_acknowledged=True), replace(SENT, data_received=True)],
    ids=["acknowledged", "data"],
)
def test_a_port_that_has_answered_may_be_silent(patience: Patience, answer: Statistics) -> None:
    patience.connected()
    patience.shaken()
    patience.check(1002.0, ANSWERS_BY, SENT)
    patience.check(1003.0, ANSWERS_BY, answer)
    assert patience.next_deadline(ANSWERS_BY) == math.inf
    patience.check(1e9, ANSWERS_BY, SENT)


def test_a_port_that_was_sent_nothing_may_be_silent(patience: Patience) -> None:
    patience.connected()
    patience.shaken()
    patience.check(1e6, ANSWERS_BY, NOTHING)
    assert patience.next_deadline(ANSWERS_BY) == math.inf
