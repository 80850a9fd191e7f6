"""Read, plan, prove, ask, apply: the order in which the config is changed.

Everything between reading and writing happens under a lock. A question to a person does not: the lock is let go, and
after the answer everything is read and planned again. If that gives the plan that was agreed to, it is applied,
else the new one is shown and asked about.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

from ssmssh.errors import FileError
from ssmssh.sshconfig import aliases, files, hints, inforce, judge, loginname, sharing, verify
from ssmssh.sshconfig.block import BlockText, check_name, default_patterns
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.options import BlockOptions, recall
from ssmssh.sshconfig.patterns import matches
from ssmssh.sshconfig.places import Place, read
from ssmssh.sshconfig.plan import Files, Plan, names_of, plan_install, plan_uninstall, remembered
from ssmssh.sshconfig.position import Reader
from ssmssh.sshconfig.proving import check_readable, configs, includer, instances, prove, reader_of

MAX_ROUNDS = 5
"""How often a question is asked anew because the file changed while it was open."""

Show = Callable[[Plan, str], None]
"""Shows a plan, and what is to be said about its proof; may raise to stop it."""

Ask = Callable[[Plan], bool]
"""Asks a person whether to go on with the plan shown last."""


class Job(Protocol):
    """A change that is wanted of the config."""

    def plan(self, place: Place, current: Files) -> tuple[Plan, str]:
        """What would change, and what is to be said about its proof. Raises FileError and UsageError."""


class Installation(NamedTuple):
    """A block to be installed: its name, the options given, whether to forget earlier ones, the program."""

    name: str
    options: BlockOptions
    reset: bool
    script: str
    is_target: judge.IsTarget = judge.is_instance

    def text(self, place: Place, current: Files) -> BlockText:
        """The block with the options that an earlier run chose and this one did not change."""
        check_name(self.name)
        wanted = self.options.host_pattern or default_patterns(self.name)
        earlier = None if self.reset else remembered(current, self.name, wanted)
        options = recall(earlier or "").changed_by(self.options)
        if options.multiplex:
            sharing.check_place(place.directory)
        passes_user = loginname.is_passed(verify.find_ssh(), [options])
        return BlockText(self.name, options, self.script, place.directory_name, place.keys_name, passes_user)

    def plan(self, place: Place, current: Files) -> tuple[Plan, str]:
        """What would change, and what is to be said about its proof. Raises FileError and UsageError.

        It is proved whether or not something changes: what others write around the block can take its effect away.
        """
        deadline = time.monotonic() + verify.PROOF_SECONDS

        def attempt(options: tuple[str, ...]) -> None:
            more = self.options.changed_by(BlockOptions(option=options))
            self._replace(options=more).proved(place, current, deadline)

        try:
            return self.proved(place, current, deadline)
        except verify.ProofError as failure:
            explained = hints.explained(verify.find_ssh(), failure, current, attempt, deadline)
            raise explained from None

    def proved(self, place: Place, current: Files, deadline: float) -> tuple[Plan, str]:
        """As `plan`, but where the proof fails without a hint."""
        ssh = verify.find_ssh()
        text = self.text(place, current)
        verify.check_block(ssh, text.render(b"\n", frozenset(), closed=False))
        reader = reader_of(place, current)
        plan = plan_install(current, text, reader)
        plan = plan._replace(notes=(*plan.notes, *includer(place)))
        wanted = text.wanted()
        named = {*instances(text.patterns), *(host for host in wanted if host in text.patterns)}
        plan = plan._replace(notes=(*plan.notes, *check_readable(ssh, place, plan, deadline)))
        ours = verify.Ours(wanted, frozenset(() if text.options.by else named), self.is_target)
        doubt = prove(ssh, place, plan, ours, reader, deadline)
        if ssh and plan.changes:
            plan = plan._replace(notes=(*plan.notes, *self._notes(ssh, place, plan, text, reader, deadline)))
        return plan, doubt

    def _notes(
        self, ssh: str, place: Place, plan: Plan, text: BlockText, reader: Reader, deadline: float
    ) -> Iterator[str]:
        """What a change means for lines of the user's: those without effect, and hosts that are left out."""
        before, after = configs(place, plan)
        hosts = instances(text.patterns)
        # To ask takes long for a large file, and is worth it only where a pattern of theirs is about our hosts.
        special = [pattern for pattern in plan.theirs if pattern.strip("*")]
        concerned = [host for host in hosts if any(matches(pattern, host) for pattern in special)]
        yield from inforce.overruled(ssh, plan.before, before, text.deciding(), concerned, deadline)
        main = Document(plan.before.main or b"")
        names = aliases.unanswered(ssh, main, plan.before.main_path, reader, after, self.is_target, deadline)
        if names and hosts and "hostname" not in text.deciding():
            listed = ", ".join(names)
            option = aliases.patterns_with(text.patterns, names)
            yield (
                f"{listed} lead{'' if len(names) > 1 else 's'} to an instance, but ssh compares what is typed, so the "
                f"block does not answer for it; with {option} it does"
            )


class Removal(NamedTuple):
    """A block to be removed."""

    name: str

    def plan(self, place: Place, current: Files) -> tuple[Plan, str]:
        """What would change, and what is to be said about its proof. Raises FileError."""
        reader = reader_of(place, current)
        plan = plan_uninstall(current, self.name, reader)
        if not plan.changes:
            return plan, ""
        return plan, prove(verify.find_ssh(), place, plan, verify.Ours({}), reader)


def preview(job: Job, place: Place) -> tuple[Plan, str]:
    """What `carry_out` would do, without doing it; raises the same."""
    return job.plan(place, read(place)[0])


def carry_out(job: Job, place: Place, show: Show, ask: Ask | None) -> Plan | None:
    """Change the files as the job wants.

    Args:
        job: What to do.
        place: Where.
        show: Called with the plan, and again if it changed while the question was open.
        ask: Called without the lock; None: nobody needs to be asked.

    Returns:
        What was done, or None if `ask` said no.

    Raises:
        FileError: A file could not be read or written safely; nothing was changed.
        UsageError: What is asked for cannot be written.
    """
    agreed: Plan | None = None
    for _ in range(MAX_ROUNDS):
        with files.locked(place.state):
            current, found = read(place)
            plan, doubt = job.plan(place, current)
            if not plan.changes:
                return plan
            for file in found:
                files.check_replaceable(file)
            if plan != agreed:
                show(plan, doubt)
            if ask is None or plan == agreed:
                _apply(place, plan, found)
                return plan
        if not ask(plan):
            return None
        agreed = plan
    raise FileError(f"{place.config} keeps changing while the question is open", "nothing was changed")


def block(job: Installation, place: Place) -> bytes:
    """The text of the block, as it would be written above a section."""
    text = job.text(place, read(place)[0])
    rendered = text.render(b"\n", frozenset(), closed=False)
    verify.check_block(verify.find_ssh(), rendered)
    return rendered


def intended(job: Installation, place: Place) -> BlockText:
    """The block that is wanted: with the options given and those of earlier runs."""
    return job.text(place, read(place)[0])


def logins(job: Installation, place: Place) -> dict[str, str]:
    """Whom ssh would log in as on hosts of ours, were the job done; empty where that cannot be told.

    Blocks for at most `verify.PROOF_SECONDS`; raises as `preview`.
    """
    ssh = verify.find_ssh()
    if ssh is None:
        return {}
    current, _ = read(place)
    text = job.text(place, current)
    plan = plan_install(current, text, reader_of(place, current))
    _, after = configs(place, plan)
    return inforce.users(ssh, after, instances(text.patterns), time.monotonic() + verify.PROOF_SECONDS)


def names(place: Place) -> tuple[str, ...]:
    """The names of the blocks there are; the one without a name has an empty one."""
    return names_of(read(place)[0])


def _apply(place: Place, plan: Plan, found: tuple[files.Found, files.Found]) -> None:
    """Write our own file before the line that includes it, and remove it after that line; both or neither.

    The directory of our own file is there as long as that file is, or control sockets are to be in it.
    """
    main, own = found
    needs_directory = plan.own is not None or f"{place.directory_name}/".encode() in (plan.main or b"")
    for directory in (place.config.parent, place.directory) if needs_directory else (place.config.parent,):
        files.make_directory(directory)
    if needs_directory:
        files.close_to_others(place.directory)
    files.keep_backup(main, place.state / "backups", datetime.now().astimezone())
    first, second = (own, plan.own), (main, plan.main)
    if plan.own is None:
        first, second = second, first
    if first[1] != first[0].data:
        files.replace(*first)
    if second[1] != second[0].data:
        try:
            files.replace(*second)
        except FileError:
            files.replace(files.read(first[0].path), first[0].data)
            raise
    if not needs_directory:
        with contextlib.suppress(OSError):  # it holds other things
            place.directory.rmdir()
