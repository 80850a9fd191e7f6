"""What an answer of the three session calls is, and what it says: the one judge of all of them.

Between us and the service there may be what answers in its place: a proxy with a page of its own, a front end that
breaks off, a portal that wants a login first. botocore makes an answer without any member of each of these, if the
status is 200, and so does a session that has ended: ResumeSession's answer has no token then. To take the one for
the other would end a living session, or forget one that is still to be ended. So there are three judgements:

    real      a complete JSON object, about the session that was asked for, with members of the right form
    gone      one without a token; or DoesNotExistException (`ssmssh.aws.errors`)
    garbled   everything else: nothing is known, and it is a failed attempt
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.parsers import ResponseParserError

from ssmssh.aws.errors import NOT_AWS, Context
from ssmssh.errors import ProtocolError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse

_SESSION_ID = re.compile(r"[!-.0-~]{1,256}")
"""Printable ASCII without a slash; real ones are a role session name, a hyphen and 17 to 26 characters."""

_LONGEST_TOKEN = 8192
"""Characters; the model says 300, and real ones have grown past that."""

Answer = Mapping[str, Any]
"""What botocore makes of one: the members that were there."""


class StartedSession(NamedTuple):
    """A session that waits for its WebSocket.

    `token` opens the data channel and is a secret; it is valid for a short time and for `stream_url`.
    """

    session_id: str
    token: str
    stream_url: str

    def __repr__(self) -> str:
        return f"StartedSession({self.session_id!r})"


def check_form(**event: Any) -> None:
    """Raise ResponseParserError for a success that is no JSON object; a handler of botocore's ``after-call``.

    botocore itself makes an empty answer of a body that it cannot read.
    """
    http_response: AWSResponse = event["http_response"]
    if http_response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        return  # a refusal, whose code says what it is worth
    try:
        is_object = isinstance(json.loads(http_response.content), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise ResponseParserError("the answer is no JSON object")


def session_id(answer: Answer, context: Context) -> str:
    """The id of a session that has been started; raises ProtocolError."""
    found = _text(answer, "SessionId")
    if not _SESSION_ID.fullmatch(found):
        raise garbled(context)
    return found


def started(answer: Answer, context: Context) -> StartedSession:
    """What StartSession has started; raises ProtocolError."""
    token, url = _text(answer, "TokenValue"), _text(answer, "StreamUrl")
    if not 0 < len(token) <= _LONGEST_TOKEN or not url:
        raise garbled(context)
    return StartedSession(session_id(answer, context), token, url)


def resumed(answer: Answer, asked_for: str, last_stream_url: str, context: Context) -> StartedSession | None:
    """What ResumeSession has given for the session `asked_for`, None if that is gone; raises ProtocolError.

    `last_stream_url` is taken if the answer has none, which the API allows.
    """
    check_subject(answer, asked_for, context)
    if answer.get("TokenValue") in (None, ""):
        return None
    url = answer.get("StreamUrl") or last_stream_url
    return started({**answer, "SessionId": asked_for, "StreamUrl": url}, context)


def check_subject(answer: Answer, asked_for: str, context: Context) -> None:
    """Raise ProtocolError if `answer` is about another session than the one `asked_for`; it may name none."""
    if answer.get("SessionId") not in (None, asked_for):
        raise garbled(context)


def garbled(context: Context) -> ProtocolError:
    """What to say of an answer that is none."""
    return ProtocolError(context.sentence("the answer is not one of Session Manager"), NOT_AWS)


def _text(answer: Answer, name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""
