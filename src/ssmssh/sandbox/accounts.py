"""The accounts and regions of the sandbox: who asks, and where.

There is one endpoint for all of it. A request's key tells the account, the scope of its signature the region, and what
is found depends on both, as with AWS.
"""

from collections.abc import Mapping
from typing import NamedTuple

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

    @property
    def caller(self) -> str:
        """The ARN of who has the key of the profile."""
        return f"arn:aws:sts::{self.account_id}:assumed-role/{self.profile}/user"
