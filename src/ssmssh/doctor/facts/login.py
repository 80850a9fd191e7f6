"""A log-in that runs nothing: ssh goes as far as the server's yes or no to its keys, and then it is ended.

ssh itself does it, with the user's configuration, so it offers what it would offer: with ``-N``, without forwardings,
without a question, and in no shared connection. It looks at no known_hosts file and adds to none; what it signs holds
for this one connection alone, and host keys are another check's.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, NamedTuple

from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts import sshconfig
from ssmssh.sshconfig.verify import find_ssh

LOGIN_SECONDS = 5.0
"""For a session, the key exchange and the keys: with `END_SECONDS` twice it is over before its check is given up."""

END_SECONDS = 1.5
"""For ssh to end when told to, and then for the proxy that it has started."""

_LOOK_SECONDS = 0.05

_LONGEST_BYTES = 1 << 20
"""Of what ssh says: with twenty keys it is some 10 KB."""

_OFFERED = re.compile(r"debug1: Offering public key: (.*)")
_ACCEPTED = re.compile(r"debug1: Server accepts key: (.*)")
_DONE = re.compile(r"(?m)^(?:debug1: )?Authenticated to |^Authenticated to ")
NO_METHOD = "no matching "
"""How ssh begins to say that its configuration leaves no algorithm that the server has."""

_DENIED = re.compile(rf"Permission denied \([^)]*\)|Too many authentication failures|{NO_METHOD}[^\r\n]*")
_LAST_WORDS = re.compile(
    r"(?m)^(?!debug\d: |OpenSSH_|Warning: |Connection closed by |kex_exchange_identification: )\S.*$"
)
"""What ssh and its proxy say of a failure; the server's farewells come behind it, and say nothing."""
_LONGEST_WORDS = 300
_OPTIONS = (
    "BatchMode=yes", "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "ForwardAgent=no",
    "ForwardX11=no", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no", "PermitLocalCommand=no", "RemoteCommand=none", "ConnectTimeout=5",
)  # fmt: skip


class Login(NamedTuple):
    """What has become of it.

    Attributes:
        offered: Keys that ssh has offered, as it calls them.
        is_done: Whether the server has let somebody in.
        refusal: Why it has not, in ssh's words; empty if it has, or it is not known.
        last_words: What ssh or its proxy has said last where there is no refusal; empty for nothing.
        is_over: Whether ssh has ended by itself.
    """

    offered: tuple[str, ...]
    is_done: bool
    refusal: str
    last_words: str = ""
    is_over: bool = False


def login(examination: Examination) -> Login | None:
    """Try it; None where there is no ssh. Blocks for `LOGIN_SECONDS` and `END_SECONDS` at most."""
    ssh = find_ssh()
    if ssh is None:
        return None
    asked = examination.asked
    words = [ssh, "-v", "-N", "-T", *(word for option in _OPTIONS for word in ("-o", option))]
    words += ["-l", asked.user] if asked.user else []
    words += ["-p", str(asked.port)] if asked.port else []
    with tempfile.TemporaryFile("a+b") as said:  # at its end, wherever it is being read
        process = subprocess.Popen(
            [*words, "--", examination.fact(sshconfig.host)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            return _watch(process, said)
        finally:
            _end(process)


def _watch(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> Login:
    gives_up_at = time.monotonic() + LOGIN_SECONDS
    while True:
        is_over = process.poll() is not None
        said.seek(0)
        text = said.read(_LONGEST_BYTES).decode("utf-8", "replace")
        if is_over or _DONE.search(text) or _DENIED.search(text) or time.monotonic() >= gives_up_at:
            return judged(text)._replace(is_over=is_over)
        time.sleep(_LOOK_SECONDS)


def judged(text: str) -> Login:
    """What ``ssh -v`` has said comes to."""
    offered = tuple(dict.fromkeys(line.strip() for line in _OFFERED.findall(text)))
    is_done = _DONE.search(text) is not None
    denied = None if is_done else _DENIED.search(text)
    said = [] if is_done or denied else _LAST_WORDS.findall(text)
    return Login(offered, is_done, denied[0] if denied else "", said[-1].strip()[:_LONGEST_WORDS] if said else "")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End ssh, which ends its proxy, and wait for it."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()
    if sys.platform != "win32":
        until = time.monotonic() + END_SECONDS
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < until:  # the proxy ends its session
                os.killpg(process.pid, 0)
                time.sleep(_LOOK_SECONDS)
            os.killpg(process.pid, signal.SIGKILL)
