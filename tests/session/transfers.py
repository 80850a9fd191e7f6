"""Six ways to use a session, each a client that moves known bytes and looks at what has arrived.

    upload      ssh with its input from a file, nothing comes back but a checksum
    download    ssh with its output to a file
    echo        somebody at ssh who sends a line when the last one has come back; the lines have all lengths
    sftp        paramiko writes a file there and reads it back
    library     the same over a socket of `ssmssh.connect`, with no proxy
    forward     three clients of a port that `ssmssh forward` leads to an echo server, at the same time

The proxy runs under observation (`recorder`), so that its own end is known whatever the client makes of it.
"""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.clients import EC2_HOST, digest, echo_server, payload, wait_until
from tests.session.commandtransfers import COMMANDS
from tests.session.place import CLIENT_SECONDS, Place

LIBRARY_CLIENT = Path(__file__).with_name("libraryclient.py")
FORWARD_CLIENT = Path(__file__).with_name("forwardclient.py")
SFTP_CLIENT = Path(__file__).with_name("sftpclient.py")

ECHO_LINES = 30


class HungError(AssertionError):
    """A client that had to be killed."""


@dataclass
class Outcome:
    """What became of one transfer.

    `is_whole` says that every byte has arrived and the client is content. `status`, `line` and `log` are the proxy's:
    its exit status, what it said on stderr, its log; the library's and the forward's are the same words. `seconds` is
    the client's time from start to end.
    """

    is_whole: bool
    seconds: float
    client_says: str
    status: int | None = None
    line: str = ""
    log: str = field(default="", repr=False)
    is_forward: bool = False
    is_command: bool = False

    def counted(self, name: str) -> int:
        """A number of the statistics that end the log."""
        found = re.findall(rf"\b{name}=(\d+)", self.log)
        return int(found[-1]) if found else 0

    def session_id(self) -> str:
        """The session's, empty if none was started."""
        found = re.search(r"started session (\S+)", self.log)
        return found[1] if found else ""


def run(transfer: "Transfer", place: Place) -> Outcome:
    """Run `transfer` to its end and gather what became of it."""
    began = time.monotonic()
    is_whole, says = transfer(place)
    seconds = time.monotonic() - began
    is_command = transfer in COMMANDS.values()
    outcome = Outcome(is_whole, seconds, says, is_forward=transfer is forward, is_command=is_command)
    status = place.directory / "status"
    wait_until(status.exists, "the end of the proxy", explain=lambda: says)
    outcome.status = int(status.read_text())
    outcome.line = (place.directory / "stderr").read_text()
    outcome.log = (place.directory / "log").read_text() if (place.directory / "log").exists() else ""
    return outcome


def _run(command: list[str], place: Place, data: bytes = b"") -> tuple[int, bytes, str]:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.box.environment
    ) as process:
        try:
            output, errors = process.communicate(data, timeout=CLIENT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise HungError(f"{command[-1]}: {_errors(place)}") from None
    return process.returncode, output, errors.decode(errors="replace")


def _errors(place: Place) -> str:
    return "\n".join(path.read_text() for name in ("stderr", "log") if (path := place.directory / name).exists())


def upload(place: Place) -> tuple[bool, str]:
    data = payload(place.size_bytes)
    status, output, errors = _run(place.ssh("sha256sum"), place, data)
    return status == 0 and output.split()[:1] == [digest(data).encode()], errors


def download(place: Place) -> tuple[bool, str]:
    data = payload(place.size_bytes, seed=1)
    source = place.directory / "source"
    source.write_bytes(data)
    status, output, errors = _run(place.ssh(f"cat {shlex.quote(str(source))}"), place)
    return status == 0 and digest(output) == digest(data), errors


def echo(place: Place) -> tuple[bool, str]:
    each = 2 * place.size_bytes // ECHO_LINES**2
    lines = [b"%d %s\n" % (number, b"x" * each * number) for number in range(ECHO_LINES)]
    with subprocess.Popen(
        place.ssh("cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=place.box.environment,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        heard = []
        try:
            for line in lines:
                process.stdin.write(line)
                process.stdin.flush()
                heard.append(process.stdout.readline())
                if heard[-1] != line:
                    break
            process.stdin.close()
        except BrokenPipeError:
            pass
        rest = process.stdout.read()
        status = process.wait(CLIENT_SECONDS)
        errors = process.stderr.read().decode(errors="replace")
    return status == 0 and heard == lines and not rest, errors


def sftp(place: Place) -> tuple[bool, str]:
    path = place.directory / "file"
    path.write_bytes(payload(place.size_bytes, seed=2))
    proxy_command = place.proxy_command().replace("%h", EC2_HOST).replace("%p", "22")
    client = [sys.executable, str(SFTP_CLIENT), str(place.box.ssh_config), EC2_HOST, proxy_command, str(path)]
    status, _, errors = _run(client, place)
    return status == 0, errors


def library(place: Place) -> tuple[bool, str]:
    path = place.directory / "file"
    path.write_bytes(payload(place.size_bytes, seed=3))
    client = [sys.executable, str(LIBRARY_CLIENT), str(place.directory), str(place.box.ssh_config), EC2_HOST, str(path)]
    status, _, errors = _run(client, place)
    return status == 0, errors


def forward(place: Place) -> tuple[bool, str]:
    with echo_server() as port:
        place.box.open_port(port, port)
        words = ["ssmssh", "forward", EC2_HOST, "-L", f":{port}", "--log-file", str(place.directory / "log"), "--"]
        client = [sys.executable, str(FORWARD_CLIENT), "{port}", str(place.size_bytes)]
        status, _, errors = _run([*words, *client], place)
    (place.directory / "stderr").write_text(errors)
    (place.directory / "status").write_text(str(status))
    return status == 0, errors


Transfer = Callable[[Place], tuple[bool, str]]

TRANSFERS: Mapping[str, Transfer] = {
    "upload": upload,
    "download": download,
    "echo": echo,
    "sftp": sftp,
    "library": library,
    "forward": forward,
}
