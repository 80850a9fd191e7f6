"""Hosts of the user's that are instances under other names, and that no block answers for.

ssh compares ``Host`` lines with what is typed, so ``Host i-*`` knows nothing of ``ssh web`` where the user's file says
``Host web`` and ``HostName i-0123456789abcdef0``: ssh looks for that name in DNS, "Could not resolve hostname".
"""

import re
from collections.abc import Iterable, Iterator

from ssmssh.sshconfig import judge, verify
from ssmssh.sshconfig.document import Document, Line
from ssmssh.sshconfig.patterns import is_concrete
from ssmssh.sshconfig.position import Reader, documents
from ssmssh.sshconfig.staging import Config, written

MAX_ASKED = 8
"""Hosts that ssh is asked about, for some milliseconds each; the note is the same for more."""

_POSSIBLY = re.compile(rb"\bm?i-[0-9a-f]{8}", re.IGNORECASE)
"""An instance id, perhaps; ssh is asked about what stands there."""


def unanswered(
    ssh: str, document: Document, path: str, reader: Reader, after: Config, is_target: judge.IsTarget, deadline: float
) -> list[str]:
    """The names of such hosts, at most `MAX_ASKED`: instances for ssh, with no ProxyCommand or ProxyJump.

    Blocks until `deadline` (monotonic seconds) at most. Raises FileError if no copy could be written.
    """
    candidates = list(dict.fromkeys(_candidates(document, path, reader)))[:MAX_ASKED]
    if not candidates:
        return []
    with written(after) as copy:
        try:
            answers = {name: verify.ask(ssh, name, config=copy, deadline=deadline) for name in candidates}
        except (verify.UnansweredError, verify.RefusedError):
            return []
    return [
        name
        for name, answer in answers.items()
        if not answer.keys() & {"proxycommand", "proxyjump"} and is_target(answer.get("hostname", [name])[0])
    ]


def patterns_with(patterns: Iterable[str], names: Iterable[str]) -> str:
    """The options of ``install-config`` for a block that answers for `names`, too."""
    quoted = (f"'{pattern}'" if not is_concrete(pattern) else pattern for pattern in (*patterns, *names))
    return " ".join(f"--host-pattern {pattern}" for pattern in quoted) + " --capture"


def _candidates(document: Document, path: str, reader: Reader) -> Iterator[str]:
    """The names above lines that have an instance as HostName."""
    for _, each in documents(document, path, reader):
        section: Line | None = None
        for line in each.lines if _POSSIBLY.search(each.data) else ():
            if line.is_section:
                is_ours = each is document and document.owner(line.start) is not None
                section = line if line.keyword == "host" and not is_ours else None
            elif line.keyword == "hostname" and section is not None and _POSSIBLY.search(line.rest):
                names = (word.decode("utf-8", "surrogateescape") for word in section.arguments() or ())
                yield from (name for name in names if is_concrete(name) and not name.startswith(("!", "-")))
