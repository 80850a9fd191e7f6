"""Programs that are told nothing of several sessions: install-config has written a block that has them."""

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, digest, payload, wait_until
from tests.acceptance.editors import connect_install_and_work
from tests.acceptance.playbooks import ansible
from tests.bundle.stage import Installed
from tests.processes import below, command_lines


@pytest.fixture(scope="module")
def installed(box: tuple[Sandbox, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    stage = Installed(box[0], tmp_path_factory.mktemp("installed"), box[1])
    assert stage.run("echo hello") == b"hello\n"
    assert len(stage.relays) == 1
    yield stage
    assert "one session, not several" not in stage.said
    assert len(stage.relays) == 1, "the first one has served all"
    stage.close()


def test_a_playbook(installed: Installed, temporary_directory: Path) -> None:
    """Modules and files both ways, over one connection that Ansible shares: one session while it is idle."""
    client, before = installed.client, len(installed.sessions)
    source, copy = client.directory / "source", client.directory / "copy"
    source.write_bytes(payload(300_000))
    with ansible(client, f"{installed.host},", installed.host, temporary_directory / "cp") as words:
        client.run(*words, "all", "-m", "copy", "-a", f"src={source} dest={copy}")
        assert len(installed.sessions) == before + 1
        client.run(*words, "all", "-m", "fetch", "-a", f"src={copy} dest={copy}.back flat=yes")
    assert digest(Path(f"{copy}.back").read_bytes()) == digest(payload(300_000))


def test_an_editor(installed: Installed) -> None:
    connect_install_and_work(installed.client, [installed.host, "bash"])


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
def test_an_rsync_that_is_killed_and_resumed(installed: Installed, number: signal.Signals) -> None:
    """By Ctrl-C, which all of its processes get, and with its ssh, so hard that neither says a word.

    What had come is not sent again.
    """
    client, data = installed.client, payload(2_500_000)
    (client.directory / "large").write_bytes(data)
    copy = client.directory / f"copy {number.name}"
    words = ("rsync", "--partial", "--append-verify", "--stats")
    paths = (f"{installed.host}:{client.directory}/large", copy)
    process = client.start(*words, "--bwlimit=300", *paths)  # eight seconds, so that it is there to be killed
    wait_until(
        lambda: copy.exists() and copy.stat().st_size >= 500_000,
        "some of the file",
        timeout_seconds=PATIENCE_SECONDS,
        explain=lambda: installed.said,
    )
    all_of_it = [psutil.Process(process.pid), *below(process.pid)]
    proxies = [each for each, line in command_lines(process.pid) if "ssmssh-proxy" in " ".join(line)]
    for each in all_of_it:
        if number is signal.SIGINT or each not in proxies:
            with suppress(psutil.NoSuchProcess):  # it has ended because of another
                each.send_signal(number)
    assert not psutil.wait_procs(all_of_it, timeout=PATIENCE_SECONDS)[1]
    had = copy.stat().st_size
    assert had < len(data)
    said = client.run(*words, *paths).stdout.decode()
    assert digest(copy.read_bytes()) == digest(data)
    literal = next(line for line in said.splitlines() if line.startswith("Literal data:"))
    assert int(literal.split()[2].replace(",", "")) == len(data) - had


class TestGuards:
    """What AWS is asked for before ssh hears the server, by the helper's log-in and by the connection's own."""

    @pytest.fixture(scope="class")
    @staticmethod
    def box(temporary_directory: Path) -> Iterator[tuple[Sandbox, int]]:
        """Without a key of ours that is let in, and a server that is one instance's."""
        with Sandbox(ssh_server="system", offers_key=False) as box:
            yield box, box.open_ssh_port(EC2_HOST)

    @pytest.mark.parametrize("policy", ["enforce", pytest.param("accept-new", marks=pytest.mark.soak)])
    def test_keys_of_both_sides(self, box: tuple[Sandbox, int], tmp_path: Path, policy: str) -> None:
        """One is pushed once for both log-ins; a host key that has changed while a relay lives is refused."""
        sandbox, port = box
        stage = Installed(sandbox, tmp_path, port, "--push-key", "--verify-host-keys", policy)
        before = sandbox.count_calls("ec2-instance-connect:SendSSHPublicKey")
        try:
            assert stage.run("echo hello") == b"hello\n"
            assert (len(stage.relays), len(stage.sessions)) == (1, 2)
            with sandbox.faults.during("host-key-swapped"):
                done = stage.client.run("ssh", stage.host, "echo hello", status=255)
            assert b"has changed" in done.stderr
            assert stage.run("echo again") == b"again\n"
            assert "one session, not several" not in stage.said
            assert sandbox.count_calls("ec2-instance-connect:SendSSHPublicKey") == before + 1
        finally:
            sandbox.expire_pushed_keys()
            for name in ("known_hosts", "known_hosts.lock"):
                (sandbox.directory / "ssh" / name).unlink(missing_ok=True)
            stage.close()
