"""Whatever holds a secret, and however it is malformed: no message, no log and no representation repeats it.

With the program's wiring: the same settings are read from the environment, and `Service` starts the session.
"""

import contextlib
import logging
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from botocore.utils import ContainerMetadataFetcher
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ssmssh import proxy
from ssmssh.errors import SsmsshError, UsageError
from ssmssh.settings import from_environment

SECRETS = st.from_regex(r"[A-Za-z0-9]{12,40}", fullmatch=True)
JUNK = st.sampled_from(
    ["", "", "#1", "/", "/1", "?x=1", "\\", " ", "\n", "\u00e9", "%C3%A9", "%0A", "@", ":", "[", "]", '"', "'", "%"]
)
TAILS = st.sampled_from(
    ["127.0.0.1:{}", "127.0.0.1:{}/", "127.0.0.1:{} ", "127.0.0.1:port", "[::1:{}", "", "127.0.0.1:{}#@x"]
)
SCHEMES = st.sampled_from(["http://", "https://", "HTTP://", "//", "", "http:/", "socks5://", "ws://"])

PLACES = [
    "HTTPS_PROXY",
    "http_proxy",
    "--endpoint-url",
    "--stream-endpoint-url",
    "SSMSSH_ENDPOINT_URL",
    "SSMSSH_STREAM_ENDPOINT_URL",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "endpoint_url",
    "ec2_metadata_service_endpoint",
    "services",
    "sso_start_url",
]
"""What takes a URL, with a user and a password before its host: variables, options, and keys of the profile."""

WORDS = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "aws_secret_access_key",
    "aws_session_token",
    "credential_process",
    "external_id",
]
"""What takes a secret as it is."""


class Case(NamedTuple):
    place: str
    value: str
    secret: str
    has_proxy: bool
    """Besides: one that nobody answers at."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    place, secret, junk = draw(st.sampled_from([*PLACES, *WORDS])), draw(SECRETS), draw(JUNK)
    if place == "credential_process":
        value = f"/no/such/program --password {secret}{junk}"
    elif place in WORDS:
        value = draw(st.sampled_from([secret + junk, junk + secret]))
    else:
        user = draw(
            st.sampled_from([f"jane:{secret}{junk}", f"jane:{junk}{secret}", f"{secret}{junk}:x", f"{secret}{junk}"])
        )
        value = draw(SCHEMES) + user + "@" + draw(TAILS)
    return Case(place, value, secret, draw(st.booleans()))


@pytest.fixture(scope="module")
def closed_port() -> int:
    """Where connections are refused at once."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


PROFILE = """
[profile p]
region = eu-west-1
{}
[services mine]
{}
"""


def configuration(case: Case) -> str:
    """A profile with the case's setting, and one that makes it be used."""
    lines, services = [], "x ="
    if case.place == "services":
        services = f"ssm =\n  endpoint_url = {case.value}"
        lines += ["services = mine"]
    elif case.place.islower() and case.place != "http_proxy":
        lines += [f"{case.place} = {case.value}"]
    if case.place in ("aws_secret_access_key", "aws_session_token"):
        lines += [f"{name} = x" for name in ("aws_secret_access_key", "aws_session_token") if name != case.place]
        lines += ["aws_access_key_id = AKID"]
    elif case.place in ("external_id", "AWS_ENDPOINT_URL_STS"):
        lines += ["role_arn = arn:aws:iam::123456789012:role/r", "credential_source = Environment"]
    elif case.place == "sso_start_url":
        lines += ["sso_region = eu-west-1", "sso_account_id = 123456789012", "sso_role_name = r"]
    return PROFILE.format("\n".join(lines), services)


HAS_NO_KEYS = ("credential_process", "AWS_CONTAINER", "AWS_EC2", "ec2", "http_proxy", "sso", "aws_")


def environment(case: Case, port: int, home: Path) -> dict[str, str]:
    nobody = f"http://127.0.0.1:{port}"
    found = {
        "AWS_CONFIG_FILE": str(home / ".aws/config"),
        "AWS_PROFILE": "p",
        "AWS_ENDPOINT_URL": nobody,
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": nobody,
        "AWS_METADATA_SERVICE_TIMEOUT": "1",
        "SSMSSH_HOME": str(home / "ours"),
    }
    if not case.place.startswith(HAS_NO_KEYS):
        found |= {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "x"}
    if case.place.startswith("AWS_CONTAINER"):
        found |= {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{nobody}/x"}
    if case.place in ("endpoint_url", "services"):
        del found["AWS_ENDPOINT_URL"]
    if case.has_proxy or case.place.startswith("HTTP"):
        found |= {"AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}", "HTTPS_PROXY": nobody}
    if case.place.isupper() or case.place == "http_proxy":
        found[case.place] = case.value
    return found


def hold(case: Case, port: int) -> Case:
    return case._replace(value=case.value.replace("{}", str(port)))


class Kept(logging.Handler):
    """The log that `ssmssh.connectionlog` would write, and what a debugger would show of the arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()} {record.args!r}\n"


@contextlib.contextmanager
def kept() -> Iterator[Kept]:
    handler, logger = Kept(), logging.getLogger("ssmssh")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what would be shown with it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def outcome(case: Case) -> str:
    """All that is said of an attempt to connect with the case's setting."""
    option = [case.place, case.value] if case.place.startswith("--") else []
    said = [repr(from_environment())]
    with kept() as log:
        try:
            service = proxy._prepare(proxy.parse_arguments([*option, "i-0123456789abcdef0", "22", "--wait", "2"]))
            said += [repr(service), repr(vars(service))]
            service.start()
        except SsmsshError as error:
            said += [f"{link} {link!r} {link.args}" for link in chain(error)]
            said += [str(error.exit_status)]
        else:
            raise AssertionError("there is nobody to start a session with")
    return "\n".join([*said, log.text])


@pytest.fixture
def attempt(home: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], str]:
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)

    def attempt(case: Case) -> str:
        case = hold(case, closed_port)
        (home / ".aws/config").write_text(configuration(case))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(case, closed_port, home).items():
                patch.setenv(name, value)
            return outcome(case)

    return attempt


SECRET = "S3cretPart1234"
NO_SCHEME, AS_HOST = f"//jane:{SECRET}@127.0.0.1:{{}}", f"http://{SECRET}#1:x@127.0.0.1:{{}}"


@given(cases())
@example(Case("AWS_CONTAINER_CREDENTIALS_FULL_URI", NO_SCHEME, SECRET, has_proxy=False))
@example(Case("AWS_CONTAINER_CREDENTIALS_FULL_URI", AS_HOST, SECRET, has_proxy=False))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_repeats_it(attempt: Callable[[Case], str], case: Case) -> None:
    said = attempt(case)
    assert case.secret.lower() not in said.lower()


@pytest.mark.parametrize(
    "value",
    [
        "http://jane:{}#1@proxy.example:8080",
        "http://jane:{}/@proxy.example:8080",
        "http://jane:{}?@proxy.example:8080",
        "http://jane:{}\\@proxy.example:8080",
        "http://jane:{}@proxy.example:8080 ",
        "http://jane:{}@proxy.example:port",
        "http://jane:{}\u00e9@proxy.example:8080",
    ],
)
@pytest.mark.parametrize("has_proxy", [True, False], ids=["with an endpoint setting", "without"])
def test_a_proxy_that_cannot_be_used(attempt: Callable[[Case], str], value: str, has_proxy: bool) -> None:
    """Whether an early connection is begun first, or the API call finds out."""
    said = attempt(Case("HTTPS_PROXY", value.format("S3cretPart1234"), "S3cretPart1234", has_proxy))
    assert re.search("(URL|User and password) .*HTTPS_PROXY", said)
    assert said.rstrip().endswith(str(int(UsageError.exit_status)))
    assert "attempt" not in said
