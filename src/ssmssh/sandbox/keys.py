"""The credentials of a sandbox: the one its users start with, and those that its STS gives out.

Whoever holds one of them can log in on this computer as the sandbox's owner, so each is made of the system's randomness
and known to the sandbox's processes and its owner's files alone. Moto's own are no good for that: those of AssumeRole
come from a generator that can be guessed, those of GetSessionToken are an example that AWS has published.
"""

import re
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field

_LETTERS = string.ascii_uppercase + "234567"
_TEMPORARY = "ASIA"
"""How the id of a temporary credential begins (IAM User Guide, "IAM identifiers")."""
_ISSUED_KEYS = 1000
"""How many issued credentials are good at once: one per connection of a long test run whose programs keep no cache."""
_MEMBERS = ("AccessKeyId", "SecretAccessKey", "SessionToken")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A temporary credential, as a role has them."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


class KeyRing:
    """The credentials that are good now, and those that were.

    `key` is the sandbox's own; what its STS issues is added, and stays good when that one is renewed, as with AWS.
    """

    def __init__(self, key: AccessKey) -> None:
        self._current = key
        self._issued: dict[str, AccessKey] = {}
        self._expired: set[str] = set()

    def renew(self, key: AccessKey) -> None:
        """Take a new credential; requests signed with the old one have an expired token from now on."""
        self._expired.add(self._current.access_key_id)
        self._current = key

    def add(self, key: AccessKey) -> None:
        """Accept a credential that was issued; of more than a thousand, the oldest is forgotten."""
        self._issued[key.access_key_id] = key
        if len(self._issued) > _ISSUED_KEYS:
            del self._issued[next(iter(self._issued))]

    def find(self, access_key_id: str) -> AccessKey | None:
        """The good credential with this id, or None."""
        if access_key_id == self._current.access_key_id:
            return self._current
        return self._issued.get(access_key_id)

    def is_expired(self, access_key_id: str) -> bool:
        """Whether this one was good once."""
        return access_key_id in self._expired


def make_access_key() -> AccessKey:
    """A credential that nobody has had."""
    return AccessKey(_make_id(), secrets.token_urlsafe(30), secrets.token_urlsafe(90))


def reissue(body: bytes) -> tuple[bytes, AccessKey | None]:
    """The body of an answer of STS (XML) with a secret and a token of ours, and the credential; None if there is none.

    The id stays if it is of a temporary credential: moto knows the assumed role by it.
    """
    found = {name: match for name in _MEMBERS if (match := _pattern(name).search(body))}
    if len(found) < len(_MEMBERS):
        return body, None
    given = found["AccessKeyId"][1].decode()
    key = make_access_key()
    if given.startswith(_TEMPORARY):
        key = AccessKey(given, key.secret_access_key, key.session_token)
    values = (key.access_key_id, key.secret_access_key, key.session_token)
    for name, value in zip(_MEMBERS, values, strict=True):
        body = _pattern(name).sub(_element(name, value), body)
    return body, key


def _make_id() -> str:
    return _TEMPORARY + "".join(secrets.choice(_LETTERS) for _ in range(16))


def _pattern(name: str) -> "re.Pattern[bytes]":
    return re.compile(rb"<%b>([^<]*)</%b>" % (name.encode(), name.encode()))


def _element(name: str, value: str) -> Callable[["re.Match[bytes]"], bytes]:
    return lambda _: f"<{name}>{value}</{name}>".encode()
