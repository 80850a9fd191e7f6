"""Sessions that end behind an interruption, when the agent may have written a message twice."""

from collections.abc import Callable

import pytest

from ssmssh.protocol.message import MessageType, encode, random_message_id
from ssmssh.session.doubling import SUSPICIOUS_SECONDS, Doubling
from tests.acceptance.clients import Client
from tests.session.observed import ObservedProxy
from tests.session.rogueagent import ANSWER_SECONDS, RogueAgent, rogue_session

BANNER = b"SSH-2.0-rogue\r\n"


def test_an_interruption_explains_an_end_for_a_while() -> None:
    doubling = Doubling()
    assert not doubling.explains(1000.0)
    doubling.interrupted(1000.0, 0)
    assert not doubling.explains(1000.0)
    doubling.interrupted(1000.0, 1)  # the connection is lost
    doubling.interrupted(1090.0, 1)  # and comes back
    assert doubling.explains(1090.0 + SUSPICIOUS_SECONDS - 0.1)
    doubling.interrupted(1095.0, 0)
    assert doubling.explains(1096.0)
    assert not doubling.explains(1090.0 + SUSPICIOUS_SECONDS)


def tell(agent: RogueAgent, kind: MessageType) -> None:
    """Say a word of the service's that has no content."""
    agent.connection.send(encode(kind, 0, 0, b"", random_message_id(), 0))


def run(client: Client, first: Callable[[RogueAgent], None], *, has_next: bool) -> tuple[int, str]:
    """Be an agent that greets and does `first`; on the next connection, or at once, the session is over."""
    agents: list[RogueAgent] = []

    def behave(agent: RogueAgent) -> None:
        agents.append(agent)
        if len(agents) == 1:
            agent.shake_hands()
            agent.say(BANNER)
            first(agent)
            if has_next:
                return
        else:
            agent.connection.recv(timeout=ANSWER_SECONDS)
        agent.close_channel()
        agent.connection.recv(timeout=ANSWER_SECONDS)

    with rogue_session(behave) as api:
        proxy = ObservedProxy(client, "--endpoint-url", api.url)
        assert proxy.stdout.readline() == BANNER
        proxy.write(b"upload")
        status = proxy.wait()
        return status, proxy.line


def take_unacknowledged(agent: RogueAgent) -> None:
    """Let what the client writes come, and acknowledge nothing."""
    for _ in range(3):
        agent.connection.recv(timeout=ANSWER_SECONDS)


def pause_in_flight(agent: RogueAgent) -> None:
    take_unacknowledged(agent)
    tell(agent, MessageType.PAUSE_PUBLICATION)
    tell(agent, MessageType.START_PUBLICATION)


@pytest.mark.parametrize(
    ("first", "has_next"), [(take_unacknowledged, True), (pause_in_flight, False)], ids=["lost", "paused"]
)
def test_an_end_behind_an_interruption_with_messages_in_flight(
    client: Client, first: Callable[[RogueAgent], None], has_next: bool
) -> None:
    status, line = run(client, first, has_next=has_next)
    assert status == 7
    assert "may have written a message twice" in line
    assert line.count("\n") == 1


def hear(agent: RogueAgent) -> None:
    agent.hear()


@pytest.mark.parametrize(("first", "has_next"), [(hear, True), (hear, False)], ids=["lost", "not interrupted"])
def test_an_end_that_it_does_not_explain(client: Client, first: Callable[[RogueAgent], None], has_next: bool) -> None:
    """All was acknowledged: it was written once, and the far side has closed for a reason of its own."""
    assert run(client, first, has_next=has_next) == (0, "")
