"""An identity in another region than its own: the same credentials, other clients.

Who asks in seventeen regions is one person. So there is one `AwsClient` for each identity, which looks for credentials
once, and its clients for other regions are of the same session.
"""

from typing import TYPE_CHECKING, Any, Protocol

from ssmssh.aws.errors import Context

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

    from ssmssh.aws.client import AwsClient


class Asker(Protocol):
    """Who asks services, and where: an `AwsClient`, or a `RegionalClient`."""

    region: str
    profile: str | None

    def credentials(self) -> "ReadOnlyCredentials":
        """As `AwsClient.credentials`."""

    def service(self, name: str) -> Any:
        """As `AwsClient.service`."""

    def context(self, what: str) -> Context:
        """As `AwsClient.context`."""


class RegionalClient:
    """For any thread.

    Args:
        home: The identity.
        region: Where to ask; the home's own, too.
    """

    def __init__(self, home: "AwsClient", region: str) -> None:
        self.region = region
        self.profile = home.profile
        self._home = home

    def __repr__(self) -> str:
        return f"RegionalClient(region={self.region!r}, profile={self.profile!r})"

    def credentials(self) -> "ReadOnlyCredentials":
        """As `AwsClient.credentials`."""
        return self._home.credentials()

    def service(self, name: str) -> Any:
        """As `AwsClient.service`."""
        return self._home.service(name, self.region)

    def context(self, what: str) -> Context:
        """As `AwsClient.context`."""
        return self._home.context(what)._replace(region=self.region)
