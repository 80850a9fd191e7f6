"""What is wrong with a region, a CA bundle or a proxy setting is told as what it is, whoever is asked first."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client

PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDUZ\n-----END PRIVATE KEY-----\n"


def fail(client: Client, *arguments: str, status: int, variables: Mapping[str, str]) -> str:
    """Run the proxy, which must end with `status`; what it said."""
    return client.run("ssmssh-proxy", *arguments, EC2_HOST, "22", status=status, variables=variables).stderr.decode()


@pytest.fixture(params=["StartSession is asked first", "a role is asked for first"])
def profile(request: pytest.FixtureRequest, client: Client) -> str:
    """One whose credentials are at hand, and one whose credentials come over the network too."""
    config = client.directory / "aws_config"
    config.write_text(
        "[profile sandbox]\nregion = us-east-1\n[profile role]\nregion = us-east-1\n"
        "role_arn = arn:aws:iam::123456789012:role/nobody-has-this\nsource_profile = sandbox\n"
    )
    client.environment["AWS_CONFIG_FILE"] = str(config)
    return "role" if "role" in request.param else "sandbox"


def test_a_ca_bundle_that_is_not_there(client: Client, profile: str) -> None:
    said = fail(client, "--profile", profile, status=9, variables={"AWS_CA_BUNDLE": "/no/such/file.pem"})
    assert "/no/such/file.pem does not exist; correct AWS_CA_BUNDLE" in said


@pytest.mark.parametrize("text", ["", PRIVATE_KEY], ids=["empty", "a key"])
def test_a_ca_bundle_without_a_certificate(client: Client, profile: str, text: str, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(text)
    said = fail(client, "--profile", profile, status=9, variables={"AWS_CA_BUNDLE": str(bundle)})
    assert f"{bundle} contains no certificate" in said
    assert "TLS-inspecting" not in said


def test_a_socks_proxy(client: Client, profile: str) -> None:
    variables = {"https_proxy": "socks5://127.0.0.1:1080", "NO_PROXY": "", "no_proxy": ""}
    said = fail(client, "--profile", profile, status=2, variables=variables)
    assert "SOCKS proxies are not supported; name an HTTP proxy in HTTPS_PROXY" in said


def test_a_region_that_there_is_not(client: Client, profile: str) -> None:
    said = fail(client, "--profile", profile, "--region", "nowhere-1", status=2, variables={})
    assert "the endpoint is of another region than nowhere-1: check the region (--region" in said
    assert "clock" not in said


SECRET = "S3cretPart1234"

UNUSABLE_PROXIES = (
    f"http://jane:{SECRET}#1@127.0.0.1:{{port}}",
    f"http://jane:{SECRET}/@127.0.0.1:{{port}}",
    f"http://jane:{SECRET}?1@127.0.0.1:{{port}}",
    f"http://jane:{SECRET}\\1@127.0.0.1:{{port}}",
    f"http://jane:{SECRET}@127.0.0.1:{{port}} ",
    f"http://jane:{SECRET}\u00e9@127.0.0.1:{{port}}",
    f"jane:{SECRET}@127.0.0.1:none",
)


@pytest.mark.parametrize("value", UNUSABLE_PROXIES)
def test_a_proxy_whose_url_can_be_misread(client: Client, sandbox: Sandbox, value: str) -> None:
    """Its password stands nowhere, also with everything logged; nothing is tried again, and nobody is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = value.format(port=listener.getsockname()[1])
        variables = {"HTTPS_PROXY": url, "https_proxy": url, "NO_PROXY": "", "no_proxy": ""}
        done = client.run("ssmssh-proxy", "-v", EC2_HOST, "22", status=2, variables=variables)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert b"The URL in HTTPS_PROXY is not that of an HTTP proxy" in done.stderr
    assert b"attempt" not in done.stderr
    logs = [path.read_bytes() for path in (sandbox.directory / "ssmssh" / "log").glob("*.log")]
    assert logs
    for text in (done.stdout, done.stderr, *logs):
        assert SECRET.lower().encode() not in text.lower()


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "SSMSSH_ENDPOINT_URL"])
def test_nothing_is_sent_to_an_endpoint_that_is_not_encrypted(client: Client, name: str) -> None:
    """127.1 leads to this computer and is not written as an address of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.1:{listener.getsockname()[1]}"
        variables = {"SSMSSH_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_SSM": "", name: url}
        done = client.run("ssmssh-proxy", EC2_HOST, "22", status=2, variables=variables)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert f"The endpoint '{url}' is not encrypted; use https".encode() in done.stderr
