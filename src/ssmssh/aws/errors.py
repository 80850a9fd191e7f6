"""One place where the exceptions of botocore become ours.

A user needs five things from a failed call: what was tried, on which target, in which region, as which profile,
and what to do now. botocore's exceptions have the first at most. The two tables below give the class (which is
the exit status) and the last; the codes are those of the SSM model, of the errors common to all AWS APIs, and of
STS and IAM Identity Center, which are asked for credentials on the way.

What is quoted from elsewhere is cut to a length and cleared of anything that looks like a secret: the answer to a
wrong signature repeats the request's headers, session token included, and a credential helper's stderr may say
anything.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from ssmssh.aws.origins import Origin, Trouble
from ssmssh.errors import (
    AccessDeniedError,
    CredentialsError,
    Guess,
    NetworkError,
    ProtocolError,
    SessionEndedError,
    SsmsshError,
    TargetError,
    UsageError,
)
from ssmssh.target import is_instance_id

THROTTLING_CODES = frozenset(
    {
        "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException",
        "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "429",
    }
)  # fmt: skip
"""The service has refused the call before doing anything, because of its rate."""

SERVICE_FAULT_CODES = frozenset(
    {
        "InternalServerError", "InternalFailure", "InternalError", "ServiceUnavailable", "ServiceUnavailableException",
        "Unavailable", "ServiceException",
    }
)  # fmt: skip

NETWORK_ERRORS = (boto.HTTPClientError, boto.ConnectionError)
"""Everything botocore raises when no complete answer came back."""

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RuntimeError)
"""What botocore lets through when an answer, a setting or a helper's output is not what it expects."""

FOREIGN_ERRORS = (boto.BotoCoreError, boto.ClientError, ResponseParserError, *UNREADABLE)
"""All that a call of botocore's may raise for reasons outside this program."""

_LONGEST_QUOTE = 600
"""Characters; AWS's longest useful sentence, an AccessDenied with two ARNs, has about 450."""

_SENSITIVE = r"""(?xs)
    ((?i:(?:security.?token|session.?token|access.?token|token.?value|secret.?(?:access.?)?key|signature)"?\s*[:=]\s*"?
        |credential=)) (?=[^\s",;&]+[0-9A-Z+/=]) [^\s",;&]{12,}
        | (//).*(?=@) | ((?i:invalid\ header\ value\ )).+"""
"""What may be a secret: behind such a name, what is too long and too motley for a word ("session token: Unable to
load"); between the beginning of a URL, which may lack its scheme, and an ``@``, wherever its user information may end;
and a header that http.client cannot send and repeats without its name, which may be the session token. It is compiled
when there is a failure to tell."""

_WRONG_REGION = "scoped to a valid region"
"""What the answer to a signature for another region than the endpoint's says; its code is that of a wrong clock."""
_DENIED = r"not authorized to perform: (?P<action>[\w:*-]+)(?: on resource: (?P<resource>\S+))?"


class Context(NamedTuple):
    """What was being done when an exception came; `what` completes "Cannot ...". None where it does not apply.

    `origin` is where the caller's credentials come from, or should have come from.
    """

    what: str
    region: str | None = None
    profile: str | None = None
    target: str | None = None
    document_name: str | None = None
    origin: Origin | None = None

    def sentence(self, reason: str) -> str:
        """One sentence of all that is known and `reason`."""
        where = [f"region {self.region}"] if self.region else []
        where += [f"profile {self.profile}"] if self.profile else []
        target = f" {self.target}" if self.target else ""
        return f"Cannot {self.what}{target}{' (' + ', '.join(where) + ')' if where else ''}: {reason.rstrip('. ')}"

    @property
    def profile_option(self) -> str:
        """What to add to an ``aws`` command to use the same profile."""
        return f" --profile {shlex.quote(self.profile)}" if self.profile else ""


@contextmanager
def mapped(context: Context) -> Iterator[None]:
    """Raise what botocore raises as one of ours. For calls of botocore alone: it would hide mistakes of ours.

    The cause is dropped: an exception may hold the document it could not read, which may be credentials.
    """
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise map_error(error, context) from None


def map_error(error: Exception, context: Context) -> SsmsshError:
    """The exception of ours for `error`, with class (exit status), sentence and hint.

    Args:
        error: Of botocore; or whatever else it let through while it read an answer or a helper's output.
        context: What was being done.
    """
    if isinstance(error, boto.ClientError):
        return _map_client_error(error, context)
    if isinstance(error, boto.ConfigParseError):
        from ssmssh.aws.files import fault_of  # like what follows a failure elsewhere: most connections need it not

        if fault := fault_of(str(error.kwargs["path"])):
            return fault
    for types, cls, hint, _ in _BOTOCORE:
        if isinstance(error, types):
            return cls(context.sentence(_reason(error)), _fill(hint, context))
    return SsmsshError(context.sentence(f"{type(error).__name__}: {_reason(error)}"))


def error_code(error: Exception) -> str:
    """The code of a refused API call: AWS's, or the HTTP status where the answer held none; "" for others."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def is_for_later(error: Exception) -> bool:
    """Whether the service has refused the call before doing anything, and may well do it in a while."""
    code = error_code(error)
    return code in THROTTLING_CODES or code in SERVICE_FAULT_CODES or re.fullmatch("5[0-9][0-9]", code) is not None


def quote(text: str) -> str:
    """A foreign text made fit to be shown: bounded, without what looks like a secret."""
    text = re.sub(_SENSITIVE, lambda m: (m[1] or m[2] or m[3]) + "***", text[: 4 * _LONGEST_QUOTE])
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."


_CHECK_TARGET = Guess(
    "check that the instance runs and its SSM agent is online, that its role has AmazonSSMManagedInstanceCore, "
    "and that region and profile are the instance's{elsewhere}"
)
_CHECK_INSTANCE = Guess("check that the instance runs, and that region and profile are the instance's")
_CHECK_DOCUMENT = "check the name (--document-name): {name} must be a Session document of this account and region"
_CHECK_PARAMETERS = "check the parameters (--parameter) and the options against {document}"
_ASK_FOR_ACCESS = Guess(
    "check account and role of the profile; a session needs ssm:StartSession on the instance and on {document}"
)
_LOG_IN_AGAIN = "log in again, for example: aws sso login{option}"
_LOG_IN_SSO = "run: aws sso login{option}"
_LOG_IN = "run: aws login{option}"
_CHECK_KEYS = Guess("check the keys of the profile; a region that is not enabled for the account answers the same")
_CHECK_CLOCK = Guess("check this computer's clock, then the secret key")
_CHECK_REGION = (
    "the endpoint is of another region than {region}: check the region (--region, the host's words) and any endpoint "
    "setting"
)
_ADVANCED = (
    "sessions with hybrid nodes need the advanced-instances tier: aws ssm update-service-setting --setting-id "
    "/ssm/managed-instance/activation-tier --setting-value advanced{option}{region_option}"
)
CORRECT = "correct the AWS configuration (~/.aws/config, AWS_* variables)"
NOT_AWS = Guess("something else than AWS has answered: check proxy and endpoint")
_TRY_AGAIN = "AWS is at fault or busy: try again in a moment"

_CODES: tuple[tuple[frozenset[str], type[SsmsshError], str, Trouble | None], ...] = (
    (frozenset({"TargetNotConnected", "InvalidInstanceId", "InvalidTarget"}), TargetError, _CHECK_TARGET, None),
    (
        frozenset({
            "EC2InstanceNotFoundException", "EC2InstanceStateInvalidException", "EC2InstanceUnavailableException",
        }),
        TargetError,
        _CHECK_INSTANCE,
        None,
    ),
    (frozenset({"InvalidArgsException"}), UsageError, "check the log-in name and the kind of the key", None),
    (
        frozenset({"InvalidDocument", "InvalidDocumentVersion", "InvalidDocumentContent"}),
        UsageError,
        _CHECK_DOCUMENT,
        None,
    ),
    (frozenset({"DocumentAlreadyExists", "DocumentLimitExceeded"}), UsageError, "see: ssmssh document list", None),
    (
        frozenset({
            "InvalidParameters", "ValidationException", "ValidationError", "BadRequest", "BadRequestException",
            "InvalidRequestException", "ResourceNotFoundException",
        }),
        UsageError,
        _CHECK_PARAMETERS,
        Trouble.REJECTED,
    ),
    (THROTTLING_CODES, NetworkError, _TRY_AGAIN, None),
    (SERVICE_FAULT_CODES, NetworkError, _TRY_AGAIN, None),
    (frozenset({"DoesNotExistException"}), SessionEndedError, "the session has ended; connect again", None),
    (
        frozenset({
            "AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "ForbiddenException", "AuthException",
        }),
        AccessDeniedError,
        _ASK_FOR_ACCESS,
        Trouble.DENIED,
    ),
    (frozenset({"403"}), AccessDeniedError, _ASK_FOR_ACCESS, Trouble.FOREIGN),
    (frozenset({"ExpiredTokenException", "ExpiredToken", "401"}), CredentialsError, _LOG_IN_AGAIN, Trouble.EXPIRED),
    (
        frozenset({
            "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "OptInRequired",
            "MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure",
            "InvalidIdentityToken", "IDPRejectedClaim",
        }),
        CredentialsError,
        _CHECK_KEYS,
        Trouble.REFUSED,
    ),
    (
        frozenset({
            "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature",
            "IncompleteSignatureException", "RequestExpired", "RequestTimeTooSkewed",
        }),
        CredentialsError,
        _CHECK_CLOCK,
        None,
    ),
)  # fmt: skip

CONFIGURATION_ERRORS = (
    boto.InvalidConfigError, boto.ConfigParseError, boto.ConfigNotFound, boto.ProfileNotFound,
    boto.UnknownCredentialError, boto.InvalidRetryConfigurationError, boto.InvalidDefaultsMode,
    boto.InvalidIMDSEndpointError, boto.InvalidIMDSEndpointModeError, boto.InvalidSTSRegionalEndpointsConfigError,
    boto.InvalidChecksumConfigError, boto.InvalidProxiesConfigError,
)  # fmt: skip
"""What botocore raises for a setting of AWS's that it cannot use."""

_BOTOCORE: tuple[tuple[tuple[type[Exception], ...], type[SsmsshError], str, Trouble | None], ...] = (
    (
        (boto.NoCredentialsError,),
        CredentialsError,
        "log in (aws sso login{option}, aws login{option}, aws configure{option}), or name another profile (--profile)",
        None,
    ),
    ((boto.PartialCredentialsError,), CredentialsError, "complete the keys of the profile", Trouble.UNUSABLE),
    ((boto.SSOError, boto.TokenRetrievalError), CredentialsError, _LOG_IN_SSO, Trouble.EXPIRED),
    ((boto.LoginError,), CredentialsError, _LOG_IN, Trouble.EXPIRED),
    (
        (boto.CredentialRetrievalError, boto.MetadataRetrievalError),
        CredentialsError,
        "look at what gives the credentials of the profile",
        Trouble.UNUSABLE,
    ),
    ((boto.MissingDependencyException, boto.RefreshWithMFAUnsupportedError), CredentialsError, _LOG_IN_AGAIN, None),
    (
        (boto.SSLError,),
        NetworkError,
        Guess("behind a TLS-inspecting proxy, name its CA file in AWS_CA_BUNDLE or ca_bundle"),
        None,
    ),
    ((boto.ProxyConnectionError,), NetworkError, Guess("check HTTPS_PROXY and NO_PROXY"), None),
    (
        NETWORK_ERRORS,
        NetworkError,
        Guess("check the network, any endpoint setting, and that there is a region {region}"),
        Trouble.UNREACHABLE,
    ),
    (
        (boto.InvalidIMDSEndpointError,),
        UsageError,
        "correct AWS_EC2_METADATA_SERVICE_ENDPOINT or ec2_metadata_service_endpoint",
        None,
    ),
    (
        (
            boto.ParamValidationError, boto.ValidationError, boto.NoRegionError, boto.BaseEndpointResolverError,
            boto.EndpointProviderError, boto.UnknownRegionError,
        ),
        UsageError,
        "check the region, the options and any endpoint setting",
        Trouble.REJECTED,
    ),
    (CONFIGURATION_ERRORS, UsageError, CORRECT, None),
    ((ResponseParserError,), ProtocolError, NOT_AWS, Trouble.FOREIGN),
    (UNREADABLE, ProtocolError, NOT_AWS, Trouble.UNUSABLE),
)  # fmt: skip


def trouble_of(error: Exception) -> Trouble | None:
    """What `error` says about the credentials it was met with, or while these were looked for; None if nothing."""
    if isinstance(error, boto.ClientError):
        code = error_code(error)
        return next((trouble for codes, _, _, trouble in _CODES if code in codes), None)
    return next((trouble for types, _, _, trouble in _BOTOCORE if isinstance(error, types)), None)


def _map_client_error(error: boto.ClientError, context: Context) -> SsmsshError:
    code = error_code(error)
    message = quote(_without_request(str(error.response.get("Error", {}).get("Message", ""))))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    label = f"HTTP {code}" if code.isdecimal() else quote(code) or "no error code"
    reason = f"{label}: {message}" if message else label
    if _WRONG_REGION in message:
        return UsageError(context.sentence(reason), _fill(_CHECK_REGION, context))
    for codes, cls, hint, trouble in _CODES:
        if code in codes:
            denied = re.search(_DENIED, message) if cls is AccessDeniedError else None
            on = f" on {denied['resource']}" if denied and denied["resource"] else ""
            next_step = f"ask for {denied['action']}{on}" if denied else _fill(hint, context)
            if cls is CredentialsError and context.origin and trouble:
                from ssmssh.aws.advice import advise

                next_step = advise(context.origin, trouble, context.profile) or next_step
            elif code.startswith("BadRequest") and (context.target or "").startswith("mi-"):
                next_step = _fill(_ADVANCED, context)
            return cls(context.sentence(reason), next_step)
    if code.isdecimal() or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return NetworkError(context.sentence(reason), Guess("check proxy and endpoint, then try again"))
    return SsmsshError(context.sentence(reason))


def _without_request(message: str) -> str:
    """Drop the copy of the request that the answers to a wrong signature give, session token and all."""
    for start in ("The Canonical String", "in Authorization header"):
        message = message.partition(start)[0]
    return message


_WITHOUT_REASON = (boto.EndpointConnectionError, boto.ProxyConnectionError)


def _reason(error: Exception) -> str:
    if isinstance(error, boto.InvalidIMDSEndpointError):
        return "the endpoint of the EC2 metadata service is not a URL"  # botocore shows it, user and password included
    if isinstance(error, boto.BotoCoreError):
        # These keep the reason (refused, unknown name) out of their text; urllib3's text ends with it.
        inner = error.kwargs.get("error")
        detail = str(inner).rpartition(": ")[2] if type(error) in _WITHOUT_REASON and inner else ""
        detail = re.sub(r"[\"']\)+$", "", detail)  # what is left of an exception inside another's repr
        return quote(f"{error} ({detail})" if detail else str(error))
    # The text of other exceptions may repeat what could not be parsed.
    return f"the answer cannot be read ({type(error).__name__})"


def _fill(hint: str, context: Context) -> str:
    is_instance = context.target is not None and is_instance_id(context.target)
    look = f"; to look elsewhere: ssmssh list --all-regions{context.profile_option} {context.target}"
    filled = hint.format(
        elsewhere=look if is_instance else "",
        option=context.profile_option,
        name=context.document_name or "it",
        document=f"the document {name}" if (name := context.document_name) else "the account's document for shells",
        region=context.region or "of that name",
        region_option=f" --region {context.region}" if context.region else "",
    )
    return Guess(filled) if isinstance(hint, Guess) else filled
