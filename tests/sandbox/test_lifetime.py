"""A sandbox comes, is what it promises, and goes: whoever ends it, and however."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import ConnectionClosed

from ssmssh.errors import UsageError
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.control import ControlError
from ssmssh.sandbox.environment import installed_script
from tests.acceptance.clients import wait_until
from tests.processes import below, command_lines, listening
from tests.sandbox.client import DataChannel, aws_client, open_websocket

HOST = "i-0123456789abcdef0"
SSMSSH = str(installed_script("ssmssh"))


@pytest.fixture
def directory_note(tmp_path: Path) -> Path:
    return tmp_path / "directory"


def started(*command: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([SSMSSH, "sandbox", *command], **options)  # type: ignore[call-overload,no-any-return]


def noted(note: Path) -> Path:
    """The directory that a command in the sandbox wrote down."""
    wait_until(lambda: note.exists() and note.read_text().endswith("\n"), "the command in the sandbox")
    return Path(note.read_text().strip())


def test_everything_is_its_owners_alone(sandbox: Sandbox) -> None:
    public = set(sandbox.directory.rglob("*_key.pub"))  # as open as a server's are; nobody else comes to where they are
    for path in {sandbox.directory, *sandbox.directory.rglob("*")} - public:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path
    assert not (sandbox.directory / "server.pem").exists()
    private = [path.name for path in sandbox.directory.iterdir() if path.is_file() and b"PRIVATE" in path.read_bytes()]
    assert sorted(private) == ["host_key", "id_ed25519", "swapped_host_key"]


def test_secrets_are_in_no_command_line_and_no_log(sandbox: Sandbox) -> None:
    secrets = (sandbox.credentials.secret_access_key, sandbox.credentials.session_token)
    for _, words in command_lines():
        for secret in secrets:
            assert secret not in " ".join(words)
    for log in sandbox.directory.glob("*.log"):
        for secret in secrets:
            assert secret not in log.read_text()


def test_nothing_listens_beyond_loopback(sandbox: Sandbox) -> None:
    addresses = {address for process in below() for address, _ in listening(process)}
    assert addresses == {"127.0.0.1"}


def test_two_at_once_know_nothing_of_each_other(sandbox: Sandbox) -> None:
    with Sandbox() as other:
        assert other.credentials.access_key_id != sandbox.credentials.access_key_id
        mixed = other.environment | {"AWS_SHARED_CREDENTIALS_FILE": sandbox.environment["AWS_SHARED_CREDENTIALS_FILE"]}
        result = subprocess.run(["ssh", HOST, "true"], env=mixed, capture_output=True, check=False, timeout=60)
        assert result.returncode == 255
        assert other.sessions() == []


def test_an_object_that_is_not_started_says_so() -> None:
    box = Sandbox()
    with pytest.raises(UsageError, match="not running"):
        box.sessions()
    with pytest.raises(UsageError, match="not running"):
        _ = box.directory
    with pytest.raises(UsageError, match="no fault named"):
        Sandbox(faults=["rain"])
    box.stop()


def test_a_start_that_fails_leaves_nothing(
    tmp_path: Path, temporary_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = set(temporary_directory.iterdir())
    with pytest.raises(UsageError, match="there is no ssh"):
        Sandbox(parent_directory=temporary_directory).start()
    assert set(temporary_directory.iterdir()) == before


def test_an_interrupt_that_is_no_key_ends_the_command() -> None:
    """`kill -INT`, as programs send it that have no terminal, reaches the sandbox alone."""
    command = [SSMSSH, "sandbox", "--", "sh", "-c", "echo ready; exec sleep 100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT


def test_a_hangup_that_was_ignored_stays_ignored() -> None:
    """As under nohup."""
    command = ["nohup", SSMSSH, "sandbox", "--", "sh", "-c", "echo ready; read line; echo $line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGHUP)
        assert process.communicate(b"still here\n", 60)[0] == b"still here\n"
        assert process.returncode == 0


def test_calls_after_the_end_fail_in_words() -> None:
    box = Sandbox()
    with box:
        for process, words in command_lines():
            if "ssmssh.sandbox.front" in words and str(box.directory) in words:
                process.kill()
                process.wait()
        with pytest.raises(ControlError, match="the sandbox"):
            box.sessions()


def test_the_status_of_the_command_is_passed_on() -> None:
    for words, status in (("exit 7", 7), ("kill -TERM $$", 143), ("true", 0)):
        assert (
            subprocess.run([SSMSSH, "sandbox", "--", "sh", "-c", words], check=False, timeout=60).returncode == status
        )
    missing = subprocess.run(
        [SSMSSH, "sandbox", "--", "/no/such/thing"], check=False, timeout=60, capture_output=True, text=True
    )
    assert (missing.returncode, missing.stderr) == (127, "ssmssh: /no/such/thing: command not found\n")
    directory = subprocess.run([SSMSSH, "sandbox", "--", "/"], check=False, timeout=60, capture_output=True)
    assert directory.returncode == 126


@pytest.mark.parametrize(
    ("number", "status", "command"),
    [
        (signal.SIGTERM, 143, "sleep 1000; true"),
        (signal.SIGHUP, 129, "sleep 1000; true"),
        (signal.SIGKILL, -9, "exec sleep 1000"),
    ],
    ids=str,
)
def test_a_signal_ends_the_command_and_the_sandbox(
    number: int, status: int, command: str, directory_note: Path
) -> None:
    process = started("--", "sh", "-c", f'echo "$SSMSSH_SANDBOX" > {directory_note}; {command}')
    directory = noted(directory_note)
    wait_until(lambda: any("sleep" in words for _, words in command_lines(process.pid)), "the command")
    running = below(process.pid)
    process.send_signal(number)
    assert process.wait(30) == status
    _, alive = psutil.wait_procs(running, timeout=20)
    assert alive == []
    wait_until(lambda: not directory.exists(), "the directory to go")


def test_ctrl_c_is_the_commands_affair(directory_note: Path) -> None:
    """A terminal sends it to the whole group: the command decides, and the sandbox stays while the command does."""
    script = f'trap "echo got it; exit 5" INT; echo "$SSMSSH_SANDBOX" > {directory_note}; while :; do sleep 0.05; done'
    process = started("--", "sh", "-c", script, stdout=subprocess.PIPE, start_new_session=True)
    directory = noted(directory_note)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, b"got it\n")
    assert not directory.exists()


def test_a_shell_that_ignores_sigterm_is_ended_all_the_same(directory_note: Path) -> None:
    script = f'trap "" TERM; echo "$SSMSSH_SANDBOX" > {directory_note}; while :; do sleep 0.1; done'
    process = started("--", "sh", "-c", script)
    noted(directory_note)
    process.terminate()
    assert process.wait(30) == 129


def test_what_was_left_running_behind_a_login_is_ended(directory_note: Path) -> None:
    script = f"ssh {HOST} 'nohup sleep 1234 >/dev/null 2>&1 & echo $!' > {directory_note}"
    assert subprocess.run([SSMSSH, "sandbox", "--", "sh", "-c", script], check=False, timeout=60).returncode == 0
    pid = int(directory_note.read_text())
    wait_until(lambda: not psutil.pid_exists(pid), "the remote process to go")


def test_a_killed_main_process_takes_the_rest_along() -> None:
    with Sandbox() as box:
        mine = [
            process
            for process, words in command_lines()
            if "ssmssh.sandbox.front" in words and str(box.directory) in words
        ]
        running = [child for process in mine for child in below(process.pid)]
        assert running
        for process in mine:
            process.kill()
        _, alive = psutil.wait_procs(running, timeout=20)
        assert alive == []


@pytest.mark.parametrize(
    ("module", "options", "words"),
    [
        ("ssmssh.sandbox.gateway", ["--gateways", "2"], "its gateway process ended unexpectedly"),
        ("ssmssh.sandbox.librarysshd", ["--ssh-server", "library"], "its sshd process ended unexpectedly"),
        ("ssmssh.sandbox.front", [], "its main process was killed"),
    ],
)
def test_a_lost_process_is_the_end_of_it_all(module: str, options: list[str], words: str, directory_note: Path) -> None:
    script = f'echo "$SSMSSH_SANDBOX" > {directory_note}; sleep 1000; true'
    process = started(*options, "--", "sh", "-c", script, stderr=subprocess.PIPE)
    directory = noted(directory_note)
    running = below(process.pid)
    next(each for each, words in command_lines(process.pid) if module in words).kill()
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.decode()) == (1, f"ssmssh: the sandbox has ended: {words}\n")
    _, alive = psutil.wait_procs(running, timeout=20)
    assert alive == []
    assert not directory.exists()


def test_a_lost_process_ends_a_kept_one() -> None:
    printed = subprocess.run(
        [SSMSSH, "sandbox", "--keep"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    directory = Path(printed.splitlines()[-1].split()[-1])
    front = next(each for each, words in command_lines() if str(directory) in words)
    running = [front, *below(front.pid)]
    front.children()[0].kill()
    _, alive = psutil.wait_procs(running, timeout=20)
    assert alive == []
    assert not directory.exists()


def test_a_lost_process_is_named_by_every_call() -> None:
    def has_ended() -> bool:
        with contextlib.suppress(ControlError):
            box.check()
            return False
        return True

    with Sandbox() as box:
        front = next(each for each, words in command_lines() if str(box.directory) in words)
        front.children()[0].kill()
        wait_until(has_ended, "the end of the sandbox")
        with pytest.raises(ControlError, match="its gateway process ended unexpectedly"):
            box.sessions()


def test_what_keeps_a_process_from_starting_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "websockets").mkdir()
    (tmp_path / "websockets" / "__init__.py").write_text("raise ImportError('hidden by a test')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ControlError, match="ImportError: hidden by a test"):
        Sandbox().start()


def test_a_kept_one_is_entered_and_stopped_from_anywhere() -> None:
    printed = subprocess.run(
        [SSMSSH, "sandbox", "--keep", "--unpaced"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    directory = Path(printed.splitlines()[-1].split()[-1])
    try:
        script = f"{printed}\nssh {HOST} echo through"
        result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        assert (result.stdout, result.returncode) == ("through\n", 0), result.stderr
    finally:
        stopped = subprocess.run([SSMSSH, "sandbox", "--stop", str(directory)], check=False, timeout=60)
    assert stopped.returncode == 0
    assert not directory.exists()
    again = subprocess.run(
        [SSMSSH, "sandbox", "--stop", str(directory)], check=False, timeout=60, capture_output=True, text=True
    )
    assert again.returncode == 1
    assert f"the sandbox at {directory} does not answer" in again.stderr


def test_faults_are_listed_and_wrong_ones_refused() -> None:
    listed = subprocess.run(
        [SSMSSH, "sandbox", "--list-faults"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "loss:rate=0.01\n" in listed
    refused = subprocess.run(
        [SSMSSH, "sandbox", "--fault", "rain", "--", "true"], capture_output=True, text=True, check=False, timeout=60
    )
    assert refused.returncode == 2
    assert "there is no fault named 'rain'" in refused.stderr


def test_without_the_extra_the_first_call_that_needs_it_says_what_to_install(tmp_path: Path) -> None:
    """A session needs no moto; what of EC2 is not the inventory's does."""
    (tmp_path / "moto").mkdir()
    (tmp_path / "moto" / "__init__.py").write_text("raise ImportError('hidden by a test')")
    script = (
        "import botocore.session, sys\n"
        "from botocore.exceptions import ClientError\n"
        "try: botocore.session.Session().create_client('ec2').describe_key_pairs()\n"
        "except ClientError as error: print(error)\n"
    )
    environment = dict(os.environ) | {"PYTHONPATH": str(tmp_path)}
    command = [SSMSSH, "sandbox", "--", "sh", "-c", f'ssh {HOST} echo through; {sys.executable} -c "{script}"']
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.stdout.startswith("through\n"), result.stderr
    assert "pip install 'ssmssh[sandbox]'" in result.stdout


def test_credentials_that_expire() -> None:
    with Sandbox() as box:
        old = aws_client(box, "ssm")
        session_id = old.start_session(Target=HOST, DocumentName="AWS-StartSSHSession")["SessionId"]
        box.renew_credentials()
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            old.resume_session(SessionId=session_id)
        resumed = aws_client(box, "ssm").resume_session(SessionId=session_id)
        open_websocket(box, resumed["StreamUrl"]).close()
        subprocess.run(["ssh", HOST, "true"], env=box.environment, check=True, timeout=60)


def test_several_gateways_share_the_sessions() -> None:
    with Sandbox(gateways=2) as box, DataChannel(box) as one, DataChannel(box) as other:
        assert urlsplit(one.stream_url).port != urlsplit(other.stream_url).port
        for channel in (one, other):
            channel.open()
            channel.shake_hands()
            assert channel.read(8).startswith(b"SSH-2.0-")
        box.faults.set("cut", other.session_id)
        with pytest.raises(ConnectionClosed):
            other.receive_all(5.0)
        assert one.report().status == "Connected"


def test_faults_are_switched_and_sessions_listed_from_within() -> None:
    script = (
        f"{SSMSSH} sandbox --set throttle:1; ssh {HOST} true; {SSMSSH} sandbox --set access-denied:0; ssh {HOST} true; "
        f"echo $?; {SSMSSH} sandbox --clear all; ssh {HOST} echo through; {SSMSSH} sandbox --sessions"
    )
    said = subprocess.run(
        [SSMSSH, "sandbox", "--", "sh", "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    assert said[:2] == ["255", "through"]
    assert [json.loads(line)["status"] for line in said[2:]] == ["Terminated"] * len(said[2:])


def test_outside_a_sandbox_there_is_nothing_to_switch() -> None:
    refused = subprocess.run([SSMSSH, "sandbox", "--clear", "all"], capture_output=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert b"this is no sandbox" in refused.stderr


def test_an_option_that_does_not_exist_is_no_command() -> None:
    refused = subprocess.run([SSMSSH, "sandbox", "--colour"], capture_output=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert b"No such option" in refused.stderr


def test_what_ends_with_the_sandbox_names_no_log_that_goes_with_it() -> None:
    """Its logs are below the directory that is removed; while the sandbox lives they are named as anywhere."""
    with Sandbox(unpaced=True) as box:
        ssh = subprocess.Popen(
            ["ssh", HOST, "echo here; exec sleep 600"], env=box.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert ssh.stdout is not None
        assert ssh.stdout.readline() == b"here\n"
    _, said = ssh.communicate()
    assert b"The sandbox was stopped" in said
    assert b"(log: " not in said
