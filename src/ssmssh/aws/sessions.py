"""StartSession, ResumeSession, TerminateSession.

StartSession is tried again while its caller's patience lasts, because the program that waits for us (ssh,
Ansible, an editor) takes a failure as final. What is worth another attempt:

=====================================  ========================================================================
answer                                 attempts
=====================================  ========================================================================
throttled, fault of the service        as many as fit; nothing has happened yet
no connection, or it broke             two more; a third would meet the same network
TargetNotConnected                     two more: an agent that has just come online, or reconnects, is reported
                                       so for some seconds. More would only delay what is nearly always final:
                                       wrong region, wrong account, stopped instance. As many as fit if the
                                       caller says that it is worth to wait for
no TLS handshake in time               two more: no request has gone out
no answer in time                      none: the session may exist, and the time is up
all others                             none: they do not change by themselves
=====================================  ========================================================================
"""

import random
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ReadTimeoutError, SSLError

from ssmssh.aws.errors import (
    FOREIGN_ERRORS,
    NETWORK_ERRORS,
    NOT_AWS,
    SERVICE_FAULT_CODES,
    THROTTLING_CODES,
    Context,
    error_code,
    map_error,
    mapped,
)
from ssmssh.errors import AccessDeniedError, CredentialsError, ProtocolError, SessionEndedError

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient

PATIENCE_SECONDS = 8.0
"""No attempt begins later than this: the first SSH byte must be out within 10 s (Ansible, libssh, netmiko)."""

_FIRST_PAUSE_SECONDS = 0.4
_LONGEST_PAUSE_SECONDS = 5.0

_SESSION_ID = re.compile(r"[!-.0-~]{1,256}")
"""Printable ASCII without a slash; real ones are a role session name, a hyphen and 17 to 26 characters."""

_LONGEST_TOKEN = 8192
"""Characters; the model says 300, and real ones have grown past that."""


class StartedSession(NamedTuple):
    """A session that waits for its WebSocket.

    `token` opens the data channel and is a secret; it is valid for a short time and for `stream_url`.
    """

    session_id: str
    token: str
    stream_url: str

    def __repr__(self) -> str:
        return f"StartedSession({self.session_id!r})"


def start_session(
    client: "AwsClient",
    target: str,
    *,
    document_name: str | None,
    parameters: Mapping[str, list[str]],
    reason: str | None,
    patience_seconds: float = PATIENCE_SECONDS,
    waits_for_target: bool = False,
    wait: Callable[[float], None] = time.sleep,
    on_session: Callable[[str], None] = lambda _: None,
) -> StartedSession:
    """Start a session with `target`; blocks.

    Args:
        client: Who calls, and in which region.
        target: An instance id.
        document_name: A Session document; None for the account's shell.
        parameters: Of the document, always lists.
        reason: For the audit event; None for none.
        patience_seconds: No attempt begins later than this after the first; one attempt takes at most
            `CONNECT_SECONDS` + `READ_SECONDS` of `ssmssh.aws.client`, for each address that it has to try.
        waits_for_target: Somebody knows that the target will connect: TargetNotConnected is tried again as long.
        wait: Called with seconds before another attempt; what it raises ends the call.
        on_session: Called with the id of the session that there is from then on, and must be ended, whatever the rest
            of the answer is worth.

    Raises:
        SsmsshError: Of the class for the reason; the sentence names target, region and profile.
    """
    client.credentials()  # so that their failure is not taken for one of this call
    ssm = client.ssm
    context = client.context("start a session with", target, document_name)
    request: dict[str, Any] = {"Target": target}
    if parameters:
        request["Parameters"] = dict(parameters)
    if document_name is not None:
        request["DocumentName"] = document_name
    if reason is not None:
        request["Reason"] = reason
    ends_at = time.monotonic() + patience_seconds
    retries = 0
    while True:
        try:
            answer = ssm.start_session(**request)
        except FOREIGN_ERRORS as error:
            pause = _pause(retries)
            if (
                retries >= _worthwhile_retries(error, waits_for_target=waits_for_target)
                or time.monotonic() + pause > ends_at
            ):
                raise map_error(error, context) from None
        else:
            on_session(_session_id(answer, context))
            return _started(answer, context)
        wait(pause)
        retries += 1


def resume_session(client: "AwsClient", session_id: str, last_stream_url: str = "") -> StartedSession | None:
    """Ask for a new token for a session whose WebSocket is lost; one attempt, blocks.

    If the caller's credentials are refused they are looked for once more from the start: temporary ones that
    botocore cannot refresh have often expired by the time the service closes a WebSocket, after an hour.

    Args:
        client: The one that started the session.
        session_id: Which.
        last_stream_url: Taken if the answer has none, which the API allows.

    Returns:
        The new token and StreamUrl, or None if the session has ended.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    try:
        answer = _resume(client, session_id)
    except (CredentialsError, AccessDeniedError):
        client.renew()
        answer = _resume(client, session_id)
    if not answer.get("TokenValue"):
        return None
    filled = {"SessionId": session_id, **answer, "StreamUrl": answer.get("StreamUrl") or last_stream_url}
    return _started(filled, client.context("resume session", session_id))


def terminate_session(client: "AwsClient", session_id: str) -> None:
    """End a session, if it has not ended yet; one attempt, blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    client.credentials()
    try:
        with mapped(client.context("terminate session", session_id)):
            client.ssm.terminate_session(SessionId=session_id)
    except SessionEndedError:
        return


def _resume(client: "AwsClient", session_id: str) -> Mapping[str, Any]:
    """The answer of ResumeSession; empty if there is no such session any more."""
    client.credentials()
    ssm = client.ssm
    try:
        with mapped(client.context("resume session", session_id)):
            answer: Mapping[str, Any] = ssm.resume_session(SessionId=session_id)
    except SessionEndedError:
        return {}
    return answer


def _worthwhile_retries(error: Exception, *, waits_for_target: bool) -> int:
    code = error_code(error)
    if code in THROTTLING_CODES or code in SERVICE_FAULT_CODES or re.fullmatch("5[0-9][0-9]", code):
        return sys.maxsize
    if code == "TargetNotConnected":
        return sys.maxsize if waits_for_target else 2
    if isinstance(error, ReadTimeoutError):
        return 2 if _is_of_handshake(error) else 0
    return 2 if isinstance(error, NETWORK_ERRORS) and not isinstance(error, SSLError) else 0


def _is_of_handshake(error: ReadTimeoutError) -> bool:
    """Whether the request has not gone out; urllib3 has the same exception for both and keeps ssl's behind it.

    ssl tells them apart in the text alone: "_ssl.c:989: The handshake operation timed out".
    """
    cause: object = error.kwargs.get("error")
    reason = (cause.__cause__ or cause.__context__) if isinstance(cause, BaseException) else None
    return "handshake operation timed out" in str(reason)


def _pause(retries: int) -> float:
    """Seconds before the next attempt: doubling, shortened at random so that many clients do not come at once."""
    longest: float = min(_FIRST_PAUSE_SECONDS * 2**retries, _LONGEST_PAUSE_SECONDS)
    jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
    return longest * jitter


def _started(answer: Mapping[str, Any], context: Context) -> StartedSession:
    token, url = _text(answer, "TokenValue"), _text(answer, "StreamUrl")
    if not 0 < len(token) <= _LONGEST_TOKEN or not url:
        raise _not_of_session_manager(context)
    return StartedSession(_session_id(answer, context), token, url)


def _session_id(answer: Mapping[str, Any], context: Context) -> str:
    session_id = _text(answer, "SessionId")
    if not _SESSION_ID.fullmatch(session_id):
        raise _not_of_session_manager(context)
    return session_id


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def _not_of_session_manager(context: Context) -> ProtocolError:
    return ProtocolError(context.sentence("the answer is not one of Session Manager"), NOT_AWS)
