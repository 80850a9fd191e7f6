"""How the sandbox's services refuse: one error, in the words and the form of the service that was asked.

Systems Manager and the other JSON services answer with ``__type``; EC2, auto scaling and STS (the *query services*)
with XML, and EC2 with codes of its own. Codes: EC2 API Reference, "Error codes"; STS and Auto Scaling API References,
"Common Errors".
"""

import secrets
from collections.abc import Mapping
from xml.sax.saxutils import escape

from ssmssh.sandbox.accounts import Caller
from ssmssh.sandbox.httpio import Response, json_response


class ApiError(Exception):
    """The call is refused; `code` and the text are what Systems Manager would say."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def response(self) -> Response:
        """The JSON services' form of an error."""
        return json_response({"__type": self.code, "message": self.message}, self.status)

    def response_of(self, service: str) -> Response:
        """The form of a query service, with its own code for what all services can say."""
        codes = _EC2_CODES if service == "ec2" else _QUERY_CODES
        code, message, status = codes.get(self.code, (self.code, "", 0))
        error = f"<Code>{code}</Code><Message>{escape(message or self.message)}</Message>"
        number = secrets.token_hex(16)
        if service == "ec2":
            text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{number}</RequestID></Response>"
        else:
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>{number}</RequestId>"
                "</ErrorResponse>"
            )
        return Response(status or self.status, text.encode(), {"Content-Type": "text/xml"})


_Codes = Mapping[str, tuple[str, str, int]]
"""From Systems Manager's code to the service's code, its text where that differs, and the HTTP status."""

_QUERY_CODES: _Codes = {
    "AccessDeniedException": ("AccessDenied", "", 403),
    "ExpiredTokenException": ("ExpiredToken", "The security token included in the request is expired", 403),
    "IncompleteSignatureException": ("IncompleteSignature", "", 400),
    "InternalServerError": ("InternalFailure", "", 500),
    "InvalidSignatureException": ("SignatureDoesNotMatch", "", 403),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", "", 403),
    "ThrottlingException": ("Throttling", "", 400),
    "UnrecognizedClientException": ("InvalidClientTokenId", "", 403),
}
_CANNOT_VALIDATE = "AWS was not able to validate the provided access credentials"
_EC2_CODES: _Codes = {
    **_QUERY_CODES,
    "AccessDeniedException": ("UnauthorizedOperation", "", 403),
    "ExpiredTokenException": ("RequestExpired", "Request has expired.", 400),
    "InternalServerError": ("InternalError", "An internal error has occurred", 500),
    "InvalidSignatureException": ("AuthFailure", _CANNOT_VALIDATE, 401),
    "ThrottlingException": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "UnrecognizedClientException": ("AuthFailure", _CANNOT_VALIDATE, 401),
}


NOBODY_ALLOWS = "because no identity-based policy allows the {} action"
DENIED = "with an explicit deny in an identity-based policy"


def access_denied(caller: Caller, action: str, resource: str = "*", *, because: str = NOBODY_ALLOWS) -> ApiError:
    """What no policy allows, or one denies; `because` says which, with braces where the action goes.

    Words: IAM User Guide, "Access denied error messages".
    """
    words = f"User: {caller.arn} is not authorized to perform: {action}"
    if action.startswith("ec2:"):
        words = f"You are not authorized to perform this operation. {words}"
    elif resource != "*" or action.startswith("ssm:"):
        words += f" on resource: {resource}"
    return ApiError("AccessDeniedException", f"{words} {because.format(action)}")
