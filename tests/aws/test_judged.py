"""Nothing is resolved, connected to or sent before it is judged, for whatever names the address and whoever is asked.

With the wiring of the program: `RemoteSession` shares its TLS context with the clients, and asks for credentials first.
"""

import hashlib
import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import SSOProvider
from botocore.tokens import SSOTokenProvider

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.handlers import SERVICES
from ssmssh.errors import AccessDeniedError, UsageError
from ssmssh.network.tls import tls_context
from ssmssh.session.caller import Caller
from ssmssh.session.remote import RemoteSession, SessionRequest
from tests.aws.api import Api, refusal
from tests.aws.test_handlers import CALLS

ROLE = "role_arn = arn:aws:iam::123456789012:role/r\n"
KEYS = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = x\n"

_heard: list[list[str]] = []
"""The list that is written to, if any: an audit hook stays for the life of the process."""


def _on_audit(event: str, arguments: tuple[object, ...]) -> None:
    if _heard and event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"):
        _heard[-1].append(f"{event} {arguments[0:2]}")


sys.addaudithook(_on_audit)


@pytest.fixture
def network() -> Iterator[list[str]]:
    """What was looked up and connected to."""
    heard: list[str] = []
    _heard.append(heard)
    yield heard
    _heard.clear()


@pytest.fixture(params=["a number that is loopback", "a name"])
def elsewhere(request: pytest.FixtureRequest, network: list[str]) -> Iterator[str]:
    """The host and port of what is no literal loopback address; the first one listens, and must not be connected to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"127.1:{listener.getsockname()[1]}" if "loopback" in request.param else "localstack:4566"
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert network == []


def start(tmp_path: Path, **settings: Any) -> None:
    request = SessionRequest("i-0123456789abcdef0", "AWS-StartSSHSession", {}, None, patience_seconds=10.0)
    RemoteSession(Caller(AwsSettings(**settings), tmp_path / "sessions"), request).start()


def test_the_watch_sees_what_it_is_to_see(network: list[str], keys: None, api: Api, tmp_path: Path) -> None:
    api.answers.append(refusal("AccessDeniedException"))
    with pytest.raises(AccessDeniedError):
        start(tmp_path, region="eu-west-1", endpoint_url=api.url)
    assert {line.split()[0] for line in network} == {"socket.getaddrinfo", "socket.connect"}


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM"])
@pytest.mark.parametrize("has_stream_endpoint", [True, False])
def test_the_environment(
    keys: None,
    api: Api,
    elsewhere: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    has_stream_endpoint: bool,
) -> None:
    """Nor is another address, which would have been right."""
    monkeypatch.setenv(name, f"http://{elsewhere}")
    stream = api.url if has_stream_endpoint else None
    with pytest.raises(UsageError, match=rf"'http://{elsewhere}' is not encrypted"):
        start(tmp_path, region="eu-west-1", stream_endpoint_url=stream)


@pytest.mark.parametrize(
    "text",
    ["endpoint_url = http://{}\n", "services = mine\n[services mine]\nssm =\n  endpoint_url = http://{}\n"],
    ids=["in the profile", "in its services"],
)
@pytest.mark.parametrize("source", ["keys", "a helper", "a role"])
def test_the_configuration(
    configure: Callable[[str], None], elsewhere: str, tmp_path: Path, text: str, source: str
) -> None:
    """And no helper runs, no role is assumed."""
    whence = {
        "keys": KEYS,
        "a helper": f"credential_process = touch {tmp_path}/canary\n",
        "a role": f"{ROLE}source_profile = keys\n",
    }[source]
    configure(f"[profile keys]\n{KEYS}[profile p]\nregion = eu-west-1\n{whence}{text.format(elsewhere)}")
    with pytest.raises(UsageError, match="not encrypted"):
        start(tmp_path, profile="p")
    assert not (tmp_path / "canary").exists()


def test_roles(
    keys: None,
    configure: Callable[[str], None],
    elsewhere: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    home: Path,
) -> None:
    (home / "token").write_text("x.y.z")
    configure(
        f"[profile role]\nregion = eu-west-1\n{ROLE}credential_source = Environment\n"
        f"[profile web]\nregion = eu-west-1\n{ROLE}web_identity_token_file = {home}/token\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://{elsewhere}")
    for profile in ("role", "web"):
        with pytest.raises(UsageError, match="not encrypted"):
            start(tmp_path, profile=profile)


@pytest.mark.parametrize(("service", "expires"), [("SSO", "2099"), ("SSO_OIDC", "2020")])
def test_sso(
    configure: Callable[[str], None],
    elsewhere: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    home: Path,
    service: str,
    expires: str,
) -> None:
    configure(
        "[profile p]\nregion = eu-west-1\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://s.example/start\n"
    )
    cache = home / ".aws/sso/cache"
    cache.mkdir(parents=True)
    for provider in (SSOProvider, SSOTokenProvider):  # they have looked for the home directory already
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(cache))
    token = {
        "accessToken": "a",
        "expiresAt": f"{expires}-01-01T00:00:00Z",
        "refreshToken": "r",
        "clientId": "c",
        "clientSecret": "s",
        "registrationExpiresAt": "2099-01-01T00:00:00Z",
        "startUrl": "https://s.example/start",
        "region": "eu-west-1",
    }
    (cache / f"{hashlib.sha1(b's').hexdigest()}.json").write_text(json.dumps(token))
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://{elsewhere}")
    with pytest.raises(UsageError, match="not encrypted"):
        start(tmp_path, profile="p")


@pytest.mark.parametrize("service", [name for name in SERVICES if name in CALLS] + ["ec2", "s3"])
@pytest.mark.parametrize("user", ["", "jane:Qx7Zk@"])
def test_any_service(keys: None, elsewhere: str, monkeypatch: pytest.MonkeyPatch, service: str, user: str) -> None:
    """That is called by way of the client's session: also by a handler that only one service has."""
    client = AwsClient(AwsSettings(region="eu-west-1"))
    client.share_tls(tls_context(None))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{user}{elsewhere}")
    method, arguments = CALLS[service]
    with pytest.raises(UsageError) as caught:
        getattr(client.service(service), method)(**arguments)
    assert "Qx7Zk" not in str(caught.value)


@pytest.mark.parametrize("service", [name for name in SERVICES if name in CALLS])
def test_a_proxy_that_cannot_be_used(
    keys: None, network: list[str], monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1"))
    client.share_tls(tls_context(None))
    monkeypatch.setenv("HTTPS_PROXY", "http://jane:word#1@127.0.0.1:1")
    method, arguments = CALLS[service]
    with pytest.raises(UsageError, match="HTTPS_PROXY"):
        getattr(client.service(service), method)(**arguments)
    assert network == []
