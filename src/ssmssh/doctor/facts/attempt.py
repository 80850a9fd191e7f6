"""A real session with the port of the target: opened, listened to, and ended whatever comes.

It goes as far as ssh goes before it logs in: the server says its version and, in the first key exchange, which host key
it has. Nobody logs in, and nothing runs on the instance but its agent and its SSH server.
"""

import socket
import time
from typing import NamedTuple

from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.caller import caller, request
from ssmssh.doctor.facts.instance import node_id
from ssmssh.errors import NetworkError, SsmsshError
from ssmssh.nodes.hostkeys import HostKey
from ssmssh.nodes.keyprobe import first_messages
from ssmssh.nodes.offeredkeys import MAX_BYTES, OfferedKeys
from ssmssh.session.host import HostedSession
from ssmssh.session.remote import RemoteSession
from ssmssh.session.sessionsocket import SessionSocket
from ssmssh.session.sides.pair import PairSide

OPEN_SECONDS = 5.0
"""For StartSession, the WebSocket and the handshake together."""

SPEAK_SECONDS = 2.5
"""For the server's first line, and as long for its key: a healthy one takes some milliseconds, one that looks up the
client's name some seconds."""

SECONDS = 9.0
"""What a check that wants an attempt may take."""

END_SECONDS = 2.0


class Attempt(NamedTuple):
    """What became of it.

    Attributes:
        failure: Why there was no session, or none that led to the port; None if there was.
        is_open: Whether the session was open, which is when the agent had answered.
        steps: Names of steps, and the seconds that each took.
        agent_version: As the agent has told in the session.
        greeting: What the port has said first; empty for nothing.
        key: The host key of the server; None if it has not come to that.
        has_ended: Whether the session has ended here and at the service.
    """

    failure: SsmsshError | None
    is_open: bool
    steps: tuple[tuple[str, float], ...]
    agent_version: str = ""
    greeting: bytes = b""
    key: HostKey | None = None
    has_ended: bool = True


def attempt(examination: Examination) -> Attempt:
    """Open a session and end it. Blocks for `SECONDS` at most. Raises SsmsshError only where it cannot be begun."""
    wanted = examination.fact(request).session._replace(target=examination.fact(node_id), finder=None)
    watch = _Watch()
    remote = RemoteSession(
        examination.fact(caller),
        wanted,
        lambda: watch.passed("StartSession and WebSocket"),
        lambda _client, _target: watch.begin(),
    )
    ours, theirs = socket.socketpair()
    hosted = HostedSession(remote, PairSide(ours))
    end = SessionSocket.of(hosted, theirs)
    failure: SsmsshError | None = None
    is_open, greeting, key = False, b"", None
    try:
        if not hosted.wait_settled(OPEN_SECONDS):
            raise NetworkError(f"Opening a session with {remote.description} took more than {OPEN_SECONDS:g} s")
        hosted.raise_failure()
        is_open = True
        watch.passed("the agent's answer")
        greeting, key = _listen(end, watch)
    except SsmsshError as error:
        failure = error
    finally:
        if not is_open:
            hosted.stop()
        end.close()
        has_ended = hosted.wait_ended(END_SECONDS)
        if is_open:
            watch.passed("its end")
    version = hosted.handshake.agent_version if hosted.handshake is not None else ""
    return Attempt(failure, is_open, tuple(watch.steps), version, greeting, key, has_ended)


def _listen(end: SessionSocket, watch: "_Watch") -> tuple[bytes, HostKey | None]:
    """What the port says first, and the host key that follows if it is an SSH server. Raises SsmsshError."""
    offered = OfferedKeys()
    received = bytearray()
    has_spoken = False
    gives_up_at = time.monotonic() + SPEAK_SECONDS
    while not offered.is_over and len(received) < MAX_BYTES:
        end.settimeout(max(0.01, gives_up_at - time.monotonic()))
        try:
            data = end.recv(65536)
        except OSError:  # a time-out among them
            break
        if not data:
            break
        if not received:
            watch.passed("the server's first word")
        received += data
        keys = offered.feed(data)
        if keys:
            watch.passed("its host key")
            return bytes(received), keys[0]
        if not has_spoken and is_ssh(bytes(received)) and b"\n" in received:
            has_spoken = True
            gives_up_at = time.monotonic() + SPEAK_SECONDS
            try:
                end.sendall(first_messages())
            except OSError:
                break
    return bytes(received), None


def is_ssh(greeting: bytes) -> bool:
    """Whether what a port has said first is that of an SSH server; lines may stand before its version (RFC 4253)."""
    return any(line.startswith((b"SSH-2.0-", b"SSH-1.99-")) for line in greeting.split(b"\n")[:50])


class _Watch:
    """Notes how long each step has taken."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []
        self._last = time.monotonic()

    def begin(self) -> None:
        """From now on time counts: who calls is known."""
        self._last = time.monotonic()

    def passed(self, name: str) -> None:
        """A step is over."""
        now = time.monotonic()
        self.steps.append((name, now - self._last))
        self._last = now
