"""The service's side of one session: start it, open its WebSocket, resume it, end it.

Who asks for it is a `Caller`, which other sessions may share.

Everything here blocks, and is called from a thread of its own (`ssmssh.session.background`). Each call ends by
itself: the API calls have time-outs and a bounded number of attempts, the opening of the WebSocket has
one deadline for names, TCP, proxy, TLS and upgrade together. `abandon` makes it end sooner.

A lost WebSocket, whatever the reason, is resumed like a dropped phone call: fresh credentials from the same
provider chain, ResumeSession, the *new* StreamUrl (the old one's ``cell-number`` may have expired), a signed
open. The sequence numbers are the data channel's and are not touched here.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ssmssh import __version__
from ssmssh.aws import proxies, signing, ssm
from ssmssh.aws.answers import StartedSession
from ssmssh.aws.client import AwsClient
from ssmssh.errors import AccessDeniedError, Guess, NetworkError, SessionEndedError, SsmsshError, TargetError
from ssmssh.protocol.events import KeyRequested
from ssmssh.protocol.handshake import DataKey
from ssmssh.protocol.limits import DEFAULT_LIMITS, Limits
from ssmssh.session.caller import Caller
from ssmssh.session.outage import RESUME_SECONDS
from ssmssh.session.patience import (
    LEAST_OPEN_SECONDS,
    OPEN_ATTEMPTS,
    OPEN_SECONDS,
    PATIENCE_SECONDS,
    RESERVED_SECONDS,
)
from ssmssh.websocket import EarlyDial, WebSocket

if TYPE_CHECKING:
    from ssmssh.nodes.finder import Finder
    from ssmssh.session.journal import Entry

DEFAULT_SHELL_DOCUMENT = "SSM-SessionManagerRunShell"
"""The account's shell by its name. Policies with ``ssm:SessionDocumentAccessCheck`` want one to be named; an account
that has never set it up does not have it, but has a shell."""

_USER_AGENT = f"ssmssh/{__version__}"
_log = logging.getLogger(__name__)


class SessionRequest(NamedTuple):
    """What to ask StartSession for.

    `document_name` is None for the account's shell: where that is denied `DEFAULT_SHELL_DOCUMENT` is named, too.
    `parameters` are the document's, always lists. `patience_seconds` is how long the target may take to answer, counted
    from when credentials are there; while it lasts StartSession is tried again where that is worth it.
    `waits_for_target` says that a target that is not connected is, for as long, and a name that nobody has;
    `access_seconds`, for how much of it an access that is denied is. `limits` are those of the channel. `finder` is for
    a `target` that is no Target but a name; None where it is one. `resume_seconds` is for how long a lost connection is
    tried to be resumed.
    """

    target: str
    document_name: str | None
    parameters: Mapping[str, list[str]]
    reason: str | None
    patience_seconds: float
    waits_for_target: bool = False
    limits: Limits = DEFAULT_LIMITS
    finder: "Finder | None" = None
    resume_seconds: float = RESUME_SECONDS
    access_seconds: float = 0.0


class Connection(NamedTuple):
    """An open WebSocket and the token that its first message must carry."""

    token: str
    websocket: WebSocket

    def __repr__(self) -> str:
        return f"Connection({self.websocket!r})"


class RemoteSession:
    """One session, as the service sees it. Blocks; use from one thread at a time.

    Args:
        caller: Who asks for it.
        request: For StartSession.
        on_open: Called by `start`, when the WebSocket is open.
        on_target: Called by `start` with who calls and the Target, just before StartSession is: for what else there is
            to ask of it meanwhile. Must not block.
    """

    def __init__(
        self,
        caller: Caller,
        request: SessionRequest,
        on_open: Callable[[], None] = lambda: None,
        on_target: Callable[[AwsClient, str], None] = lambda _client, _target: None,
    ) -> None:
        self._caller = caller
        self._request = request
        self._on_open = on_open
        self._on_target = on_target
        self._entry: Entry | None = None
        self._target = request.target
        self._pause_seconds = 0.0
        self._stream_url = ""
        self._abandoned = threading.Event()
        self.session_id: str | None = None
        """Known from the moment the service has created the session, before its WebSocket is open."""
        self.answers_by = math.inf
        """When patience ends, in monotonic seconds. Nobody knows how long credentials take (a person may be
        asked), so it is infinite until they are there."""

    @property
    def caller(self) -> Caller:
        """Who asks for it."""
        return self._caller

    @property
    def target(self) -> str:
        """The Target, as far as it is known yet: a name is one only before it was looked up."""
        return self._target

    def beside(self, port: int) -> "RemoteSession":
        """Another session of the same caller with the same target, for another port; nobody waits for the target."""
        request = self._request._replace(
            target=self._target,
            parameters={**self._request.parameters, "portNumber": [str(port)]},
            patience_seconds=min(PATIENCE_SECONDS, self._request.patience_seconds),
            waits_for_target=False,
            finder=self._request.finder if self._target == self._request.target else None,
        )
        return RemoteSession(self._caller, request, self._on_open, self._on_target)

    @property
    def limits(self) -> Limits:
        """The bounds of the channel's buffers."""
        return self._request.limits

    @property
    def patience_seconds(self) -> float:
        """How long the target may take to answer."""
        return self._request.patience_seconds

    @property
    def resume_seconds(self) -> float:
        """For how long a lost connection is tried to be resumed."""
        return self._request.resume_seconds

    @property
    def waits_for_target(self) -> bool:
        """Whether somebody knows that the target will answer, and waits for it."""
        return self._request.waits_for_target

    def another(self, pause_seconds: float) -> "RemoteSession":
        """One for another session: of the same caller, within the same patience, after a pause; for after `start`."""
        other = RemoteSession(self._caller, self._request, self._on_open, self._on_target)
        other.answers_by = self.answers_by
        other._pause_seconds = pause_seconds
        return other

    @property
    def description(self) -> str:
        """The target as messages name it, with region and profile as far as they are known."""
        name = self._request.target
        return self._caller.describe(name if self._target == name else f"{self._target} ({name})")

    @property
    def port(self) -> str:
        """The port as messages name it."""
        numbers = self._request.parameters.get("portNumber")
        return f"port {numbers[0]}" if numbers else "the port"

    def start(self) -> Connection:
        """Find credentials, StartSession, open the WebSocket.

        Raises:
            SsmsshError: Whatever kept it from starting, with the target, region and profile named.
            InterruptedError: It was abandoned.
        """
        if self._pause_seconds:
            self._wait(self._pause_seconds)
        client = self._caller.get_ready()
        if self.answers_by == math.inf:
            self.answers_by = time.monotonic() + self._request.patience_seconds
        early = self._dial_early(client)
        try:
            started = self._start_session(client)
            connection = self._open_first(client, started, early)
        finally:
            if early is not None:
                early.drop()
        self._on_open()
        return connection

    def resume(self) -> Connection:
        """ResumeSession and open its WebSocket; one attempt.

        Raises:
            SessionEndedError: The service no longer knows the session.
            SsmsshError: It did not work this time.
            InterruptedError: It was abandoned.
        """
        if self.session_id is None:
            raise AssertionError("resume() follows start()")
        client = self._caller.client
        started = ssm.resume_session(client, self.session_id, self._stream_url)
        if started is None:
            raise SessionEndedError(
                f"The service no longer holds the session with {self.description}",
                "connect again; a session ends when it was idle or cut off for too long",
            )
        return self._open(client, started, OPEN_SECONDS)

    def abandon(self) -> None:
        """Nobody waits for `start` or `resume` any more: what can be cut short is."""
        self._abandoned.set()

    def terminate(self) -> None:
        """TerminateSession, for what has been started; what fails is left for a later run to end."""
        if self.session_id is None:
            return
        try:
            ssm.terminate_session(self._caller.client, self.session_id)
        except SsmsshError as error:
            _log.warning("session %s is left open: %s", self.session_id, error)
        else:
            _log.info("terminated session %s", self.session_id)
            self.forget()

    def forget(self) -> None:
        """The session has ended: no later run needs to."""
        if self._entry is not None:
            self._entry.remove()

    def let_go(self) -> None:
        """Close this process's copy of the note: for a forked child, whose parent's session it is."""
        if self._entry is not None:
            self._entry.release()

    def data_key(self, request: KeyRequested) -> DataKey:
        """The key of this session, from KMS; as `ssmssh.aws.kms.data_key`, and InterruptedError if it was abandoned."""
        from ssmssh.aws.kms import data_key  # noqa: PLC0415 - few sessions are encrypted

        return data_key(self._caller.client, request, self.session_id or "", self._target, wait=self._wait)

    def end_stale_sessions(self) -> None:
        """End what processes of ours that were killed have left open; for when our own session runs."""
        self._caller.end_stale_sessions()

    def _start_session(self, client: AwsClient) -> StartedSession:
        finder = self._request.finder
        if finder is None:
            return self._ask_for_session(client)
        until = self.answers_by - RESERVED_SECONDS if self._request.waits_for_target else -math.inf
        self._target = finder.find(client, wait=self._wait, until=until)
        if finder.was_remembered:
            try:
                return self._ask_for_session(client, is_sure=False)
            except TargetError as error:
                remembered = self._target
                self._target = finder.find(client, again=True, wait=self._wait, until=until)
                if self._target == remembered and not self._request.waits_for_target:
                    raise
                _log.warning("%s: %s", self.description, error)
        return self._ask_for_session(client)

    def _ask_for_session(self, client: AwsClient, *, is_sure: bool = True) -> StartedSession:
        """Start a session with the target; one that may be another by now is not waited for."""
        document_name = self._request.document_name
        try:
            return self._ask_for_document(client, document_name, is_sure=is_sure)
        except AccessDeniedError as error:
            if document_name is not None:
                raise
            _log.info("without the name of a document: %s", error)
            try:
                return self._ask_for_document(client, DEFAULT_SHELL_DOCUMENT, is_sure=is_sure)
            except AccessDeniedError as second:
                sentence = f"{second.sentence}; nor without the name of a document"
                raise AccessDeniedError(sentence, second.hint) from error

    def _ask_for_document(self, client: AwsClient, document_name: str | None, *, is_sure: bool) -> StartedSession:
        request = self._request
        self._on_target(client, self._target)
        return ssm.start_session(
            client,
            self._target,
            document_name=document_name,
            parameters=request.parameters,
            reason=request.reason,
            patience_seconds=max(0.0, self.answers_by - time.monotonic() - RESERVED_SECONDS),
            waits_for_target=request.waits_for_target and is_sure,
            access_seconds=request.access_seconds,
            wait=self._wait,
            on_session=self._note,
        )

    def _note(self, session_id: str) -> None:
        """From now on there is a session to end."""
        self.session_id = session_id
        self._entry = self._caller.record(session_id)
        _log.info("started session %s of %s", session_id, self.description)

    def _dial_early(self, client: AwsClient) -> EarlyDial | None:
        """Begin to connect to where the session will probably lead."""
        url = client.likely_stream_url()
        if url is None:
            return None
        return EarlyDial(
            url,
            tls=self._caller.tls,
            proxy=proxies.proxy_for(url),
            timeout_seconds=OPEN_SECONDS,
            user_agent=_USER_AGENT,
        )

    def _open_first(self, client: AwsClient, started: StartedSession, early: EarlyDial | None) -> Connection:
        """Open the WebSocket, with more than one attempt if need be.

        What fails on the early connection is no attempt: it was silent for longer than a front end may put up with.
        """
        attempt = 0
        while True:
            remaining = self.answers_by - time.monotonic()
            try:
                return self._open(client, started, min(OPEN_SECONDS, max(LEAST_OPEN_SECONDS, remaining - 1)), early)
            except NetworkError as error:
                was_early, early = early is not None and early.was_used, None
                if was_early:
                    _log.info("the connection that was begun early: %s", error)
                    continue
                attempt += 1
                _log.warning("attempt %d to open the data channel: %s", attempt, error)
                if attempt == OPEN_ATTEMPTS or remaining < RESERVED_SECONDS:
                    raise
            self._wait(random.uniform(0.5, 1.0) * attempt)  # noqa: S311 - jitter, not a secret

    def _open(
        self, client: AwsClient, started: StartedSession, timeout_seconds: float, early: EarlyDial | None = None
    ) -> Connection:
        self._stream_url = started.stream_url
        url = client.check_stream_url(started.stream_url)
        try:
            websocket = WebSocket.open(
                url,
                headers=signing.stream_headers(url, client.region, client.credentials()),
                tls=self._caller.tls,
                proxy=proxies.proxy_for(url),
                timeout_seconds=timeout_seconds,
                user_agent=_USER_AGENT,
                interrupted=self._abandoned.is_set,
                early=early,
            )
        except AccessDeniedError as error:
            raise AccessDeniedError(
                f"{error.sentence} (target {self._target}, region {client.region})",
                Guess("allow ssmmessages:OpenDataChannel and check this computer's clock"),
            ) from error
        return Connection(started.token, websocket)

    def _wait(self, seconds: float) -> None:
        if self._abandoned.wait(seconds):
            raise InterruptedError
