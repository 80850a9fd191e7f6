"""``ssmssh document`` as it is called, in a sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests import commandcalls
from tests.acceptance.clients import Client, Terminal
from tests.complaints import Complaints
from tests.inside import inside

PREFERENCES = {
    "schemaVersion": "1.0",
    "sessionType": "Standard_Stream",
    "inputs": {"idleSessionTimeout": "5", "maxSessionDuration": "60"},
}


@pytest.fixture(scope="module")
def box(complaints: Complaints) -> Iterator[Sandbox]:
    with commandcalls.data_read_once(), Sandbox(unpaced=True, preferences=PREFERENCES) as box:
        yield box


@pytest.fixture
def user(box: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(box.environment, tmp_path)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def in_box(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inside(box, monkeypatch)


def call(*words: str, status: int = 0) -> tuple[str, str]:
    return commandcalls.call("document", *words, status=status)


def test_one_is_made_shown_and_listed() -> None:
    diff, said = call("create", "ssh-2222", "--port", "2222", "--yes")
    assert '+    "portNumber": "2222"' in diff
    assert "Made: ssh-2222 in us-east-1" in said
    assert "ssh: ssmssh install-config --document-name ssh-2222" in diff
    shown, _ = call("show", "ssh-2222")
    assert shown.startswith("ssh-2222: Port, of 123456789012, Active\n")
    assert "version 1 counts, 1 is the latest" in shown
    assert "shared with nobody" in shown
    assert "parameter portNumber: String; '2222' unless given" in shown
    content, _ = call("show", "ssh-2222", "--json")
    assert json.loads(content)["properties"] == {"portNumber": "2222"}
    rows = json.loads(call("list", "--json")[0])
    assert {"name": "ssh-2222", "type": "Port", "uses": ["ssh"]}.items() <= next(
        row for row in rows if row["name"] == "ssh-2222"
    ).items()
    header, *lines = call("list")[0].splitlines()
    assert header.split() == ["NAME", "OWNER", "TYPE", "VERSION", "PARAMETERS", "FOR"]
    assert any(line.split() == ["ssh-2222", "123456789012", "Port", "1", "portNumber", "ssh"] for line in lines)


def test_what_is_there_is_not_changed() -> None:
    call("create", "taken", "--command", "uptime", "--yes")
    assert call("create", "taken", "--command", "uptime")[1] == "Nothing to change.\n"
    diff, said = call("create", "taken", "--command", "reboot", "--yes", status=2)
    assert '-  "description": "The command uptime",' in diff
    assert '+  "description": "The command reboot",' in diff
    assert "with other content" in said
    assert "uptime" in call("show", "taken", "--json")[0]


def test_nothing_is_made_without_a_yes() -> None:
    diff, said = call("create", "unasked", "--port", "22", status=2)
    assert "+++ unasked" in diff
    assert "nobody can be asked" in said
    call("create", "unasked", "--port", "22", "--dry-run")
    call("show", "unasked", status=2)


@pytest.mark.parametrize(("answer", "is_made"), [(b"n\n", False), (b"y\n", True)])
def test_a_person_is_asked(user: Client, answer: bytes, is_made: bool) -> None:
    name = f"asked-{is_made}"
    terminal = Terminal(user, "ssmssh", "document", "create", name, "--forward", "db.internal:5432")
    terminal.expect(b"Make this document in us-east-1?")
    terminal.type(answer)
    terminal.expect(b"Made: " if is_made else b"Nothing was changed.")
    assert terminal.wait() == 0
    call("show", name, status=0 if is_made else 2)


def test_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "document.json"
    content = {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {"idleSessionTimeout": "5"}}
    file.write_text(json.dumps(content))
    out, _ = call("create", "short-shell", "--content", str(file), "--yes")
    assert "shell: ssmssh shell --document-name short-shell TARGET" in out
    assert json.loads(call("show", "short-shell", "--json")[0]) == content
    file.write_text(json.dumps(content | {"inputs": {"idleSessionTimeout": "61"}}))
    assert "inputs.idleSessionTimeout: must be" in call("create", "other", "--content", str(file), status=2)[1]
    assert "Cannot read" in call("create", "other", "--content", str(tmp_path / "none"), status=9)[1]


def test_one_of_awss_is_shown() -> None:
    shown, _ = call("show", "AWS-StartSSHSession")
    assert "everybody has it" in shown
    assert "ssh: ssmssh install-config --document-name AWS-StartSSHSession" in shown


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("show", "none-such"), "There is no document 'none-such' in us-east-1"),
        (("create", "SSM-SessionManagerRunShell", "--port", "22"), "document preferences"),
        (("create", "it-is"), "--port, --forward, --command and --content"),
        (("create", "it-is", "--port", "22", "--command", "w"), "--port, --forward, --command and --content"),
        (("create", "it-is", "--port", "22", "--interactive"), "--command"),
        (("create", "it-is", "--port", "0"), "--port"),
        (("create", "it-is", "--forward", "a b:22"), "a b:22"),
        (("create", "aws-mine", "--port", "22"), "AWS's"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], reason: str) -> None:
    out, said = call(*words, status=2)
    assert (out, len(said.splitlines())) == ("", 1)
    assert reason in said


def test_the_preferences_are_explained_and_left_alone() -> None:
    before = call("preferences", "--json")
    out, _ = call("preferences")
    assert "Idle time-out: a session that carries nothing for 5 minutes is ended" in out
    assert "every session is ended after 60 minutes" in out
    assert "aws ssm update-document --name SSM-SessionManagerRunShell" in out
    assert call("preferences", "--json") == before
