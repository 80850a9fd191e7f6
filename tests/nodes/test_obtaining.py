"""Host keys from AWS: one way after the other, within the patience, and what is said where both come to nothing."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ssmssh.errors import AccessDeniedError, NetworkError, SsmsshError, TargetError
from ssmssh.nodes import obtaining
from ssmssh.nodes.hostkeys import CONSOLE_BEGIN, CONSOLE_END, in_lines, parse_line
from ssmssh.nodes.obtaining import CONSOLE, CONSOLE_SECONDS, RUN_COMMAND, SCRIPT, Obtained, obtain
from tests.nodes.exchanges import make_key
from tests.nodes.test_offered_keys import key

ID, HYBRID = "i-0123456789abcdef0", "mi-0123456789abcdef0"
BLOCK = f"{CONSOLE_BEGIN}\n{key().text} root@host\n{CONSOLE_END}\n"
NOBODY: Any = None

Answer = Callable[[], str]


def printed(text: str) -> Answer:
    return lambda: text


def failing(error: SsmsshError) -> Answer:
    def fail() -> NoReturn:
        raise error

    return fail


class Aws:
    """Answers both ways; `patience` is what Run Command was given, `asked` the ways in order."""

    def __init__(self, command: Answer, console: Answer, takes_seconds: float) -> None:
        self.command, self.console = command, console
        self.takes_seconds = takes_seconds
        self.now = 0.0
        self.patience: list[float] = []
        self.asked: list[str] = []

    def run_script(self, *_: object, patience_seconds: float, **__: object) -> str:
        self.asked.append(RUN_COMMAND)
        self.patience.append(patience_seconds)
        self.now += min(self.takes_seconds, patience_seconds)
        return self.command()

    def console_output(self, *_: object) -> str:
        self.asked.append(CONSOLE)
        return self.console()


def ask(
    monkeypatch: pytest.MonkeyPatch, command: Answer, console: Answer, instance_id: str = ID, takes_seconds: float = 1.0
) -> tuple[Aws, Callable[[], Obtained]]:
    aws = Aws(command, console, takes_seconds)
    for name in ("run_script", "console_output"):
        monkeypatch.setattr(obtaining, name, getattr(aws, name))
    return aws, lambda: obtain(NOBODY, instance_id, patience_seconds=6.0, clock=lambda: aws.now)


DENIED = AccessDeniedError("no", "ask")


def test_run_command_first(monkeypatch: pytest.MonkeyPatch) -> None:
    aws, obtained = ask(monkeypatch, printed(f"{key().text} root@host\n"), printed(BLOCK))
    assert obtained() == ((key(),), RUN_COMMAND)
    assert aws.asked == [RUN_COMMAND]
    assert aws.patience == [6.0 - CONSOLE_SECONDS]


@pytest.mark.parametrize(
    "command", [failing(DENIED), failing(NetworkError("too late")), printed(""), printed("ssh-ed25519 no key\n")]
)
def test_then_the_console(monkeypatch: pytest.MonkeyPatch, command: Answer) -> None:
    aws, obtained = ask(monkeypatch, command, printed(BLOCK), takes_seconds=60)
    assert obtained() == ((key(),), CONSOLE)
    assert aws.asked == [RUN_COMMAND, CONSOLE]


def test_a_hybrid_node_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    aws, obtained = ask(monkeypatch, failing(DENIED), printed(BLOCK), HYBRID)
    with pytest.raises(AccessDeniedError, match="ask for ssm:SendCommand"):
        obtained()
    assert aws.asked == [RUN_COMMAND]


@pytest.mark.parametrize(
    ("command", "console", "error", "words"),
    [
        (failing(DENIED), failing(DENIED), AccessDeniedError, "or ec2:GetConsoleOutput"),
        (failing(DENIED), printed(""), TargetError, "is empty as yet; it takes ssm:SendCommand"),
        (printed(""), printed("boot\n"), TargetError, "has no host keys, which come minutes after the first start"),
        (failing(NetworkError("too late")), failing(DENIED), TargetError, "too late; no; it takes"),
    ],
)
def test_what_comes_to_nothing(
    monkeypatch: pytest.MonkeyPatch, command: Answer, console: Answer, error: type[SsmsshError], words: str
) -> None:
    _, obtained = ask(monkeypatch, command, console)
    with pytest.raises(error) as failure:
        obtained()
    assert words in str(failure.value)


def run_by_sh(tmp_path: Path, shown: str) -> str:
    """What the script prints where ``sshd -T`` shows so much; its own files are in the place of those of the system."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sshd").write_text(f"#!/bin/sh\n[ \"$1\" = -T ] || exit 9\nprintf '%s' '{shown}'\n")
    (programs / "sshd").chmod(0o755)
    script = SCRIPT.replace("/etc/ssh", str(tmp_path / "etc"))
    done = subprocess.run(
        ["/bin/sh", "-c", script], check=True, capture_output=True, text=True, env={"PATH": f"{programs}:/usr/bin:/bin"}
    )
    return done.stdout


def test_the_script_reads_the_keys_that_sshd_has(tmp_path: Path) -> None:
    """Wherever they are; without a file of the public half it is made from the key."""
    keys = tmp_path / "my keys"
    keys.mkdir()
    paths = [make_key(keys, algorithm) for algorithm in ("ssh-ed25519", "ecdsa-sha2-nistp256")]
    wanted = tuple(parse_line(Path(f"{path}.pub").read_text()) for path in paths)
    Path(f"{paths[1]}.pub").unlink()
    shown = "port 22\n" + "".join(f"hostkey {path}\n" for path in (*paths, keys / "missing"))
    assert in_lines(run_by_sh(tmp_path, shown)) == wanted


def test_the_script_reads_the_usual_places_where_sshd_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "ssh_host_ed25519_key.pub").write_text(f"{key().text} root@host\n")
    assert in_lines(run_by_sh(tmp_path, "")) == (key(),)
