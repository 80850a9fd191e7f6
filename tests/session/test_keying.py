"""A session that is to be encrypted, whose key takes its time: everything else goes on.

The far side is an agent in the test's hands, the near side a program at a socket pair.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsSettings
from ssmssh.errors import AccessDeniedError, NetworkError, SsmsshError
from ssmssh.protocol.encryption import SessionCipher
from ssmssh.protocol.events import KeyRequested
from ssmssh.protocol.handshake import DataKey
from ssmssh.protocol.message import MessageType, PayloadType, parse
from ssmssh.protocol.payloads import (
    ActionStatus,
    RequestedAction,
    SessionType,
    build_encryption_challenge,
    parse_acknowledge,
    parse_encryption_challenge,
    parse_handshake_response,
)
from ssmssh.session.caller import Caller
from ssmssh.session.keying import KeySource
from ssmssh.session.remote import RemoteSession, SessionRequest
from ssmssh.session.session import Session
from ssmssh.session.sides import Controls
from ssmssh.session.sides.pair import PairSide
from ssmssh.session.streams import Wakeup
from tests.acceptance.clients import wait_until
from tests.acceptance.rogue import RogueApi
from tests.protocol.support import any_of, handshake_complete, handshake_request
from tests.session.rogueagent import ANSWER_SECONDS, RogueAgent, rogue_session

TARGET = "i-0123456789abcdef0"
KEY = bytes(range(64))
OURS = DataKey(b"as KMS encrypted it", SessionCipher(KEY))
AGENT = SessionCipher(KEY[32:] + KEY[:32])
REQUEST = handshake_request("Standard_Stream", RequestedAction("KMSEncryption", {"KMSKeyId": "k", "Challenge": "Yw=="}))


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")


class Kms:
    """Gives a key when the test lets it; `asked` tells with what it was asked."""

    def __init__(self) -> None:
        self.asked: list[KeyRequested] = []
        self.is_asked = threading.Event()
        self.answers = threading.Event()
        self.ended = threading.Event()

    def __call__(self, request: KeyRequested) -> DataKey:
        self.asked.append(request)
        self.is_asked.set()
        assert self.answers.wait(ANSWER_SECONDS)
        self.ended.set()
        return OURS


@pytest.fixture
def kms() -> Iterator[Kms]:
    kms = Kms()
    yield kms
    kms.answers.set()
    if kms.asked:
        assert kms.ended.wait(ANSWER_SECONDS)


class ShellSide(PairSide):
    """For a shell; what it gives and takes is the program's."""

    expectation = any_of(SessionType.STANDARD_STREAM)

    def __init__(self, end: socket.socket, key_source: KeySource | None) -> None:
        super().__init__(end)
        self.key_source = key_source


class TerminalSide(ShellSide):
    """The same with the size of a terminal, which the test may change."""

    size = (80, 24)

    def __init__(self, end: socket.socket, key_source: KeySource | None) -> None:
        super().__init__(end, key_source)
        self._told = (0, 0)

    def control(self, controls: Controls, now: float) -> None:
        if self._told != self.size and controls.may_send_size:
            self._told = self.size
            controls.send_size(*self._told, now)


class Running:
    """A session in a thread, and the program's end of its socket pair."""

    def __init__(
        self,
        api: RogueApi,
        directory: Path,
        key_source: KeySource | None,
        patience_seconds: float,
        kind: type[ShellSide] = ShellSide,
    ) -> None:
        settings = AwsSettings(region="eu-west-1", endpoint_url=api.url)
        request = SessionRequest(TARGET, "AWS-StartSSHSession", {}, None, patience_seconds)
        ours, self.program = socket.socketpair()
        self.program.settimeout(ANSWER_SECONDS)
        self.wakeup = Wakeup()
        remote = RemoteSession(Caller(settings, directory / "sessions"), request)
        self.side = kind(ours, key_source)
        self._session = Session(remote, self.side, self.wakeup)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._session.run()
        except SsmsshError as error:
            self._failure = error

    def end(self) -> Exception | None:
        """Wait for its end; what it ended with."""
        self._thread.join(ANSWER_SECONDS)
        assert not self._thread.is_alive()
        return self._failure


@contextlib.contextmanager
def running(
    behave: Callable[[RogueAgent], object],
    directory: Path,
    key_source: KeySource | None,
    patience_seconds: float = ANSWER_SECONDS,
    kind: type[ShellSide] = ShellSide,
) -> Iterator[tuple[Running, RogueApi]]:
    """A session with an agent that does `behave`; in the end neither is left, and the service was told."""
    failures: list[BaseException] = []
    running_agents: list[RogueAgent] = []

    def noted(agent: RogueAgent) -> None:
        running_agents.append(agent)
        try:
            behave(agent)
        except AssertionError as error:
            failures.append(error)
            raise
        finally:
            running_agents.remove(agent)

    with rogue_session(noted) as api:
        session = Running(api, directory, key_source, patience_seconds, kind)
        try:
            yield session, api
        finally:
            session.program.close()
            session.end()
            session.wakeup.close()
        wait_until(lambda: not running_agents, "the agent's reading to the end")  # else its server's end cuts it short
    if failures:
        raise failures[0]
    assert api.calls[-1] == "TerminateSession"


def acknowledged(agent: RogueAgent) -> int:
    """The number that the client's next message acknowledges."""
    data = agent.connection.recv(timeout=ANSWER_SECONDS)
    assert isinstance(data, bytes)
    message = parse(data)
    assert message.message_type == MessageType.ACKNOWLEDGE
    return parse_acknowledge(message.payload)


def begin(agent: RogueAgent) -> bytes:
    """Ask for a key; the message that does."""
    agent.connection.recv(timeout=ANSWER_SECONDS)  # OpenDataChannelInput
    request = agent.say(REQUEST, PayloadType.HANDSHAKE_REQUEST)
    assert acknowledged(agent) == 0
    return request


def go_on(agent: RogueAgent) -> None:
    """Take the key, see that both sides have it, begin the shell."""
    response = parse_handshake_response(agent.hear())
    assert [action.status for action in response.actions] == [ActionStatus.SUCCESS] * 2
    agent.say(build_encryption_challenge(AGENT.encrypt(b"challenge")), PayloadType.ENC_CHALLENGE_REQUEST)
    assert AGENT.decrypt(parse_encryption_challenge(agent.hear())) == b"challenge"
    agent.say(handshake_complete(), PayloadType.HANDSHAKE_COMPLETE)
    agent.say(AGENT.encrypt(b"$ "))


def test_everything_goes_on_while_the_key_is_waited_for(tmp_path: Path, kms: Kms) -> None:
    """What the agent repeats is acknowledged, pings are answered; then the shell begins, and is encrypted."""
    heard: list[bytes] = []

    def behave(agent: RogueAgent) -> None:
        request = begin(agent)
        assert kms.is_asked.wait(ANSWER_SECONDS)
        for _ in range(3):
            agent.connection.send(request)
            assert acknowledged(agent) == 0
            assert agent.connection.ping().wait(ANSWER_SECONDS)
        kms.answers.set()
        go_on(agent)
        heard.append(AGENT.decrypt(agent.hear()))
        agent.close_channel()

    with running(behave, tmp_path, kms) as (session, api):
        assert session.program.recv(100) == b"$ "
        session.program.send(b"exit\n")
        assert session.program.recv(100) == b""
        assert session.end() is None
        api.calls.append("TerminateSession")  # it is not called where the service has ended the session
    assert heard == [b"exit\n"]
    assert kms.asked == [KeyRequested("k", "Yw==")]


def test_a_connection_that_is_lost_meanwhile_is_resumed(tmp_path: Path, kms: Kms) -> None:
    connections: list[RogueAgent] = []

    def behave(agent: RogueAgent) -> None:
        connections.append(agent)
        if len(connections) == 1:
            begin(agent)
            assert kms.is_asked.wait(ANSWER_SECONDS)
            return
        agent.connection.recv(timeout=ANSWER_SECONDS)
        kms.answers.set()
        agent.next_number = 1
        go_on(agent)
        assert AGENT.decrypt(agent.hear()) == b"exit\n"

    with running(behave, tmp_path, kms) as (session, api):
        assert session.program.recv(100) == b"$ "
        session.program.send(b"exit\n")
        assert "ResumeSession" in api.calls
        session.program.shutdown(socket.SHUT_RDWR)
    assert len(kms.asked) == 1


def test_a_program_that_leaves_meanwhile_waits_for_nothing(tmp_path: Path, kms: Kms) -> None:
    with running(begin, tmp_path, kms) as (session, _):
        assert kms.is_asked.wait(ANSWER_SECONDS)
        session.program.close()
        assert session.end() is None
        assert not kms.ended.is_set()


def test_a_key_that_is_refused(tmp_path: Path) -> None:
    """The agent is told why, and the caller gets the error as it is."""
    error = AccessDeniedError("User u may not use the key k", "allow kms:GenerateDataKey")

    def refuse(_: KeyRequested) -> DataKey:
        raise error

    told: list[str] = []

    def behave(agent: RogueAgent) -> None:
        begin(agent)
        data = agent.connection.recv(timeout=ANSWER_SECONDS)  # the last that comes: nobody takes an acknowledgement
        assert isinstance(data, bytes)
        _, action = parse_handshake_response(parse(data).payload).actions
        told.append(action.error)

    with running(behave, tmp_path, refuse) as (session, _):
        assert session.end() is error
    assert told == ["Failed to process action KMSEncryption: User u may not use the key k"]


def test_a_key_that_does_not_come_is_waited_for_as_long_as_for_all_of_the_start(tmp_path: Path, kms: Kms) -> None:
    with running(begin, tmp_path, kms, patience_seconds=3.0) as (session, _):
        failure = session.end()
    assert isinstance(failure, NetworkError)
    told = f"KMS did not give a key for the session with {TARGET} in eu-west-1 within 3 s; check that KMS"
    assert str(failure).startswith(told)


def test_a_side_that_cannot_encrypt_says_so_at_once(tmp_path: Path) -> None:
    """And leaves it to the agent to end the session."""
    told: list[int] = []

    def behave(agent: RogueAgent) -> None:
        begin(agent)
        told.extend(action.status for action in parse_handshake_response(agent.hear()).actions)
        agent.close_channel("KMSEncryption failed on client with status 3")

    with running(behave, tmp_path, None) as (session, api):
        assert "KMSEncryption failed on client" in str(session.end())
        api.calls.append("TerminateSession")
    assert told == [ActionStatus.SUCCESS, ActionStatus.UNSUPPORTED]


def test_a_side_has_sizes_sent_before_the_handshake_and_whenever_it_likes(tmp_path: Path) -> None:
    """An agent of a plain shell may leave the handshake out: the size does not wait for it."""
    sizes: list[bytes] = []
    has_changed = threading.Event()

    def behave(agent: RogueAgent) -> None:
        agent.connection.recv(timeout=ANSWER_SECONDS)  # OpenDataChannelInput
        sizes.append(agent.hear())
        agent.say(b"$ ")
        assert has_changed.wait(ANSWER_SECONDS)
        sizes.extend([agent.hear(), agent.hear()])

    with running(behave, tmp_path, None, kind=TerminalSide) as (session, _):
        assert session.program.recv(100) == b"$ "
        assert isinstance(session.side, TerminalSide)
        session.side.size = (132, 50)
        session.program.send(b"stty size\n")
        has_changed.set()
        wait_until(lambda: len(sizes) == 3, "what the agent hears")
    assert [json.loads(size) for size in sizes[:2]] == [{"cols": 80, "rows": 24}, {"cols": 132, "rows": 50}]
    assert sizes[2] == b"stty size\n"
