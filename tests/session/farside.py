"""The far side of a session in virtual time: its WebSockets and the service that gives them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from ssmssh.errors import SessionEndedError, SsmsshError
from ssmssh.protocol.limits import DEFAULT_LIMITS
from ssmssh.protocol.message import AgentMessage, MessageType
from ssmssh.protocol.payloads import build_channel_closed
from ssmssh.session.outage import RESUME_SECONDS
from ssmssh.session.remote import Connection
from ssmssh.websocket import WebSocketClosed

if TYPE_CHECKING:
    from tests.session.world import World

DELAY_SECONDS = 0.02
PATIENCE_SECONDS = 9.5
TOKEN = "a-token"


class WebSocket:
    """One connection, from the session's side."""

    wants_write = False
    pending_bytes = 0

    def __init__(self, world: World) -> None:
        self._world = world
        self._inbox: list[bytes] = []
        self._has_pong = False
        self._closed: WebSocketClosed | None = None
        self._is_open = False
        self.is_silent = False
        self.is_gone = False

    def fileno(self) -> int:
        return 99

    @property
    def is_readable(self) -> bool:
        return bool(self._inbox) or self._has_pong or self._closed is not None

    def _is_connected(self) -> bool:
        return not (self.is_silent or self.is_gone or self._closed)

    def send_text(self, text: str) -> None:
        assert TOKEN in text
        assert not self._is_open
        self._is_open = True
        self._world.websocket = self

    def send(self, messages: list[bytes]) -> None:
        assert self._is_open, "the first thing that is sent is the text"
        for message in messages:
            self._world.after(DELAY_SECONDS, lambda message=message: self._arrive(message))  # type: ignore[misc]

    def _arrive(self, message: bytes) -> None:
        if self._is_connected():
            self._world.agent_hears(message)

    def send_down(self, message: bytes) -> None:
        self._world.after(DELAY_SECONDS, lambda: self._deliver(message))

    def _deliver(self, message: bytes) -> None:
        if self._is_connected():
            self._inbox.append(message)

    def ping(self) -> None:
        self._world.after(DELAY_SECONDS, self._pong)

    def _pong(self) -> None:
        if self._is_connected():
            self._has_pong = True

    def flush(self) -> bool:
        return True

    def receive(self) -> list[bytes]:
        messages, self._inbox, self._has_pong = self._inbox, [], False
        if not messages and self._closed is not None:
            raise self._closed
        return messages

    def cut(self, code: int | None = None) -> None:
        """End it from the far side."""
        if self._is_connected():
            self._closed = WebSocketClosed(code, "Bye" if code else "reset")

    def close(self) -> None:
        self.is_gone = True
        if self._world.websocket is self:
            self._world.websocket = None


class RemoteSession:
    """StartSession and the rest, as `ssmssh.session.remote.RemoteSession` gives them."""

    description = "i-1 in eu-west-1"
    port = "port 22"
    limits = DEFAULT_LIMITS

    def __init__(self, world: World, before: RemoteSession | None = None, pause_seconds: float = 0.0) -> None:
        self._world = world
        self.before = before
        """The one whose session came to nothing, if there was one."""
        self.pause_seconds = pause_seconds
        self.patience_seconds: float = before.patience_seconds if before else PATIENCE_SECONDS
        self.waits_for_target = before is not None
        self.resume_seconds = RESUME_SECONDS
        self.session_id: str | None = None
        self.answers_by: float = before.answers_by if before else math.inf
        self.resume_error: SsmsshError | None = None
        self.is_over = False
        """Whether the session has ended, as far as the service is concerned."""
        self.ends: list[str] = []
        self.resumes = 0

    def start(self) -> Connection:
        self.answers_by = min(self.answers_by, self._world.now + self.patience_seconds)
        self.session_id = "a-session"
        self._world.begin(self)
        return self._connection()

    def resume(self) -> Connection:
        self.resumes += 1
        if self.resume_error:
            raise self.resume_error
        if self.is_over:
            raise SessionEndedError("The service no longer holds the session")
        return self._connection()

    def _connection(self) -> Connection:
        return Connection(TOKEN, cast("Any", WebSocket(self._world)))

    def close(self, output: str = "") -> None:
        """End the session from the service's side; who is not connected hears of it when resuming."""
        self.is_over = True
        websocket = self._world.websocket
        if websocket is not None:
            websocket.send_down(_channel_closed(output))
            self._world.after(DELAY_SECONDS * 2, lambda: websocket.cut(1000))

    def another(self, pause_seconds: float) -> RemoteSession:
        self._world.service = RemoteSession(self._world, self, pause_seconds)
        return self._world.service

    def terminate(self) -> None:
        self.ends.append("terminate")

    def forget(self) -> None:
        self.ends.append("forget")

    def abandon(self) -> None:
        self.ends.append("abandon")

    def end_stale_sessions(self) -> None:
        pass


def _channel_closed(output: str) -> bytes:
    payload = build_channel_closed(message_id=bytes(16), session_id="a-session", created_date_ms=1, output=output)
    return AgentMessage(MessageType.CHANNEL_CLOSED, 0, 0, payload, bytes(16), 1, header_length=112).serialize()
