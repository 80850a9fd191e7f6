"""Checking the signatures of requests (AWS Signature Version 4), the way the services do.

This is a second implementation on purpose. Clients sign with botocore; if the sandbox asked botocore what the
right signature is, a mistake of botocore's (or in how it is called) would be made twice and go unseen.
The raw ``+`` in a stream URL is an example: it means a blank to the services, and botocore, given the whole
URL, signs a plus.

The canonical request: method; path, each segment percent-encoded once more; query, decoded, sorted and
encoded; the signed headers; their names; the SHA-256 of the body. (AWS General Reference, "Create a signed
AWS API request".)
"""

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from ssmssh.sandbox.keys import AccessKey, KeyRing

SKEW_SECONDS = 300.0
"""How far a request's time may be from ours: what Systems Manager allows."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} +Credential=(?P<credential>[^,\s]+), *SignedHeaders=(?P<headers>[^,\s]+), *"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An HTTP request as it was on the wire: `target` byte for byte, header names in lower case."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of the header `name` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature says it is for."""

    access_key_id: str
    date: str
    region: str
    service: str


class SignatureRefusedError(Exception):
    """The request is not signed as it must be; `code` is the error code of the JSON services."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def verify(
    request: SignedRequest, keys: KeyRing, *, regions: Collection[str], service: str | None, now: dt.datetime
) -> Scope:
    """Check that a good key of `keys` signed `request` for one of `regions` and for `service`, at about `now` (aware).

    `service` None accepts any one. The scope that is returned says which it is, and which region.

    Raises:
        SignatureRefusedError: with the code and words of the real services.
    """
    scope, signed_names, signature = _parse_authorization(request)
    if keys.is_expired(scope.access_key_id):
        raise SignatureRefusedError("ExpiredTokenException", "The security token included in the request is expired")
    key = keys.find(scope.access_key_id)
    if key is None:
        raise SignatureRefusedError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    if scope.region not in regions:
        raise SignatureRefusedError(
            "InvalidSignatureException", f"Credential should be scoped to a valid region, not '{scope.region}'."
        )
    if service is not None and scope.service != service:
        raise SignatureRefusedError(
            "InvalidSignatureException", f"Credential should be scoped to correct service: '{service}'."
        )
    timestamp = _check_time(request, scope, now)
    required = {"host", "x-amz-date"} | {name for name, _ in request.headers if name.startswith("x-amz-")}
    if not required <= set(signed_names):
        missing = ", ".join(sorted(required - set(signed_names)))
        raise SignatureRefusedError("InvalidSignatureException", f"Headers must be signed: {missing}.")
    if not hmac.compare_digest(signature, _signature(request, scope, signed_names, timestamp, key)):
        raise SignatureRefusedError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details.",
        )
    if not hmac.compare_digest((request.header("x-amz-security-token") or "").encode(), key.session_token.encode()):
        raise SignatureRefusedError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    return scope


def _parse_authorization(request: SignedRequest) -> tuple[Scope, list[str], str]:
    authorization = request.header("authorization")
    if authorization is None:
        raise SignatureRefusedError("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(authorization.strip())
    parts = match["credential"].split("/") if match else []
    if match is None or len(parts) != 5 or parts[4] != "aws4_request":
        raise SignatureRefusedError(
            "IncompleteSignatureException", "Authorization header is not of the form Signature Version 4 requires."
        )
    return Scope(*parts[:4]), match["headers"].split(";"), match["signature"]


def _check_time(request: SignedRequest, scope: Scope, now: dt.datetime) -> str:
    timestamp = request.header("x-amz-date") or ""
    try:
        signed_at = dt.datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        raise SignatureRefusedError(
            "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'."
        ) from None
    if scope.date != timestamp[:8]:
        raise SignatureRefusedError(
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date.",
        )
    skew = (now - signed_at).total_seconds()
    if abs(skew) > SKEW_SECONDS:
        word = "Signature expired" if skew > 0 else "Signature not yet current"
        relation = "earlier" if skew > 0 else "later"
        limit = now - dt.timedelta(seconds=SKEW_SECONDS if skew > 0 else -SKEW_SECONDS)
        raise SignatureRefusedError(
            "InvalidSignatureException", f"{word}: {timestamp} is now {relation} than {limit:%Y%m%dT%H%M%SZ} (5 min.)"
        )
    return timestamp


def _signature(
    request: SignedRequest, scope: Scope, signed_names: Sequence[str], timestamp: str, key: AccessKey
) -> str:
    path, _, query = request.target.partition("?")
    values = [(name, ",".join(" ".join(v.split()) for k, v in request.headers if k == name)) for name in signed_names]
    canonical = "\n".join(
        [
            request.method,
            "/".join(quote(segment, safe="~") for segment in path.split("/")) or "/",
            _canonical_query(query),
            *(f"{name}:{value}" for name, value in values),
            "",
            ";".join(signed_names),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    scope_text = f"{scope.date}/{scope.region}/{scope.service}/aws4_request"
    text = "\n".join([_ALGORITHM, timestamp, scope_text, hashlib.sha256(canonical.encode()).hexdigest()])
    derived = f"AWS4{key.secret_access_key}".encode()
    for part in (*scope_text.split("/"), text):
        derived = hmac.digest(derived, part.encode(), "sha256")
    return derived.hex()


def _canonical_query(query: str) -> str:
    parted = [pair.partition("=") for pair in query.split("&") if pair]
    pairs = sorted((_encode(name), _encode(value)) for name, _, value in parted)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _encode(text: str) -> str:
    return quote(unquote_plus(text), safe="~")
