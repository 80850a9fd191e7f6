"""OpenSSH's ssh: commands, statuses, bytes, terminals."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, OTHER_HOST, Client, Terminal, digest, payload


@pytest.mark.parametrize("host", [EC2_HOST, HYBRID_HOST])
@pytest.mark.parametrize("status", [0, 1, 42])
def test_output_and_exit_status(client: Client, host: str, status: int) -> None:
    done = client.run("ssh", host, f"echo out; echo err >&2; exit {status}", status=status)
    assert done.stdout == b"out\n"
    assert done.stderr.endswith(b"err\n")  # after what the user's shell may have to say when it starts


def test_a_command_killed_by_a_signal_is_ssh_s_own_failure(client: Client) -> None:
    client.run("ssh", EC2_HOST, "kill -TERM $$", status=255)


def test_stdin_reaches_the_command_and_ends(client: Client) -> None:
    assert client.run("ssh", EC2_HOST, "wc -c", stdin=b"x" * 1000).stdout.strip() == b"1000"


def test_stdin_from_nowhere(client: Client) -> None:
    assert client.run("ssh", "-n", EC2_HOST, "cat; echo done", stdin=b"unread").stdout == b"done\n"


def test_20_mb_up(client: Client) -> None:
    data = payload(20_000_000)
    assert client.run("ssh", EC2_HOST, "sha256sum", stdin=data).stdout.split()[0].decode() == digest(data)


def test_20_mb_down(client: Client) -> None:
    data = payload(20_000_000, seed=1)
    (client.directory / "down").write_bytes(data)
    assert digest(client.run("ssh", EC2_HOST, f"cat {client.directory}/down").stdout) == digest(data)


def test_both_directions_at_once(client: Client) -> None:
    data = payload(8_000_000, seed=2)
    assert digest(client.run("ssh", EC2_HOST, "cat", stdin=data).stdout) == digest(data)


def test_compression(client: Client) -> None:
    data = b"the same again and again\n" * 200_000
    assert digest(client.run("ssh", "-C", EC2_HOST, "cat", stdin=data).stdout) == digest(data)


def test_the_region_may_be_a_word_of_the_host_name(client: Client) -> None:
    region = client.environment["AWS_DEFAULT_REGION"]
    assert client.run("ssh", f"{EC2_HOST}.{region}", "echo here").stdout == b"here\n"


def test_many_at_once(client: Client) -> None:
    hosts = [EC2_HOST, OTHER_HOST, HYBRID_HOST] * 2
    with ThreadPoolExecutor(len(hosts)) as pool:
        done = pool.map(lambda number: client.run("ssh", hosts[number], f"echo {number}"), range(len(hosts)))
        assert [int(each.stdout) for each in done] == list(range(len(hosts)))


def test_a_reader_that_goes_away_ends_ssh(client: Client) -> None:
    process = client.start("ssh", EC2_HOST, "yes", stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    assert process.wait(30) != 0


def test_a_terminal(client: Client) -> None:
    with Terminal(client, "ssh", EC2_HOST, rows=43, columns=132) as terminal:
        terminal.type(b"exec /bin/sh\r")  # without the line editing of the user's own shell
        terminal.type(b"PS1=; stty -echo; stty size; test -t 0 && echo is a ${PS1:-tty}\r")
        terminal.expect(b"43 132")
        terminal.expect(b"is a tty")
        terminal.type(b'echo re${PS1}ady; while [ "$(stty size)" = "43 132" ]; do sleep 0.02; done; stty size\r')
        terminal.expect(b"ready")
        terminal.resize(50, 100)
        terminal.expect(b"50 100")
        # Not the shell itself is interrupted, which would throw away what is typed meanwhile.
        terminal.type(b"sh -c 'trap \"echo caught; exit\" INT; echo asleep; while :; do sleep 0.1; done'\r")
        terminal.expect(b"asleep")
        terminal.type(b"\x03")
        terminal.expect(b"caught")
        terminal.type(b"echo still ${PS1:-here}\r")
        terminal.expect(b"still here")
        terminal.type(b"exit 7\r")
        assert terminal.wait() == 7


def test_the_escape_character_ends_ssh(client: Client) -> None:
    with Terminal(client, "ssh", EC2_HOST) as terminal:
        terminal.type(b"PS1=; stty -echo; echo re${PS1}ady\r")
        terminal.expect(b"ready")
        terminal.type(b"\r~.")
        assert terminal.wait() == 255
