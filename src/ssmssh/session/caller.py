"""Who calls AWS, for any number of sessions: one `AwsClient`, one TLS context, one journal.

A session of its own for each purpose is cheap only if who calls is found out once: one look for credentials, one
helper, one question for an MFA code, one CA bundle parsed. So that is made once, by whoever needs it first, and shared.

What fails is told to all who wait for it, and not remembered: the next one may find that a log-in in another window
has helped.
"""

import ssl
import threading
from typing import TYPE_CHECKING

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.network.tls import tls_context
from ssmssh.session.journal import Entry, Journal, Owner, boot_id
from ssmssh.session.reaping import end_stale_sessions

if TYPE_CHECKING:
    from pathlib import Path

    from ssmssh.network.tls import EarlyContext

_reaped: set[Owner] = set()
"""For whom this process has looked for stale sessions: as many as it has profiles, regions and endpoints."""

_reaping = threading.Lock()
"""Held for a look at `_reaped`."""


class Caller:
    """Who calls, and where. For any thread.

    Args:
        settings: What overrides AWS's own configuration.
        journal_directory: Where open sessions are noted.
        early_tls: A TLS context that may be the right one.
    """

    def __init__(
        self, settings: AwsSettings, journal_directory: "Path", *, early_tls: "EarlyContext | None" = None
    ) -> None:
        self._settings = settings
        self._journal_directory = journal_directory
        self._early_tls = early_tls
        self._preparing = threading.Lock()
        self._client: AwsClient | None = None
        self._tls: ssl.SSLContext | None = None
        self._owner: Owner | None = None

    def __repr__(self) -> str:
        return self.describe("Caller")

    def get_ready(self) -> AwsClient:
        """Who calls, with credentials and a TLS context; what is not there yet is made.

        Blocks, as `AwsClient.credentials` does, and for the thread that is at it.

        Raises:
            SsmsshError: As `AwsClient`, `tls_context` and `AwsClient.credentials` do.
        """
        client = self.prepare()
        client.credentials()
        return client

    def prepare(self) -> AwsClient:
        """The same without credentials; blocks for reading files at most. Raises as `AwsClient` and `tls_context`."""
        with self._preparing:
            if self._client is None:
                self._client = AwsClient(self._settings)
            if self._tls is None:  # before others fail over a bundle that cannot be used
                self._tls = tls_context(self._client.ca_bundle, self._early_tls)
                self._client.share_tls(self._tls)
            return self._client

    @property
    def client(self) -> AwsClient:
        """What `get_ready` or `prepare` has made; to be asked for after it."""
        if self._client is None:
            raise AssertionError("get_ready() comes first")
        return self._client

    @property
    def tls(self) -> ssl.SSLContext:
        """What API and WebSocket trust; to be asked for after `get_ready` or `prepare`."""
        if self._tls is None:
            raise AssertionError("get_ready() comes first")
        return self._tls

    def describe(self, what: str) -> str:
        """`what` with region and profile, as far as they are known."""
        client = self._client
        words = [what]
        if region := client.region if client else self._settings.region:
            words.append(f"in {region}")
        if profile := client.profile if client else self._settings.profile:
            words.append(f"with profile {profile}")
        return " ".join(words)

    def record(self, session_id: str) -> Entry | None:
        """Note a session that has just been started, for after `get_ready`; None where that is not possible."""
        return self._journal().record(session_id)

    def end_stale_sessions(self) -> None:
        """End what killed processes of this caller have left open, for after `get_ready`; once in this process.

        Blocks for calls to the service; raises nothing of its.
        """
        journal = self._journal()
        with _reaping:
            if journal.owner in _reaped:
                return
            _reaped.add(journal.owner)
        end_stale_sessions(self.client, journal)

    def stale_sessions(self) -> tuple[list[str], bool]:
        """What killed processes of this caller have left open, and whether a run lately could not end it.

        For after `get_ready`. Ends nothing; the ids of `journal.MAX_STALE` sessions at most.
        """
        journal = self._journal()
        found = []
        for entry in journal.stale():
            found.append(entry.session_id)
            entry.release()
        return found, journal.is_resting()

    def _journal(self) -> Journal:
        client = self.client
        if self._owner is None:
            self._owner = Owner(client.profile, client.region, client.endpoint_url, boot_id())
        return Journal(self._journal_directory, self._owner)
