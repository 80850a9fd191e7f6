"""What ``ssh -v`` says of a log-in, and the checks that rest on it."""

import pytest

from ssmssh.doctor.check import Outcome
from ssmssh.doctor.facts.login import Login, judged
from ssmssh.sandbox import Sandbox
from tests.doctor.looking import look
from tests.doctor.programs import inside

WEB = "i-0123456789abcdef0"
OFFER = "debug1: Offering public key: /home/me/.ssh/id_ed25519 ED25519 SHA256:abc agent\r\n"
BEGINNING = "OpenSSH_9.2p1\r\ndebug1: Authentications that can continue: publickey\r\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Login((), False, "")),
        (BEGINNING, Login((), False, "")),
        (
            f"{BEGINNING}{OFFER}{OFFER}me@i-1: Permission denied (publickey,gssapi-with-mic).\r\n",
            Login(
                ("/home/me/.ssh/id_ed25519 ED25519 SHA256:abc agent",),
                False,
                "Permission denied (publickey,gssapi-with-mic)",
            ),
        ),
        (f"{BEGINNING}me@i-1: Permission denied (publickey).", Login((), False, "Permission denied (publickey)")),
        (
            f"{BEGINNING}Received disconnect from UNKNOWN port 65535:2: Too many authentication failures\r\n",
            Login((), False, "Too many authentication failures"),
        ),
        (
            f'{OFFER}debug1: Server accepts key: x\r\nAuthenticated to i-1 (via proxy) using "publickey".\r\n',
            Login(("/home/me/.ssh/id_ed25519 ED25519 SHA256:abc agent",), True, ""),
        ),
    ],
)
def test_what_ssh_says(text: str, expected: Login) -> None:
    assert judged(text) == expected


@pytest.fixture
def here(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, with this process in it."""
    inside(sandbox, monkeypatch)
    return sandbox


@pytest.mark.usefixtures("here")
def test_who_is_let_in() -> None:
    found = look("ssh-keys", WEB)
    assert found.outcome is Outcome.OK, found
    assert "is let in (1 offered" in found.evidence


@pytest.mark.usefixtures("here")
def test_who_is_not() -> None:
    found = look("ssh-keys", WEB, user="nobody-of-that-name")
    assert found.outcome is Outcome.FAILED, found
    assert "lets nobody-of-that-name in with none of the keys" in found.cause
    assert found.next_step == "ssmssh install-config --push-key"


@pytest.mark.usefixtures("here")
def test_nothing_is_pushed_and_no_relay_asked_for_by_itself() -> None:
    assert [look(name, WEB).outcome for name in ("push-key", "sessions-bundle")] == [Outcome.OK] * 2


def test_the_host_key_is_known_or_another_one(here: Sandbox) -> None:
    found = look("host-key", WEB)
    assert found.outcome is Outcome.OK, found
    assert "known in" in found.evidence
    with here.faults.during("host-key-swapped"):
        found = look("host-key", WEB)
    assert found.outcome is Outcome.FAILED, found
    assert "is another one than" in found.cause
    assert "# if you know why" in found.next_step
