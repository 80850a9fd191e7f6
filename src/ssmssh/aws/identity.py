"""Which account a caller acts in; and under which name to keep what was found out for one, without asking who that is.

GetCallerIdentity would say both, for a round trip of every command. But most providers of credentials say of which
account they are (roles, IAM Identity Center, ``aws login``, helpers, and a profile's ``aws_account_id``), and what is
known of instances is the account's.

For the others the access key's id stands for it, or rather what the ids of all keys of an account have in common: they
hold the account's number (`_common_part`). So a helper that gives another key each time has one identity all the same,
for no call. AWS does not document that (STS's GetAccessKeyInfo tells the account of any key; where it stands, others
have found, first Aidan Steele, "AWS Access Key ID formats", 2020). So it is never shown as an account, nor believed to
be one: profile and endpoint tell identities apart, too, and what is kept under one is an id, for which the service
decides whether a session may be had.

The key is for caches, which may be lost. Which sessions are whose to end is not told by it but by the `Owner` of
`ssmssh.session.journal`: temporary credentials have another key after each refresh, and a session must be found again
by whoever comes next.
"""

import base64
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient
    from ssmssh.aws.pages import Pager
    from ssmssh.aws.regional import Asker

_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_ACCESS_KEY = re.compile(r"A[A-Z]{3}[A-Z2-7]{16}")
"""One of an account, made by AWS since about 2019."""


class Identity(NamedTuple):
    """Who calls, and where; its `str` is the key for what is kept. It holds no secret.

    Callers that have the same get the same answers about what there is, as far as they may ask at all: users and roles
    of one account share one.
    """

    who: str
    """The account's id, or 32 hexadecimal digits where the credentials do not say it."""
    partition: str
    region: str
    endpoint_url: str
    """Of the ``ssm`` API: a stand-in has the same accounts."""

    def __str__(self) -> str:
        return "/".join(self)


def identity_of(client: "AwsClient") -> Identity:
    """The identity of `client`. No call is made for it, but the one for credentials if there are none yet.

    Raises:
        SsmsshError: As `AwsClient.service`.
    """
    credentials, api = client.credentials(), client.ssm.meta
    parts = (_common_part(credentials.access_key or ""), client.profile, api.endpoint_url)
    who = known_account(client) or hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return Identity(who, api.partition, api.region_name, api.endpoint_url)


def known_account(client: "Asker") -> str:
    """The account, 12 digits, where the credentials' source has said it; else empty. Blocks, and raises, as they do."""
    account_id = getattr(client.credentials(), "account_id", None)  # written by helpers and users: it could be anything
    return account_id if isinstance(account_id, str) and _ACCOUNT_ID.fullmatch(account_id) else ""


def _common_part(access_key: str) -> str:
    """What the ids of all access keys of one account have in common; of one of another form, all of it.

    Behind four letters for the kind stand 80 bits in base32; the first is of the form, the next 40 are the account.
    """
    if not _ACCESS_KEY.fullmatch(access_key):
        return access_key
    return str(int.from_bytes(base64.b32decode(access_key[4:])[:6]) >> 7 & (1 << 40) - 1)


def account_of(pager: "Pager") -> str:
    """The account, 12 digits; empty where STS does not say. Blocks for a call, unless the credentials' source says it.

    The call (GetCallerIdentity) needs no permission (its reference).

    Raises:
        SsmsshError: As `AwsClient.credentials`, and for what a call can fail of.
    """
    if known := known_account(pager.client):
        return known
    return str(pager.call("sts", "get_caller_identity", "find out the account").get("Account") or "")
