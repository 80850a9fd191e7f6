"""A user without a home directory, as in a container that runs as any number: HOME is not set, no database knows it."""

import logging
from pathlib import Path
from typing import NoReturn

import botocore.session
import pytest

from ssmssh import proxy, settings
from ssmssh.aws import caches
from ssmssh.connectionlog import ConnectionLog
from ssmssh.errors import UsageError


@pytest.fixture(autouse=True)
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """What platformdirs raises then, and for `pathlib` a name that no database knows either."""

    def refuse() -> NoReturn:
        raise RuntimeError("could not determine the home directory for '~/.cache'")

    for name in ("cache_directory", "state_directory", "log_directory"):
        monkeypatch.setattr(settings, name, refuse)
    monkeypatch.setattr(caches, "_DIRECTORY", Path("~nosuchuser/.aws/cli/cache"))


def test_is_told_what_to_set() -> None:
    options = proxy.parse_arguments(["i-0123456789abcdef0", "22"])
    with pytest.raises(UsageError, match="set HOME or SSMSSH_HOME"):
        proxy._prepare(options)


def test_has_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    quiet, asked = ConnectionLog(), ConnectionLog()
    asked.write_at_once(None)
    assert capfd.readouterr().err.count("\n") == 1
    for log in (quiet, asked):
        log.emit(logging.makeLogRecord({"msg": "lost"}))
        assert log.save() is None
    assert capfd.readouterr().err == ""


def test_shares_no_credentials() -> None:
    chain = botocore.session.Session().get_component("credential_provider")
    before = chain.get_provider("assume-role").cache
    caches.share_with_aws_cli(chain)
    assert chain.get_provider("assume-role").cache is before
