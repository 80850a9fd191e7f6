"""``ssmssh run``: commands without ssh; their words, their outputs, their statuses."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, OTHER_HOST, Client, end, payload, wait_until

IMPATIENT = """
from ssmssh.cli import main
from ssmssh.session.sides import command

command.SILENCE_SECONDS = 1.0
main()
"""
"""``ssmssh`` that finds a second of silence long."""


def run(client: Client, *words: str, status: int = 0, stdin: bytes = b"") -> tuple[bytes, str]:
    """The output, and what was said."""
    done = client.run("ssmssh", "run", *words, status=status, stdin=stdin)
    return done.stdout, done.stderr.decode()


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_status_is_the_commands(client: Client, status: int) -> None:
    assert run(client, EC2_HOST, "--", "sh", "-c", f"exit {status}", status=status) == (b"", "")


@pytest.mark.parametrize(
    ("text", "status"), [("exit 126", 126), ("no-such-program", 127), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_a_shells_statuses(client: Client, text: str, status: int) -> None:
    assert run(client, "--shell", EC2_HOST, text, status=status)[0] == b""


def test_without_a_shell_a_signal_is_not_known(client: Client) -> None:
    _, said = run(client, EC2_HOST, "sh", "-c", "kill -9 $$", status=254)
    assert "nobody knows with which status" in said


def test_outputs_are_apart(client: Client, sandbox: Sandbox) -> None:
    """And the agent has written both to its disk [agent: shell.go, initializeLogger]."""
    script = "echo out; echo err >&2; echo more"
    assert run(client, EC2_HOST, "sh", "-c", script) == (b"out\nmore\n", "err\n")
    assert sandbox.sessions()[-1].logged_bytes == len("out\nmore\nerr\n")


def test_words_arrive_as_they_are(client: Client) -> None:
    words = ["a b", "it's", '"q"', "$HOME", "*", "", "ü\n\t#", "\\", "-x", "{{ portNumber }}"]
    output, _ = run(client, EC2_HOST, "--", "printf", "%s|", *words)
    assert output.decode().split("|")[:-1] == words


def test_a_shell_joins_its_words(client: Client) -> None:
    assert run(client, "--shell", EC2_HOST, "--", "echo", "$((6*7))", "|", "tr", "4", "5")[0] == b"52\n"


def test_there_is_no_input(client: Client) -> None:
    assert run(client, EC2_HOST, "cat", stdin=b"ignored")[0] == b""


def test_what_cannot_be_started_is_told(client: Client) -> None:
    _, said = run(client, EC2_HOST, "no-such-program", status=1)
    assert "Unable to start command" in said


def test_any_bytes_are_whole(client: Client) -> None:
    data = payload(5_000_000)
    source = client.directory / "source"
    source.write_bytes(data)
    assert run(client, "--binary", EC2_HOST, "cat", str(source))[0] == data
    assert run(client, "--binary", "--shell", EC2_HOST, "printf 'a\\0\\377'; exit 9", status=9)[0] == b"a\0\xff"


def test_failures_of_ours_have_one_status_and_tell_the_usual_one(client: Client) -> None:
    _, said = run(client, "i-0aaaaaaaaaaaaaaaa", "true", status=255)
    assert re.search(r"TargetNotConnected.*\(status 4\)", said)
    assert len(said.splitlines()) == 1
    _, said = run(client, "--document-name", "AWS-StartSSHSession", EC2_HOST, "true", status=255)
    assert "(status 2)" in said


@pytest.mark.parametrize(
    "words",
    [
        [],
        [EC2_HOST],
        [EC2_HOST, "--"],
        ["--targets", EC2_HOST],
        ["-t", "--binary", EC2_HOST, "true"],
        ["--no-such-option", EC2_HOST, "true"],
        ["--parallel", "0", "--targets", EC2_HOST, "true"],
        [EC2_HOST, "printf", os.fsdecode(b"\xff")],
        ["-t", "--shell", EC2_HOST, "printf", os.fsdecode(b"\xff")],
    ],
)
def test_wrong_usage(client: Client, words: list[str]) -> None:
    assert "(status 2)" in run(client, *words, status=255)[1]


def test_a_terminal_is_one(client: Client) -> None:
    output, _ = run(client, "-t", EC2_HOST, "--", "sh", "-c", "test -t 1 && echo 'a terminal'", status=254)
    assert output == b"a terminal\r\n"


def test_ctrl_c_reaches_the_command(client: Client) -> None:
    process = client.start(
        "ssmssh", "run", EC2_HOST, "sh", "-c", "trap 'exit 5' INT; echo up; while :; do sleep 0.05; done"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    assert end(process, signal.SIGINT) == 5


def test_a_second_one_ends_the_session(client: Client, sandbox: Sandbox) -> None:
    process = client.start("ssmssh", "run", EC2_HOST, "sh", "-c", "trap '' INT; echo up; while :; do sleep 0.05; done")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    assert b"once more ends the session" in process.stderr.readline()
    assert end(process, signal.SIGINT) == 128 + signal.SIGINT
    wait_until(lambda: not any(session.is_open for session in sandbox.sessions()), "the end of the session")


def test_nobody_reads(client: Client) -> None:
    script = f"ssmssh run {EC2_HOST} yes | head -n 1; echo $?"
    assert client.run("bash", "-c", f"set -o pipefail; {script}").stdout == b"y\n141\n"


@pytest.mark.parametrize(
    "where",
    [
        ">&-",
        pytest.param(
            ">/dev/full",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux' device that is always full"),
        ),
    ],
)
def test_output_that_cannot_be_written_is_a_failure(client: Client, where: str) -> None:
    for words in EC2_HOST, f"--binary {EC2_HOST}", f"--targets {EC2_HOST}":
        said = client.run("sh", "-c", f"ssmssh run {words} -- echo lost {where}", status=255).stderr.decode()
        assert re.search(r"^ssmssh: Cannot write the output: .* \(status 9\)", said, re.MULTILINE)
    assert client.run("sh", "-c", f"ssmssh run {EC2_HOST} true {where}").stderr == b""
    said = client.run("sh", "-c", f"echo exit | ssmssh shell {EC2_HOST} {where}", status=9).stderr.decode()
    assert "Cannot write the output" in said


@pytest.mark.parametrize("words", [[], ["--binary"]])
def test_somebody_else_ends_the_session(client: Client, sandbox: Sandbox, words: list[str]) -> None:
    """The service gives no reason, but the agent has not said that the command has ended."""
    up = client.directory / "up"
    process = client.start("ssmssh", "run", *words, EC2_HOST, "sh", "-c", f"touch {up}; echo up; sleep 1000")
    wait_until(up.exists, "the command")
    with sandbox.faults.during("session-terminated-elsewhere"):
        output, said = process.communicate(timeout=60)
    assert process.returncode == 255
    assert output == (b"" if words else b"up\n")
    assert re.search(rb"^ssmssh: The session with \S+ in \S+ ended before the command had \(status 7\)", said)
    assert said.count(b"\n") == 1


def test_several_targets(client: Client) -> None:
    output, said = run(
        client, "--targets", f"{EC2_HOST},db-1,nope,{HYBRID_HOST}", "--shell", "--", "echo one; echo two; exit 3",
        status=255,
    )  # fmt: skip
    lines = output.decode().splitlines()
    for name in (EC2_HOST, "db-1", HYBRID_HOST):
        assert [line for line in lines if line.startswith(f"{name}: ")] == [f"{name}: one", f"{name}: two"]
    assert len(lines) == 6
    assert "nope: No managed instance" in said
    assert said.splitlines()[-1].startswith("ssmssh: 0 of 4 succeeded")


def test_several_targets_are_one_caller(client: Client, sandbox: Sandbox) -> None:
    """One look for credentials, by a helper that notes each, whatever the number of targets, and one name's lookup."""
    notes, keys = client.directory / "notes", sandbox.credentials
    found = {"AccessKeyId": keys.access_key_id, "SecretAccessKey": keys.secret_access_key}
    answer = client.directory / "answer"
    answer.write_text(json.dumps({"Version": 1, "SessionToken": keys.session_token, **found}))
    config = client.directory / "config"
    helper = f"sh -c 'echo asked >> {notes}; cat {answer}'"
    config.write_text(f"[profile helped]\ncredential_process = {helper}\n")
    client.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "helped"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        client.environment.pop(name, None)
    started, asked = sandbox.count_calls("ssm:StartSession"), sandbox.count_calls("sts:*")
    output, _ = run(client, "--targets", f"{EC2_HOST},{OTHER_HOST},{HYBRID_HOST}", "--", "echo", "here")
    assert sorted(output.decode().split("\n")[:-1]) == sorted(
        f"{name}: here" for name in (EC2_HOST, OTHER_HOST, HYBRID_HOST)
    )
    assert notes.read_text() == "asked\n"
    assert sandbox.count_calls("ssm:StartSession") - started == 3
    assert sandbox.count_calls("sts:*") - asked <= 1


def test_what_passes_a_filter(client: Client) -> None:
    output, said = run(client, "--filter", "web", "--", "echo", "here")
    assert output == f"{EC2_HOST}: here\n".encode()
    assert said == "ssmssh: 1 of 1 succeeded\n"
    output, said = run(client, "--targets", f"{EC2_HOST},web-1", "--filter", "web", "--", "echo", "here")
    assert output == f"{EC2_HOST}: here\n".encode()
    assert said.splitlines() == [
        f"ssmssh: web-1 is {EC2_HOST}, where it is run once",
        "ssmssh: 1 of 1 succeeded",
    ]
    _, said = run(client, "--filter", "no-such-name", "--", "true", status=255)
    assert "no target" in said


def test_outputs_in_files(client: Client) -> None:
    directory = client.directory / "out"
    run(client, "--targets", "web-1,db-1", "--output-dir", str(directory), "--", "sh", "-c", "echo out; echo err >&2")
    found = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert found == {f"{name}.{kind}": f"{kind}\n".encode() for name in ("web-1", "db-1") for kind in ("out", "err")}


@pytest.fixture
def many(tmp_path: Path) -> list[str]:
    """How to run what follows in a sandbox with twenty instances more; of two nobody is there, one is old."""
    rows = [{"instance_id": f"i-{number:017x}", "name": f"n-{number}"} for number in range(1, 21)]
    rows[0]["agent_version"] = "3.1.1000.0"
    for row in rows[-2:]:
        row["ping_status"] = "ConnectionLost"
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(rows))
    return ["ssmssh", "sandbox", "--instances", str(path), "--"]


def test_twenty_at_once(client: Client, many: list[str]) -> None:
    """Two of them fail, and one does not tell its status."""
    names = [f"n-{number}" for number in range(1, 21)]
    words = ["run", "--targets", ",".join(names), "--parallel", "20", "--", "echo", "up"]
    done = client.run(*many, "ssmssh", *words, status=255)
    assert sorted(done.stdout.decode().splitlines()) == sorted(f"{name}: up" for name in names[:-2])
    assert b"17 of 20 succeeded; not: n-1 (254), n-19 (255), n-20 (255)" in done.stderr


def test_an_old_agent_is_told_of(client: Client, many: list[str]) -> None:
    done = client.run(*many, "ssmssh", "run", "n-1", "sh", "-c", "echo a; echo b >&2", status=254)
    assert done.stdout == b"a\nb\n"
    assert b"3.1.1000.0) tells no status" in done.stderr


def test_an_agent_that_was_paused_unseen_is_told_of(client: Client, sandbox: Sandbox) -> None:
    """Its command hangs with more to say than a pipe holds; nothing but the silence tells of it here."""
    program = client.directory / "impatient.py"
    program.write_text(IMPATIENT)
    words = ("run", EC2_HOST, "sh", "-c", "while :; do echo on and on; done")
    told = client.directory / "told"
    with told.open("wb") as stderr:
        process = client.start(sys.executable, program, *words, stdout=subprocess.DEVNULL, stderr=stderr)
    wait_until(lambda: any(each.is_open and each.messages_down > 12 for each in sandbox.sessions()), "its output")

    def is_told() -> bool:
        sandbox.faults.set("pause:away=0.5")  # an acknowledgement ends a pause, so that one may come to nothing
        return b"has said nothing for 1 s or more" in told.read_bytes()

    wait_until(is_told, "the word of silence", 45)
    assert b"(3.3.987.0) was paused and does not read its output any more; Ctrl-C twice ends it" in told.read_bytes()
    process.send_signal(signal.SIGINT)
    wait_until(lambda: b"once more ends the session" in told.read_bytes(), "the first Ctrl-C")
    assert end(process, signal.SIGINT) == 128 + signal.SIGINT


def test_a_new_agent_reads_on_behind_a_pause(tmp_path: Path) -> None:
    script = "i=0; while [ ! -e told ]; do i=$((i+1)); echo $i; sleep 0.01; done; echo end $i"
    with Sandbox(unpaced=True, agent_version="3.3.4851.0") as box:
        client = Client(box.environment, tmp_path)
        process = client.start("ssmssh", "run", EC2_HOST, "sh", "-c", f"cd {tmp_path}; {script}")
        wait_until(lambda: any(each.messages_down > 12 for each in box.sessions()), "its output")
        box.faults.set("cut")
        wait_until(lambda: any(each.opens > 1 for each in box.sessions()), "another connection")
        (tmp_path / "told").touch()
        output, said = process.communicate(timeout=60)
        client.close()
    assert (process.returncode, said) == (0, b"")
    *numbers, last = output.splitlines()
    assert numbers == [b"%d" % number for number in range(1, len(numbers) + 1)]
    assert last == b"end %d" % len(numbers)


def test_much_binary_output_is_warned_of(client: Client) -> None:
    output, said = run(client, "--binary", EC2_HOST, "head", "-c", "10500000", "/dev/zero")
    assert len(output) == 10_500_000
    assert said.count("scp is the better way") == 1


_UNTIL_TAKEN = (
    "import fcntl, struct, termios, time\nwhile any(fcntl.ioctl(1, termios.FIONREAD, bytes(4))): time.sleep(0.01)\n"
)
"""Ends when whoever reads what was written has taken all of it."""


def _cut_off(client: Client, sandbox: Sandbox, and_then: str, *words: str) -> tuple[int, bytes, bytes]:
    """Status, output and words of a command that says 40 lines while the agent has no connection to the client."""
    away, said_all, ending = (client.directory / name for name in ("away", "said", "ending"))
    say = "printf '%01000d\\n'"
    before = f"until [ -e {away} ]; do {say} 7; sleep 0.01; done"
    meanwhile = f"for _ in $(seq 40); do {say} 8; done; {and_then}; touch {said_all}"
    script = f"{before}; {meanwhile}; until [ -e {ending} ]; do sleep 0.1; done"
    process = client.start("ssmssh", "run", *words, EC2_HOST, "sh", "-c", script)
    wait_until(lambda: any(each.is_open and each.messages_down > 12 for each in sandbox.sessions()), "its output")
    with sandbox.faults.during("resume-error", "cut"):
        wait_until(lambda: any(each.status == "Disconnected" for each in sandbox.sessions()), "the loss")
        away.touch()
        wait_until(said_all.exists, "what is said meanwhile")
    ending.touch()
    output, said = process.communicate(timeout=60)
    return process.returncode, output, said


def test_output_that_a_pause_cut_off_is_told_of(client: Client, sandbox: Sandbox) -> None:
    """The service pauses the agent meanwhile, and what is said fits into the pipe, which nobody reads any more."""
    _, output, said = _cut_off(client, sandbox, "true")
    assert output.count(b"7\n") > 0
    assert output.count(b"8\n") < 40
    assert b"may have cut off the output" in said


def test_binary_output_that_a_pause_cut_off_is_not_whole(client: Client, sandbox: Sandbox) -> None:
    """``base64`` holds 30 kB back: who waits until it has taken 40 of them knows that it has said something itself."""
    status, _, said = _cut_off(client, sandbox, shlex.join([sys.executable, "-c", _UNTIL_TAKEN]), "--binary")
    assert status == 255
    assert b"is not whole" in said or b"no longer holds the session" in said
