"""Host keys at the gate: what it waits for, for how long, and what it says."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ssmssh.errors import FileError, TargetError
from ssmssh.nodes import hostkeycheck, obtaining
from ssmssh.nodes.hostkeycheck import ACCEPT_NEW, ENFORCE, HostKeyCheck
from ssmssh.nodes.hostkeys import HostKey
from ssmssh.nodes.keptkeys import KeptKeys
from ssmssh.nodes.obtaining import Obtained
from ssmssh.session.hostkeys import HostKeyGuard
from ssmssh.session.streams import Wakeup
from tests.nodes.test_offered_keys import exchange, key

ID, OTHER_ID = "i-0123456789abcdef0", "i-0fedcba9876543210"
ANOTHER = HostKey("ssh-ed25519", key().blob[:-1] + b"\0")


class Context:
    profile_option = " --profile prod"


class Caller:
    region = "eu-west-1"

    def context(self, _what: str) -> Context:
        return Context()


CALLER: Any = Caller()


class Connection:
    """A guard, what it says, and an AWS that answers when it is told to."""

    def __init__(self, directory: Path, policy: str, wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept = KeptKeys(directory / "state", directory / "ssh")
        self.said: list[str] = []
        self.mentioned: list[str] = []
        self.answer: Callable[[], Obtained] = lambda: Obtained((key(),), "Run Command")
        self.may_answer = threading.Event()
        self.check = HostKeyCheck(self.kept, policy, "web.ssm", 22)
        self.guard = HostKeyGuard(self.check, wakeup, self.said.append, self.mentioned.append)
        monkeypatch.setattr(obtaining, "obtain", self._obtain)

    def _obtain(self, *_: object, **__: object) -> Obtained:
        assert self.may_answer.wait(60)
        return self.answer()

    def hear(self) -> None:
        """The server speaks, and its bytes have passed."""
        self.guard.passes(exchange())
        self.wait()

    def wait(self) -> None:
        """Until what it waits for has been done."""
        gives_up_at = time.monotonic() + 60
        while not self.guard.may_pass(time.monotonic()):
            assert time.monotonic() < gives_up_at
            self.guard.wait(1)

    @property
    def text(self) -> str:
        return self.kept.known_hosts.read_text()


@pytest.fixture(params=[ACCEPT_NEW, ENFORCE])
def connection(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    wakeup = Wakeup()
    connection = Connection(tmp_path, request.param, wakeup, monkeypatch)
    yield connection
    connection.may_answer.set()
    connection.guard.wait(60)
    wakeup.close()


def test_the_server_is_heard_once_ssh_can_know_it(connection: Connection) -> None:
    guard = connection.guard
    assert not guard.may_pass(0.0)
    guard.begin(CALLER, ID)
    assert not guard.may_pass(time.monotonic())
    connection.may_answer.set()
    connection.wait()
    assert connection.text == f"web.ssm,{ID} {key().text}\n"
    connection.hear()
    assert not connection.said


def test_what_takes_too_long_is_not_waited_for(connection: Connection) -> None:
    guard = connection.guard
    guard.begin(CALLER, ID)
    until = guard.next_deadline(time.monotonic())
    assert guard.may_pass(until)
    assert guard.next_deadline(until) > until


def test_once_verified_nobody_is_asked(connection: Connection) -> None:
    connection.kept.vouch(ID, [key()], "Run Command", 100)
    connection.guard.begin(CALLER, ID)
    connection.wait()
    connection.hear()
    assert not connection.said
    assert key().text in connection.text


def test_a_changed_key_is_told_before_it_passes(connection: Connection) -> None:
    connection.kept.vouch(ID, [ANOTHER], "the console output", 100)
    connection.guard.begin(CALLER, ID)
    connection.wait()
    connection.hear()
    (said,) = connection.said
    for each in (key(), ANOTHER):
        assert each.fingerprint in said
    assert f"ssmssh host trust --region eu-west-1 --profile prod {ID}" in said
    assert [kept.key for kept in connection.kept.record(ID).seen] == [key()]
    assert connection.text == f"web.ssm,{ID} {ANOTHER.text}\n"


def test_the_target_that_is_asked_for_last_counts(connection: Connection) -> None:
    connection.kept.vouch(ID, [ANOTHER], "Run Command", 100)
    connection.kept.vouch(OTHER_ID, [key()], "Run Command", 100)
    connection.guard.begin(CALLER, ID)
    connection.guard.begin(CALLER, OTHER_ID)
    connection.guard.begin(CALLER, OTHER_ID)
    connection.wait()
    connection.hear()
    assert not connection.said
    assert connection.mentioned == [f"web.ssm leads to {OTHER_ID} now and has led to {ID}: other host keys are right"]
    assert connection.text.startswith(f"web.ssm,{OTHER_ID} {key().text}\n")


def test_a_refusal_of_awss(connection: Connection) -> None:
    def refuse() -> Obtained:
        raise TargetError("no", "ask")

    connection.answer = refuse
    connection.may_answer.set()
    connection.guard.begin(CALLER, ID)
    connection.wait()
    connection.hear()
    if connection.check.patience_seconds == hostkeycheck.PATIENCE_SECONDS[ENFORCE]:
        (said,) = connection.said
        assert said.endswith(": no; ask")
        assert key().fingerprint in said
    else:
        assert not connection.said


def test_what_cannot_be_written_ends_it_under_enforce_alone(connection: Connection) -> None:
    connection.kept.known_hosts.parent.mkdir()
    connection.kept.known_hosts.mkdir()
    connection.may_answer.set()
    connection.guard.begin(CALLER, ID)
    if connection.check.patience_seconds == hostkeycheck.PATIENCE_SECONDS[ENFORCE]:
        with pytest.raises(FileError, match="cannot be used"):
            connection.wait()
    else:
        connection.wait()
