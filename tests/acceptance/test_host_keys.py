"""Host keys that AWS vouches for: what real programs make of a block with ``--verify-host-keys``."""

import getpass
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ssmssh.nodes.hostkeys import parse_line
from ssmssh.nodes.keptkeys import KeptKeys
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, OTHER_HOST, Client, free_port, remember_another, wait_until
from tests.openssh.unpack import RELEASES, ssh_of

pytestmark = pytest.mark.usefixtures("untouched_home")

REFUSED = 255
POLICIES = ("accept-new", "enforce")
SILENT = ("deny:ssm:SendCommand", "console-empty")
"""AWS says nothing of host keys."""


class Host:
    """A user's config with such a block, and programs that read it. The other files of ssh's are the sandbox's."""

    def __init__(self, sandbox: Sandbox, client: Client) -> None:
        self.sandbox, self.client = sandbox, client
        self.config = client.directory / "config"
        self.known_hosts = sandbox.directory / "ssh" / "known_hosts"
        self.state = sandbox.directory / "ssmssh" / "state" / "host-keys"
        self.theirs = client.directory / "their_known_hosts"
        self.forget()

    def forget(self) -> None:
        """Nothing is known of any host key."""
        shutil.rmtree(self.state, ignore_errors=True)
        for name in ("backups", "pushes"):
            shutil.rmtree(self.state.with_name(name), ignore_errors=True)
        for name in ("known_hosts", "known_hosts.lock"):
            self.known_hosts.with_name(name).unlink(missing_ok=True)

    def install(self, policy: str, *words: str) -> None:
        """Write the block, below which the user names a known_hosts of their own for all hosts."""
        self.config.write_text(f"Host *\n    UserKnownHostsFile {self.theirs}\n    StrictHostKeyChecking ask\n")
        key = self.sandbox.directory / "id_ed25519"
        chosen = ("--verify-host-keys", policy, "--identity-file", str(key), "--identities-only", *words)
        self.client.run("ssmssh", "install-config", "--yes", "--config-file", self.config, *chosen)
        text = self.config.read_text()
        if policy == "accept-new":  # the real one of the user who runs this is nobody's business here
            text = text.replace(" ~/.ssh/known_hosts\n", f" {self.theirs}\n")
            assert f" {self.theirs}\n    Strict" in text
            self.config.write_text(text)

    def connect(self, ssh: str | Path = "", *words: str, host: str = EC2_HOST, status: int = 0) -> str:
        """Log in by ssh, which has nobody to ask; what it says to a person."""
        ssh = ssh or shutil.which("ssh") or "ssh"
        done = self.client.run(ssh, "-F", self.config, *words, host, "echo hello", status=status)
        assert done.stdout == (b"" if status else b"hello\n")
        return done.stderr.decode()

    def end_what_was_killed(self) -> None:
        """asyncssh kills its proxy: have the next one end its session."""
        stale = list(self.state.with_name("sessions").glob("*.json"))
        ssh = self.client.start(shutil.which("ssh") or "ssh", "-F", self.config, EC2_HOST, "cat")
        wait_until(lambda: not any(path.exists() for path in stale), "the sessions to be ended")
        ssh.communicate(timeout=60)

    @property
    def commands(self) -> int:
        """How many commands were sent."""
        return self.sandbox.count_calls("ssm:SendCommand")

    def public(self, name: str) -> str:
        """The public half of a key of the sandbox's."""
        words = ["ssh-keygen", "-y", "-f", str(self.sandbox.directory / name)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def fingerprint(self, name: str) -> str:
        """That of a key of the sandbox's, as ssh shows it."""
        key = parse_line(self.public(name))
        assert key is not None
        return key.fingerprint


@pytest.fixture
def host(sandbox: Sandbox, client: Client) -> Iterator[Host]:
    host = Host(sandbox, client)
    yield host
    sandbox.faults.clear()
    host.forget()


def swap(host: Host) -> None:
    host.sandbox.faults.set("host-key-swapped")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("policy", POLICIES)
def test_verified_at_first_and_refused_once_it_has_changed(host: Host, policy: str, release: str) -> None:
    """Nothing is asked. The user's own file counts under accept-new, and under enforce for nothing."""
    ssh, before = ssh_of(release), host.commands
    host.install(policy)
    assert host.connect(ssh) == ""
    assert '"way": "Run Command"' in (host.state / f"{EC2_HOST}.keys").read_text()
    assert host.known_hosts.stat().st_mode & 0o777 == 0o600
    swap(host)
    host.theirs.write_text(f"{EC2_HOST} {host.public('swapped_host_key')}" if policy == "enforce" else "")
    said = host.connect(ssh, status=REFUSED)
    assert host.commands == before + 1
    assert "is another one than before" in said
    for name in ("host_key", "swapped_host_key"):
        assert host.fingerprint(name) in said
    assert len(re.findall(r"(?:Run Command,|first seen) \d{4}-\d\d-\d\d \d\d:\d\d", said)) == 2
    assert f"ssmssh host trust --region us-east-1 {EC2_HOST}" in said
    assert "Host key verification failed" in said
    if policy == "accept-new":
        host.theirs.write_text(f"{EC2_HOST} {host.public('swapped_host_key')}")
        assert "unless your own known_hosts has it" in host.connect(ssh)


@pytest.mark.parametrize("policy", POLICIES)
def test_other_programs_refuse_it_too(host: Host, policy: str) -> None:
    host.install(policy)
    host.connect()
    swap(host)
    for words in (
        ("scp", "-F", host.config, "-B", host.config, f"{EC2_HOST}:"),
        ("sftp", "-F", host.config, "-b", "/dev/null", EC2_HOST),
        ("ssh", "-F", host.config, "-v", "-T", "-D", str(free_port()), "-o", "ConnectTimeout=15", EC2_HOST, "bash"),
    ):
        program = shutil.which(words[0]) or words[0]
        said = host.client.run(program, *words[1:], status=REFUSED).stderr.decode()
        assert "is another one than before" in said
        assert host.fingerprint("swapped_host_key") in said


def test_enforce_refuses_what_aws_does_not_say(host: Host) -> None:
    host.install("enforce")
    with host.sandbox.faults.during(*SILENT):
        said = host.connect(status=REFUSED)
    assert f"The host key of {EC2_HOST} is not verified, so ssh refuses ED25519 {host.fingerprint('host_key')}" in said
    assert "ssm:SendCommand" in said
    assert "the console output of" in said
    assert host.connect() == ""


def test_a_key_that_ssh_took_by_itself_is_verified_at_the_next_connection(host: Host) -> None:
    host.install("accept-new")
    with host.sandbox.faults.during(*SILENT):
        assert "Permanently added" in host.connect()
        assert host.connect() == ""
    before = host.known_hosts.read_text()
    assert host.connect() == ""
    assert '"way": "Run Command"' in (host.state / f"{EC2_HOST}.keys").read_text()
    assert before.split()[1:3] == host.known_hosts.read_text().split()[1:3]


def test_a_wrong_key_that_ssh_took_by_itself_is_refused_at_the_next_connection(host: Host) -> None:
    host.install("accept-new")
    swap(host)
    with host.sandbox.faults.during(*SILENT):
        assert "Permanently added" in host.connect()
    assert "is another one than before" in host.connect(status=REFUSED)
    host.sandbox.faults.clear()
    assert host.connect() == ""


def test_a_key_that_ssh_took_by_itself_does_not_do_under_enforce(host: Host) -> None:
    with host.sandbox.faults.during(*SILENT):
        host.install("accept-new")
        host.connect()
        assert EC2_HOST in host.known_hosts.read_text()
        host.install("enforce")
        assert "is not verified" in host.connect(status=REFUSED)


def test_a_changed_key_of_which_aws_says_nothing(host: Host) -> None:
    host.install("accept-new")
    with host.sandbox.faults.during(*SILENT):
        host.connect()
        swap(host)
        said = host.connect(status=REFUSED)
    assert "Nobody has vouched for either" in said
    for name in ("host_key", "swapped_host_key"):
        assert host.fingerprint(name) in said


@pytest.mark.parametrize("fault", ["deny:ssm:SendCommand", "deny:ssm:GetCommandInvocation", "command-garbage"])
def test_the_consoles_output_does_as_well(host: Host, fault: str) -> None:
    host.install("enforce")
    with host.sandbox.faults.during(fault):
        assert host.connect() == ""
    assert '"way": "the console output"' in (host.state / f"{EC2_HOST}.keys").read_text()


@pytest.mark.parametrize("fault", ["error:ssm:SendCommand/ThrottlingException,times=2", "command-slow:1"])
def test_what_takes_time_is_waited_for(host: Host, fault: str) -> None:
    host.install("enforce")
    with host.sandbox.faults.during(fault):
        assert host.connect() == ""
    assert '"way": "Run Command"' in (host.state / f"{EC2_HOST}.keys").read_text()


def test_accept_new_does_not_wait_for_ever(host: Host) -> None:
    host.install("accept-new")
    with host.sandbox.faults.during("command-hangs", "console-empty"):
        assert "Permanently added" in host.connect()


def test_a_hybrid_node_has_no_console(host: Host) -> None:
    host.install("enforce")
    assert host.connect(host=HYBRID_HOST) == ""
    host.forget()
    with host.sandbox.faults.during("deny:ssm:SendCommand"):
        assert "console" not in host.connect(host=HYBRID_HOST, status=REFUSED)


def test_many_connections_at_once_ask_once(host: Host) -> None:
    host.install("enforce")
    before = host.commands
    ssh = shutil.which("ssh") or "ssh"
    running = [host.client.start(ssh, "-F", host.config, EC2_HOST, "echo hello") for _ in range(8)]
    assert [process.communicate(timeout=120)[0] for process in running] == [b"hello\n"] * 8
    assert host.commands == before + 1


@pytest.mark.parametrize("name", [f"{EC2_HOST}.us-east-1", "web-1.ssm"])
def test_under_another_name_and_port(host: Host, name: str) -> None:
    host.install("enforce", "--suffix", "ssm")
    host.connect(host=name)
    assert host.known_hosts.read_text().startswith(f"{name},{EC2_HOST} ssh-ed25519 ")
    swap(host)
    assert "is another one than before" in host.connect(host=name, status=REFUSED)


def test_a_name_that_leads_to_another_instance(host: Host) -> None:
    host.install("enforce", "--suffix", "ssm")
    host.connect(host="web-1.ssm")
    names = host.state / "names"
    assert f'{{"web-1.ssm": "{EC2_HOST}"}}' in names.read_text()
    kept = KeptKeys(host.state.parent, host.known_hosts.parent)
    assert kept.tell_ssh(OTHER_HOST, "web-1.ssm", 22) == EC2_HOST
    assert "web-1.ssm" not in host.known_hosts.read_text()
    host.connect(host="web-1.ssm")
    assert f"web-1.ssm,{EC2_HOST} " in host.known_hosts.read_text()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_name_that_leads_to_another_instance_with_another_key(host: Host, policy: str) -> None:
    """After a replacement: both keys are what AWS says of their instances, and nothing is asked or refused."""
    names = host.sandbox.directory / "ssmssh" / "cache" / "nodes"
    shutil.rmtree(names, ignore_errors=True)
    host.install(policy, "--suffix", "ssm")
    assert host.connect(host="web-1.ssm") == ""
    told = host.sandbox.directory / "node" / "ssh" / "ssh_host_ed25519_key.pub"
    first = told.read_text()
    try:
        told.write_text(host.public("swapped_host_key"))
        swap(host)
        remember_another(host.client, EC2_HOST, OTHER_HOST)
        assert host.connect(host="web-1.ssm") == ""
        assert f"web-1.ssm,{OTHER_HOST} {host.public('swapped_host_key').strip()}" in host.known_hosts.read_text()
        assert host.connect(host=OTHER_HOST) == ""
        assert "is another one than before" in host.connect(host=EC2_HOST, status=REFUSED), "it has not changed its key"
    finally:
        told.write_text(first)
        host.sandbox.faults.clear()
    shutil.rmtree(names)
    assert host.connect(host="web-1.ssm") == ""
    assert f"web-1.ssm,{EC2_HOST} {host.public('host_key').strip()}" in host.known_hosts.read_text()


def test_beside_a_pushed_key(host: Host) -> None:
    host.install("enforce", "--push-key=instance-connect", "--user", getpass.getuser())
    assert host.connect() == ""
    assert host.sandbox.count_calls("ec2-instance-connect:SendSSHPublicKey")
    swap(host)
    assert "is another one than before" in host.connect(status=REFUSED)


def test_trusting_what_aws_says_now(host: Host) -> None:
    host.install("enforce")
    host.connect()
    swap(host)
    host.connect(status=REFUSED)
    done = host.client.run("ssmssh", "host", "trust", EC2_HOST, "--yes", status=4)
    assert b"none of those that were offered since" in done.stderr
    swapped = host.fingerprint("swapped_host_key")
    done = host.client.run("ssmssh", "host", "trust", "web-1", "--fingerprint", swapped, "--yes")
    assert swapped.encode() in done.stdout
    assert host.connect() == ""
    host.sandbox.faults.clear()
    host.connect(status=REFUSED)
    host.client.run("ssmssh", "host", "trust", "--region", "us-east-1", EC2_HOST, status=2)  # nobody can be asked
    host.client.run("ssmssh", "host", "trust", "--region", "us-east-1", EC2_HOST, "--yes")
    assert host.connect() == ""


def test_nothing_is_trusted_that_was_never_offered(host: Host) -> None:
    done = host.client.run("ssmssh", "host", "trust", EC2_HOST, "--fingerprint", "SHA256:x", "--yes", status=2)
    assert b"has offered no key" in done.stderr
    with host.sandbox.faults.during(*SILENT):
        done = host.client.run("ssmssh", "host", "trust", EC2_HOST, "--yes", status=4)
    assert b"ssm:SendCommand" in done.stderr


def test_a_file_that_others_can_write_ends_the_connection_under_enforce(host: Host) -> None:
    host.install("enforce")
    host.connect()
    host.known_hosts.chmod(0o666)
    said = host.connect(status=REFUSED)
    assert f"{host.known_hosts} cannot be used: others can write it" in said


def test_the_log_has_it_where_nobody_sees_what_the_proxy_says(host: Host) -> None:
    """ssh throws the proxy's words away with ControlPersist."""
    host.install("enforce")
    host.connect()
    swap(host)
    logs = host.sandbox.directory / "ssmssh" / "log"
    before = set(logs.glob("*")) if logs.exists() else set()
    shared = ("-o", "ControlPath=c", "-o", "ControlPersist=yes", "-o", "ControlMaster=auto")
    assert "is another one" not in host.connect("", *shared, status=REFUSED)
    wait_until(lambda: logs.exists() and set(logs.glob("*")) - before, "a log")
    new = set(logs.glob("*")) - before
    assert any("is another one than before" in path.read_text() for path in new)


def test_two_sandboxes_one_after_the_other(temporary_directory: Path, tmp_path: Path) -> None:
    """Ids are the same and host keys are others; nothing of the first is in the way."""
    for number in range(2):
        directory = tmp_path / str(number)
        directory.mkdir()
        with Sandbox(unpaced=True) as box:
            client = Client(box.environment, directory)
            host = Host(box, client)
            host.install("enforce")
            assert host.connect() == ""
            client.close()


@pytest.mark.parametrize("words", [["--target", "sagemaker-cluster:a_b"], ["--parameter", "host=db.example"]])
def test_another_server_than_an_instances_is_refused(client: Client, words: Sequence[str]) -> None:
    done = client.run("ssmssh-proxy", "--verify-host-keys", "enforce", *words, EC2_HOST, "22", status=2)
    assert b"may lead to another one" in done.stderr


PARAMIKO = """
import sys
import paramiko

config, known_hosts, host, user, key = sys.argv[1:]
client = paramiko.SSHClient()
client.load_host_keys(known_hosts)
proxy = paramiko.ProxyCommand(paramiko.SSHConfig.from_path(config).lookup(host)["proxycommand"])
try:
    client.connect(host, username=user, key_filename=key, allow_agent=False, look_for_keys=False, sock=proxy)
    print("verified")
except paramiko.SSHException as error:
    print(type(error).__name__, error)
finally:
    client.close()
"""

ASYNCSSH = """
import asyncio
import sys
import asyncssh

async def connect(config, known_hosts, host, user, key):
    try:
        async with asyncssh.connect(host, username=user, config=[config]):
            print("verified")
    except asyncssh.Error as error:
        print(type(error).__name__, error)

asyncio.run(connect(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("program", "unknown", "changed"),
    [
        (PARAMIKO, "SSHException Server '.*' not found in known_hosts", "BadHostKeyException"),
        (ASYNCSSH, "HostKeyNotVerifiable Host key is not trusted", "ProtocolError|HostKeyNotVerifiable"),
    ],
    ids=["paramiko", "asyncssh"],
)
def test_libraries_know_a_key_from_the_second_connection_on(
    host: Host, program: str, unknown: str, changed: str
) -> None:
    host.install("enforce")
    host.connect(host=OTHER_HOST)  # the file is there
    key = host.sandbox.directory / "id_ed25519"
    words = (sys.executable, "-W", "ignore", "-c", program)
    arguments = (host.config, host.known_hosts, EC2_HOST, getpass.getuser(), key)

    def said() -> str:
        return host.client.run(*words, *arguments).stdout.decode()

    assert re.match(unknown, said())
    assert said() == "verified\n"
    swap(host)
    assert re.match(changed, said())
    host.sandbox.faults.clear()
    host.end_what_was_killed()
