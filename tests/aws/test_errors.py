"""Every kind of exception of botocore's becomes one of ours, with a next step and without a secret."""

import shlex
from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.parsers import ResponseParserError

from ssmssh.aws.errors import Context, error_code, map_error, mapped, quote
from ssmssh.errors import (
    AccessDeniedError,
    CredentialsError,
    NetworkError,
    ProtocolError,
    SessionEndedError,
    SsmsshError,
    UsageError,
)

CONTEXT = Context("start a session with", "eu-west-1", "prod", "i-0123456789abcdef0", "My-Document")


def refused(code: str, message: str = "A text.", status: int = 400) -> boto.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, "StartSession")


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (boto.NoCredentialsError(), CredentialsError, "aws sso login"),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError, "complete"),
        (boto.UnauthorizedSSOTokenError(), CredentialsError, "run: aws sso login --profile prod"),
        (boto.SSOTokenLoadError(error_msg="x"), CredentialsError, "run: aws sso login --profile prod"),
        (boto.TokenRetrievalError(provider="sso", error_msg="x"), CredentialsError, "aws sso login --profile prod"),
        (boto.LoginRefreshRequired(), CredentialsError, "run: aws login --profile prod"),
        (boto.CredentialRetrievalError(provider="x", error_msg="x"), CredentialsError, "look at what gives"),
        (boto.RefreshWithMFAUnsupportedError(), CredentialsError, "log in again"),
        (boto.MissingDependencyException(msg="awscrt"), CredentialsError, "log in again"),
        (boto.MetadataRetrievalError(error_msg="x"), CredentialsError, "look at what gives"),
        (boto.SSLError(endpoint_url="x", error=OSError("self-signed")), NetworkError, "AWS_CA_BUNDLE"),
        (boto.ProxyConnectionError(proxy_url="x"), NetworkError, "HTTPS_PROXY"),
        (boto.EndpointConnectionError(endpoint_url="x"), NetworkError, "that there is a region eu-west-1"),
        (boto.ConnectTimeoutError(endpoint_url="x"), NetworkError, "network"),
        (boto.ReadTimeoutError(endpoint_url="x"), NetworkError, "network"),
        (boto.ConnectionClosedError(endpoint_url="x"), NetworkError, "network"),
        (boto.HTTPClientError(error="x"), NetworkError, "network"),
        (boto.ParamValidationError(report="x"), UsageError, "options"),
        (boto.NoRegionError(), UsageError, "region"),
        (boto.InvalidRegionError(region_name="x"), UsageError, "region"),
        (boto.EndpointVariantError(tags=["x"], error_msg="x"), UsageError, "endpoint"),
        (boto.ProfileNotFound(profile="x"), UsageError, "configuration"),
        (boto.ConfigParseError(path="x"), UsageError, "configuration"),
        (boto.InvalidConfigError(error_msg="x"), UsageError, "configuration"),
        (ResponseParserError("x"), ProtocolError, "something else than AWS"),
        (ValueError("x"), ProtocolError, "something else than AWS"),
        (boto.UnknownServiceError(service_name="x", known_service_names="y"), SsmsshError, ""),
        (refused("DoesNotExistException"), SessionEndedError, "connect again"),
        (refused("ForbiddenException"), AccessDeniedError, "document My-Document"),
        (refused("Unheard", status=500), NetworkError, "try again"),
        (refused("", ""), SsmsshError, ""),
    ],
)
def test_kind_and_hint(error: Exception, kind: type[SsmsshError], hint: str) -> None:
    ours = map_error(error, CONTEXT)
    assert type(ours) is kind
    start = "Cannot start a session with i-0123456789abcdef0 (region eu-west-1, profile prod): "
    assert ours.sentence.startswith(start)
    assert hint in ours.hint
    assert "\n" not in str(ours)


def test_without_profile_region_or_target() -> None:
    ours = map_error(boto.UnauthorizedSSOTokenError(), Context("get credentials"))
    assert ours.sentence.startswith("Cannot get credentials: ")
    assert ours.hint == "run: aws sso login"


def test_a_profile_is_quoted_for_the_shell() -> None:
    ours = map_error(boto.UnauthorizedSSOTokenError(), Context("get credentials", profile="a b;c"))
    assert shlex.split(ours.hint)[-1] == "a b;c"


def test_braces_in_foreign_text_are_text() -> None:
    denied = "not authorized to perform: ssm:X on resource: {option}"
    assert "ssm:X on {option}" in map_error(refused("AccessDeniedException", denied), CONTEXT).hint


def test_the_reason_of_a_failed_connection_is_told() -> None:
    error = boto.EndpointConnectionError(endpoint_url="x", error="HTTPSConnection(): Failed: [Errno -2] Name unknown")
    assert "([Errno -2] Name unknown)" in str(map_error(error, CONTEXT))


@pytest.mark.parametrize(
    "text",
    [
        "x-amz-security-token:Zm9vYmFyYmF6",
        "X-Amz-Security-Token=Zm9vYmFyYmF6&x=1",
        '{"SecretAccessKey": "Zm9vYmFyYmF6", "a": 1}',
        "aws_secret_access_key = Zm9vYmFyYmF6",
        '"SessionToken":"Zm9vYmFyYmF6"',
        "TokenValue: Zm9vYmFyYmF6",
        "accessToken=Zm9vYmFyYmF6",
        "Signature=Zm9vYmFyYmF6, x",
        "AWS4-HMAC-SHA256 Credential=Zm9vYmFyYmF6/20260101/eu-west-1/ssm/aws4_request, SignedHeaders=host",
        "Invalid header value b'Zm9vYmFyYmF6'",
        "Invalid header value b'a Zm9vYmFyYmF6\\n of words'",
        "http://me:Zm9vYmFyYmF6@proxy.example:3128",
        "http://me:Zm9vYmFyYmF6#1@proxy.example:3128",
        'cannot parse me://Zm9vYmFyYmF6 / \\ ? " @proxy',
    ],
)
def test_secrets_are_not_repeated(text: str) -> None:
    assert "Zm9vYmFyYmF6" not in quote(text)
    assert "***" in quote(text)
    assert "Zm9vYmFyYmF6" not in str(map_error(refused("Other", text), CONTEXT))
    assert "Zm9vYmFyYmF6" not in str(map_error(boto.CredentialRetrievalError(provider="p", error_msg=text), CONTEXT))


def test_the_header_of_an_unreadable_signature_is_not_repeated() -> None:
    text = "'AKID' not a valid key=value pair in Authorization header: 'AWS4-HMAC-SHA256 Credential=AKID Zm9vYmFyYmF6'"
    assert "Zm9vYmFyYmF6" not in str(map_error(refused("IncompleteSignatureException", text), CONTEXT))


def test_ordinary_sentences_are_repeated_as_they_are() -> None:
    for text in (
        "Signature expired: 20240102 is now earlier",
        "Token has expired and refresh failed",
        "Error loading login session token: Unable to load",
    ):
        assert quote(text) == text


def test_long_texts_are_cut() -> None:
    assert len(str(map_error(refused("Other", "x" * 100_000), CONTEXT))) < 1000


def test_mapped_hides_what_could_not_be_read() -> None:
    with pytest.raises(ProtocolError) as caught, mapped(CONTEXT):
        raise ValueError("SECRET")
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_mapped_lets_ours_and_signals_pass() -> None:
    with pytest.raises(UsageError, match="mine"), mapped(CONTEXT):
        raise UsageError("mine")
    with pytest.raises(KeyboardInterrupt), mapped(CONTEXT):
        raise KeyboardInterrupt


def test_error_code() -> None:
    assert error_code(refused("Throttling")) == "Throttling"
    assert error_code(ValueError()) == ""


def test_a_reason_from_the_inside_of_another_ones_repr_is_cut_out_whole() -> None:
    inner = OSError("Tunnel failed", OSError("Failed to resolve 'p' ([Errno -2] Name or service not known)"))
    error = boto.ProxyConnectionError(proxy_url="http://p", error=f"a pool: {inner!r}")
    assert "([Errno -2] Name or service not known));" in str(map_error(error, CONTEXT))
