"""A proof that failed, in words that help: which line is the cause, and what to do, tried before it is said."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from ssmssh.sshconfig import explain, verify
from ssmssh.sshconfig.document import Document, Line
from ssmssh.sshconfig.plan import Files
from ssmssh.sshconfig.position import Sighting, spelling
from ssmssh.sshconfig.staging import original, written
from ssmssh.sshconfig.verify import ProofError

MAX_REMEDIES = 3
"""So many options can help; more than one of them is needed where the cause of a failure hides that of another."""

Try = Callable[[tuple[str, ...]], None]
"""Plans and proves with more options; raises what the plan and the proof raise."""


def explained(ssh: str | None, failure: ProofError, current: Files, attempt: Try, deadline: float) -> ProofError:
    """The failure with the line that causes it, and with the options that make the proof pass.

    Blocks until `deadline` (monotonic seconds) at most. Without a line or a hint the sentence stays as it is.

    Args:
        ssh: The program, if there is one.
        failure: What was raised.
        current: The files as they are.
        attempt: Tries options.
        deadline: When to stop asking ssh.

    Raises:
        FileError: No copy could be written.
    """
    line = _cause(ssh, failure, current, deadline) if ssh and failure.keyword else None
    where = f" ({line} decides {spelling(line.line)})" if line else ""
    hint = failure.hint or _remedy(failure, attempt) or "nothing was changed"
    return ProofError(failure.sentence + where, failure.after, hint=hint)


def _cause(ssh: str, failure: ProofError, current: Files, deadline: float) -> Sighting | None:
    with written(failure.after) as copy, tempfile.TemporaryDirectory(prefix="ssmssh-") as directory:
        try:
            _, messages = verify.ask_aloud(ssh, failure.host, config=copy, deadline=deadline)
            copies = explain.Copies(ssh, failure.host, explain.sources(messages), Path(directory), deadline)
            found = next(iter(copies.deciding(failure.keyword)), None)
        except (verify.UnansweredError, verify.RefusedError):
            return None
        if found is None:
            return None
        path = original(found.path, copy, failure.after, current.main_path)
    now = {current.main_path: (failure.after.main, current.main), current.own_path: (failure.after.own, current.own)}
    if path not in now:
        return Sighting(path, found.line)
    after, before = (Document(data or b"") for data in now[path])
    line = _counterpart(found.line, after, before)
    return line and Sighting(path, line)


def _counterpart(line: Line, after: Document, before: Document) -> Line | None:
    """The line of the file as it is that a line of it after the change is; None for one of a block of ours."""

    def alike(document: Document) -> list[Line]:
        return [
            each
            for each in document.lines
            if (each.keyword, each.rest) == (line.keyword, line.rest) and document.owner(each.start) is None
        ]

    for old, new in zip(alike(before), alike(after), strict=False):
        if new.start == line.start:
            return old
    return None


def _remedy(failure: ProofError, attempt: Try) -> str:
    """The options with which the proof passes, as a hint; empty if none do."""
    options: tuple[str, ...] = ()
    while failure.remedy and failure.remedy not in options and len(options) < MAX_REMEDIES:
        options = (*options, failure.remedy)
        try:
            attempt(options)
        except ProofError as another:
            failure = another
        else:
            return "add " + " and ".join(f"--option '{option}'" for option in options)
    return ""
