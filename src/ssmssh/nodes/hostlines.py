"""The lines of a known_hosts file that are about one name: as ssh looks them up, and others in their place.

ssh looks for ``HOST``, or ``[HOST]:PORT`` where the port is not 22, or for what ``HostKeyAlias`` says, which is the
instance's id in entries of ours. A name stands in the first word of a line, alone or among others, or hashed with a
salt (``HashKnownHosts``, which Debian has on: the line is ssh's own, for a key it took by itself).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator

from ssmssh.nodes.hostkeys import HostKey

STANDARD_PORT = 22

_HASHED = b"|1|"


def names_of(host: str, port: int, instance_id: str) -> tuple[str, ...]:
    """What ssh may look for when it connects to an instance as `host`: its own word for that, and the id."""
    host = host.lower()
    return tuple(dict.fromkeys((host if port == STANDARD_PORT else f"[{host}]:{port}", instance_id)))


def with_keys(text: bytes, names: Iterable[str], keys: Iterable[HostKey]) -> bytes:
    """The file `text` in which nothing stands about `names` but lines for `keys`.

    All other lines are as they were. The new ones are where the first was that is gone, or at the end; so nothing
    changes where they are there already.
    """
    names = tuple(names)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    kept: list[bytes] = []
    place: int | None = None
    for line in lines:
        rest = _without(line, names)
        if rest != line and place is None:
            place = len(kept)
        if rest:
            kept.append(rest)
    place = len(kept) if place is None else place
    kept[place:place] = _made(names, keys)
    return b"".join(kept)


def _made(names: tuple[str, ...], keys: Iterable[HostKey]) -> Iterator[bytes]:
    for key in keys:
        yield f"{','.join(names)} {key.text}\n".encode("utf-8", "surrogateescape")


def _without(line: bytes, names: tuple[str, ...]) -> bytes:
    """A line without what it says about `names`; empty if that is all it says."""
    words = line.split(None, 2)
    marker = words.pop(0) + b" " if words and words[0].startswith(b"@") else b""
    if not words or words[0].startswith(b"#"):
        return line
    hosts = words[0]
    if hosts.startswith(_HASHED):
        return b"" if any(_is_hash_of(hosts, name) for name in names) else line
    wanted = {name.encode("utf-8", "surrogateescape") for name in names}
    left = [host for host in hosts.split(b",") if host.lower() not in wanted]
    if len(left) == hosts.count(b",") + 1:
        return line
    rest = line[line.index(hosts) + len(hosts) :]
    return marker + b",".join(left) + rest if left else b""


def _is_hash_of(word: bytes, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in word.removeprefix(_HASHED).split(b"|"))
    except (ValueError, binascii.Error):
        return False  # ssh makes nothing of it, either
    return hmac.digest(salt, name.encode("utf-8", "surrogateescape"), hashlib.sha1) == digest
