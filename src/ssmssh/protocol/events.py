"""What a `DataChannel` tells its caller, in the order in which it happened on the far side.

Not dataclasses: each of those takes a millisecond of every start to be made, a tuple a tenth.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ssmssh.protocol.message import PayloadType
from ssmssh.protocol.payloads import SessionType
from ssmssh.protocol.versions import multiplexes


class KeyRequested(NamedTuple):
    """The session is to be encrypted; the agent waits 15 s for `DataChannel.provide_key` or `refuse_key`.

    The key is KMS's GenerateDataKey of 64 bytes, with ``aws:ssm:SessionId`` and ``aws:ssm:TargetId`` as its encryption
    context.

    Attributes:
        key_id: As KMS names it.
        challenge: Goes into the encryption context as ``aws:ssm:RandomChallenge``; empty from older agents, for none.
    """

    key_id: str
    challenge: str


class HandshakeCompleted(NamedTuple):
    """The channel is open: from now on data may be sent.

    Attributes:
        agent_version: As the agent states it; empty where the agent skipped the handshake (plain shells).
        properties: The document's properties, for a `Port` session flat and made of strings, else empty.
        customer_message: A text meant for the user; mostly empty.
    """

    agent_version: str
    session_type: SessionType
    properties: Mapping[str, object]
    customer_message: str

    @property
    def is_multiplexed(self) -> bool:
        """Whether what the agent sends and takes are smux frames."""
        return multiplexes(self.agent_version, self.properties)


class DataReceived(NamedTuple):
    """Bytes of the far side: in order, each once, never empty.

    They have been acknowledged (or will be, with the next output): whoever gets this must keep them.

    Attributes:
        payload_type: `OUTPUT`, `STD_ERR` or `EXIT_CODE`.
    """

    payload: bytes
    payload_type: PayloadType


class FlagReceived(NamedTuple):
    """The agent sent a flag, a `ControlFlag` where the number is known."""

    flag: int


class _Bare:
    """An event that says nothing else: all of its kind are equal."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Paused(_Bare):
    """The service asked us to wait; nothing is sent until `Resumed`."""

    __slots__ = ()


class Resumed(_Bare):
    """The far side is there again."""

    __slots__ = ()


class ChannelClosed(NamedTuple):
    """The service ended the session; nothing follows.

    Attributes:
        output: The service's text for the user; empty for a normal end.
    """

    output: str


Event = KeyRequested | HandshakeCompleted | DataReceived | FlagReceived | Paused | Resumed | ChannelClosed
