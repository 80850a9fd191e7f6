"""The key of an encrypted session, from KMS: GenerateDataKey with the context that the agent decrypts it with.

The agent asks KMS for the plain text with the same encryption context, in which the session and the instance are named:
so a key is of use for one session alone. Newer agents send a challenge that belongs to the context, too.
"""

import time
from collections.abc import Callable

from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import Asker
from ssmssh.errors import AccessDeniedError, ProtocolError
from ssmssh.protocol.events import KeyRequested
from ssmssh.protocol.handshake import DataKey

PATIENCE_SECONDS = 8.0
"""For KMS while it throttles: the agent waits for its answer for 15 s, and a call may take 8 by itself."""


def data_key(
    client: Asker,
    request: KeyRequested,
    session_id: str,
    target_id: str,
    wait: Callable[[float], None] = time.sleep,
) -> DataKey:
    """A key for one session. Blocks for the call, and imports `cryptography`.

    Args:
        client: Who calls, with credentials; in the region of the session, where its key has to be.
        request: What the agent asked for.
        session_id: Of the session.
        target_id: What the session was started with, as StartSession got it.
        wait: Called with seconds before a call is repeated.

    Raises:
        AccessDeniedError: The caller may not use the key.
        SsmsshError: KMS cannot be asked, or does not give a key: it is disabled, or deleted, or in another region.
    """
    context = {"aws:ssm:SessionId": session_id, "aws:ssm:TargetId": target_id}
    if request.challenge:
        context["aws:ssm:RandomChallenge"] = request.challenge
    what = f"get a key for the session with {target_id} from KMS ({request.key_id[:200]})"
    from ssmssh.protocol.encryption import DATA_KEY_BYTES, SessionCipher  # 12 ms, for such sessions only

    try:
        answer = Pager(client, patience_seconds=PATIENCE_SECONDS, wait=wait).call(
            "kms", "generate_data_key", what,
            KeyId=request.key_id, NumberOfBytes=DATA_KEY_BYTES, EncryptionContext=context,
        )  # fmt: skip
    except AccessDeniedError as error:
        raise AccessDeniedError(error.sentence, "allow kms:GenerateDataKey on that key") from error
    try:
        return DataKey(bytes(answer["CiphertextBlob"]), SessionCipher(bytes(answer["Plaintext"])))
    except (KeyError, TypeError, ValueError):
        raise ProtocolError(client.context(what).sentence("the answer has no key of the right size in it")) from None
