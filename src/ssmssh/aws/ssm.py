"""StartSession, ResumeSession, TerminateSession.

StartSession is tried again while its caller's patience lasts, because the program that waits for us (ssh,
Ansible, an editor) takes a failure as final. What is worth another attempt:

=====================================  ========================================================================
answer                                 attempts
=====================================  ========================================================================
throttled, fault of the service        as many as fit; nothing has happened yet
no connection                          two more; a third would meet the same network
it broke before the request went out   two more: also in the TLS handshake, or at a proxy
TargetNotConnected                     two more: an agent that has just come online, or reconnects, is reported
                                       so for some seconds. More would only delay what is nearly always final:
                                       wrong region, wrong account, stopped instance. As many as fit if the
                                       caller says that it is worth to wait for
access denied                          none; or as many as begin in the time that the caller gives to a permission that
                                       was granted a moment ago, and is not known everywhere yet
no answer in time, or one that breaks  none: the session may exist
all others                             none: they do not change by themselves
=====================================  ========================================================================
"""

import random
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import SSLError

from ssmssh.aws import answers
from ssmssh.aws.answers import StartedSession
from ssmssh.aws.errors import (
    FOREIGN_ERRORS,
    NETWORK_ERRORS,
    error_code,
    is_for_later,
    map_error,
    mapped,
)
from ssmssh.aws.transport import may_have_arrived
from ssmssh.errors import AccessDeniedError, CredentialsError, Guess, SessionEndedError

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient

_FIRST_PAUSE_SECONDS = 0.4
_LONGEST_PAUSE_SECONDS = 5.0


_GRANTED_JUST_NOW = "; if it was granted a moment ago: --retry-access 60"
"""IAM takes seconds to know of a permission everywhere."""


def start_session(
    client: "AwsClient",
    target: str,
    *,
    document_name: str | None,
    parameters: Mapping[str, list[str]],
    reason: str | None,
    patience_seconds: float,
    waits_for_target: bool = False,
    access_seconds: float = 0.0,
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
        access_seconds: A permission may be granted by then: until then a denied access is tried again.
        wait: Called with seconds before another attempt; what it raises ends the call.
        on_session: Called with the id of the session that there is from then on, and must be ended, whatever the rest
            of the answer is worth.

    Raises:
        SsmsshError: Of the class for the reason; the sentence names target, region and profile.
    """
    client.credentials()  # so that their failure is not taken for one of this call
    ssm = client.ssm
    context = client.context("start a session with", target, document_name)
    request = _request(target, document_name, parameters, reason)
    started_at = time.monotonic()
    ends_at = started_at + patience_seconds
    retries = 0
    while True:
        try:
            answer = ssm.start_session(**request)
        except FOREIGN_ERRORS as error:
            pause = _pause(retries)
            failure = map_error(error, context)
            next_at = time.monotonic() + pause
            may_be_granted = isinstance(failure, AccessDeniedError) and next_at <= started_at + access_seconds
            most = sys.maxsize if may_be_granted else _worthwhile_retries(error, waits_for_target=waits_for_target)
            if retries >= most or next_at > ends_at:
                if isinstance(failure, AccessDeniedError) and not access_seconds:
                    said = failure.hint + _GRANTED_JUST_NOW
                    failure.hint = Guess(said) if isinstance(failure.hint, Guess) else said
                raise failure from None
        else:
            on_session(answers.session_id(answer, context))
            return answers.started(answer, context)
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
        The new token and StreamUrl, or None if the service says that the session has ended.

    Raises:
        SsmsshError: Of the class for the reason; nothing is known of the session then.
    """
    generation = client.generation
    try:
        return _resume(client, session_id, last_stream_url)
    except (CredentialsError, AccessDeniedError):
        client.renew(generation)
        return _resume(client, session_id, last_stream_url)


def terminate_session(client: "AwsClient", session_id: str) -> None:
    """End a session, if it has not ended yet; one attempt, blocks.

    Raises:
        SsmsshError: Of the class for the reason; the session may still be open.
    """
    client.credentials()
    context = client.context("terminate session", session_id)
    try:
        with mapped(context):
            answer = client.ssm.terminate_session(SessionId=session_id)
    except SessionEndedError:
        return
    answers.check_subject(answer, session_id, context)


def _resume(client: "AwsClient", session_id: str, last_stream_url: str) -> StartedSession | None:
    client.credentials()
    ssm = client.ssm
    context = client.context("resume session", session_id)
    try:
        with mapped(context):
            answer = ssm.resume_session(SessionId=session_id)
    except SessionEndedError:
        return None
    return answers.resumed(answer, session_id, last_stream_url, context)


def _request(
    target: str, document_name: str | None, parameters: Mapping[str, list[str]], reason: str | None
) -> dict[str, Any]:
    """The arguments of StartSession, without what is not to be said."""
    given = {"Parameters": dict(parameters) or None, "DocumentName": document_name, "Reason": reason}
    return {"Target": target} | {name: value for name, value in given.items() if value is not None}


def _worthwhile_retries(error: Exception, *, waits_for_target: bool) -> int:
    if is_for_later(error):
        return sys.maxsize
    if error_code(error) == "TargetNotConnected":
        return sys.maxsize if waits_for_target else 2
    is_worth_it = isinstance(error, NETWORK_ERRORS) and not isinstance(error, SSLError) and not may_have_arrived(error)
    return 2 if is_worth_it else 0


def _pause(retries: int) -> float:
    """Seconds before the next attempt: doubling, shortened at random so that many clients do not come at once."""
    longest: float = min(_FIRST_PAUSE_SECONDS * 2**retries, _LONGEST_PAUSE_SECONDS)
    jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
    return longest * jitter
