"""One look for credentials, and the clients that sign with what it has found.

botocore's clients may be shared between threads, its sessions may not: neither the first look for credentials nor the
making of a client. And credentials that cannot be refreshed are looked for once more from the start, while calls with
the old ones are under way in other threads. So whatever belongs to one look stands together here, is used from any
thread, and is replaced as a whole.

Nobody waits without need. While credentials are valid for `MANDATORY_SECONDS` more, they are given at once, though
another thread may be refreshing them (botocore does so from 15 minutes before their end). When they are not, all wait
for one thread, and are told what it is told.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.credentials import ReadOnlyCredentials
from botocore.session import Session

from ssmssh.aws.credentials import find_credentials, freeze
from ssmssh.aws.errors import Context
from ssmssh.aws.origins import Origin, origin_of
from ssmssh.aws.together import Together

if TYPE_CHECKING:
    from botocore.credentials import Credentials

MANDATORY_SECONDS = 600
"""How long before their end botocore gives no credentials without refreshing them."""


class SharedSession(Session):
    """botocore's, one client made at a time: its providers of credentials make some too, in whichever thread."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.making = threading.RLock()
        """Held while a client is made, which asks nobody."""

    def create_client(self, *arguments: Any, **settings: Any) -> Any:
        """As botocore's."""
        with self.making:
            return super().create_client(*arguments, **settings)


class Generation:
    """For any thread.

    Args:
        number: Which one of its `AwsClient`.
        session: Equipped, and of nobody else.
        context: What an error is to say besides its reason.
        make_client: Makes the client of a service, in a region if one is named.
    """

    def __init__(
        self,
        number: int,
        session: SharedSession,
        context: Context,
        make_client: Callable[[Session, str, str | None], Any],
    ) -> None:
        self.number = number
        self.session = session
        self._context = context
        self._make_client = make_client
        self._credentials: Credentials | None = None
        self._looking = Together[ReadOnlyCredentials]()
        self._clients: dict[tuple[str, str | None], Any] = {}

    @property
    def origin(self) -> Origin | None:
        """Where the credentials come from; None as long as that is not known."""
        return origin_of(self._credentials)

    @property
    def expires_at(self) -> datetime | None:
        """As of `AwsClient`."""
        found = getattr(self._credentials, "_expiry_time", None)  # botocore has no public way
        return found if isinstance(found, datetime) else None

    def credentials(self) -> ReadOnlyCredentials:
        """As `AwsClient.credentials`."""
        found = self._credentials
        refresh_needed = getattr(found, "refresh_needed", None)  # those that stay as they are have none
        if found is None or (refresh_needed is not None and refresh_needed(MANDATORY_SECONDS)):
            return self._looking.do(self._look)
        return freeze(found, self._context)

    def client(self, name: str, region: str | None) -> Any:
        """As `AwsClient.service`."""
        self.credentials()
        key = (name, region)
        if key not in self._clients:
            with self.session.making:
                if key not in self._clients:
                    self._clients[key] = self._make_client(self.session, name, region)
        return self._clients[key]

    def _look(self) -> ReadOnlyCredentials:
        self._credentials = find_credentials(self.session, self._context)
        return freeze(self._credentials, self._context)
