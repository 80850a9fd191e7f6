"""What encrypts the data of a session, in an account with a KMS key for its sessions: AES-256-GCM, a key each way.

KMS gives the data key, 64 bytes: the agent encrypts with the first half, the client with the second. A payload is the
nonce, the cipher text and its tag; nothing else is authenticated with it. The service, which carries
the payloads, has no key.

Loaded only for such a session: its library takes 12 ms to import.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ssmssh.protocol.message import MessageError

DATA_KEY_BYTES: Final = 64
"""What KMS is to be asked for."""

_NONCE_BYTES: Final = 12


class SessionCipher:
    """The client's end of an encrypted session.

    Args:
        data_key: The plain text of KMS's data key. A secret.

    Raises:
        ValueError: It has another size.
    """

    def __init__(self, data_key: bytes) -> None:
        if len(data_key) != DATA_KEY_BYTES:
            raise ValueError(f"a data key of {len(data_key)} bytes")
        self._from_agent = AESGCM(data_key[: DATA_KEY_BYTES // 2])
        self._to_agent = AESGCM(data_key[DATA_KEY_BYTES // 2 :])

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """Return the payload that carries `data` to the agent."""
        # Random, not counted: a resumed or restarted session must not use one again. Bound: 2**32 messages for a key.
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._to_agent.encrypt(nonce, data, None)

    def decrypt(self, payload: bytes) -> bytes:
        """Return what a payload of the agent carries; raise MessageError if it was not made with the key."""
        try:
            return self._from_agent.decrypt(payload[:_NONCE_BYTES], payload[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:  # ValueError: it is too short for a nonce
            raise MessageError("it was not encrypted with the session's key") from error
