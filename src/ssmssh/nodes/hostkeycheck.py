"""One connection's host key: what AWS says of it, what ssh is told, and what is said to a person.

Before ssh hears the server, the keys of the instance are in its known_hosts: from the state if somebody has vouched for
them before, else asked for now (`prepare`). Then ssh decides, by what the block in its config says:

    enforce      nothing but a key that is in our file, and that is there because AWS has vouched for it
    accept-new   an unknown key is taken; one that is known otherwise is refused, unless the user's own file knows it

A key of another algorithm than those that are known is a changed one to ssh, too (8.4 to 10.6). What it takes by itself
it adds to our file, which both policies share: so under enforce what nobody has vouched for is removed there before ssh
looks.

Verified once, nobody is asked again. A key that is another one then is told in words and refused, and it stays refused
until a person says otherwise (``ssmssh host trust``), for the proxy cannot know why it is another.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ssmssh.errors import FileError, NetworkError, SsmsshError
from ssmssh.nodes.hostkeys import HostKey
from ssmssh.nodes.keptkeys import Kept, KeptKeys, Record
from ssmssh.settings import HOST_KEY_POLICIES

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient

ACCEPT_NEW, ENFORCE = HOST_KEY_POLICIES

PATIENCE_SECONDS = {ACCEPT_NEW: 6.0, ENFORCE: 20.0}
"""To ask AWS before ssh hears the server. Without an answer the one takes what comes, within the 10 s that Ansible and
others give; the other refuses, so it is worth more."""

_log = logging.getLogger(__name__)


class HostKeyCheck:
    """For a connection as `host` and `port`, by the policy `ACCEPT_NEW` or `ENFORCE`.

    Attributes:
        instance_id: Which one it leads to; empty until `prepare` knows.
        moved_from: The instance that the name led to before; None if to none.
        trouble: Why there is no verified key; None if there is one, or nobody has been asked yet.
    """

    def __init__(self, kept: KeptKeys, policy: str, host: str, port: int) -> None:
        self._kept = kept
        self._policy = policy
        self._host, self._port = host, port
        self._record = Record()
        self._trust = ""
        self.instance_id = ""
        self.moved_from: str | None = None
        self.trouble: SsmsshError | None = None

    @property
    def notice(self) -> str:
        """What is said once of a name that leads to another instance now; empty if it does not."""
        if self.moved_from is None:
            return ""
        return (
            f"{self._host} leads to {self.instance_id} now and has led to {self.moved_from}: other host keys are right"
        )

    @property
    def patience_seconds(self) -> float:
        """How long `prepare` may hold ssh up."""
        return PATIENCE_SECONDS[self._policy]

    def prepare(self, client: "AwsClient", instance_id: str, wait: Callable[[float], None] = time.sleep) -> None:
        """Have known_hosts say what is to be known of the instance. Blocks for `patience_seconds`, and a call more.

        Raises:
            FileError: What ssh would find there cannot be told, and `ENFORCE` rests on it.
        """
        self.instance_id = instance_id
        profile_option = client.context("").profile_option
        self._trust = f"ssmssh host trust --region {client.region}{profile_option} {instance_id}"
        record = self._kept.record(instance_id)
        try:
            if not record.verified:
                self._tell_ssh()  # at once: what is there of another machine, or unverified, is wrong in any case
                record = self._ask(client, instance_id, wait)
            self._tell_ssh()
        except SsmsshError as error:
            if isinstance(error, FileError) and self._policy == ENFORCE:
                raise
            _log.warning("the host keys of %s are not verified: %s", instance_id, error)
            self.trouble = error
        self._record = record

    def is_verified(self, key: HostKey) -> bool:
        """Whether somebody has vouched for a key of the server's."""
        return key in self._record.keys

    def complaint(self, key: HostKey) -> str:
        """What to say of a key that the server offers and that `is_verified` does not know; empty for nothing.

        To be called before ssh gets the key. Notes it; blocks for files.
        """
        record, instance_id = self._record, self.instance_id
        now = int(time.time())
        seen = self._kept.record(instance_id).seen
        try:
            self._kept.saw(instance_id, key, now)
        except FileError as error:
            _log.warning("that is not noted: %s", error)
        offered = _described(key, next((kept.since for kept in seen if kept.key == key), now))
        if record.verified:
            return self._changed(offered, f"Known is {_vouched(record.verified, key)}")
        why = self.trouble or NetworkError("AWS has not said in time what its keys are", "connect again")
        if self._policy == ENFORCE:
            return f"The host key of {instance_id} is not verified, so ssh refuses {offered}: {why}"
        before = [kept for kept in seen if kept.key.algorithm == key.algorithm]
        if before and all(kept.key != key for kept in before):
            last = _described(before[-1].key, before[-1].since)
            return self._changed(offered, f"Before it was {last}. Nobody has vouched for either: {why.sentence}")
        return ""

    def _changed(self, offered: str, known: str) -> str:
        unless = "" if self._policy == ENFORCE else ", unless your own known_hosts has it"
        return (
            f"The host key of {self.instance_id} is another one than before, so ssh refuses it{unless}. The server "
            f"offers {offered}. {known}. Either the machine was set up anew or given other keys, or somebody sits in "
            f"between. If you know why, accept it with: {self._trust}"
        )

    def _tell_ssh(self) -> None:
        strictly = self._policy == ENFORCE
        earlier = self._kept.tell_ssh(self.instance_id, self._host, self._port, strictly=strictly)
        self.moved_from = earlier or self.moved_from

    def _ask(self, client: "AwsClient", instance_id: str, wait: Callable[[float], None]) -> Record:
        """Have AWS say what the keys are, unless another process has just been told."""
        from ssmssh.nodes.obtaining import obtain  # noqa: PLC0415 - once for each instance, like what it imports

        gives_up_at = time.monotonic() + self.patience_seconds
        with self._kept.asking(instance_id, self.patience_seconds, wait):
            record = self._kept.record(instance_id)
            if record.verified:
                return record
            obtained = obtain(client, instance_id, patience_seconds=gives_up_at - time.monotonic(), wait=wait)
            _log.info("%d host keys of %s through %s", len(obtained.keys), instance_id, obtained.way)
            return self._kept.vouch(instance_id, obtained.keys, obtained.way, int(time.time()))


def _described(key: HostKey, since: int) -> str:
    return f"{key.label} {key.fingerprint} (first seen {moment(since)})"


def _vouched(verified: tuple[Kept, ...], offered: HostKey) -> str:
    """The key of the same algorithm, else all."""
    same = [kept for kept in verified if kept.key.algorithm == offered.algorithm]
    return " and ".join(
        f"{kept.key.label} {kept.key.fingerprint} ({kept.way}, {moment(kept.since)})" for kept in same or verified
    )


def moment(seconds: int) -> str:
    """A time as people here write it, to the minute."""
    from datetime import datetime  # noqa: PLC0415 - for what is said when something is wrong

    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"
