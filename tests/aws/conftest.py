"""An environment with a home of its own, in which no AWS setting of the real user is seen."""

import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmssh.aws import client as client_module
from ssmssh.aws.client import AwsClient, AwsSettings
from tests.aws.api import ACCESS_KEY, SECRET_KEY, Api, serve

PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home directory; nothing but loopback is asked for credentials."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in PROXY_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


@pytest.fixture
def configure(home: Path) -> Callable[[str], None]:
    def write(text: str) -> None:
        (home / ".aws/config").write_text(text)

    return write


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The service; a silent one is given up soon."""
    monkeypatch.setattr(client_module, "READ_SECONDS", 0.3)
    with serve() as running:
        yield running


@pytest.fixture
def client(keys: None, api: Api) -> AwsClient:
    """Wired as in a connection, to an endpoint without TLS."""
    made = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=api.url))
    made.share_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return made
