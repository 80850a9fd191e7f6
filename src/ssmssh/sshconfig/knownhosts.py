"""Which hosts known_hosts files know: the names in them, in clear, as patterns, or hashed.

A hashed name can only be compared with one that is at hand: HMAC-SHA1 with a salt of its own for each line, as
``HashKnownHosts`` writes it and Debian's ssh does unasked. That is a microsecond for each name and line; so whoever has
names by the thousand asks about those that are new.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from pathlib import Path

from ssmssh.errors import FileError
from ssmssh.sshconfig import files
from ssmssh.sshconfig.patterns import Patterns, is_concrete

_MAGIC = b"|1|"
_BLOCK_BYTES = 64
"""Of SHA-1, to which HMAC fills up its key (RFC 2104)."""


class KnownHosts:
    """The names in known_hosts files, whatever their keys are. Compared without case, as ssh does."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        plain: set[str] = set()
        self._hashed: list[tuple[hashlib._Hash, hashlib._Hash, bytes]] = []
        for text in texts:
            for line in text.splitlines():
                words = line.split()
                if words[:1] and words[0].startswith(b"@"):
                    del words[0]  # @cert-authority, @revoked
                if len(words) < 3 or words[0].startswith(b"#"):  # names, kind of key, key
                    continue
                if words[0].startswith(_MAGIC):
                    self._add_hashed(words[0])
                else:
                    names = words[0].decode("utf-8", "surrogateescape").lower().split(",")
                    plain.update(bare for name in names if (bare := _without_port(name)).strip("*?") and bare[0] != "!")
        self._hosts = frozenset(name for name in plain if is_concrete(name))
        self._patterns = Patterns(name for name in plain if not is_concrete(name))

    def has(self, name: str) -> bool:
        """Whether they know a host of that name, at whatever port if it is in clear."""
        name = name.lower()
        if name in self._hosts or self._patterns.match(name):
            return True
        data = name.encode("utf-8", "surrogateescape")
        for inner, outer, wanted in self._hashed:
            first, second = inner.copy(), outer.copy()
            first.update(data)
            second.update(first.digest())
            if second.digest() == wanted:
                return True
        return False

    def _add_hashed(self, word: bytes) -> None:
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in word.removeprefix(_MAGIC).split(b"|"))
        except (ValueError, binascii.Error):
            return  # ssh makes nothing of it, either
        key = (salt if len(salt) <= _BLOCK_BYTES else hashlib.sha1(salt).digest()).ljust(_BLOCK_BYTES, b"\0")  # noqa: S324
        inner = hashlib.sha1(bytes(byte ^ 0x36 for byte in key))  # noqa: S324 - it is what known_hosts files have
        outer = hashlib.sha1(bytes(byte ^ 0x5C for byte in key))  # noqa: S324
        self._hashed.append((inner, outer, digest))


def read_known_hosts(paths: Iterable[Path]) -> KnownHosts:
    """The names in those of the files that are there; ssh cannot read the others, either."""
    texts: list[bytes] = []
    for path in paths:
        try:
            texts.append(files.read(path).data or b"")
        except FileError:
            continue
    return KnownHosts(texts)


def _without_port(name: str) -> str:
    """``[name]:port`` without its port."""
    bare, bracket, _ = name.removeprefix("[").partition("]:")
    return bare if name.startswith("[") and bracket else name
