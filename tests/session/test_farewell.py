"""How long a flush may take, and how each end is told."""

import pytest

from ssmssh.errors import DoubledError, ExitStatus, SsmsshError, TargetError
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.expectation import ONE_CONNECTION
from ssmssh.session.farewell import (
    FLUSH_SECONDS,
    HASTY_FLUSH_SECONDS,
    LONGEST_HASTY_FLUSH_SECONDS,
    Farewell,
    ended_by_service,
    unflushed,
)

TARGET = "i-1 in eu-west-1 with profile prod"
STATISTICS = DataChannel(client_id="", expectation=ONE_CONNECTION).statistics._replace(
    unacknowledged_messages=3, unacknowledged_bytes=3000
)
PORT = "port 2222"
CRASH = "document process failed unexpectedly: ipc messaging received timeout signal , check log for crash reason"


def test_a_flush_goes_on_while_acknowledgements_come() -> None:
    farewell = Farewell(0.0, 10, is_hasty=False)
    for second in range(1, 1000):
        farewell.progressed(float(second), 10 + second)
        assert farewell.until == second + FLUSH_SECONDS
    farewell.progressed(1005.0, 1009)
    assert farewell.until == 999 + FLUSH_SECONDS


def test_a_client_that_is_gone_is_not_kept_alive_by_acknowledgements_for_long() -> None:
    farewell = Farewell(0.0, 0, is_hasty=True)
    assert farewell.until == HASTY_FLUSH_SECONDS
    farewell.progressed(1.0, 5)
    assert farewell.until == 1.0 + HASTY_FLUSH_SECONDS
    farewell.progressed(1.4, 5)
    assert farewell.until == 1.0 + HASTY_FLUSH_SECONDS
    farewell.progressed(9.0, 6)
    assert farewell.until == LONGEST_HASTY_FLUSH_SECONDS


def test_a_signal_during_a_flush_hurries_it_once() -> None:
    farewell = Farewell(0.0, 0, is_hasty=False)
    farewell.hurry(5.0)
    farewell.hurry(6.0)
    assert farewell.is_hasty
    assert farewell.until == 5.0 + HASTY_FLUSH_SECONDS


def test_a_signal_late_in_a_flush_does_not_prolong_it() -> None:
    farewell = Farewell(0.0, 0, is_hasty=False)
    farewell.hurry(FLUSH_SECONDS - 0.5)
    assert farewell.until == FLUSH_SECONDS


def test_what_did_not_arrive_is_told() -> None:
    error = unflushed(TARGET, PORT, 500, STATISTICS._replace(any_data_acknowledged=True), is_connected=True)
    assert error.exit_status == ExitStatus.NETWORK
    assert "3500 bytes" in error.sentence
    assert TARGET in error.sentence


def test_a_flush_to_a_port_that_never_answered() -> None:
    assert unflushed(TARGET, PORT, 0, STATISTICS, is_connected=True).exit_status == ExitStatus.TARGET
    assert unflushed(TARGET, PORT, 0, STATISTICS, is_connected=False).exit_status == ExitStatus.NETWORK


def test_without_a_port_nothing_is_said_of_one() -> None:
    """A command may say nothing and end, a mux may never be used."""
    assert ended_by_service("", TARGET, "", is_shaken=True, has_spoken=False, has_loss=False) is None
    for error in (
        ended_by_service(CRASH, TARGET, "", is_shaken=True, has_spoken=False, has_loss=False),
        ended_by_service(FORBIDDEN, TARGET, "", is_shaken=True, has_spoken=False, has_loss=False),
        unflushed(TARGET, "", 500, STATISTICS, is_connected=True),
    ):
        assert error is not None
        assert " port" not in str(error)
        assert TARGET in error.sentence


def test_an_end_that_a_doubled_message_explains() -> None:
    def end(output: str, *, has_spoken: bool, has_loss: bool = True) -> SsmsshError | None:
        return ended_by_service(
            output, TARGET, PORT, is_shaken=True, has_spoken=has_spoken, has_loss=has_loss, may_be_doubled=True
        )

    error = end("", has_spoken=True)
    assert isinstance(error, DoubledError)
    assert error.exit_status == ExitStatus.SESSION_ENDED
    assert TARGET in error.sentence
    assert end("", has_spoken=True, has_loss=False) is None, "all has arrived: an orderly end"
    assert not isinstance(end(IDLE, has_spoken=True), DoubledError), "the reason is known"
    assert isinstance(end("", has_spoken=False), TargetError), "nobody has taken anything yet"


IDLE = "The session was terminated because it was idle."
FORBIDDEN = "Forwarding to IP address 127.0.0.1 is forbidden."


@pytest.mark.parametrize(
    ("output", "is_shaken", "has_spoken", "has_loss", "status"),
    [
        ("", True, True, False, None),
        ("", True, True, True, ExitStatus.SESSION_ENDED),
        ("", True, False, False, ExitStatus.TARGET),
        ("", True, False, True, ExitStatus.TARGET),
        ("", False, False, False, ExitStatus.SESSION_ENDED),
        (IDLE, True, True, False, ExitStatus.SESSION_ENDED),
        (IDLE, True, False, False, ExitStatus.SESSION_ENDED),
        (IDLE, False, False, False, ExitStatus.SESSION_ENDED),
        (CRASH, True, False, True, ExitStatus.TARGET),
        (CRASH, True, False, False, ExitStatus.TARGET),
        (CRASH, True, True, True, ExitStatus.SESSION_ENDED),
        (CRASH, False, False, False, ExitStatus.SESSION_ENDED),
        (FORBIDDEN, True, False, True, ExitStatus.ACCESS_DENIED),
        (FORBIDDEN, False, False, False, ExitStatus.ACCESS_DENIED),
        ("\n---ERROR---\nEncountered error while initiating handshake. no", False, False, False, ExitStatus.PROTOCOL),
    ],
)
def test_ends_told_by_the_service(
    output: str, is_shaken: bool, has_spoken: bool, has_loss: bool, status: ExitStatus | None
) -> None:
    error = ended_by_service(output, TARGET, PORT, is_shaken=is_shaken, has_spoken=has_spoken, has_loss=has_loss)
    assert (error.exit_status if error else None) == status
    if error:
        assert TARGET in error.sentence
        assert "\n" not in str(error)
        if status == ExitStatus.TARGET:
            assert error.sentence == f"Nothing answers on {PORT} of {TARGET}"
        else:
            assert " ".join(output.split()) in error.sentence


def test_a_user_whom_nothing_runs_as() -> None:
    output = "\n----------ERROR-------\nUnable to start command: Failed to start pty since RunAs user x does not exist"
    error = ended_by_service(output, TARGET, "", is_shaken=True, has_spoken=False, has_loss=False)
    assert isinstance(error, TargetError)
    assert "Run As" in error.hint
    assert "\n" not in str(error)
