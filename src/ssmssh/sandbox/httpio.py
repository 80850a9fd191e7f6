"""As much of HTTP/1.1 as AWS's SDKs use against the API: requests with a Content-Length, keep-alive.

A reader of bytes, not of sockets. Everything is bounded; whatever is not understood is a `HttpError`, which
the caller answers with 400 before it closes the connection.
"""

import json
from dataclasses import dataclass, field
from email.utils import formatdate

from ssmssh.sandbox.sigv4 import SignedRequest

_HEAD_BYTES = 64 << 10
_BODY_BYTES = 8 << 20
"""EC2's user data and SSM's documents are far smaller."""

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 500: "Error"}


class HttpError(Exception):
    """The bytes are not a request of the kind we read."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `headers` do not name its length."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def serialize(self) -> bytes:
        """The bytes to send."""
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if "date" not in map(str.lower, self.headers):
            lines.append(f"Date: {formatdate(usegmt=True)}")
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


def json_response(content: object, status: int = 200) -> Response:
    """An answer of the JSON 1.1 protocol."""
    return Response(status, json.dumps(content).encode(), {"Content-Type": "application/x-amz-json-1.1"})


class RequestReader:
    """Turns the bytes of one connection into requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[SignedRequest]:
        """Take `data` and return the requests that are now complete.

        Raises:
            HttpError: the connection is of no more use.
        """
        self._buffer += data
        requests = []
        while (request := self._next()) is not None:
            requests.append(request)
        return requests

    def _next(self) -> SignedRequest | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _HEAD_BYTES:
                raise HttpError("the head of the request is too long")
            return None
        head = self._buffer[:end].decode("latin-1").split("\r\n")
        words = head[0].split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise HttpError("this is not an HTTP/1.1 request")
        headers = []
        for line in head[1:]:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                raise HttpError("a header line has no name")
            headers.append((name.lower(), value.strip()))
        length = self._length(dict(headers))
        if len(self._buffer) < end + 4 + length:
            return None
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        return SignedRequest(words[0], words[1], headers, body)

    @staticmethod
    def _length(headers: dict[str, str]) -> int:
        if "transfer-encoding" in headers:
            raise HttpError("a transfer encoding is not supported")
        text = headers.get("content-length", "0")
        if not text.isascii() or not text.isdigit() or int(text) > _BODY_BYTES:
            raise HttpError("the content length is unusable")
        return int(text)
