"""The accounts and regions of the sandbox: who asks, and where.

There is one endpoint for all of it. A request's key tells the account, the scope of its signature the region, and what
is found depends on both, as with AWS.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Literal, NamedTuple

ACCOUNT_ID = "123456789012"
"""Moto's default account, so that both sides of the front agree."""
OTHER_ACCOUNT_ID = "210987654321"

PROFILES: Mapping[str, str] = {"default": ACCOUNT_ID, "sandbox": ACCOUNT_ID, "other": OTHER_ACCOUNT_ID}
"""The profiles of the sandbox's AWS configuration, and the account of each."""

REGION = "us-east-1"
OTHER_REGION = "eu-west-1"
EMPTY_REGION = "ap-southeast-2"
REGIONS = (REGION, OTHER_REGION, EMPTY_REGION)
"""Those that are enabled: the two with instances, and one without."""
DISABLED_REGIONS = ("af-south-1", "me-south-1")
"""Some that the accounts have not enabled. For all others, the endpoint is one of another region."""


class Place(NamedTuple):
    """Where a call goes: an account, in a region."""

    account_id: str
    region: str

    @property
    def profile(self) -> str:
        """The profile that leads to the account; of the two that do, the one with a name of its own."""
        return [name for name, account_id in PROFILES.items() if account_id == self.account_id][-1]


CallerKind = Literal["role", "user"]
"""What the sandbox's own credentials are of: a role that somebody has assumed, or a user of IAM."""
_CALLER_NAME = "user@example.com"
"""The role session's name, as IAM Identity Center makes them, or the user's."""


class Caller(NamedTuple):
    """Who asks: the ARN and the unique id that GetCallerIdentity tells."""

    arn: str
    user_id: str

    @property
    def name(self) -> str:
        """The name of the role session, the user or the federated user: how its sessions' ids begin."""
        return self.arn.rpartition("/")[2]

    @property
    def account_id(self) -> str:
        """The account that it is of."""
        return self.arn.split(":")[4]

    @property
    def principal_arn(self) -> str:
        """The ARN that has the policies: of an assumed role the role's (``aws:PrincipalArn``)."""
        if ":assumed-role/" not in self.arn:
            return self.arn
        return f"arn:aws:iam::{self.account_id}:role/{self.arn.split('/')[1]}"

    @property
    def context(self) -> dict[str, str]:
        """The condition keys that every request of it has (IAM User Guide, "Principal key values")."""
        kind = "AssumedRole" if ":assumed-role/" in self.arn else "User"
        if ":federated-user/" in self.arn:
            kind = "FederatedUser"
        context = {
            "aws:userid": self.user_id,
            "aws:PrincipalType": kind,
            "aws:PrincipalArn": self.principal_arn,
            "aws:PrincipalAccount": self.account_id,
            "aws:SecureTransport": "true",
        }
        return context | ({"aws:username": self.name} if kind == "User" else {})


def own_caller(account_id: str, kind: CallerKind = "role") -> Caller:
    """Who has the keys of an account's profile: a session of the role of that name, or a user."""
    if kind == "user":
        return Caller(f"arn:aws:iam::{account_id}:user/{_CALLER_NAME}", unique_id("AIDA", account_id, _CALLER_NAME))
    role = Place(account_id, REGION).profile
    arn = f"arn:aws:sts::{account_id}:assumed-role/{role}/{_CALLER_NAME}"
    return Caller(arn, f"{unique_id('AROA', account_id, role)}:{_CALLER_NAME}")


def unique_id(prefix: str, account_id: str, name: str) -> str:
    """The unique id of a user (``AIDA…``) or a role (``AROA…``), the same one in every sandbox."""
    digest = hashlib.sha256(f"{account_id}/{name}".encode()).digest()
    return prefix + base64.b32encode(digest).decode()[:17]
