"""Which account a caller acts in."""

from typing import TYPE_CHECKING

from ssmssh.aws.errors import mapped

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient


def account_of(client: "AwsClient") -> str:
    """The account, 12 digits; empty where STS does not say. Blocks for a call, unless the credentials' source says it.

    The call (GetCallerIdentity) needs no permission.

    Raises:
        SsmsshError: As `AwsClient.credentials`, and for what a call can fail of.
    """
    known = getattr(client.credentials(), "account_id", None)
    if known:
        return str(known)
    sts = client.service("sts")
    with mapped(client.context("find out the account")):
        return str(sts.get_caller_identity().get("Account") or "")
