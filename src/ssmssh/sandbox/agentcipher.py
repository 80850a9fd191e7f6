"""What encrypts a session at the agent's end: the key that the client got from KMS, and the proof that both have it.

    HandshakeRequest with the id of the key      the account's preferences name it; newer agents add a challenge
    HandshakeResponse with the wrapped key       KMS unwraps it, for the context of this session and this instance
    64 random bytes, encrypted, there and back   then HandshakeComplete (agent: datachannel.go, finalizeKMSEncryption)

An answer that is not those bytes is neither acknowledged nor refused: the handshake times out.
"""

import os
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ssmssh.protocol.message import MessageError, PayloadType
from ssmssh.protocol.payloads import build_encryption_challenge, parse_encryption_challenge
from ssmssh.sandbox.agentparser import WrappedKey
from ssmssh.sandbox.versions import sends_key_challenge

if TYPE_CHECKING:
    from ssmssh.protocol.encryption import SessionCipher

ENCRYPTED = frozenset({PayloadType.OUTPUT, PayloadType.STD_ERR, PayloadType.EXIT_CODE})
"""What the agent encrypts; of what it receives, output alone is."""

_CHALLENGE_BYTES = 64
_KEY_CHALLENGE_BYTES = 16
_HALF_BYTES = 32

Decrypt = Callable[[bytes, Mapping[str, str]], Awaitable[bytes]]
"""KMS's Decrypt, in the account and region of the session: a wrapped key and its context. Raises ControlError."""


class SessionKey(NamedTuple):
    """What the account's preferences and the session say of its encryption.

    Attributes:
        key_id: Of KMS.
        context: What the wrapped key belongs to, without the challenge.
        decrypt: Unwraps it.
        is_mangled: What comes of it is another key (the fault ``wrong-session-key``).
    """

    key_id: str
    context: Mapping[str, str]
    decrypt: Decrypt
    is_mangled: bool = False


class AgentCipher:
    """One session's."""

    def __init__(self, key: SessionKey, agent_version: str) -> None:
        self._key = key
        challenge = secrets.token_bytes(_KEY_CHALLENGE_BYTES) if sends_key_challenge(agent_version) else b""
        self._key_challenge = b64encode(challenge).decode()
        self._challenge = os.urandom(_CHALLENGE_BYTES)
        self._cipher: SessionCipher | None = None

    @property
    def parameters(self) -> Mapping[str, object]:
        """Of the action that the client is asked for."""
        asked = {"KMSKeyId": self._key.key_id}
        return {**asked, "Challenge": self._key_challenge} if self._key_challenge else asked

    async def unwrap(self, wrapped: WrappedKey) -> bytes:
        """Take the client's key; the payload of the challenge that it must answer.

        Raises:
            ControlError: KMS does not unwrap it.
        """
        from ssmssh.protocol.encryption import SessionCipher  # noqa: PLC0415 - for such sessions only

        context = dict(self._key.context)
        if wrapped.is_challenge_acknowledged:
            context["aws:ssm:RandomChallenge"] = self._key_challenge
        plain = await self._key.decrypt(wrapped.ciphertext, context)
        if self._key.is_mangled:
            plain = bytes(len(plain))
        self._cipher = SessionCipher(plain[_HALF_BYTES:] + plain[:_HALF_BYTES])
        return build_encryption_challenge(self._cipher.encrypt(self._challenge))

    def confirms(self, payload: bytes) -> bool:
        """Whether an answer to the challenge is the right one."""
        try:
            return self.decrypt(parse_encryption_challenge(payload)) == self._challenge
        except MessageError:
            return False

    def encrypt(self, payload_type: PayloadType, payload: bytes | memoryview) -> bytes | memoryview:
        """The payload as it is sent."""
        if self._cipher is None or payload_type not in ENCRYPTED:
            return payload
        return self._cipher.encrypt(payload)

    def decrypt(self, payload: bytes) -> bytes:
        """Read what the client has encrypted; raises MessageError if it has not, or with another key."""
        if self._cipher is None:
            raise MessageError("there is no key yet")
        return self._cipher.decrypt(payload)
