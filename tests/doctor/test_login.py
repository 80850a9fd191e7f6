"""What ``ssh -v`` says of a log-in, and the checks that rest on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ssmssh.doctor.check import Outcome
from ssmssh.doctor.facts.login import Login, judged
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.files import write_file
from tests.doctor.looking import look
from tests.inside import inside

WEB = "i-0123456789abcdef0"
OFFER = "debug1: Offering public key: /home/me/.ssh/id_ed25519 ED25519 SHA256:abc agent\r\n"
BEGINNING = "OpenSSH_9.2p1\r\ndebug1: Authentications that can continue: publickey\r\n"
CLOSED = "Connection closed by UNKNOWN port 65535\r\n"


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
        (
            "Unable to negotiate with UNKNOWN port 65535: no matching cipher found. Their offer: aes128-ctr\r\n",
            Login((), False, "no matching cipher found. Their offer: aes128-ctr"),
        ),
        (
            f"{BEGINNING}wrap: exec: /gone: not found\nkex_exchange_identification: {CLOSED}{CLOSED}",
            Login((), False, "", "wrap: exec: /gone: not found"),
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


@contextmanager
def lines_above(box: Sandbox, text: str) -> Iterator[None]:
    """More lines at the top of the ssh config."""
    path = box.directory / "ssh_config"
    before = path.read_text()
    path.write_text(f"{text}\n{before}")
    yield
    path.write_text(before)


def test_no_method_in_common(here: Sandbox) -> None:
    with lines_above(here, "Host i-*\n    HostKeyAlgorithms ssh-rsa"):
        found = look("ssh-keys", WEB)
    assert found.outcome is Outcome.FAILED, found
    assert "no method in common: no matching host key type found" in found.cause


def test_a_script_around_the_proxy_that_fails(here: Sandbox) -> None:
    wrapper = here.directory / "wrapper"
    write_file(wrapper, '#!/bin/sh\nexec /no/such/ssmssh-proxy "$@"\n', 0o700)
    with lines_above(here, f"Host i-*\n    ProxyCommand {wrapper} %h %p"):
        found = look("ssh-keys", WEB)
    wrapper.unlink()
    assert found.outcome is Outcome.FAILED, found
    assert "ssh's ProxyCommand does not: " in found.cause
    assert "/no/such/ssmssh-proxy" in found.cause


def test_no_proxy_command_at_all(here: Sandbox) -> None:
    with lines_above(here, "Host i-*\n    ProxyCommand none\n    HostName 127.0.0.1\n    Port 1"):
        assert [look(name, WEB).outcome for name in ("push-key", "ssh-keys")] == [Outcome.OK, Outcome.UNKNOWN]


def test_the_port_is_the_one_of_the_ssh_config(here: Sandbox) -> None:
    with lines_above(here, "Host i-*\n    Port 1"):
        found = look("ssh-banner", WEB)
        assert found.outcome is Outcome.FAILED, found
        assert "Nothing answers on port 1 of" in found.cause
        assert look("ssh-banner", WEB, port=22).outcome is Outcome.OK
