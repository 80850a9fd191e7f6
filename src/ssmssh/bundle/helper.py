"""The start of a relay: a log-in through ssh itself, once, that is given the program and says where it listens.

A helper ``ssh`` over one plain session has all that the user's configuration says of the host: keys, agents, names. It
needs no permission beyond what ssh needs, and nothing of what it carries is written anywhere. The program goes on its
standard input, where no list of processes shows it; port and secret come back on its standard output. What the command
line of the ssh that has started us says is not known here.
"""

import contextlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ssmssh.bundle.packing import pack
from ssmssh.bundle.places import Place
from ssmssh.errors import one_line

START_SECONDS = 6.0
"""For all of it: what a person puts up with before the first byte, and a third is left of what programs do."""

SSH_FAILED = 255
"""What ssh ends with when it is ssh that has failed, and no command (ssh(1))."""

READ_BYTES = 64 * 1024
"""Of what a log-in prints before the relay speaks: more is no banner."""

COMMAND = (
    "exec sh -c 'for p in python3 /usr/libexec/platform-python; do "
    'command -v "$p" >/dev/null 2>&1 && exec "$p" -; done; echo ssmssh-no-python\''
)
"""For the log-in shell, whichever it is: the quotes mean the same to sh, csh and fish."""

NO_PYTHON = b"ssmssh-no-python"

_PLACE = re.compile(rb"ssmssh-relay ([0-9]{1,5}) ([0-9a-f]{64})\n")

_OPTIONS = (
    "BatchMode=yes", "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "ForwardAgent=no",
    "RemoteCommand=none", "PermitLocalCommand=no",
)  # fmt: skip


class Login(NamedTuple):
    """Whom the outer ssh logs in as, where, and how it calls us: `proxy_words` is our own command line."""

    host: str
    port: int
    user: str
    proxy_words: Sequence[str]
    environment: Mapping[str, str]


class Unavailable(Exception):  # noqa: N818 - no error of the connection, which is plain then
    """There is no relay, for the reason that it says; `is_lasting` if that will not be another one the next time."""

    def __init__(self, reason: str, *, is_lasting: bool = False) -> None:
        super().__init__(reason)
        self.is_lasting = is_lasting


def command(login: Login) -> list[str]:
    """The helper's command line."""
    proxy = shlex.join([*login.proxy_words, "--sessions", "1"]).replace("%", "%%")
    options = [word for option in (*_OPTIONS, f"ProxyCommand={proxy}") for word in ("-o", option)]
    return ["ssh", "-T", "-x", *options, "-l", login.user, "-p", str(login.port), "--", login.host, COMMAND]


class Helper:
    """One helper, begun at once; `place` waits for what it says."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - until `close`
        try:
            self._process = subprocess.Popen(
                command(login),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,  # its own proxy has it, too, for seconds after the end: nobody waits for that
                env={**login.environment, "SSMSSH_SESSIONS": "1"},
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise Unavailable(f"ssh cannot be started: {error.strerror}") from error

    def place(self) -> Place:
        """Where the relay listens. Blocks until it is told, or `stop` is called.

        Raises:
            Unavailable: There will be none.
        """
        process, said = self._process, b""
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        with contextlib.suppress(OSError), process.stdin:
            process.stdin.write(pack(self._login.port).encode())
        while len(said) < READ_BYTES and (more := os.read(process.stdout.fileno(), READ_BYTES)):
            said += more
            if found := _PLACE.search(said):
                return Place(int(found[1]), bytes.fromhex(found[2].decode()))
        if NO_PYTHON in said:
            raise Unavailable("there is no Python 3.6 or later on the instance", is_lasting=True)
        raise Unavailable(self._complaint(said))

    def stop(self) -> None:
        """Nobody waits any more."""
        self._process.terminate()

    def close(self, timeout_seconds: float) -> None:
        """Release it; blocks for the end of the process, for so long at most."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):  # of what ssh has left unread
                    stream.close()

    def _complaint(self, said: bytes) -> str:
        """Why there was no word of a relay: the last line that ssh, or the log-in, has said of it."""
        status = self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read(READ_BYTES)
        last = _last_line(errors) if status == SSH_FAILED else _last_line(said) or _last_line(errors)
        if "Host key verification failed" in last:
            return "the host key is not known yet; connect without --sessions once, and confirm it"
        if "Permission denied" in last:
            return "the log-in of its own needs a key that asks nothing: one in an agent, or without a passphrase"
        if status == 0:
            return "the log-in shell has run no command"
        return f"a log-in of its own failed: {last[:200] or f'status {status}'}"


def _last_line(data: bytes) -> str:
    """The last of what was said that is not blank, without what a terminal would act upon."""
    lines = map(one_line, reversed(data.decode("utf-8", "replace").splitlines()))
    return next(filter(None, lines), "")
