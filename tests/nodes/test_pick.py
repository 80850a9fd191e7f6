"""``ssmssh pick`` as it is called: what is chosen goes to stdout, and everything else to the terminal."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import Client, Terminal
from tests.nodes.conftest import DB, OTHER_REGION, WEB

TWINS = ["i-00000000000000003", "i-00000000000000004", "i-00000000000000005"]


@pytest.fixture
def client(town: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(town.environment, tmp_path)
    yield client
    client.close()


@pytest.fixture
def without_fzf(client: Client, tmp_path: Path) -> Client:
    """A client on whose PATH there is little more than the programs of the sandbox."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "cat"):
        (programs / name).symlink_to(str(shutil.which(name)))
    own = client.environment["PATH"].split(os.pathsep)[0]
    client.environment["PATH"] = f"{own}{os.pathsep}{programs}"
    return client


class Picking(Terminal):
    """``ssmssh pick`` in a terminal, its stdout a file."""

    def __init__(self, client: Client, words: str) -> None:
        self._file = client.directory / "chosen"
        super().__init__(client, "sh", "-c", f"exec ssmssh pick {words} > chosen", columns=160)

    def end(self, status: int = 0) -> str:
        assert self.wait() == status, self.seen
        return self._file.read_text()


LIST = b"type to narrow"


def test_the_only_one_needs_no_terminal(client: Client) -> None:
    assert client.run("ssmssh", "pick", "db-1").stdout.decode() == f"{DB}\n"
    assert client.run("ssmssh", "pick", WEB).stdout.decode() == f"{WEB}\n"


EC2 = "deny:ec2:DescribeInstances"
FRONT_END = "mi-00000000000000003"
"""The only hybrid node with that tag; instances of EC2 have it, too."""


def test_the_only_one_of_which_that_is_known(town: Sandbox, client: Client, without_fzf: Client) -> None:
    """It is not taken for the only one: nobody but a person can say whether it is meant."""
    with town.faults.during(EC2):
        done = client.run("ssmssh", "pick", "tag:Role=Front End", status=5)
        assert done.stdout == b""
        assert b"whether further instances pass the filters is not known" in done.stderr
        assert b"ask for ec2:DescribeInstances" in done.stderr
        with Picking(without_fzf, "'tag:Role=Front End'") as terminal:
            assert b"whether further instances pass" in terminal.expect(b"1 of 1; " + LIST)
            terminal.type(b"\r")
            assert terminal.end() == f"{FRONT_END}\n"
            assert b"not known: tags" in terminal.seen


def test_one_that_is_elsewhere_is_printed_as_ssh_needs_it(client: Client) -> None:
    words = "ssmssh", "pick", "--all-regions", "--profile", "other"
    host = client.run(*words).stdout.decode()
    assert host == f"i-0000000000000000d.{OTHER_REGION}.other\n"
    assert client.run("ssh", host.strip(), "echo hello").stdout == b"hello\n"


def test_without_a_terminal(client: Client) -> None:
    done = client.run("ssmssh", "pick", "twin", status=2)
    assert done.stderr == (
        b"ssmssh: There is no terminal to choose on; narrow it down to one, or list them: ssmssh list -q\n"
    )
    assert done.stdout == b""


def test_none(client: Client) -> None:
    done = client.run("ssmssh", "pick", "nobody", status=4)
    said = "No instance passes the filters (us-east-1); to look elsewhere: ssmssh list --all-regions nobody"
    assert (done.stdout, done.stderr.decode()) == (b"", f"ssmssh: {said}\n")


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (b"\r", TWINS[0]),
        (b"2\r", TWINS[1]),
        (b"\x1b[B\x1b[B\r", TWINS[2]),
        (b"connectionlost\r", TWINS[2]),
        (b"nothing\r\x15\r", TWINS[0]),
        (b"004\r", TWINS[1]),
    ],
)
def test_the_list(without_fzf: Client, keys: bytes, chosen: str) -> None:
    with Picking(without_fzf, "twin") as terminal:
        terminal.expect(b"3 of 3; " + LIST)
        terminal.type(keys)
        assert terminal.end() == f"{chosen}\n"


def test_the_list_narrows_as_one_types(without_fzf: Client) -> None:
    with Picking(without_fzf, "") as terminal:
        terminal.expect(LIST)
        for letter, count in ((b"t", None), (b"w", None), (b"i", 3), (b"n", 3)):
            terminal.type(letter)
            if count:
                terminal.expect(f"{count} of ".encode())
        terminal.type(b"\r")
        assert terminal.end() == f"{TWINS[0]}\n"
        assert terminal.seen.endswith(b"\r\x1b[J")  # nothing of it is left on the screen


@pytest.mark.parametrize("key", [b"\x1b", b"\x04", b"\x03"], ids=["Esc", "Ctrl-D", "Ctrl-C"])
def test_leaving_the_list(without_fzf: Client, key: bytes) -> None:
    with Picking(without_fzf, "twin") as terminal:
        terminal.expect(LIST)
        terminal.type(key)
        assert terminal.end(130) == ""


def test_the_terminal_is_as_it_was(without_fzf: Client) -> None:
    """Also after a signal: what the shell behind it reads is echoed, line by line."""
    for words in ("exec ssmssh pick twin", "trap '' INT; ssmssh pick twin"):
        script = f"({words}) > chosen; cat > typed"
        with Terminal(without_fzf, "sh", "-c", script, columns=160) as terminal:
            terminal.expect(LIST)
            terminal.type(b"\x1b")
            terminal.expect(b"interrupted")
            terminal.type(b"hello\n")
            terminal.expect(b"hello")
            terminal.type(b"\x04")
            assert terminal.wait() == 0
        assert (without_fzf.directory / "typed").read_bytes() == b"hello\n"


def test_a_terminal_that_goes_away(without_fzf: Client) -> None:
    terminal = Picking(without_fzf, "twin")
    terminal.expect(LIST)
    terminal.__exit__()
    assert terminal._process.wait(30) in {-signal.SIGHUP, 128 + signal.SIGHUP, 2}


def test_hostile_names_do_not_act_on_the_terminal(fleet: Sandbox, without_fzf: Client) -> None:
    programs = without_fzf.environment["PATH"].split(os.pathsep)[1]
    fleets = fleet.environment["PATH"].split(os.pathsep)[0]
    client = Client(fleet.environment | {"PATH": f"{fleets}{os.pathsep}{programs}"}, without_fzf.directory)
    with Picking(client, "") as terminal:
        seen = terminal.expect(LIST).decode()
        terminal.type(b"\x1b")
        terminal.end(130)
    client.close()
    for sequence in ("\x1b[K", "\r", "\n"):
        seen = seen.replace(sequence, "")
    assert seen.isprintable()


# -- with fzf ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "chosen"), [(b"\r", TWINS), (b"connectionlost\r", TWINS[2:])])
def test_fzf(client: Client, keys: bytes, chosen: list[str]) -> None:
    with Picking(client, "twin") as terminal:
        terminal.expect(b"3/3")
        terminal.type(keys[:-1])
        if keys[:-1]:
            terminal.expect(b"1/3")
        terminal.type(keys[-1:])
        assert terminal.end().strip() in chosen


@pytest.mark.parametrize("key", [b"\x1b", b"\x03"], ids=["Esc", "Ctrl-C"])
def test_leaving_fzf(client: Client, key: bytes) -> None:
    with Picking(client, "twin") as terminal:
        terminal.expect(b"3/3")
        terminal.type(key)
        assert terminal.end(130) == ""


def test_nothing_that_fzf_could_choose(client: Client) -> None:
    with Picking(client, "twin") as terminal:
        terminal.expect(b"3/3")
        terminal.type(b"zzzz")
        terminal.expect(b"0/3")
        terminal.type(b"\r")
        assert terminal.end(4) == ""
        assert b"Nothing was chosen" in terminal.seen


def test_fzf_that_is_left_before_all_have_come(town: Sandbox, client: Client) -> None:
    """What was chosen counts at once, though a region is still being asked."""
    with town.faults.during("throttle:every=2"), Picking(client, "--all-regions --profile sandbox") as terminal:
        terminal.expect(b"/")
        terminal.type(b"twin")
        terminal.expect(b"3/")
        terminal.type(b"\r")
        assert terminal.end().strip().split(".")[0] in TWINS


def test_ssh_to_what_is_picked(client: Client) -> None:
    with Terminal(client, "sh", "-c", "ssh $(ssmssh pick tag:Environment=sandbox) echo hello", columns=160) as terminal:
        terminal.expect(b"2/2")
        terminal.type(b"\r")
        terminal.expect(b"hello")
        assert terminal.wait() == 0
