"""``--push-key`` with the real ssh: an instance without any key of ours takes the one that is pushed, and no other."""

import os
import pwd
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.nodes.keypush import command_for
from ssmssh.nodes.pushedkey import own_key
from ssmssh.sandbox import Instance, Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, PATIENCE_SECONDS, Client, wait_until
from tests.sandbox.client import aws_client

pytestmark = pytest.mark.usefixtures("untouched_home")

STOPPED = "i-00000000000000002"
USER = pwd.getpwuid(os.geteuid()).pw_name
ACTION = "ec2-instance-connect:SendSSHPublicKey"
AT_ONCE = 20
"""As many as an ansible or a pool of workers starts."""


@pytest.fixture(scope="module")
def box(temporary_directory: Path) -> Iterator[Sandbox]:
    """One of its own, with the system's sshd: what is pushed, and how often, is counted."""
    instances = [Instance(STOPPED, state="stopped")]
    with Sandbox(unpaced=True, ssh_server="system", instances=instances) as box:
        yield box


@pytest.fixture
def client(box: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client({**box.environment, "SSMSSH_HOME": str(tmp_path / "home")}, tmp_path)
    yield client
    box.expire_pushed_keys()
    client.close()


def pushes(box: Sandbox) -> int:
    return sum(each.calls for each in box.calls() if each.action == ACTION)


def configured(client: Client, *words: str) -> Path:
    """A config with the block that ``install-config`` prints, and nothing else."""
    block = client.run("ssmssh", "install-config", "--print", *(words or ("--push-key",))).stdout.decode()
    config = client.directory / "config"
    config.write_text(
        f"{block}Host *\n    UserKnownHostsFile {client.directory}/known\n    StrictHostKeyChecking accept-new\n"
    )
    return config


def ssh(config: Path, *words: str, host: str = EC2_HOST) -> list[str]:
    return ["ssh", "-F", str(config), "-o", "BatchMode=yes", *words, host, "echo in"]


@pytest.mark.alone
def test_twenty_at_once_are_one_push(client: Client, box: Sandbox) -> None:
    config, before = configured(client), pushes(box)
    started = [client.start(*ssh(config)) for _ in range(AT_ONCE)]
    for process in started:
        output, errors = process.communicate(timeout=2 * PATIENCE_SECONDS)
        assert (process.returncode, output) == (0, b"in\n"), errors
    assert pushes(box) == before + 1
    assert client.run(*ssh(config)).stdout == b"in\n"
    assert pushes(box) == before + 1, "within 45 s none"


def test_the_key_is_ours_and_opens_nothing_by_itself(client: Client, box: Sandbox) -> None:
    config = configured(client)
    assert client.run(*ssh(config)).stdout == b"in\n"
    directory = Path(client.environment["SSMSSH_SANDBOX"]) / "ssh"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.glob("id_ed25519*"))}
    assert modes == {"ssh": 0o700, "id_ed25519": 0o600, "id_ed25519.pub": 0o644, "id_ed25519.lock": 0o600}
    assert f"IdentityFile {directory}/id_ed25519\n    IdentitiesOnly yes" in re.sub(
        r"    (?!Ident).*\n", "", config.read_text()
    )
    box.expire_pushed_keys()
    done = client.run(*ssh(config), status=255)
    assert b"Permission denied (publickey" in done.stderr, "the push counts for us still, and not for the server"


def test_every_ssh_offers_a_key_that_was_not_there_when_it_was_started(client: Client, box: Sandbox) -> None:
    from tests.openssh.unpack import RELEASES, ssh_of

    config = configured(client)
    directory = Path(client.environment["SSMSSH_SANDBOX"]) / "ssh"
    for release in RELEASES:
        for path in (*directory.glob("id_ed25519*"), *(client.directory / "home").rglob("*.push")):
            path.unlink()
        done = client.run(str(ssh_of(release)), *ssh(config)[1:])
        assert done.stdout == b"in\n", release


def made(client: Client, kind: str, bits: str = "") -> Path:
    """A private key, its public half beside it."""
    path = client.directory / "my key"
    client.run("ssh-keygen", "-q", "-t", kind, *(["-b", bits] if bits else []), "-N", "", "-f", path)
    return path


@pytest.mark.parametrize(("kind", "bits"), [("ed25519", ""), ("rsa", "2048")])
def test_a_key_of_the_users(client: Client, box: Sandbox, kind: str, bits: str) -> None:
    path = made(client, kind, bits)
    config, before = configured(client, "--push-key", "--identity-file", str(path)), pushes(box)
    assert client.run(*ssh(config)).stdout == b"in\n"
    assert pushes(box) == before + 1


def test_another_user_is_another_push(client: Client, box: Sandbox) -> None:
    config, before = configured(client), pushes(box)
    client.run(*ssh(config))
    done = client.run(*ssh(config, "-l", "nobody-of-that-name"), status=255)
    assert b"Permission denied" in done.stderr
    assert pushes(box) == before + 2


def line(client: Client, command: list[str], status: int = 255) -> str:
    """What ssh says of the proxy's failure: our line, before the server's first byte."""
    done = client.run(*command, status=status)
    assert done.stdout == b""
    (told,) = [line for line in done.stderr.decode().splitlines() if line.startswith("ssmssh-proxy: ")]
    return told


def test_refused(client: Client, box: Sandbox) -> None:
    config = configured(client)
    with box.faults.during(f"deny:{ACTION}"):
        told = line(client, ssh(config))
        verbose = client.run(*ssh(config, "-v"), status=255).stderr
    assert re.search(rf"Cannot push a key for {USER} to {EC2_HOST} .*; ask for {ACTION} on arn:", told)
    assert "; or allow --push-key=run-command, which" in told
    assert b"kex_exchange_identification: banner line 0: ssmssh-proxy: Cannot push a key" in verbose
    assert client.run(*ssh(config)).stdout == b"in\n", "a refusal is not remembered"


def test_a_permission_that_was_granted_a_moment_ago(client: Client, box: Sandbox) -> None:
    config, before = configured(client), pushes(box)
    config.write_text(config.read_text().replace(" --push-key=", " --retry-access 60 --push-key="))
    with box.faults.during(f"deny:{ACTION}"):
        process = client.start(*ssh(config))
        wait_until(lambda: pushes(box) > before + 1, "another attempt", PATIENCE_SECONDS)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, output) == (0, b"in\n"), errors


def test_throttled_is_waited_for_and_said(client: Client, box: Sandbox) -> None:
    config, before = configured(client), pushes(box)
    with box.faults.during(f"error:{ACTION}/ThrottlingException,times=2"):
        assert client.run(*ssh(config)).stdout == b"in\n"
    assert pushes(box) == before + 3
    with box.faults.during(f"error:{ACTION}/ThrottlingException"):
        told = line(client, ssh(config, "-l", "another"))
    assert re.search(r"Rate exceeded.*; AWS is at fault or busy: try again|was not answered within 5 s", told)


def test_slow(client: Client, box: Sandbox) -> None:
    """Held back until it is answered, and no longer than 5 s."""
    config = configured(client)
    with box.faults.during(f"slow:{ACTION},seconds=1.5"):
        assert client.run(*ssh(config)).stdout == b"in\n"
    with box.faults.during(f"slow:{ACTION},seconds=30"):
        told = line(client, ssh(config, "-l", "another"))
    assert "not answered within 5 s" in told or "Read timeout" in told


def test_what_is_no_ec2_instance(client: Client, box: Sandbox) -> None:
    config, before = configured(client), pushes(box)
    told = line(client, ssh(config, host=HYBRID_HOST))
    assert f"Cannot push a key to {HYBRID_HOST}: EC2 Instance Connect knows EC2 instances only; put a key" in told
    assert pushes(box) == before


def test_without_a_log_in_name_it_is_refused(client: Client) -> None:
    words = ("ssmssh-proxy", "--push-key", "instance-connect", EC2_HOST, "22")
    done = client.run(*words, status=2)
    assert b'--push-key must be told whom ssh logs in as; give "%r" behind %h %p' in done.stderr
    done = client.run(*words, "", status=2)
    assert b"must be told" in done.stderr
    process = client.start(*words[:3], "--user", USER, *words[3:])
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"SSH-2.0-")


@pytest.mark.parametrize(
    ("kind", "bits", "words"),
    [
        ("ecdsa", "", "key.pub is an ECDSA key, which cannot be pushed"),
        ("rsa", "3072", "an RSA key of 3072 bits: EC2 Instance Connect takes 2048 and 4096"),
    ],
)
def test_kinds_of_keys_that_cannot_be_pushed(client: Client, kind: str, bits: str, words: str) -> None:
    assert words in line(
        client, ssh(configured(client, "--push-key", "--identity-file", str(made(client, kind, bits))))
    )


SEND_COMMAND = "ssm:SendCommand"
MINE = b"# mine\nssh-rsa AAAA somebody's"


@pytest.fixture
def authorized_keys(box: Sandbox) -> Iterator[Path]:
    """The file on the instance, with lines in it that are somebody's and must stay."""
    path = box.directory / "home" / ".ssh" / "authorized_keys"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(MINE)
    yield path
    path.unlink()


@pytest.mark.parametrize(("host", "fault"), [(HYBRID_HOST, ""), (EC2_HOST, f"deny:{ACTION}")])
def test_through_run_command(client: Client, box: Sandbox, authorized_keys: Path, host: str, fault: str) -> None:
    config, before = configured(client, "--push-key", "run-command"), box.count_calls(SEND_COMMAND)
    with box.faults.during(*([fault] if fault else [])):
        started = [client.start(*ssh(config, host=host)) for _ in range(3)]
        for process in started:
            output, errors = process.communicate(timeout=2 * PATIENCE_SECONDS)
            assert (process.returncode, output) == (0, b"in\n"), errors
    assert box.count_calls(SEND_COMMAND) == before + 1
    assert re.fullmatch(rb'expiry-time="\d{14}" ssh-ed25519 \S+ ssmssh-push\n' + MINE, authorized_keys.read_bytes())


def test_a_key_that_run_command_has_written_opens_nothing_after_its_time(
    client: Client, box: Sandbox, authorized_keys: Path
) -> None:
    """Whoever had it written may be gone by then; the next push takes its line away."""
    config = configured(client, "--push-key", "only-run-command")
    script = command_for(USER, own_key(box.directory / "ssh")).replace("'120'", "'3'", 1)
    aws_client(box, "ssm").send_command(
        InstanceIds=[HYBRID_HOST], DocumentName="AWS-RunShellScript", Parameters={"commands": script.splitlines()}
    )
    wait_until(lambda: authorized_keys.read_bytes() != MINE, "the key to be written")
    written = authorized_keys.read_bytes()
    assert re.fullmatch(rb'expiry-time="\d{14}" ssh-ed25519 \S+ ssmssh-push\n' + MINE, written)
    bare = ["ssh", "-o", "ProxyCommand=ssmssh-proxy %h %p", *ssh(config)[1:]]

    def is_let_in() -> bool:
        process = client.start(*bare)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0 or b"Permission denied (publickey" in errors, errors
        return process.returncode == 0

    wait_until(lambda: not is_let_in(), "the key to open nothing any more")
    assert authorized_keys.read_bytes() == written
    assert client.run(*ssh(config, host=HYBRID_HOST)).stdout == b"in\n"
    renewed = authorized_keys.read_bytes()
    assert renewed != written
    assert re.fullmatch(rb'expiry-time="\d{14}" ssh-ed25519 \S+ ssmssh-push\n' + MINE, renewed)


def test_what_run_command_refuses_is_said(client: Client, box: Sandbox, authorized_keys: Path) -> None:
    config = configured(client, "--push-key", "run-command")
    with box.faults.during(f"deny:{SEND_COMMAND}"):
        told = line(client, ssh(config, host=HYBRID_HOST))
    assert re.search(rf"not authorized to perform: {SEND_COMMAND}.*EC2 Instance Connect knows EC2 instances only", told)
    assert f"; ask for {SEND_COMMAND} on " in told
    assert "'Kim' is no user name for Run Command" in line(client, ssh(config, "-l", "Kim", host=HYBRID_HOST))
    authorized_keys.unlink()
    authorized_keys.symlink_to(client.directory / "elsewhere")
    told = line(client, ssh(config, host=HYBRID_HOST))
    assert "the command ended as Failed: " in told
    assert "authorized_keys is a link" in told
    assert not (client.directory / "elsewhere").exists()


def test_two_sandboxes_one_after_the_other(temporary_directory: Path, tmp_path: Path) -> None:
    """Everything is written where the sandbox's ssh, scp and sftp look, without a word about where that is.

    Ids are the same, keys are others, and nothing of the first is in the way.
    """
    chosen = ("--yes", "--push-key", "--verify-host-keys", "enforce", "--user", USER)
    for number in range(2):
        directory = tmp_path / str(number)
        directory.mkdir()
        with Sandbox(unpaced=True, ssh_server="system", offers_key=False) as box:
            client = Client(box.environment, directory)
            config = box.directory / "ssh_config"
            before = config.read_bytes()
            assert f"Written: {config}" in client.run("ssmssh", "install-config", *chosen).stderr.decode()
            done = client.run("ssh", "-o", "BatchMode=yes", EC2_HOST, "echo in")
            assert (done.stdout, done.stderr) == (b"in\n", b"")
            client.run("ssmssh", "host", "add", *chosen, "web", EC2_HOST)
            assert client.run("ssh", "-o", "BatchMode=yes", "web", "echo in").stdout == b"in\n"
            client.run("scp", "-q", config, f"web:{directory}/copied")
            assert (directory / "copied").read_bytes() == config.read_bytes()
            client.run("sftp", "-b", "-", EC2_HOST, stdin=f"rename {directory}/copied {directory}/renamed\n".encode())
            assert (directory / "renamed").exists()
            assert box.count_calls(ACTION) == 1
            client.run("ssmssh", "sync", *chosen, "name:db-1")
            assert client.run("ssh", "-o", "BatchMode=yes", "db-1", "echo in").stdout == b"in\n"
            assert b"ProxyCommand" in client.run("ssmssh", "show-config", "web").stdout
            for name in ("", "hosts", "sync"):
                client.run("ssmssh", "uninstall-config", "--yes", "--name", name)
            assert config.read_bytes() == before
            client.close()
