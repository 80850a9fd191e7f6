"""Signatures: ours against botocore's, the published vector, and each refusal."""

import datetime as dt
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.sandbox.keys import AccessKey, KeyRing
from ssmssh.sandbox.sigv4 import SignatureRefusedError, SignedRequest, verify

KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "SESSION/TOKEN+=")
REGION = "eu-central-1"
NOW = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)


def sign(url: str, params: dict[str, str], body: bytes, *, service: str = "ssm", key: AccessKey = KEY) -> SignedRequest:
    """A request as botocore signs and sends it, now."""
    request = AWSRequest("POST", url, data=body, params=params, headers={"X-Amz-Target": "AmazonSSM.Test"})
    SigV4Auth(Credentials(key.access_key_id, key.secret_access_key, key.session_token), service, REGION).add_auth(
        request
    )
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    headers = [(name.lower(), str(value)) for name, value in request.headers.items()]
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return SignedRequest("POST", target, [*headers, ("host", parts.netloc)], body)


def check(
    request: SignedRequest, *, region: str = REGION, service: str | None = "ssm", later_seconds: float = 0.0
) -> str:
    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=later_seconds)
    try:
        return verify(request, KeyRing([KEY]), regions=[region], service=service, now=now).service
    except SignatureRefusedError as error:
        return f"{error.code}: {error.message}"


@given(params=st.dictionaries(TEXT.filter(bool), TEXT, max_size=4), body=st.binary(max_size=100))
def test_what_botocore_signs_is_accepted(params: dict[str, str], body: bytes) -> None:
    request = sign("https://127.0.0.1:4566/", params, body)
    assert check(request) == "ssm"


def test_the_published_vector_of_the_stream_url() -> None:
    target = (
        "/v1/data-channel/user@example.com-0123456789abcdef0?role=publish_subscribe&cell-number=AAEAAXxZ+k/N0oRkJZBX"
    )
    key = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "SESSIONTOKEN")
    headers = [
        ("host", "ssmmessages.us-east-1.amazonaws.com"),
        ("x-amz-date", "20240102T030405Z"),
        ("x-amz-security-token", "SESSIONTOKEN"),
        (
            "authorization",
            (
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240102/us-east-1/ssmmessages/aws4_request, "
                "SignedHeaders=host;x-amz-date;x-amz-security-token, "
                "Signature=b772dfa64715f5f9197eb390ce492ab69a18dbfce1d3f51f48b099a6cb850657"
            ),
        ),
    ]
    scope = verify(
        SignedRequest("GET", target, headers), KeyRing([key]), regions=["us-east-1"], service="ssmmessages", now=NOW
    )
    assert scope.service == "ssmmessages"


def test_a_raw_plus_signed_as_a_plus_is_refused() -> None:
    """What botocore makes of the URL when it is given whole."""
    url = "https://127.0.0.1/v1/data-channel/x?cell-number=A+k/B"
    request = AWSRequest("GET", url)
    SigV4Auth(Credentials(KEY.access_key_id, KEY.secret_access_key, KEY.session_token), "ssm", REGION).add_auth(request)
    headers = [(name.lower(), str(value)) for name, value in request.headers.items()]
    wrong = SignedRequest("GET", "/v1/data-channel/x?cell-number=A+k/B", [*headers, ("host", "127.0.0.1")])
    assert check(wrong).startswith("InvalidSignatureException: The request signature we calculated")
    right = AWSRequest("GET", url.partition("?")[0], params=dict(parse_qsl("cell-number=A+k/B")))
    SigV4Auth(Credentials(KEY.access_key_id, KEY.secret_access_key, KEY.session_token), "ssm", REGION).add_auth(right)
    headers = [(name.lower(), str(value)) for name, value in right.headers.items()]
    assert check(SignedRequest("GET", wrong.target, [*headers, ("host", "127.0.0.1")])) == "ssm"


GOOD = "https://127.0.0.1:4566/"


def changed(request: SignedRequest, **headers: str | None) -> SignedRequest:
    """The request with headers replaced or (None) removed."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = [(name, value) for name, value in request.headers if name not in names]
    return SignedRequest(
        request.method, request.target, kept + [(n, v) for n, v in names.items() if v is not None], request.body
    )


def test_each_refusal_has_the_code_of_the_service() -> None:
    request = sign(GOOD, {}, b"{}")
    assert check(changed(request, authorization=None)).startswith("MissingAuthenticationTokenException")
    assert check(changed(request, authorization="Basic eA==")).startswith("IncompleteSignatureException")
    assert check(changed(request, x_amz_date="yesterday")).startswith("IncompleteSignatureException")
    assert check(request, region="us-west-2").startswith("InvalidSignatureException: Credential should be scoped to a")
    assert check(request, service="ec2").startswith("InvalidSignatureException: Credential should be scoped to correct")
    assert check(SignedRequest("POST", request.target, request.headers, b"{ }")).startswith("InvalidSignatureException")
    assert check(changed(request, x_amz_target="AmazonSSM.Other")).startswith("InvalidSignatureException")
    assert check(changed(request, x_amz_new="1")).startswith("InvalidSignatureException: Headers must be signed")


def test_keys_and_tokens_of_others_are_not_known() -> None:
    stranger = AccessKey("AKIDOTHER", KEY.secret_access_key, KEY.session_token)
    assert check(sign(GOOD, {}, b"", key=stranger)).startswith("UnrecognizedClientException")
    other_secret = AccessKey(KEY.access_key_id, "x", KEY.session_token)
    assert check(sign(GOOD, {}, b"", key=other_secret)).startswith("InvalidSignatureException")
    other_token = AccessKey(KEY.access_key_id, KEY.secret_access_key, "x")
    assert check(sign(GOOD, {}, b"", key=other_token)).startswith("UnrecognizedClientException")


@pytest.mark.parametrize(("later_seconds", "words"), [(400, "Signature expired"), (-400, "Signature not yet current")])
def test_the_time_may_be_five_minutes_off(later_seconds: float, words: str) -> None:
    request = sign(GOOD, {}, b"{}")
    assert check(request, later_seconds=later_seconds * 0.7) == "ssm"
    assert check(request, later_seconds=later_seconds).startswith(f"InvalidSignatureException: {words}")


def test_secrets_are_in_no_repr() -> None:
    assert KEY.secret_access_key not in repr(KEY)
    assert KEY.session_token not in repr(KEY)


def test_a_key_that_was_good_is_expired_and_not_unknown() -> None:
    request = sign(GOOD, {}, b"{}")
    keys = KeyRing([KEY])
    keys.renew(AccessKey("ASIANEXT", "x", "y"))
    with pytest.raises(SignatureRefusedError) as caught:
        verify(request, keys, regions=[REGION], service="ssm", now=dt.datetime.now(dt.UTC))
    assert caught.value.code == "ExpiredTokenException"
