"""A helper of ``credential_process`` is ended with us, whichever provider has started it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmssh.aws import helpers
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.helpers import end_helpers
from ssmssh.errors import CredentialsError, SsmsshError

WAITS = """
import os, signal, sys
if "{signals}" == "ignored":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("{pipe}", "w") as pipe:
    print(os.getpid(), file=pipe)
signal.pause()
"""


class Asking(threading.Thread):
    """Asks for the credentials of `profile`, until its helper is ended."""

    def __init__(self, profile: str) -> None:
        super().__init__()
        self._profile = profile
        self.error: SsmsshError | None = None

    def run(self) -> None:
        try:
            AwsClient(AwsSettings(profile=self._profile, region="eu-west-1")).credentials()
        except SsmsshError as error:
            self.error = error


@pytest.mark.parametrize("profile", ["helper", "role"])
@pytest.mark.parametrize(("signals", "ended_by"), [("obeyed", signal.SIGTERM), ("ignored", signal.SIGKILL)])
def test_it_is_ended(
    home: Path,
    configure: Callable[[str], None],
    profile: str,
    signals: str,
    ended_by: signal.Signals,
) -> None:
    pipe = home / "pipe"
    os.mkfifo(pipe)
    (home / "helper.py").write_text(WAITS.format(pipe=pipe, signals=signals))
    configure(
        f"[profile helper]\ncredential_process = {sys.executable} {home}/helper.py\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = helper\n"
    )
    asking = Asking(profile)
    asking.start()
    pid = int(pipe.read_text())
    end_helpers()
    asking.join()
    (process,) = (running for running in helpers._running if running.pid == pid)
    assert process.returncode == -ended_by
    assert isinstance(asking.error, CredentialsError)


def test_one_that_has_ended_is_forgotten_and_harmless(home: Path, configure: Callable[[str], None]) -> None:
    configure(f"[profile helper]\ncredential_process = {sys.executable} -c pass\n")
    for _ in range(3):
        with pytest.raises(CredentialsError):
            AwsClient(AwsSettings(profile="helper", region="eu-west-1")).credentials()
    assert len(helpers._running) == 1
    end_helpers()


def test_the_others_of_this_process_are_not_touched() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        end_helpers()
        assert other.poll() is None
