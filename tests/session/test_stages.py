"""The bounds of all stages fit together, though each stands on its own floor."""

from ssmssh.aws.client import CONNECT_SECONDS, READ_SECONDS
from ssmssh.aws.terminal import ANSWER_SECONDS
from ssmssh.session import keepalive
from ssmssh.session.farewell import HASTY_FLUSH_SECONDS, START_CALL_SECONDS, TERMINATE_SECONDS
from ssmssh.session.outage import RESUME_SECONDS
from ssmssh.session.patience import (
    ATTEMPT_HANDSHAKE_SECONDS,
    ATTEMPT_PAUSE_SECONDS,
    ATTEMPT_PORT_SECONDS,
    LEAST_OPEN_SECONDS,
    NOTICE_SECONDS,
    OPEN_SECONDS,
    PATIENCE_SECONDS,
    PORT_SECONDS,
    RESERVED_SECONDS,
    START_SECONDS,
    STRICTEST_SECONDS,
)
from ssmssh.sshconfig.section import SERVER_ALIVE_COUNT, SERVER_ALIVE_SECONDS

CALL_SECONDS = CONNECT_SECONDS + READ_SECONDS
PYTHON_SECONDS = 0.4
"""For a proxy to come to its first call, with a wide margin: ``benchmarks startup``."""

AGENT_GIVES_UP_SECONDS = 15.0
"""The agent waits that long for a handshake (protocol facts of the agent)."""


def test_a_failure_is_told_before_the_strictest_program_gives_up() -> None:
    assert PATIENCE_SECONDS + PYTHON_SECONDS < STRICTEST_SECONDS


def test_a_person_is_told_what_is_waited_for_before_it_is_over() -> None:
    assert NOTICE_SECONDS < PATIENCE_SECONDS


def test_the_slowest_call_leaves_time_for_the_rest() -> None:
    assert CALL_SECONDS + LEAST_OPEN_SECONDS < PATIENCE_SECONDS


def test_no_attempt_begins_that_leaves_no_time_to_open_and_shake_hands() -> None:
    assert LEAST_OPEN_SECONDS < RESERVED_SECONDS


def test_it_is_the_patience_that_ends_an_opening_that_hangs() -> None:
    assert OPEN_SECONDS >= PATIENCE_SECONDS


def test_a_question_to_a_person_ends_with_the_time_for_credentials() -> None:
    assert ANSWER_SECONDS <= START_SECONDS


def test_who_waits_gives_an_agent_as_long_as_that_gives_itself_and_a_port_less_than_who_does_not() -> None:
    assert ATTEMPT_HANDSHAKE_SECONDS >= 2 * AGENT_GIVES_UP_SECONDS
    assert ATTEMPT_PORT_SECONDS < PORT_SECONDS


def test_a_dead_connection_is_found_out_before_the_port_is_blamed() -> None:
    assert ATTEMPT_PORT_SECONDS > keepalive.ANSWER_SECONDS + keepalive.URGENT_PONG_SECONDS


def test_the_pause_between_two_sessions_is_shorter_than_a_session() -> None:
    assert ATTEMPT_PAUSE_SECONDS[1] <= ATTEMPT_PORT_SECONDS


def test_ssh_does_not_give_up_while_a_connection_may_still_be_resumed() -> None:
    assert RESUME_SECONDS + CALL_SECONDS < SERVER_ALIVE_SECONDS * SERVER_ALIVE_COUNT


def test_a_session_that_is_being_started_when_nobody_waits_any_more_is_heard_of() -> None:
    assert CALL_SECONDS < START_CALL_SECONDS


def test_an_end_in_haste_is_short_for_whoever_waits_for_a_kill() -> None:
    assert HASTY_FLUSH_SECONDS + TERMINATE_SECONDS < 4
