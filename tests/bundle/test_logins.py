"""Log-ins of many kinds, for which the best that can be had is several sessions, or one and the reason, said once."""

import contextlib
import shutil

import pytest

from tests.acceptance.clients import Terminal
from tests.bundle.stage import Stage, configured, home_file, log_in_server

START_UP = {"tcsh": ".cshrc", "fish": ".config/fish/config.fish"}


def as_log_in_shell(shell: str) -> str:
    """What a server does for a user who has that shell."""
    assert shutil.which(shell), f"these tests need {shell}"
    return f'ForceCommand {shutil.which(shell)} -c "$SSH_ORIGINAL_COMMAND"'


def reason(stage: Stage) -> str:
    """Why there is one session, in one line for each connection."""
    (line,) = {line.partition(" one session, not several: ")[2] for line in stage.said.splitlines()} - {""}
    assert not stage.relays
    return line


@pytest.mark.parametrize("shell", START_UP)
def test_a_shell_that_is_none_of_posix_and_says_much(stage: Stage, shell: str) -> None:
    """In its start-up file and in a banner; and with a terminal that the configuration forces upon every log-in."""
    banner = stage.client.directory / "banner"
    banner.write_text("Authorized use only.\n")
    with contextlib.ExitStack() as stack:
        stack.enter_context(log_in_server(stage, as_log_in_shell(shell), f"Banner {banner}"))
        stack.enter_context(home_file(stage.box, START_UP[shell], "echo Welcome to this instance\n"))
        stack.enter_context(configured(stage.box, "Host i-*\n    RequestTTY force\n"))
        said = stage.run("echo hello")
        assert said.split(b"\r\n")[:2] == [b"Welcome to this instance", b"hello"]
        assert "one session, not several" not in stage.said
        assert len(stage.relays) == 1


def test_a_user_who_may_run_nothing(stage: Stage) -> None:
    with log_in_server(stage, as_log_in_shell("nologin")):
        assert b"not available" in stage.run("echo hello", status=1)
        assert "This account is currently not available." in reason(stage)


def test_a_user_who_may_copy_files_only(stage: Stage) -> None:
    (stage.client.directory / "file").write_bytes(b"content")
    (stage.client.directory / "batch").write_text("get file copy\n")
    with log_in_server(stage, "ForceCommand internal-sftp", "Subsystem sftp internal-sftp"):
        stage.client.run("sftp", *stage.options, "-b", "batch", f"{stage.host}:{stage.client.directory}")
        assert "This service allows sftp connections only." in reason(stage)
    assert (stage.client.directory / "copy").read_bytes() == b"content"


def test_a_user_with_a_password_only(stage: Stage) -> None:
    """Who is asked for it, as ever."""
    with log_in_server(stage, "PubkeyAuthentication no", "PasswordAuthentication yes", "PermitRootLogin yes"):
        with Terminal(stage.client, "ssh", *stage.options, stage.host) as terminal:
            said = terminal.expect(b"password:")
            terminal.type(b"\x03")
            terminal.wait()
        assert said.count(b"one session, not several: the log-in of its own needs a key that asks nothing") == 1
        assert "needs a key that asks nothing" in reason(stage)
