"""What doctor says of ssh, its files and our blocks, with each broken for real in a config of its own."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.environment import installed_script
from tests.acceptance.clients import EC2_HOST, Client, end, wait_until
from tests.doctor.conftest import ROOT
from tests.doctor.patient import examined

PROXY = str(installed_script("ssmssh-proxy"))


@pytest.fixture
def home(sandbox: Sandbox, tmp_path: Path) -> Iterator[Client]:
    """A user whose ssh config and programs are in `Client.directory`/.. of nobody else: ``tmp_path``."""
    ssh = shutil.which("ssh")
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {ssh} -F {tmp_path}/ssh_config "$@"\n')
    wrapper.chmod(0o700)
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "key").chmod(0o600)
    write(tmp_path, f"Host i-* mi-*\n    ProxyCommand {PROXY} %h %p\n    IdentityFile {tmp_path}/key\n")
    environment = sandbox.environment | {"SSMSSH_SANDBOX": str(tmp_path), "SSMSSH_HOME": str(tmp_path / "ssmssh")}
    client = Client(environment | {"PATH": f"{tmp_path}/bin:{sandbox.environment['PATH']}"}, ROOT)
    yield client
    client.close()


def write(directory: Path, text: str) -> None:
    path = directory / "ssh_config"
    path.write_text(text)
    path.chmod(0o600)


def test_a_config_that_does_not_know_of_us_and_then_does(home: Client, tmp_path: Path) -> None:
    write(tmp_path, "Host other\n    User me\n")
    found, causes = examined(home)
    assert causes == ["config-blocks"]
    assert found["config-blocks"]["next_step"] == "ssmssh install-config"
    assert found["config-effective"]["is_symptom"]
    home.run("ssmssh", "install-config", "--yes", "--region", "eu-north-1", "--user", "me")
    found, causes = examined(home)
    assert causes == []
    assert found["config-blocks"]["outcome"] == "ok"
    assert found["region"]["evidence"] == "eu-north-1"  # what the block says is what counts


def test_a_proxy_that_has_moved(home: Client, tmp_path: Path) -> None:
    home.run("ssmssh", "install-config", "--yes")
    config = tmp_path / "ssh_config"
    write(tmp_path, config.read_text().replace(PROXY, "/no/such/ssmssh-proxy"))
    found, causes = examined(home)
    assert causes == ["proxy-runs"]
    assert "/no/such/ssmssh-proxy is not there any more" in found["proxy-runs"]["cause"]
    assert found["config-blocks"]["outcome"] == "warning"
    home.run("ssmssh", "install-config", "--yes")
    assert examined(home)[1] == []


def test_another_line_that_wins(home: Client, tmp_path: Path) -> None:
    home.run("ssmssh", "install-config", "--yes")
    write(tmp_path, "Host i-0*\n    ProxyCommand nc %h %p\n" + (tmp_path / "ssh_config").read_text())
    found, causes = examined(home)
    assert causes == ["config-effective"]
    assert found["config-blocks"]["outcome"] == "warning"
    assert f"because of line 2 of {tmp_path}/ssh_config" in found["config-effective"]["cause"]


def test_files_that_others_may_touch(home: Client, tmp_path: Path) -> None:
    (tmp_path / "key").chmod(0o644)
    found, causes = examined(home)
    assert causes == ["ssh-directory"]
    assert found["ssh-directory"]["next_step"] == f"chmod 600 {tmp_path}/key"
    home.run("sh", "-c", found["ssh-directory"]["next_step"])
    assert examined(home)[1] == []
    (tmp_path / "ssh_config").chmod(0o666)
    found, causes = examined(home)
    assert causes[:1] == ["ssh-directory"]
    home.run("sh", "-c", found["ssh-directory"]["next_step"])
    assert examined(home)[1] == []


def test_what_is_left_of_another_tool_and_another_installation(home: Client, tmp_path: Path) -> None:
    """These are no causes: ssh works."""
    stale = 'Host i-*\n    ProxyCommand sh -c "no-such-aws ssm start-session --target %h"\n'
    write(tmp_path, (tmp_path / "ssh_config").read_text() + stale)
    other = tmp_path / "bin" / "ssmssh"
    other.write_text("#!/bin/sh\necho ssmssh 0.0.1\n")
    other.chmod(0o700)
    found, causes = examined(home)
    assert causes == []
    assert found["other-tools"]["outcome"] == "warning"
    assert "no-such-aws" in found["other-tools"]["cause"]
    assert found["other-installations"]["outcome"] == "warning"
    home.run("sh", "-c", found["other-installations"]["next_step"])
    assert not other.exists()


def test_no_ssh(home: Client, tmp_path: Path) -> None:
    (tmp_path / "bin" / "ssh").unlink()
    found, causes = examined(home, variables={"PATH": str(tmp_path / "bin")})
    assert causes == ["ssh"]
    assert found["config-blocks"]["skipped_for"] == "ssh"


def test_a_session_whose_process_was_killed(client: Client, sandbox: Sandbox) -> None:
    proxy = client.start("ssmssh-proxy", EC2_HOST, "22")
    assert proxy.stdout is not None
    assert proxy.stdout.readline().startswith(b"SSH-2.0-")
    (session,) = [each for each in sandbox.sessions() if each.is_open]
    end(proxy, signal.SIGKILL)
    found, causes = examined(client)
    assert causes == []
    assert found["leftover-sessions"]["evidence"].startswith("1 of killed processes are open; 1 open in all; the next")
    with client.start("ssmssh-proxy", EC2_HOST, "22") as later:
        wait_until(
            lambda: not next(each.is_open for each in sandbox.sessions() if each.session_id == session.session_id),
            "the end of the session that was left",
        )
        end(later)


def test_ctrl_c_ends_it_and_what_it_has_started(home: Client, tmp_path: Path) -> None:
    """A Match exec command that takes its time: nobody waits for it, and nothing of it is left."""
    write(tmp_path, f'Match exec "touch {tmp_path}/asked; sleep 300"\n    User nobody\n')
    process = home.start("ssmssh", "doctor")
    wait_until((tmp_path / "asked").exists, "the command of the ssh config")
    assert end(process, signal.SIGINT) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b"ssmssh: interrupted\n"


def test_an_ssh_that_is_elsewhere(home: Client, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found, causes = examined(home, variables={"PATH": str(tmp_path / "empty")})
    assert causes == ["ssh"]
    directory = found["ssh"]["next_step"].removeprefix('export PATH="$PATH:').removesuffix('"')
    assert (Path(directory) / "ssh").exists()


def test_a_public_key_may_be_read_by_all(home: Client, tmp_path: Path) -> None:
    """IdentityFile may name one: the private one is an agent's."""
    (tmp_path / "key").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me\n")
    (tmp_path / "key").chmod(0o644)
    assert examined(home)[1] == []


@pytest.mark.parametrize(
    "command", ["{wrapper} %h %p", f"sh -c 'exec {PROXY} %h %p'"], ids=["in a script", "in its words"]
)
def test_a_proxy_within_another_program_is_no_fault(home: Client, tmp_path: Path, command: str) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {PROXY} "$@"\n')
    wrapper.chmod(0o700)
    write(tmp_path, f"Host i-*\n    ProxyCommand {command.format(wrapper=wrapper)}\n")
    found, causes = examined(home)
    assert causes == []
    assert "was not looked into" in found["config-effective"]["evidence"]
    assert found["proxy-runs"]["outcome"] == "could not tell"


def test_a_line_that_ssh_does_not_know_is_named_with_its_file(home: Client, tmp_path: Path) -> None:
    write(tmp_path, "Host other\n    IdentityFil key\n" + (tmp_path / "ssh_config").read_text())
    found, causes = examined(home)
    assert causes == ["ssh-directory"]
    assert f"line 2 of {tmp_path}/ssh_config: Bad configuration option" in found["ssh-directory"]["cause"]


def test_shared_connections(home: Client, temporary_directory: Path, tmp_path: Path) -> None:
    alone = (tmp_path / "ssh_config").read_text()
    sockets = temporary_directory / "s"  # whose path is short
    write(tmp_path, f"{alone}    ControlMaster auto\n    ControlPath {sockets}/%C\n")
    found, causes = examined(home)
    assert causes == ["shared-connections"]
    home.run("sh", "-c", found["shared-connections"]["next_step"])
    assert examined(home)[1] == []
    sockets.rmdir()
    write(tmp_path, f"{alone}    ControlMaster auto\n    ControlPath {sockets}/{'x' * 60}-%C\n")
    found, causes = examined(home)
    assert causes == ["shared-connections"]
    assert "is too long for a socket" in found["shared-connections"]["cause"]
