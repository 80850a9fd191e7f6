"""The proof: what the installed ssh says about hosts before and after, through ``ssh -G``.

Both versions are put into a private directory and handed to ``ssh -G -F``; nothing of the user's is
touched. ``-F`` leaves out the system's config, which ssh reads last and which therefore decides nothing here.
For our hosts our values must be in force; for hosts that are not ours every line of the answer must be the same
as before.

``ssh -G`` runs the user's ``Match exec`` commands and may look up names, so each call is limited in time,
with all it started.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig import including, refusal
from ssmssh.sshconfig.document import Document

CALL_SECONDS = 10.0
"""For one ``ssh -G``: as long as the most impatient client gives a whole connection."""

PROOF_SECONDS = 30.0
"""For all calls of one proof, so that slow commands of the user's cannot make the wait minutes long."""

MAX_FOREIGN_HOSTS = 4
"""Each costs two calls; a change of meaning that spares all of them and a host named nowhere is hard to make."""

NEUTRAL_HOST = "host.example"
"""A host that no config names."""

_COMPARED = frozenset({"proxycommand", "user"})
"""Of our settings, those that must win and that ``ssh -G`` prints as they are written."""


class Config(NamedTuple):
    """One version of the files: main, and our own one that it may include under the name `own_path`."""

    main: bytes
    own: bytes | None
    own_path: str


class UnansweredError(Exception):
    """ssh did not answer in time."""


class RefusedError(Exception):
    """ssh did not accept the configuration; the text is its reason."""


def find_ssh() -> str | None:
    """The path of the installed ssh, if there is one."""
    return shutil.which("ssh")


def prove(
    ssh: str | None, before: Config, after: Config, ours: Mapping[str, Mapping[str, bytes]], theirs: Sequence[str]
) -> str:
    """Ask ssh about both versions; the empty text if all is well, or why it could not be asked.

    Blocks for at most `PROOF_SECONDS`.

    Args:
        ssh: The program; None if there is none.
        before: What is there now.
        after: What is to be written.
        ours: For each host that must be ours the settings it must have, by lower-case keyword.
        theirs: Hosts that must not notice.

    Raises:
        FileError: ssh refuses the files, ours does not win, or another host would notice.
    """
    if ssh is None:
        return "no ssh was found, so what it makes of the file could not be proved"
    deadline = time.monotonic() + PROOF_SECONDS
    with _written(before) as old, _written(after) as new:
        try:
            for host, settings in ours.items():
                _check_ours(host, settings, ask(ssh, host, config=new, deadline=deadline))
            for host in theirs:
                _check_theirs(host, ssh, old, new, deadline)
        except UnansweredError as error:
            return f"{error}, so what it makes of the file could not be proved"
        except RefusedError as error:
            reason = _refusal(ssh, old) or f"would refuse the file: {error}"
            for copy in (old, new):
                reason = reason.replace(str(_own_beside(copy)), after.own_path)
            raise FileError(f"ssh {reason}", "nothing was changed") from None
    return ""


def check_block(ssh: str | None, block: bytes) -> None:
    """Let ssh look at a block alone; UsageError if it refuses a key or value in it."""
    if ssh is None:
        return
    with _written(Config(block, None, "")) as path, contextlib.suppress(UnansweredError):
        try:
            ask(ssh, NEUTRAL_HOST, config=path)
        except RefusedError as error:
            raise UsageError(f"ssh does not take one of the options: {error}", "nothing was changed") from None


def _check_ours(host: str, settings: Mapping[str, bytes], answer: Mapping[str, list[str]]) -> None:
    for keyword in _COMPARED & settings.keys():
        wanted = settings[keyword].decode()
        if answer.get(keyword) != [wanted]:
            said = ", ".join(answer.get(keyword, ["nothing"]))
            raise FileError(
                f"the block would not decide {keyword} of {host}: ssh says {said} instead of {wanted}",
                "nothing was changed",
            )
    if answer.get("proxyusefdpass") == ["yes"]:
        raise FileError(
            "your ssh config sets ProxyUseFdpass for our hosts, and the proxy does not pass descriptors",
            "add --option 'ProxyUseFdpass no'",
        )
    if answer.get("hostname", [host]) != [host] and "hostname" not in settings:
        raise FileError(
            f"your ssh config turns {host} into {answer['hostname'][0]}, which names no instance",
            "add --option 'HostName %h'",
        )


def _check_theirs(host: str, ssh: str, old: Path, new: Path, deadline: float) -> None:
    try:
        before = ask(ssh, host, config=old, deadline=deadline)
    except RefusedError:
        return  # a host that cannot be reached, or a file that was broken before
    after = ask(ssh, host, config=new, deadline=deadline)
    if before != after:
        changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        raise FileError(
            f"the change would alter {', '.join(changed)} of {host}, which is not ours", "nothing was changed"
        )


def _refusal(ssh: str, config: Path) -> str:
    """Why ssh refuses a config, as a sentence without its subject; empty if it does not."""
    with contextlib.suppress(UnansweredError):
        try:
            ask(ssh, NEUTRAL_HOST, config=config)
        except RefusedError as error:
            return f"refuses the file as it is: {error}"
    return ""


def ask(ssh: str, host: str, *, config: Path | None = None, deadline: float | None = None) -> dict[str, list[str]]:
    """The settings that ssh arrives at for a host, by lower-case keyword.

    Blocks for at most `CALL_SECONDS`, or until `deadline` (monotonic seconds) if that is sooner.

    Raises:
        UnansweredError: It took longer.
        RefusedError: ssh does not accept the configuration.
    """
    files = [] if config is None else ["-F", str(config)]
    patience = CALL_SECONDS if deadline is None else min(CALL_SECONDS, deadline - time.monotonic())
    with subprocess.Popen(
        [ssh, "-G", *files, "--", host],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, complaint = process.communicate(timeout=max(0.0, patience))
        except subprocess.TimeoutExpired:
            raise UnansweredError(
                "ssh did not answer in time (a Match exec command or a name look-up in your ssh config is slow)"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # ssh, or what its Match exec commands left behind
    if process.returncode != 0:
        raise RefusedError(refusal.reason(complaint, config))
    answer: dict[str, list[str]] = {}
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition(" ")
        answer.setdefault(key, []).append(value)
    return answer


def _own_beside(main: Path) -> Path:
    return main.with_name("own")


@contextlib.contextmanager
def _written(config: Config) -> Iterator[Path]:
    """A version of the files in a directory of its own, with the Include line leading to the copy."""
    with contextlib.ExitStack() as stack:
        try:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="ssmssh-"))
            main = Path(name) / "config"
            own = _own_beside(main)
            document = Document(config.main)
            line = including.find(document, config.own_path)
            if line is not None:
                document = document.splice(line.start, line.end, f"Include {own}\n".encode())
            main.write_bytes(document.data)
            own.write_bytes(config.own or b"")
            own.chmod(0o600)
        except OSError as error:
            raise FileError(
                f"could not write a copy for ssh to prove: {error.strerror}", "nothing was changed; is the disk full?"
            ) from None
        yield main
