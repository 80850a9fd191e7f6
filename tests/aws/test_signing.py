"""The signature of the WebSocket's opening, against vectors of the AWS Go SDK and a second computation."""

import datetime as dt
import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
import pytest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssmssh.aws.signing import stream_headers

URL = (
    "wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/user@example.com-0123456789abcdef0"
    "?role=publish_subscribe&cell-number=AAEAAXxZ+k/N0oRkJZBX"
)
KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TIME = "20240102T030405Z"


@pytest.fixture(autouse=True)
def _at_a_fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def now(*_: object, **__: object) -> dt.datetime:
        return dt.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as botocore's own

    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)


def headers(url: str, token: str | None = None) -> dict[str, str]:
    return stream_headers(url, "us-east-1", ReadOnlyCredentials(KEY_ID, SECRET, token))


def expected_signature(url: str) -> str:
    """SigV4 of a GET without a session token, as the AWS reference describes it; the query is decoded first."""
    parts = urlsplit(url)
    query = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(parts.query, True))
    canonical = "\n".join(
        [
            "GET",
            quote(parts.path, safe="/~"),
            "&".join(f"{k}={v}" for k, v in query),
            f"host:{parts.netloc}",
            f"x-amz-date:{TIME}",
            "",
            "host;x-amz-date",
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    scope = f"{TIME[:8]}/us-east-1/ssmmessages/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for step in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{TIME}\n{scope}\n{digest}"]:
        key = hmac.digest(key, step.encode(), "sha256")
    return key.hex()


def test_vector_without_token() -> None:
    assert headers(URL) == {
        "X-Amz-Date": TIME,
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240102/us-east-1/ssmmessages/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=1415ac3c3775493ec18d206004935e4ce4ebed5888d77b8f4eafdb55bf015c29",
    }


def test_vector_with_token() -> None:
    signed = headers(URL, "SESSIONTOKEN")
    assert signed["X-Amz-Security-Token"] == "SESSIONTOKEN"
    assert signed["Authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=b772dfa64715f5f9197eb390ce492ab69a18dbfce1d3f51f48b099a6cb850657"
    )


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "wss://h.example/a",
        "wss://h.example/a?",
        "wss://h.example/a?b",
        "wss://h.example/a?b=&a=",
        "wss://h.example/a?b=2&b=1&a=3&b=1",
        "wss://h.example/a?x=a=b==&y=+/+",
        "wss://h.example/a?x=%2B%2f%20+",
        "wss://h.example/a@b.c/d%40e?x=1",
        "wss://h.example:8443/a",
        "ws://127.0.0.1:8080/a?x=1",
    ],
)
def test_agrees_with_the_reference(url: str) -> None:
    assert headers(url)["Authorization"].endswith(f"Signature={expected_signature(url)}")


QUERY = st.lists(st.from_regex(r"[A-Za-z0-9._~/+=:@!*'(),-]{0,20}", fullmatch=True), max_size=6).map("&".join)


@given(query=QUERY)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_agrees_with_the_reference_for_any_query(query: str) -> None:
    url = f"wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/a@b-1?{query}"
    assert headers(url)["Authorization"].endswith(f"Signature={expected_signature(url)}")


@pytest.mark.parametrize(
    "name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token", "signature"]
)
def test_a_presigned_url_is_left_alone(name: str) -> None:
    assert headers(f"{URL}&X-Amz-{name}=x") == {}
    assert headers(f"{URL}&x-amz-{name}=") == {}
    assert headers(f"{URL}&no=X-Amz-{name}") != {}
