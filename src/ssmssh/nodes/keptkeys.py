"""What is known of instances' host keys, and the known_hosts file that ssh reads of ours.

    <state directory>/host-keys/<id>.keys    for an instance: the keys that somebody vouches for, by which way and since
                                             when; and keys that a server has offered and nobody vouches for
    <state directory>/host-keys/names        which instance a name led to last
    <directory for ssh>/known_hosts          lines for ssh, made of the above; ssh adds what it takes by itself

*Verified* is what the first of these says, never what stands in the third: ssh writes there, too. The files of the
state count only if this user alone can have written them (`ssmssh.keptfiles`). Losing them costs another question to
AWS, and the times at which keys were first seen.

Whoever changes any of it has the lock of known_hosts. ssh knows nothing of that lock: a line that it adds in the same
millisecond can be lost, and is then added again by the next connection.
"""

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import FileError
from ssmssh.keptfiles import read_kept, write_kept
from ssmssh.nodes.hostkeys import MAX_KEYS, HostKey, parse_line
from ssmssh.nodes.hostlines import names_of, with_keys
from ssmssh.nodes.locking import locked
from ssmssh.ownfiles import CAN_TELL_OWNER, NO_SURPRISES, is_own

MAX_SEEN = 8
"""Keys of one instance that nobody vouches for and that are remembered: the newest, for their times and to be named."""

MAX_NAMES = 5000
"""That are remembered, the newest: as many as a large fleet has."""

MAX_KNOWN_HOSTS_BYTES = 8 << 20
"""Of known_hosts: some ten thousand hosts. What is larger is not ours."""

LOCK_SECONDS = 2.0
"""To wait for others that change the files, each for some milliseconds."""

_MAX_RECORD_BYTES = 256 * 1024
_MAX_NAMES_BYTES = 2 << 20


class Kept(NamedTuple):
    """A key, where the word for it comes from (`way`), and since when it is known, in seconds of the epoch."""

    key: HostKey
    way: str
    since: int


class Record(NamedTuple):
    """What is known of one instance: the keys that are `verified`, and those that were `seen` and are not."""

    verified: tuple[Kept, ...] = ()
    seen: tuple[Kept, ...] = ()

    @property
    def keys(self) -> tuple[HostKey, ...]:
        """The verified ones."""
        return tuple(kept.key for kept in self.verified)

    def with_seen(self, key: HostKey, now: int) -> "Record":
        """The record once the server has offered `key`."""
        if any(kept.key == key for kept in (*self.verified, *self.seen)):
            return self
        return self._replace(seen=(*self.seen, Kept(key, "", now))[-MAX_SEEN:])


class KeptKeys:
    """The files, for any thread and any number of processes.

    Args:
        state: Our state directory.
        directory: Where ssh's files of ours are.
    """

    def __init__(self, state: Path, directory: Path) -> None:
        self._directory = state / "host-keys"
        self.known_hosts = directory / "known_hosts"
        """The file for ssh."""

    def record(self, instance_id: str) -> Record:
        """What is known of an instance; nothing where nothing can be read."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = read_kept(self._record_path(instance_id), _MAX_RECORD_BYTES)
            if content is not None:
                found = json.loads(content)
                return Record(tuple(_read(found["verified"])), tuple(_read(found["seen"])))
        return Record()

    def vouch(self, instance_id: str, keys: Sequence[HostKey], way: str, now: int) -> Record:
        """From now on `keys` are the ones of an instance, and no others; a key that was known keeps its time.

        Blocks for `LOCK_SECONDS` at most. Raises FileError.
        """
        with self._locked():
            record = self.record(instance_id)
            since = {kept.key: kept.since for kept in record.verified}
            verified = tuple(Kept(key, way, since.get(key, now)) for key in keys[:MAX_KEYS])
            seen = tuple(kept for kept in record.seen if kept.key not in keys)
            record = Record(verified, seen)
            self._write_record(instance_id, record)
            return record

    def saw(self, instance_id: str, key: HostKey, now: int) -> None:
        """Note that the server has offered a key; nothing changes if it is known. Blocks and raises as `vouch`."""
        if self.record(instance_id).with_seen(key, now) == self.record(instance_id):
            return
        with self._locked():
            self._write_record(instance_id, self.record(instance_id).with_seen(key, now))

    def tell_ssh(self, instance_id: str, host: str, port: int, *, strictly: bool = False) -> str | None:
        """Have known_hosts say what is known of an instance, which ssh calls `host` now.

        Where nothing is verified the lines that ssh has added stay, unless `strictly` nothing else may be there, or
        they are those of another instance, to which the name led until now.

        Blocks and raises as `vouch`; where nothing changes it reads three files, without a lock.

        Args:
            instance_id: Which.
            host: The name that ssh uses.
            port: With which port.
            strictly: Whether only what is verified may be there.

        Returns:
            That other instance; None where there is none.
        """
        names = names_of(host, port, instance_id)

        def wanted(text: bytes, earlier: str | None) -> bytes:
            keys = self.record(instance_id).keys
            if keys or strictly:
                return with_keys(text, names, keys)
            return with_keys(text, names[:1], ()) if earlier not in (None, instance_id) else text

        leads_to = self._names().get(names[0])
        is_known = leads_to == instance_id or names[0] == instance_id
        text = self._read_known_hosts()
        if is_known and text is not None and wanted(text, leads_to) == text:
            return None
        with self._locked():
            leads = self._names()
            earlier = leads.pop(names[0], None)
            text = self._read_known_hosts()
            changed = wanted(text or b"", earlier)
            if changed != text:  # also where there is none: ssh would make one by its umask
                self._replace_known_hosts(changed)
            if names[0] != instance_id:
                leads[names[0]] = instance_id
                newest = dict(list(leads.items())[-MAX_NAMES:])
                self._write("names", newest)
        return earlier if earlier != instance_id else None

    def _record_path(self, instance_id: str) -> Path:
        return self._directory / f"{instance_id}.keys"

    def _names(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            content = read_kept(self._directory / "names", _MAX_NAMES_BYTES)
            found = json.loads(content) if content is not None else {}
            if isinstance(found, dict):
                return {str(name): str(instance_id) for name, instance_id in found.items()}
        return {}

    def _write_record(self, instance_id: str, record: Record) -> None:
        parts = {
            name: [{"key": kept.key.text, "way": kept.way, "since": kept.since} for kept in part]
            for name, part in record._asdict().items()
        }
        self._write(f"{instance_id}.keys", parts)

    def _write(self, name: str, content: object) -> None:
        path = self._directory / name
        try:
            is_written = write_kept(path, json.dumps(content).encode())
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}") from None
        if not is_written and CAN_TELL_OWNER:
            raise FileError(f"others can write in {self._directory}", "make it a directory that only you can write")

    def _read_known_hosts(self) -> bytes | None:
        """What is in it; None if it is not there."""
        try:
            descriptor = os.open(self.known_hosts, os.O_RDONLY | NO_SURPRISES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error.strerror or "it is no file") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_KNOWN_HOSTS_BYTES:
                raise self._unusable("it is no file, or too large to be what ssmssh has written")
            if CAN_TELL_OWNER and not is_own(status):
                raise self._unusable("others can write it")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_KNOWN_HOSTS_BYTES)
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be read") from None
        finally:
            os.close(descriptor)

    def _replace_known_hosts(self, text: bytes) -> None:
        """Put `text` there in one step, for this user only: `mkstemp` makes files of mode 0600."""
        import tempfile  # noqa: PLC0415 - it seldom changes

        try:
            descriptor, temporary = tempfile.mkstemp(prefix=".known_hosts.", dir=self.known_hosts.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(text)
                Path(temporary).replace(self.known_hosts)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be written") from None

    def _unusable(self, why: str) -> FileError:
        return FileError(f"{self.known_hosts} cannot be used: {why}", "move it away; ssmssh writes another one")

    def asking(
        self, instance_id: str, patience_seconds: float, wait: Callable[[float], None] = time.sleep
    ) -> contextlib.AbstractContextManager[None]:
        """For as long as AWS is asked for the keys of an instance: of many connections one asks, the others wait.

        Raises:
            FileError: Somebody else has asked for `patience_seconds`, and is at it still.
        """
        return locked(self._directory / f"{instance_id}.lock", patience_seconds, wait)

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep others of ours out."""
        return locked(self.known_hosts.with_name("known_hosts.lock"), LOCK_SECONDS)


def _read(parts: Iterable[dict[str, str | int]]) -> Iterator[Kept]:
    """Of what was written: a key that is none any more is no longer known."""
    for part in parts:
        key = parse_line(str(part["key"]))
        if key is not None:
            yield Kept(key, str(part["way"]), int(part["since"]))
