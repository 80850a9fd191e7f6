"""The credentials of a sandbox: the one its users start with, and those that its STS gives out.

Whoever holds one of them can log in on this computer as the sandbox's owner, so each is made of the system's randomness
and known to the sandbox's processes and its owner's files alone. Moto's own are no good for that: those of AssumeRole
come from a generator that can be guessed, those of GetSessionToken are an example that AWS has published.
"""

import base64
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ssmssh.sandbox.accounts import ACCOUNT_ID, Caller, CallerKind, own_caller

_TEMPORARY = "ASIA"
"""How the id of a temporary credential begins (IAM User Guide, "IAM identifiers")."""
_ISSUED_KEYS = 1000
"""How many issued credentials are good at once: one per connection of a long test run whose programs keep no cache."""
_CALLER = re.compile(
    rb"<(?:AssumedRoleUser|FederatedUser)>.*?</(?:AssumedRoleUser|FederatedUser)>",
    re.DOTALL,
)
_ARN = re.compile(rb"<Arn>([^<]*)</Arn>")
_USER_ID = re.compile(rb"<(?:AssumedRoleId|FederatedUserId)>([^<]*)<")
_MEMBERS = ("AccessKeyId", "SecretAccessKey", "SessionToken")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A temporary credential, the account it is of, and who has it (`Caller`)."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    account_id: str = ACCOUNT_ID
    arn: str = ""
    user_id: str = ""

    @property
    def caller(self) -> Caller:
        """Who has it."""
        return Caller(self.arn, self.user_id)


class KeyRing:
    """The credentials that are good now, and those that were.

    `keys` are the sandbox's own, one an account; what its STS issues is added, and stays good when the account's own is
    renewed, as with AWS.
    """

    def __init__(self, keys: Iterable[AccessKey] = ()) -> None:
        self._current = {key.account_id: key for key in keys}
        self._issued: dict[str, AccessKey] = {}
        self._expired: set[str] = set()

    def renew(self, key: AccessKey) -> None:
        """Take a new credential; requests signed with its account's old one have an expired token from now on."""
        self._expired.add(self._current[key.account_id].access_key_id)
        self._current[key.account_id] = key

    def add(self, key: AccessKey) -> None:
        """Accept a credential that was issued; of more than a thousand, the oldest is forgotten."""
        self._issued[key.access_key_id] = key
        if len(self._issued) > _ISSUED_KEYS:
            del self._issued[next(iter(self._issued))]

    def find(self, access_key_id: str) -> AccessKey | None:
        """The good credential with this id, or None."""
        own = (key for key in self._current.values() if key.access_key_id == access_key_id)
        return next(own, None) or self._issued.get(access_key_id)

    @property
    def own_callers(self) -> dict[str, Caller]:
        """Who has the sandbox's own credentials, by account."""
        return {account_id: key.caller for account_id, key in self._current.items()}

    def is_expired(self, access_key_id: str) -> bool:
        """Whether this one was good once."""
        return access_key_id in self._expired


def make_access_key(account_id: str = ACCOUNT_ID, kind: CallerKind = "role") -> AccessKey:
    """A credential that nobody has had, of the account's own caller."""
    return _make(own_caller(account_id, kind))


def _make(caller: Caller) -> AccessKey:
    secret, token = secrets.token_urlsafe(30), secrets.token_urlsafe(90)
    return AccessKey(_make_id(caller.account_id), secret, token, caller.account_id, caller.arn, caller.user_id)


def reissue(body: bytes, asker: Caller) -> tuple[bytes, AccessKey | None]:
    """The body of an answer of STS (XML) with a secret and a token of ours, and the credential; None if there is none.

    The id stays if it is of a temporary credential: moto knows the assumed role by it. The credential is of the role or
    the federated user that the answer names, or of the one who asks where it names none.
    """
    found = {name: match for name in _MEMBERS if (match := _pattern(name).search(body))}
    if len(found) < len(_MEMBERS):
        return body, None
    given = found["AccessKeyId"][1].decode()
    key = _make(_named(body) or asker)
    if given.startswith(_TEMPORARY):
        key = replace(key, access_key_id=given)
    values = (key.access_key_id, key.secret_access_key, key.session_token)
    for name, value in zip(_MEMBERS, values, strict=True):
        body = _pattern(name).sub(_element(name, value), body)
    return body, key


def _named(body: bytes) -> Caller | None:
    """Whom an answer of STS gives a credential for, if not the one who asks."""
    part = _CALLER.search(body)
    arn, user_id = (_ARN.search(part[0]), _USER_ID.search(part[0])) if part is not None else (None, None)
    return Caller(arn[1].decode(), user_id[1].decode()) if arn is not None and user_id is not None else None


def _make_id(account_id: str) -> str:
    """One with the account's number in it, where AWS's have it (`ssmssh.aws.identity`); the rest is random."""
    number = (1 << 47 | int(account_id) << 7 | secrets.randbits(7)).to_bytes(6)
    return _TEMPORARY + base64.b32encode(number + secrets.token_bytes(4)).decode()


def _pattern(name: str) -> "re.Pattern[bytes]":
    return re.compile(rb"<%b>([^<]*)</%b>" % (name.encode(), name.encode()))


def _element(name: str, value: str) -> Callable[["re.Match[bytes]"], bytes]:
    return lambda _: f"<{name}>{value}</{name}>".encode()
