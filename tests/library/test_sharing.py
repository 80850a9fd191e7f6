"""Many sessions of one program: who calls is found out once, and each is the others' equal."""

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from ssmssh.session import sharedcallers
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, payload, receive_exactly
from tests.library.farside import FarSide
from tests.library.programs import our_threads

THREADS = 20


class Helper:
    """A ``credential_process`` that takes note of its calls."""

    def __init__(self, directory: Path, box: Sandbox) -> None:
        key = box.credentials
        self._calls = directory / "calls"
        self._calls.touch()
        program = directory / "helper"
        program.write_text(
            f"#!/bin/sh\necho called >> {self._calls}\n"
            f'echo \'{{"Version": 1, "AccessKeyId": "{key.access_key_id}", "SecretAccessKey": "{key.secret_access_key}"'
            f', "SessionToken": "{key.session_token}"}}\'\n'
        )
        program.chmod(0o700)
        self.config = directory / "config"
        self.config.write_text(
            "".join(f"[profile {name}]\ncredential_process = {program}\n" for name in ("helped", "other"))
        )

    def calls(self) -> int:
        """So far."""
        return self._calls.read_text().count("called")


@pytest.fixture
def helper(here: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    helper = Helper(tmp_path, here)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(helper.config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    return helper


def test_threads_that_connect_at_once(here: Sandbox, helper: Helper, far_side: FarSide) -> None:
    """One look for credentials, one session each, one thread for all, and every byte where it belongs."""
    before = len(here.sessions())
    all_open = threading.Barrier(THREADS)

    def work(number: int) -> bytes:
        data = payload(100_000, number)
        with ssmssh.connect([EC2_HOST, HYBRID_HOST][number % 2], far_side.number, profile="helped") as end:
            all_open.wait(60)
            assert [thread.name for thread in our_threads()].count("sessions") == 1
            end.sendall(data)
            return data if receive_exactly(end, len(data)) == data else b""

    def send_back() -> None:
        there = far_side.accept()
        there.sendall(receive_exactly(there, 100_000))

    with ThreadPoolExecutor(2 * THREADS) as pool:
        echoes = [pool.submit(send_back) for _ in range(THREADS)]
        assert all(pool.map(work, range(THREADS)))
        for echo in echoes:
            echo.result(60)
    assert helper.calls() == 1
    sessions = here.sessions()[before:]
    assert len(sessions) == THREADS
    assert not [session for session in sessions if session.is_open]


def test_one_after_the_other(here: Sandbox, helper: Helper, far_side: FarSide) -> None:
    for _ in range(3):
        ssmssh.connect(EC2_HOST, far_side.number, profile="helped").close()
    assert helper.calls() == 1


def test_who_calls_differently_is_somebody_else(
    here: Sandbox, helper: Helper, far_side: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an argument, by the host's words, or by what the environment says at the time."""
    with ssmssh.connect(EC2_HOST, far_side.number, profile="helped"):
        assert helper.calls() == 1
        ssmssh.connect(EC2_HOST, far_side.number, profile="other").close()
        assert helper.calls() == 2
        ssmssh.connect(f"{EC2_HOST}.other", far_side.number).close()
        assert helper.calls() == 2
        monkeypatch.setenv("AWS_PROFILE", "other")
        ssmssh.connect(EC2_HOST, far_side.number).close()
        assert helper.calls() == 3
        ssmssh.connect(EC2_HOST, far_side.number, profile="helped").close()
        assert helper.calls() == 4, "the environment is another one"


def test_nobody_is_kept_that_nobody_needs(here: Sandbox, helper: Helper, far_side: FarSide) -> None:
    """But for the last one."""
    for profile in ("helped", "other", "helped", "other"):
        ssmssh.connect(EC2_HOST, far_side.number, profile=profile).close()
    gc.collect()
    assert len(sharedcallers._callers) == 1
    assert len(sharedcallers._last) == 1


def test_a_failure_is_not_kept(here: Sandbox, helper: Helper, far_side: FarSide) -> None:
    """A log-in in another window helps."""
    text = helper.config.read_text()
    helper.config.write_text("[profile helped]\n")
    with pytest.raises(ssmssh.errors.CredentialsError):
        ssmssh.connect(EC2_HOST, far_side.number, profile="helped")
    helper.config.write_text(text)
    with ssmssh.connect(EC2_HOST, far_side.number, profile="helped"):
        assert helper.calls() == 1
