"""The head of an HTTP response, and a harmless piece of its body: for the upgrade and for a proxy's CONNECT.

websockets has a parser too, but reports a refusal only when the whole body is there and is one it likes: an answer
that never ends would become a time-out, and a chunked or HTTP/1.0 one nonsense. Nobody needs the body of a refusal
but to show its first words.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ssmssh.errors import NetworkError, ProtocolError
from ssmssh.websocket.opening import Deadline, receive_some
from ssmssh.websocket.transport import Transport

# More than any answer needs: the service sends some hundred bytes, corporate proxies a few kilobytes.
_HEAD_BYTES = 32 * 1024

# How much of a refusal's body is read, and how long it is waited for once the head is there. Far more than is
# shown, so that a secret echoed in it is there as a whole to be recognised.
_BODY_BYTES = 16 * 1024
_BODY_SECONDS = 1.0

_EXCERPT_CHARACTERS = 200

# The least that is looked for: shorter parts are words such as "Basic".
_SECRET_CHARACTERS = 8

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: ([^\r\n]*))?\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)


class ResponseHead(NamedTuple):
    """A status line and headers, as they came, and what came behind them."""

    status: int
    reason: str
    raw: bytes
    rest: bytes

    def __str__(self) -> str:
        return f"HTTP {self.status} {self.reason[:_EXCERPT_CHARACTERS]}".rstrip()


def read_head(transport: Transport, who: str, deadline: Deadline) -> ResponseHead:
    """Wait for a response of `who` (its name in errors) and read it as far as its body.

    Raises:
        NetworkError: The connection ended first, or the deadline passed.
        ProtocolError: What came is not HTTP, or its head is larger than 32 KiB.
        InterruptedError: See `Deadline`.
    """
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        if len(received) > _HEAD_BYTES or (received and not b"HTTP/1.".startswith(received[:7])):
            raise ProtocolError(f"{who} did not answer as an HTTP server does")
        arrived = receive_some(transport, deadline)
        if not arrived:
            raise NetworkError(f"{who} did not answer: {transport.ended}")
        received += arrived
    raw, rest = bytes(received[: end + 4]), bytes(received[end + 4 :])
    status_line = _STATUS_LINE.match(raw)
    if status_line is None:
        raise ProtocolError(f"{who} did not answer as an HTTP server does")
    return ResponseHead(int(status_line[1]), (status_line[2] or b"").decode("latin-1"), raw, rest)


def read_excerpt(transport: Transport, head: ResponseHead, deadline: Deadline, secrets: Iterable[str]) -> str:
    """The first words of the response's body, without markup, on one line; empty if there are none.

    `secrets` are header values that must not be shown, as a whole or in part, should the far side have echoed them:
    AWS's answer to a wrong signature repeats the signed headers, the session token among them.
    """
    content_length = _CONTENT_LENGTH.search(head.raw)
    wanted = min(int(content_length[1]), _BODY_BYTES) if content_length else _BODY_BYTES
    body = bytearray(head.rest)
    patience = deadline.shortened(_BODY_SECONDS)
    try:
        while len(body) < wanted and (arrived := receive_some(transport, patience)):
            body += arrived
    except NetworkError:
        pass  # the time is up: what is there is enough
    text = body[:wanted].decode("utf-8", "replace").replace("\\/", "/")  # JSON may escape it
    for secret in _recognisable(secrets):
        text = text.replace(secret, "***")
    text = re.sub(r"<[^>]*>", " ", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_EXCERPT_CHARACTERS]


def _recognisable(secrets: Iterable[str]) -> list[str]:
    """The secrets and their parts (`Credential=`, `Signature=`, the word after `Basic`), longest first."""
    parts = {part for secret in secrets for part in (secret, *re.split(r"[\s,]+(?:[A-Za-z]+=(?=[^=]))?", secret))}
    return sorted((part for part in parts if len(part) >= _SECRET_CHARACTERS), key=len, reverse=True)
