"""The files that ssh reads: whether it will, what our blocks say, and whether it comes to our proxy."""

import os
import re
import shlex
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ssmssh import __version__
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.facts import sshconfig as facts
from ssmssh.doctor.steps import failed_with
from ssmssh.errors import FileError, SsmsshError, UsageError
from ssmssh.ownfiles import CAN_TELL_OWNER
from ssmssh.settings import path_for_ssh
from ssmssh.sshconfig import install, readable, script, verify
from ssmssh.sshconfig.document import ENTRY_BLOCKS
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.places import Place, default_place, read
from ssmssh.sshconfig.plan import names_of
from ssmssh.sshconfig.show import defect, misses, program_of, report

if TYPE_CHECKING:
    from ssmssh.doctor.examination import Examination

_SECONDS = 3.5
"""For all calls of ssh of one check; then they are ended, a little before the check is given up."""

_REFUSED = re.compile(r"Bad owner or permissions on (/.+)$")
"""What ssh says of an included file that others may write."""

_BAD_LINE = re.compile(r": (line \d+ of .+)$")
"""What it says of a line that it does not understand."""

_PRIVATE = b"-----BEGIN "
"""How the file of a private key begins, in each of the formats that ssh reads."""

_MOST_KEYS = 20
"""Keys that are looked at; ssh itself tries six before servers refuse more."""


def _ssh_directory(examination: "Examination") -> Finding:
    """As ssh has it: a config that others may write ends it, a key that others may read is not used."""
    place = default_place()
    until = time.monotonic() + _SECONDS
    if not CAN_TELL_OWNER:
        return unknown("permissions are not told by modes on this system")
    for path in (place.config, place.own):
        if path.exists() and not os.access(path, os.R_OK):
            return failed(f"{path} cannot be read", f"ssh cannot read {path}", _chmod("u+rw", path))
        found = readable.objection(verify.find_ssh(), path, until)
        if found is not None:
            sentence, hint = found
            step = hint.removeprefix("run: ") or f"sudo chown {os.geteuid()} {shlex.quote(str(path))}"
            return failed(sentence, sentence, step)
    try:
        examination.fact(facts.settings)
    except FileError as error:
        if (refused := _REFUSED.search(error.sentence)) is not None:
            sentence = f"ssh refuses to start, because others may write {refused[1]}, which it reads"
            return failed(sentence, sentence, _chmod("go-w", Path(refused[1])))
        if (bad := _BAD_LINE.search(error.sentence)) is not None:
            sentence = f"ssh refuses its configuration: {bad[1]}"
            return failed(sentence, sentence, "# correct that line, or take it out")
    return _keys(examination, place)


def _keys(examination: "Examination", place: Place) -> Finding:
    try:
        named = examination.fact(facts.settings).get("identityfile", [])
    except SsmsshError:
        named = []
    keys = {path: status for path in map(path_for_ssh, named[:_MOST_KEYS]) if (status := _status(path))}
    for path, status in keys.items():
        mode = stat.S_IMODE(status.st_mode)
        if CAN_TELL_OWNER and status.st_uid == os.geteuid() and mode & 0o077 and _is_private(path):
            sentence = f"ssh does not use the key {path}, because others may read it (mode {mode:04o})"
            return failed(sentence, sentence, _chmod("600", path))
    directory = place.config.parent
    if (status := _status(directory)) is not None and status.st_mode & 0o022:
        sentence = f"others may write the directory {directory}, and with it what ssh does"
        return warning(sentence, sentence, _chmod("go-w", directory))
    return ok(f"{directory} is as ssh wants it, and so are {len(keys)} keys that it offers")


def _is_private(path: Path) -> bool:
    """Whether a file has a private key: IdentityFile may name a public one, whose private one an agent has."""
    try:
        with path.open("rb") as file:
            return file.read(len(_PRIVATE)) == _PRIVATE
    except OSError:
        return False


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _chmod(mode: str, path: Path) -> str:
    return shlex.join(["chmod", mode, str(path)])


def _config_blocks(examination: "Examination") -> Finding:
    """Each block, as ``install-config --check`` has it."""
    place = default_place()
    try:
        current = read(place)[0]
        names = [name for name in names_of(current) if name not in ENTRY_BLOCKS]
        if not names:
            return _without_block(examination, place)
        program = script.find()
    except (FileError, UsageError) as error:
        return failed_with(error)
    until = time.monotonic() + _SECONDS
    for name in names:
        job = install.Installation(name, BlockOptions(), reset=False, script=program, is_target=facts.is_target)
        try:
            found = _of_block(examination, job, place, until)
        except (FileError, UsageError) as error:
            return failed_with(error)
        if found is not None:
            return found
    return ok(f"{', '.join(name or 'the block' for name in names)} in {place.config}, as it would be written now")


def _of_block(examination: "Examination", job: install.Installation, place: Place, until: float) -> Finding | None:
    """What is to be said of a block; None if it is as it should be. Raises what its proof does."""
    current = read(place)[0]
    plan, doubt = job.proved(place, current, until)
    if doubt and "could not be proved" in doubt:
        return unknown(doubt)
    if not plan.changes:
        return None
    called = f"The block {job.name} of" if job.name else "The block of"
    sentence = f"{called} ssmssh in {place.config} is not as this version and installation would write it"
    step = shlex.join(["ssmssh", "install-config", *(["--name", job.name] if job.name else [])])
    wanted = job.text(place, current).deciding()["proxycommand"].decode()
    if surplus := _options(examination.fact(facts.proxy_command)) - _options(wanted):
        sentence += f": the proxy may not know {', '.join(sorted(surplus))}"
        return failed(sentence, sentence, step)
    return warning(sentence, sentence, step)


def _options(proxy_command: str) -> set[str]:
    """The names of the options that our proxy is given; none where it is not ours."""
    return {word for word in proxy_command.split() if word.startswith("--")} if not misses(proxy_command) else set()


def _without_block(examination: "Examination", place: Place) -> Finding:
    try:
        command = examination.fact(facts.proxy_command)
    except FileError as error:
        return failed_with(error)
    if not misses(command) or facts.is_wrapped(command):
        return ok(f"no block of ssmssh's own in {place.config}; another line leads to it")
    evidence = f"there is no block of ssmssh in {place.config}"
    return failed(evidence, f"The ssh config {place.config} does not know of ssmssh yet", "ssmssh install-config")


def _config_effective(examination: "Examination") -> Finding:
    name = examination.fact(facts.host)
    try:
        command = examination.fact(facts.proxy_command)
    except FileError as error:
        return failed_with(error)
    found = report(name, None, facts.is_target, _SECONDS)
    if not misses(command) and (not found.trouble or found.trouble == defect(command)):
        return ok(f"ssh {name} comes to {program_of(command)}")
    if facts.is_wrapped(command):
        return unknown(
            f"ssh {name} comes to {program_of(command)}, which has {script.PROGRAM} in it, and was not looked into"
        )
    decides = next((each.decided_by for each in found.settings if each.keyword in {"ProxyCommand", "ProxyJump"}), None)
    where = f", because of {decides}" if decides else ""
    sentence = f"{found.trouble} ({name}){where}"
    return failed(sentence, sentence, "ssmssh install-config")


def _proxy_runs(examination: "Examination") -> Finding:
    command = examination.fact(facts.proxy_command)
    program = program_of(command)
    if misses(command):
        return unknown("ssh does not come to it, or by another program, which may be started by ssh alone")
    began_at = time.monotonic()
    try:
        done = subprocess.run([program, "--version"], capture_output=True, check=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return unknown(f"{program} has not told its version within {_SECONDS:g} s")
    except (OSError, subprocess.SubprocessError) as error:
        reason = _reason(program, error)
        return failed(reason, f"The ProxyCommand of the ssh config cannot work: {reason}", "ssmssh install-config")
    seconds = time.monotonic() - began_at
    version = done.stdout.decode("utf-8", "replace").split()[-1:]
    evidence = f"{program} is {' '.join(version) or 'silent'}, and starts in {seconds:.1f} s"
    if version != [__version__]:
        sentence = f"ssh runs {program} of another version than {__version__}, which says this"
        return warning(evidence, sentence, "ssmssh install-config")
    return ok(evidence)


def _reason(program: str, error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"{program} does not run: {said[-1][:200] if said else 'it does not say why'}"
    return f"{program} {_reason_of_start(Path(program), error)}"


def _reason_of_start(program: Path, error: Exception) -> str:
    match error:
        case FileNotFoundError() if not os.path.lexists(program):
            return "is not there any more"
        case FileNotFoundError() if not program.exists():
            return f"is a link to {os.path.realpath(program)}, which is not there any more"
        case FileNotFoundError():
            return "is there, but the Python that its first line names is not"
        case OSError():
            return f"cannot be run: {error.strerror}"
        case _:
            return "cannot be run"


CHECKS = (
    Check("ssh-directory", "files of ssh", _ssh_directory, after=("ssh",)),
    Check("config-blocks", "blocks in the ssh config", _config_blocks, after=("ssh",), follows=("ssh-directory",)),
    Check(
        "config-effective",
        "what ssh does",
        _config_effective,
        after=("ssh",),
        follows=("ssh-directory", "config-blocks"),
    ),
    Check(
        "proxy-runs",
        "the proxy",
        _proxy_runs,
        after=("ssh",),
        follows=("ssh-directory", "config-effective"),
    ),
)
