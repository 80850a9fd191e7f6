"""The proof of a plan: which hosts ssh is asked about, about which files, and what is to be said of the answers."""

import contextlib
import re
from collections.abc import Iterator, Sequence

from ssmssh.errors import FileError
from ssmssh.sshconfig import files, judge, readable, staging, verify
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.patterns import Patterns, probes, sample
from ssmssh.sshconfig.places import Place
from ssmssh.sshconfig.plan import Files, Plan
from ssmssh.sshconfig.position import Reader, included_by, runs_commands
from ssmssh.sshconfig.staging import Config

_PLAIN_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def reader_of(place: Place, current: Files) -> Reader:
    """Reads what the config includes; our own file is what is told of it."""
    return Reader({str(place.own): Document(current.own or b"")})


def includer(place: Place) -> Iterator[str]:
    """That the config is included by the one that ssh reads, which decides what is read before it."""
    if place.users is None or place.config == place.users:
        return
    with contextlib.suppress(FileError):  # it is not the file that is asked about
        document = Document(files.read(place.users).data or b"")
        sighting = included_by(document, str(place.users), Reader(), place.config)
        if sighting is not None:
            yield f"this was proved for {place.config} alone; {sighting} includes it, and what is above that wins"


def _foreign_hosts(plan: Plan) -> Sequence[str]:
    """Some hosts that the user's files name and that the block does not answer for, and one nobody names."""
    names = dict.fromkeys(sample(pattern) for pattern in plan.theirs if pattern != "*")
    ours = Patterns(plan.patterns)
    usable = [name for name in names if _PLAIN_HOST.fullmatch(name) and not ours.match(name)]
    step = max(1, len(usable) // verify.MAX_FOREIGN_HOSTS)
    return [verify.NEUTRAL_HOST, *usable[::step][: verify.MAX_FOREIGN_HOSTS]]


def prove(
    ssh: str | None, place: Place, plan: Plan, ours: verify.Ours, reader: Reader, deadline: float | None = None
) -> str:
    """Let ssh prove a plan, as `verify.prove`; the doubts, or what else is to be said of the proof."""
    theirs = _foreign_hosts(plan) if plan.changes else ()
    doubt = verify.prove(ssh, *configs(place, plan), ours, theirs, deadline)
    if ssh and not doubt and _runs_commands(place, plan, reader):
        return "to prove this, ssh has run the Match exec commands of your ssh config"
    return doubt


def _runs_commands(place: Place, plan: Plan, reader: Reader) -> bool:
    """Whether the proof has run commands of the config's, or of the system's where ssh reads that, too."""
    documents = [Document(plan.before.main or b"", plan.before.main_path)]
    if place.config == place.users:
        with contextlib.suppress(FileError):  # then ssh cannot read it, either
            documents.append(Document(files.read(staging.SYSTEM_CONFIG).data or b"", str(staging.SYSTEM_CONFIG)))
    return any(runs_commands(document, document.name, reader) for document in documents)


def configs(place: Place, plan: Plan) -> tuple[Config, Config]:
    """The files before and after, for ssh."""
    before, has_system = plan.before, place.config == place.users
    return (
        Config(before.main or b"", before.own, before.own_path, has_system),
        Config(plan.main or b"", plan.own, before.own_path, has_system),
    )


def instances(patterns: Sequence[str]) -> tuple[str, ...]:
    """Those of the hosts that stand for the patterns that begin with an instance id."""
    return tuple(host for host in probes(patterns) if judge.is_instance(host.partition(".")[0]))


def check_readable(ssh: str | None, place: Place, plan: Plan, deadline: float) -> Iterator[str]:
    """That the files are such that ssh reads them, where it looks at that; what it does not mind yet is a note.

    Raises:
        ProofError: ssh will not read one.
    """
    for path in (place.config, place.own) if plan.own is not None else (place.config,):
        found = readable.objection(ssh, path, deadline)
        if found is not None:
            sentence, hint = found
            if path == place.own or path == place.users:
                raise verify.ProofError(sentence, configs(place, plan)[1], hint=hint)
            yield f"{sentence} when another file includes it; {hint or 'with -F it does'}"
