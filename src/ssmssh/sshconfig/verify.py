"""The proof: what the installed ssh says about hosts before and after, through ``ssh -G``.

Both versions are put into a private directory and handed to ``ssh -G -F``; nothing of the user's is
touched. ``-F`` leaves out the system's config, so where ssh would read that, too, the copy includes it at its end.
For our hosts our values must be in force, and nothing may stand in the way of our proxy (`judge`); for hosts that
are not ours every line of the answer must be the same as before.

``ssh -G`` runs the user's ``Match exec`` commands and may look up names, so each call is limited in time,
with all it started.
"""

import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError, UsageError
from ssmssh.settings import home_directory
from ssmssh.sshconfig import hostkeychecking, judge, refusal
from ssmssh.sshconfig.staging import Config, names, written

CALL_SECONDS = 10.0
"""For one ``ssh -G``: as long as the most impatient client gives a whole connection."""

PROOF_SECONDS = 30.0
"""For all calls of one proof, so that slow commands of the user's cannot make the wait minutes long."""

MAX_FOREIGN_HOSTS = 4
"""Each costs two calls; a change of meaning that spares all of them and a host named nowhere is hard to make."""

NEUTRAL_HOST = "host.example"
"""A host that no config names."""

_COMPARED = frozenset({"proxycommand", "user", "hostname", "hostkeyalias"}) | hostkeychecking.RULED
"""Of our settings, those that must win and that ``ssh -G`` prints as they are written, unless there is a ``%`` in a
host's name, or in a spelling that is known."""

_running: set["subprocess.Popen[bytes]"] = set()
"""Those that are being waited for: one for each thread that asks."""

_starting = threading.Lock()
"""Held until an ssh that has been started is in `_running`, and for a look at `_is_over`."""

_is_over = threading.Event()
"""Set when no ssh is to be started any more."""

_OCTAL = re.compile(rb"\\(\\|[0-3][0-7]{2})")


class Ours(NamedTuple):
    """What must be true of our hosts.

    `settings` are those that each host must have, by lower-case keyword; for `named` ones the host name that the proxy
    gets must be that of an instance, or one that `is_target` takes.
    """

    settings: Mapping[str, Mapping[str, bytes]]
    named: frozenset[str] = frozenset()
    is_target: judge.IsTarget = judge.is_instance


class ProofError(FileError):
    """The proof failed, for the config `after` the change.

    `host` is the one it failed for, `keyword` the setting to blame in lower case, `remedy` an option that may help;
    they are empty where there is none.
    """

    def __init__(
        self, sentence: str, after: Config, *, hint: str = "", host: str = "", keyword: str = "", remedy: str = ""
    ) -> None:
        super().__init__(sentence, hint)
        self.after = after
        self.host = host
        self.keyword = keyword
        self.remedy = remedy


class UnansweredError(Exception):
    """ssh did not answer in time."""


class RefusedError(Exception):
    """ssh did not accept the configuration; the text is its reason."""


def find_ssh() -> str | None:
    """The path of the installed ssh, if there is one."""
    return shutil.which("ssh")


def prove(
    ssh: str | None, before: Config, after: Config, ours: Ours, theirs: Sequence[str], deadline: float | None = None
) -> str:
    """Ask ssh about both versions; the empty text if all is well, or why it could not be asked.

    Blocks for at most `PROOF_SECONDS`, or until `deadline` (monotonic seconds) if that is sooner.

    Args:
        ssh: The program; None if there is none.
        before: What is there now.
        after: What is to be written, or is there already.
        ours: What must be true of our hosts.
        theirs: Hosts that must not notice.
        deadline: When to stop asking.

    Raises:
        ProofError: ssh refuses the files, ours does not win, the proxy would get what it cannot use, or another host
            would notice.
        FileError: No copy could be written.
    """
    if ssh is None:
        return "no ssh was found, so what it makes of the file could not be proved"
    deadline = min(deadline or math.inf, time.monotonic() + PROOF_SECONDS)
    with written(before) as old, written(after) as new:
        host = ""
        try:
            for host, settings in ours.settings.items():
                _check_ours(host, settings, ask(ssh, host, config=new, deadline=deadline), ours, after)
            host = ""
            for each in theirs:
                _check_theirs(each, ssh, old, new, after, deadline)
        except UnansweredError as error:
            return f"{error}, so what it makes of the file could not be proved"
        except RefusedError as error:
            objection = judge.unresolved(host, str(error)) if host else None
            if objection is not None:
                raise _objected(objection, host, after) from None
            reason = _refusal(ssh, old) or f"would refuse the file: {error}"
            for copy in (old, new):
                for real, copied in names(copy, after).items():
                    reason = reason.replace(copied, real)
            raise ProofError(f"ssh {reason}", after) from None
    return ""


def check_block(ssh: str | None, block: bytes) -> None:
    """Let ssh look at a block alone; UsageError if it refuses a key or value in it."""
    if ssh is None:
        return
    with written(Config(block, None, "")) as path, contextlib.suppress(UnansweredError):
        try:
            ask(ssh, NEUTRAL_HOST, config=path)
        except RefusedError as error:
            raise UsageError(f"ssh does not take one of the options: {error}", "nothing was changed") from None


def _check_ours(
    host: str, settings: Mapping[str, bytes], answer: Mapping[str, list[str]], ours: Ours, after: Config
) -> None:
    home = home_directory()
    for keyword in sorted(_COMPARED & settings.keys()):
        wanted = settings[keyword].decode()
        if keyword == "hostname" and "%" in wanted:
            continue
        if answer.get(keyword, []) not in [[said] for said in hostkeychecking.as_printed(keyword, wanted, home)]:
            said = ", ".join(answer.get(keyword, ["nothing"]))
            raise ProofError(
                f"the block would not decide {keyword} of {host}: ssh says {said} instead of {wanted}",
                after,
                host=host,
                keyword=keyword,
            )
    objection = judge.objection(host, answer, ours.is_target, judge_name=host in ours.named)
    objection = objection or hostkeychecking.objection(host, settings, answer)
    if objection is not None:
        raise _objected(objection, host, after)


def _objected(objection: judge.Objection, host: str, after: Config) -> ProofError:
    sentence, keyword, remedy, hint = objection
    return ProofError(sentence, after, hint=hint, host=host, keyword=keyword, remedy=remedy)


def _check_theirs(host: str, ssh: str, old: Path, new: Path, config: Config, deadline: float) -> None:
    try:
        before = ask(ssh, host, config=old, deadline=deadline)
    except RefusedError:
        return  # a host that cannot be reached, or a file that was broken before
    after = ask(ssh, host, config=new, deadline=deadline)
    if before != after:
        changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        raise ProofError(f"the change would alter {', '.join(changed)} of {host}, which is not ours", config)


def _refusal(ssh: str, config: Path) -> str:
    """Why ssh refuses a config, as a sentence without its subject; empty if it does not."""
    with contextlib.suppress(UnansweredError):
        try:
            ask(ssh, NEUTRAL_HOST, config=config)
        except RefusedError as error:
            return f"refuses the file as it is: {error}"
    return ""


def ask(
    ssh: str, host: str, *, config: Path | None = None, deadline: float | None = None, user: str = ""
) -> dict[str, list[str]]:
    """The settings that ssh arrives at for a host, by lower-case keyword, if it is to log in as `user`.

    Blocks for at most `CALL_SECONDS`, or until `deadline` (monotonic seconds) if that is sooner.

    Raises:
        UnansweredError: It took longer.
        RefusedError: ssh does not accept the configuration.
    """
    return _call(ssh, ["-G", *(("-l", user) if user else ())], host, config, deadline)[0]


def ask_aloud(
    ssh: str, host: str, *, config: Path | None = None, deadline: float | None = None
) -> tuple[dict[str, list[str]], list[str]]:
    """As `ask`, and what ssh says of its way there (``-vvv``), by lines; blocks and raises as `ask`.

    Names in these lines are as they are: ssh writes unusual bytes in octal (strnvis(3)), which is undone here.
    """
    answer, messages = _call(ssh, ["-vvv", "-G"], host, config, deadline)
    plain = (_OCTAL.sub(_unescaped, line).decode("utf-8", "surrogateescape") for line in messages.splitlines())
    return answer, list(plain)


def _call(
    ssh: str, words: Sequence[str], host: str, config: Path | None, deadline: float | None
) -> tuple[dict[str, list[str]], bytes]:
    files = [] if config is None else ["-F", str(config)]
    patience = CALL_SECONDS if deadline is None else min(CALL_SECONDS, deadline - time.monotonic())
    with _start([ssh, *words, *files, "--", host]) as process:
        try:
            output, complaint = process.communicate(timeout=max(0.0, patience))
        except subprocess.TimeoutExpired:
            raise UnansweredError(
                "ssh did not answer in time (a Match exec command or a name look-up in your ssh config is slow)"
            ) from None
        finally:
            _running.discard(process)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                _kill(process)
    if process.returncode != 0:
        raise RefusedError(refusal.reason(complaint, config))
    answer: dict[str, list[str]] = {}
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition(" ")
        answer.setdefault(key, []).append(value)
    return answer, complaint


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    with _starting:
        if _is_over.is_set():
            raise UnansweredError("nobody waits for ssh's answer any more")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        _running.add(process)
    return process


@contextlib.contextmanager
def ending_with_block() -> Iterator[None]:
    """No ssh that threads ask in the block outlives it, nor what it has started; for a program that ends then."""
    _is_over.clear()
    try:
        yield
    finally:
        with _starting:
            _is_over.set()
        for process in list(_running):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                _kill(process)


def _unescaped(found: re.Match[bytes]) -> bytes:
    return b"\\" if found[1] == b"\\" else bytes([int(found[1], 8)])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill ssh and what its Match exec commands left behind; on Windows, where there are no groups, ssh alone."""
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
