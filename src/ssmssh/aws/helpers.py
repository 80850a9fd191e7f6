"""The processes of ``credential_process``, so that none outlives us.

botocore starts a helper and waits for it, for as long as it takes; nobody else knows of it. A helper that waits
for a browser or a token would stay when a signal ends us meanwhile. So botocore is given a function of ours to
start it with, and whoever ends this process without waiting for its threads calls `end_helpers` before.

Only the helper itself is ended, by SIGTERM first, so that it can end what it has started. It gets no process group
of its own: it may ask a question on the terminal, which only the foreground group may.
"""

import contextlib
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.credentials import CredentialResolver

END_SECONDS = 0.5
"""For all helpers together to end after SIGTERM; whoever has ended us waits that long at most."""

_running: list["subprocess.Popen[bytes]"] = []
"""One for each thread that looks for credentials, at most, and those that have ended since."""

_starting = threading.Lock()
"""Held until a helper that has been started is in `_running`."""


def watch_helpers(chain: "CredentialResolver") -> None:
    """Have the providers of `chain`, and those it makes for source profiles, start helpers that `end_helpers` ends."""
    # botocore has no public way: its class takes the function, but is made elsewhere, without one.
    chain.get_provider("custom-process")._popen = _start  # type: ignore[attr-defined]  # noqa: SLF001
    builder = chain.get_provider("assume-role")._profile_provider_builder  # type: ignore[attr-defined]  # noqa: SLF001
    make = builder._create_process_provider  # noqa: SLF001

    def make_watched(profile_name: str) -> Any:
        provider = make(profile_name)
        provider._popen = _start  # noqa: SLF001
        return provider

    builder._create_process_provider = make_watched  # noqa: SLF001


def end_helpers() -> None:
    """End the helpers that still run: SIGTERM, and SIGKILL after `END_SECONDS`. For any thread; blocks that long."""
    ends_at = time.monotonic() + END_SECONDS
    if _starting.acquire(timeout=END_SECONDS):  # a program on a lost network drive may take longer to start
        _starting.release()
    left = [process for process in _running if process.poll() is None]
    for process in left:
        with contextlib.suppress(OSError):
            process.terminate()
    for process in left:
        try:
            process.wait(max(0.0, ends_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


class _Helper(subprocess.Popen[bytes]):
    """One that fails and says nothing is given the words that botocore will quote as its own."""

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> Any:  # noqa: A002 - Popen's name
        """As Popen's; botocore decodes what the helper has said as UTF-8, which it need not be."""
        output, errors = super().communicate(input, timeout)
        said = errors.decode(errors="replace").strip()
        if self.returncode and not said:
            number = abs(self.returncode)
            said = f"it was ended by signal {number}" if self.returncode < 0 else f"it ended with status {number}"
            said += " and has not said why"
        return output, said.encode()


def _start(arguments: list[str], **settings: Any) -> "subprocess.Popen[bytes]":
    with _starting:
        _running[:] = [process for process in _running if process.poll() is None]
        process = _Helper(arguments, **settings)
        _running.append(process)
    return process
