"""The job of changing a block of entries: ``ssmssh host`` and ``ssmssh sync`` say what is to be in it.

What that is depends on what is there, and on which names are free, so it is decided anew with each reading of the files
(`Edit`). Where it stands, how it is proved and what may not happen to other hosts is as for any other block.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.sshconfig import judge, loginname, ownership, sharing, verify
from ssmssh.sshconfig.document import ENTRY_BLOCKS, Block, Document
from ssmssh.sshconfig.entries import EntriesText, Entry, entries_of
from ssmssh.sshconfig.knownhosts import KnownHosts, read_known_hosts
from ssmssh.sshconfig.options import recall
from ssmssh.sshconfig.patterns import PatternIndex, Patterns, is_concrete
from ssmssh.sshconfig.places import Place, read
from ssmssh.sshconfig.plan import Files, Plan, opened, patterns_of, plan_install, plan_uninstall
from ssmssh.sshconfig.position import Reader, host_patterns
from ssmssh.sshconfig.proving import check_readable, includer, prove, reader_of
from ssmssh.sshconfig.staging import Config, written
from ssmssh.sshconfig.taken import Taken, objection

MAX_SAMPLED = 6
"""Entries that ssh is asked about: one of any kind, and one for each of so many patterns of the user's."""

SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")

Free = Callable[[str], str]
"""Why an entry cannot have a name, as a sentence; empty if it can."""


class Edited(NamedTuple):
    """What is to be in a block, what there is to say of what is not, and of the rest; sentences without a full stop."""

    entries: Sequence[Entry]
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Edit = Callable[[Sequence[Entry], Free], Edited]
"""What is to be in a block that has some entries; raises UsageError if what was asked for cannot be."""


class HostsJob(NamedTuple):
    """A block of entries to be changed.

    `name` is the block's, a key of `document.ENTRY_BLOCKS`; `include` is where it is to be (None: where it is, or
    inline); `script` is the program.
    """

    name: str
    edit: Edit
    include: bool | None
    script: str
    is_target: judge.IsTarget = judge.is_instance

    def plan(self, place: Place, current: Files) -> tuple[Plan, str]:
        """What would change, and what is to be said about its proof. Raises FileError and UsageError.

        It is proved whether or not something changes.
        """
        deadline = time.monotonic() + verify.PROOF_SECONDS
        ssh = verify.find_ssh()
        main, own = opened(current)
        there = entries_of(main, self.name) or entries_of(own, self.name)
        has_block = main.block(self.name) is not None or own.block(self.name) is not None
        # Where there is no block, it may have lost its markers: its entries are no hosts of somebody else's.
        clean = current if has_block else _without_strays(current, lambda _: True)
        entries, refused, said = self.edit(there, self.free(ssh, place, clean, there))
        if not has_block:
            clean = _without_strays(current, {entry.name for entry in entries}.__contains__)
        reader = reader_of(place, clean)
        if not entries:
            plan = plan_uninstall(clean, self.name, reader)._replace(before=current, refused=refused)
            return plan, prove(ssh, place, plan, verify.Ours({}), reader, deadline) if plan.changes else ""
        is_included = own.block(self.name) is not None if self.include is None else self.include
        text = self._text(place, clean, entries, reader, include=is_included)
        verify.check_block(ssh, text.render(b"\n", frozenset(), closed=False))
        plan = plan_install(clean, text, reader)._replace(before=current, refused=refused)
        notes = (*said, *plan.notes, *includer(place), *check_readable(ssh, place, plan, deadline))
        ours = verify.Ours(text.wanted(), _instances(entries), self.is_target)
        return plan._replace(notes=notes), prove(ssh, place, plan, ours, reader, deadline)

    def _text(
        self, place: Place, files: Files, entries: Sequence[Entry], reader: Reader, *, include: bool
    ) -> EntriesText:
        if any(entry.options.multiplex for entry in entries):
            sharing.check_place(place.directory)
        theirs = host_patterns(Document(files.main or b""), files.main_path, reader)
        sampled = tuple(_sample(entries, theirs))
        return EntriesText(
            self.name,
            tuple(entries),
            self.script,
            place.directory_name,
            include,
            sampled,
            place.keys_name,
            loginname.is_passed(verify.find_ssh(), (entry.options for entry in entries)),
        )

    def free(self, ssh: str | None, place: Place, current: Files, there: Iterable[Entry]) -> Free:
        """Judges names for entries of this block, in which some are `there`: by what the files and known_hosts say."""
        main, own = opened(current)
        blocks = [(document, block) for document in (main, own) for block in document.blocks]
        suffixes = {suffix for _, block in blocks if (suffix := _suffix(block))}
        others = Patterns(
            pattern
            for document, block in blocks
            if block.name != self.name
            for pattern in patterns_of(document, block)
            if pattern not in {f"*.{suffix}" for suffix in suffixes}
        )
        taken = Taken(main, current.main_path, reader_of(place, current), lambda: _known_hosts(ssh, place, current))
        known = frozenset(entry.name for entry in there)

        def free(name: str) -> str:
            answered = "another block of ssmssh answers for it" if others.match(name) else ""
            return objection(name, suffixes) or answered or taken.by(name, is_new=name not in known)

        return free


def edited(job: HostsJob, place: Place) -> Edited:
    """What would be in the block, without a plan and a proof. Raises FileError."""
    current = read(place)[0]
    there = next((entries for document in opened(current) if (entries := entries_of(document, job.name))), ())
    return job.edit(there, job.free(verify.find_ssh(), place, current, there))


def listed(place: Place) -> dict[str, tuple[Entry, ...]]:
    """The entries there are, by the names of their blocks. Raises FileError."""
    documents = opened(read(place)[0])
    return {
        name: next((entries for document in documents if (entries := entries_of(document, name))), ())
        for name in ENTRY_BLOCKS
    }


def _suffix(block: Block) -> str:
    """What follows the Names that a block answers for; empty if it answers for none."""
    if block.name in ENTRY_BLOCKS or not block.options:
        return ""
    with contextlib.suppress(UsageError):  # then install-config says so
        return recall(block.options).suffix or ""
    return ""


def _instances(entries: Iterable[Entry]) -> frozenset[str]:
    """The names of those that lead to an instance, and to no other Target."""
    return frozenset(entry.name for entry in entries if judge.is_instance(entry.target))


def _sample(entries: Sequence[Entry], theirs: Iterable[str]) -> Iterator[str]:
    """Some of the names: the first, and the first that each of some patterns of the user's matches."""
    index = PatternIndex[str]()
    for pattern in theirs:
        if not is_concrete(pattern) and pattern.strip("*?"):
            index.add(pattern, pattern)
    seen: set[str] = set()
    yield entries[0].name
    for entry in entries:
        fresh = set(index.find(entry.name)) - seen
        if fresh:
            seen |= fresh
            yield entry.name
        if len(seen) >= MAX_SAMPLED:
            return


def _without_strays(current: Files, is_meant: Callable[[str], bool]) -> Files:
    """The files without entries that have lost their markers, as far as their names are meant."""
    main, own = (
        ownership.without_all(document, [each for each in ownership.strays(document) if is_meant(each.patterns[0])])
        for document in opened(current)
    )
    return current._replace(main=current.main and main.data, own=current.own and own.data)


def _known_hosts(ssh: str | None, place: Place, current: Files) -> KnownHosts:
    """The hosts that ssh knows, of the files that it would look at for a host that no config names."""
    home = place.users.parent if place.users else None
    paths = [SYSTEM_KNOWN_HOSTS, *([home / "known_hosts"] if home else [])]
    if ssh is not None:
        config = Config(current.main or b"", current.own, current.own_path, place.config == place.users)
        with contextlib.suppress(verify.RefusedError, verify.UnansweredError), written(config) as copy:
            answer = verify.ask(ssh, verify.NEUTRAL_HOST, config=copy)
            said = (answer.get(keyword, [""])[0] for keyword in ("userknownhostsfile", "globalknownhostsfile"))
            paths = [Path(word).expanduser() for words in said for word in words.split(" ") if word != "none"]
    return read_known_hosts(paths)
