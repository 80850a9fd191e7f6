"""What the services said about instances a short while ago, so that a second connection by name asks nobody.

One small file for each question (`Question`) of each identity, in the user's cache directory, readable by this user
alone (`ssmssh.keptfiles`): names, tags and addresses of machines are nobody else's business. An entry counts for ten
minutes. Nothing needs a lock: a file is replaced as a whole, and of two processes that ask the same at the same time
both get an answer of the same worth.

Names move: an instance is replaced, and the new one has the name of the old. So whoever learns that an answer was wrong
(the service says TargetNotConnected) drops everything of that identity (`Cache.forget`) and asks again. What was not
found is asked for again each time.

A file that is torn, foreign, of another release, or stands in a directory that others can write is no entry. A cache
that cannot be written costs time, nothing else.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ssmssh import __version__
from ssmssh.keptfiles import read_kept, remove_all_but_newest, write_kept
from ssmssh.nodes.node import Node

FRESH_SECONDS = 600.0
"""How long an entry counts: long enough for the connections of one piece of work, short enough that a machine that was
replaced is found when somebody has fetched a coffee."""

LONGEST_ENTRY_BYTES = 8 * 1024 * 1024
"""A node takes 200 to 400 bytes: 20,000 of them. What is longer is not kept."""

KEPT_ENTRIES = 512
"""Files at most, the newest: a few hundred hosts that are connected to by address, one entry each, and the rest."""

_DEFAULTS = {field.name: field.default for field in fields(Node)}


class Cache:
    """Answers of one directory. For any thread and any number of processes; raises nothing for the state of its files.

    Args:
        directory: Made when something is kept.
        clock: Seconds since 1970.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock

    def find(self, identity: str, question: str) -> list[Node] | None:
        """What was answered to `question` within `FRESH_SECONDS`; None if nothing was.

        Args:
            identity: Who asked, and where: two that might get different answers must differ in it.
            question: What was asked.
        """
        try:
            content = read_kept(self._path(identity, question), LONGEST_ENTRY_BYTES)
            if content is None:
                return None
            entry = json.loads(content)
            if [entry["release"], entry["identity"], entry["question"]] != [__version__, identity, question]:
                return None  # two that have the same digest, or an older release with other fields
            if not 0 <= self._clock() - entry["made"] < FRESH_SECONDS:
                return None  # the clock may have been set back since
            return [_restored(kept) for kept in entry["nodes"]]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def keep(self, identity: str, question: str, nodes: Iterable[Node]) -> None:
        """Keep what was answered to `question`, instead of what was before."""
        entry = {
            "release": __version__,
            "identity": identity,
            "question": question,
            "made": self._clock(),
            "nodes": [_shortened(node) for node in nodes],
        }
        content = json.dumps(entry, separators=(",", ":")).encode()
        if len(content) > LONGEST_ENTRY_BYTES - 16:  # its checksum
            return
        with contextlib.suppress(OSError):
            if write_kept(self._path(identity, question), content):
                remove_all_but_newest(self._directory, "*.json", KEPT_ENTRIES)
                remove_all_but_newest(self._directory, ".*.json.*", KEPT_ENTRIES)  # of writers that were killed

    def forget(self, identity: str) -> None:
        """Drop everything that was answered to `identity`."""
        with contextlib.suppress(OSError):
            for path in self._directory.glob(f"{_digest(identity)}-*.json"):
                path.unlink(missing_ok=True)

    def _path(self, identity: str, question: str) -> Path:
        return self._directory / f"{_digest(identity)}-{_digest(question)}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _shortened(node: Node) -> dict[str, Any]:
    """The node without what is as it is by default."""
    return {name: value for name, value in asdict(node).items() if value != _DEFAULTS[name]}


def _restored(kept: dict[str, Any]) -> Node:
    return Node(**{**kept, "other_addresses": tuple(kept.get("other_addresses", ()))})
