"""What a use of a session expects of the handshake, and what becomes of sessions of another kind.

The session document decides what kind of session it is, and the agent tells that in its HandshakeRequest. What is not
expected is refused in the response, before anything has been opened for it: an agent that has opened its
multiplexer takes the bytes of one connection for frames of many.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ssmssh.errors import UsageError
from ssmssh.protocol.payloads import SessionType
from ssmssh.protocol.versions import MULTIPLEXED, MULTIPLEXING_AFTER, multiplexes

_WITHOUT_HANDSHAKE: Final = (SessionType.STANDARD_STREAM, SessionType.INTERACTIVE_COMMANDS)


class Expectation(NamedTuple):
    """What sessions are taken.

    Attributes:
        session_types: Those of one of these types, and no others.
        is_multiplexed: Whether the agent must speak smux, or must not; None takes both, and `HandshakeCompleted` tells.
        hint: What a person can do who has chosen a document of another kind.
    """

    session_types: frozenset[SessionType]
    is_multiplexed: bool | None
    hint: str

    @property
    def is_one_port(self) -> bool:
        """Whether there is one port on the far side, so that silence means that nothing answers on it."""
        return SessionType.PORT in self.session_types and self.is_multiplexed is False

    @property
    def without_handshake(self) -> SessionType | None:
        """The type of a session whose agent skips the handshake; None where none that is expected may.

        Agents do so for plain shells and interactive commands, and do not tell which it is. Where both are expected it
        is taken for a shell, as the official client does.
        """
        return next((each for each in _WITHOUT_HANDSHAKE if each in self.session_types), None)

    def refusal(
        self, session_type: SessionType, agent_version: str, properties: Mapping[str, object]
    ) -> UsageError | None:
        """Return what to end with if this is the kind of session; None if it is expected."""
        if session_type not in self.session_types:
            expected = " or ".join(each for each in SessionType if each in self.session_types)
            return UsageError(f"Expected a session of type {expected}, not {session_type}", self.hint)
        if self.is_multiplexed is None or self.is_multiplexed == multiplexes(agent_version, properties):
            return None
        if not self.is_multiplexed:
            return UsageError(f"The session document is for many connections in one session ({MULTIPLEXED})", self.hint)
        if properties.get("type") != MULTIPLEXED:
            return UsageError(f"The session document is for one connection, not for many ({MULTIPLEXED})", self.hint)
        return UsageError(
            f"The agent's version {agent_version or '(none)'} cannot carry many connections in one session",
            f"update the SSM Agent there: it has to be newer than {MULTIPLEXING_AFTER}",
        )


ONE_CONNECTION: Final = Expectation(
    frozenset({SessionType.PORT}),
    is_multiplexed=False,
    hint="use AWS-StartSSHSession, the default, or a document like it (sessionType Port, and no type among its "
    "properties)",
)
"""Of a session that carries the bytes of one connection to a port."""
