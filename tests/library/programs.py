"""Programs that import the library, and what of it is left in this one."""

from __future__ import annotations

import sys
import textwrap
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

    from tests.acceptance.clients import Client

OURS = ("sessions", "end of a session")
"""What threads of the library are called; those of calls to the service end with them."""


def our_threads() -> list[threading.Thread]:
    """The library's that are running here."""
    return [thread for thread in threading.enumerate() if thread.name in OURS]


class Program:
    """Runs Python programs in a client's environment; a warning is an error in them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def words(self, text: str, *arguments: object) -> list[str]:
        """The command line of a program of that `text`, which finds `arguments` in ``sys.argv``."""
        return [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *map(str, arguments)]

    def run(self, text: str, *arguments: object, status: int = 0) -> str:
        """Run it to its end; what it prints. It must exit with `status`, and say nothing on stderr if that is 0."""
        done = self._client.run(*self.words(text, *arguments), status=status)
        assert status or not done.stderr, done.stderr.decode()
        return done.stdout.decode()

    def start(self, text: str, *arguments: object) -> subprocess.Popen[bytes]:
        """Start it; ended with the test, if it has not ended by then."""
        return self._client.start(*self.words(text, *arguments))
