"""``ssmssh host trust``: what AWS says now of an instance's host keys, in place of what is known.

A key that has changed is refused until somebody asks AWS again, on purpose, with both keys before their eyes. AWS may
say that the machine has the new one, or that it still has the old one: then something else answers in its place.
"""

import time
from typing import Unpack

import click

from ssmssh import settings
from ssmssh.commands import _config, _target
from ssmssh.commands._progress import Progress
from ssmssh.errors import ExitStatus, SsmsshError, TargetError, UsageError
from ssmssh.nodes.hostkeycheck import moment
from ssmssh.nodes.hostkeys import HostKey
from ssmssh.nodes.keptkeys import KeptKeys, Record
from ssmssh.nodes.obtaining import Obtained, obtain
from ssmssh.sshconfig.diff import visible

PATIENCE_SECONDS = 30.0
"""For AWS's answer: a person waits for it, and for nothing else."""

_PAUSE_SECONDS = 3.0
"""Between two questions to a machine whose agent is not there yet."""

OWN_WORD = "your own word"
"""The way of a key that a person has taken by its fingerprint."""


@click.command("trust")
@_target.target_options
@click.option(
    "--fingerprint", metavar="SHA256:...", help="Take the key that was offered with this fingerprint; AWS is not asked."
)
@click.option("--yes", "-y", is_flag=True, help="Take what AWS says without asking.")
@click.argument("target", metavar="TARGET")
def trust(*, target: str, fingerprint: str | None, yes: bool, **options: Unpack[_target.TargetOptions]) -> int:
    """Ask AWS for the host keys of the instance TARGET, and trust these from now on.

    For an instance whose host key has changed, and is refused: it was set up anew, or given other keys.
    """
    reached = _target.reach(target, options)
    instance_id = reached.instance_id
    kept = KeptKeys(settings.state_directory(), settings.ssh_directory())
    record = kept.record(instance_id)
    if fingerprint is not None:
        obtained = Obtained((_offered(record, instance_id, fingerprint),), OWN_WORD)
    else:
        obtained = _asked(reached, record)
    _show(instance_id, record, obtained)
    offered = [each.key for each in record.seen]
    if fingerprint is None and set(obtained.keys) == set(record.keys):
        if any(key not in obtained.keys for key in offered):
            raise TargetError(
                f"AWS says that {instance_id} has the keys that are known, and none of those that were offered since",
                "something else may answer in its place: find out what before you connect",
            )
        click.echo("These are the keys that are known.", err=True)
        return ExitStatus.DONE
    if not yes:
        if not _config.is_terminal():
            raise UsageError("nobody can be asked whether to trust these keys; nothing was changed", "add --yes")
        with _config.asking():
            if not click.confirm("Trust these keys from now on?", default=False, err=True):
                click.echo("Nothing was changed.", err=True)
                return ExitStatus.DONE
    kept.vouch(instance_id, obtained.keys, obtained.way, int(time.time()))
    kept.tell_ssh(instance_id, instance_id, 22)
    return ExitStatus.DONE


def _offered(record: Record, instance_id: str, fingerprint: str) -> HostKey:
    for kept in (*record.seen, *record.verified):
        if kept.key.fingerprint == fingerprint:
            return kept.key
    raise UsageError(
        f"{instance_id} has offered no key with the fingerprint {fingerprint[:80]}",
        "give one that ssmssh-proxy has named, with SHA256: in front",
    )


def _asked(reached: _target.Reached, record: Record) -> Obtained:
    try:
        return _obtained(reached)
    except SsmsshError as error:
        if record.seen:
            last = record.seen[-1].key.fingerprint
            error.hint = f"{error.hint}; or, if you know the key from elsewhere: --fingerprint {last}"
        raise


def _obtained(reached: _target.Reached) -> Obtained:
    """What AWS says; asked again while a machine that is starting cannot be asked."""
    session = reached.session
    gives_up_at = time.monotonic() + (session.patience_seconds if session.waits_for_target else 0)
    progress = Progress()
    try:
        while True:
            try:
                return obtain(reached.caller.client, reached.instance_id, patience_seconds=PATIENCE_SECONDS)
            except TargetError:
                if time.monotonic() + _PAUSE_SECONDS > gives_up_at:
                    raise
            progress.show(f"waiting for the agent of {reached.instance_id}")
            time.sleep(_PAUSE_SECONDS)
    finally:
        progress.clear()


def _show(instance_id: str, record: Record, obtained: Obtained) -> None:
    rows = [("known", each.key, f"{each.way}, {moment(each.since)}") for each in record.verified]
    rows += [("offered", each.key, f"first seen {moment(each.since)}") for each in record.seen]
    rows += [("to be trusted", key, obtained.way) for key in obtained.keys]
    click.echo(instance_id)
    for what, key, note in rows:
        click.echo(visible(f"  {what:<13}  {key.label:<7}  {key.fingerprint}  {note}"))
