"""Public host keys of SSH servers, and the texts in which AWS hands on those of a machine.

A key is taken only if its blob says what its line says: the algorithm's name is in the blob once more (RFC 4253, 6.6),
and what follows has one form for each algorithm (RFC 8709 for Ed25519, RFC 5656 for ECDSA, RFC 4253 for RSA). What is
written into a file is made of the parsed blob anew, so nothing of a text that a machine printed gets there unread.

There are two such texts: the public key files as Run Command prints them, and the block that cloud-init prints on the
console at the first boot. Both are printed by the machine, root's word for what its server has; AWS says of which
machine it is.
"""

import base64
import binascii
import hashlib
from typing import NamedTuple

MAX_KEYS = 16
"""Of one machine: sshd has three of its own, and one for each algorithm at most."""

CONSOLE_BEGIN = "-----BEGIN SSH HOST KEY KEYS-----"
CONSOLE_END = "-----END SSH HOST KEY KEYS-----"
"""What cloud-init's ``write-ssh-key-fingerprints`` prints around the keys."""

_CERTIFICATE = b"-cert-v01@openssh.com"

_RSA_BYTES = (1024 // 8, 16384 // 8)
"""Of a modulus: what OpenSSH takes (``SSH_RSA_MINIMUM_MODULUS_SIZE``, ``OPENSSL_RSA_MAX_MODULUS_BITS``)."""

MAX_BLOB_BYTES = 8192
"""Of a key, or of a certificate with its list of names; one of RSA with 16384 bits has 2 KiB."""

_POINT_BYTES = {b"nistp256": 65, b"nistp384": 97, b"nistp521": 133}
"""Of a point that is not compressed (SEC 1, 2.3.3), with its leading 4."""


class HostKey(NamedTuple):
    """A public key: its algorithm, ``ssh-ed25519`` or such, and the blob that goes over the wire."""

    algorithm: str
    blob: bytes

    @property
    def text(self) -> str:
        """As in a known_hosts file behind the names."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As ssh shows it: ``SHA256:`` and the digest without padding."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"

    @property
    def label(self) -> str:
        """The algorithm as ssh names it to people: ED25519, ECDSA, RSA."""
        return "ECDSA" if self.algorithm.startswith("ecdsa-") else self.algorithm.removeprefix("ssh-").upper()


def parse_blob(blob: bytes) -> HostKey | None:
    """The key that goes over the wire as `blob`, that of a host certificate without the certificate; None if none is.

    ssh does the same with a certificate whose authority it does not know: it looks for the plain key.
    """
    if len(blob) > MAX_BLOB_BYTES:
        return None
    try:
        name, rest = take_string(blob)
        is_certificate = name.endswith(_CERTIFICATE)
        if is_certificate:
            name = name.removesuffix(_CERTIFICATE)
            _nonce, rest = take_string(rest)
        fields, rest = _fields(name, rest)
    except ValueError:
        return None
    if rest and not is_certificate:
        return None
    return HostKey(name.decode("ascii"), b"".join(map(_string, (name, *fields))))


def parse_line(line: str) -> HostKey | None:
    """The key of a line of a ``.pub`` file: algorithm, Base64, perhaps a comment. None if there is none of ours."""
    words = line.split(None, 2)
    if len(words) < 2 or len(words[1]) > 2 * MAX_BLOB_BYTES:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    key = parse_blob(blob)
    return key if key is not None and key.algorithm == words[0] and key.blob == blob else None


def in_lines(text: str) -> tuple[HostKey, ...]:
    """The keys that stand in a text, one a line, each once; all lines that hold none are passed over."""
    keys = dict.fromkeys(key for line in text.splitlines() if (key := parse_line(line)) is not None)
    return tuple(keys)[:MAX_KEYS]


def in_console(text: str) -> tuple[HostKey, ...]:
    """The keys of the last whole block that cloud-init has printed; none if there is no such block.

    What else writes to the console may have put its own text before a line, as the kernel does with its time: only what
    stands alone on its line is a key.
    """
    before, end, _ = text.rpartition(CONSOLE_END)
    _, begin, block = before.rpartition(CONSOLE_BEGIN)
    return in_lines(block) if begin and end else ()


def take_string(data: bytes) -> tuple[bytes, bytes]:
    """A ``string`` of RFC 4251 and what follows it; raises ValueError where `data` ends before it does."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise ValueError("cut short")
    return data[4 : 4 + size], data[4 + size :]


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _fields(name: bytes, rest: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """The fields of a key behind its algorithm, and what follows them; raises ValueError where they are none."""
    first, rest = take_string(rest)
    if name == b"ssh-ed25519":
        _require(len(first) == 32)
        return (first,), rest
    second, rest = take_string(rest)
    if name == b"ssh-rsa":
        _require(all(map(_is_positive, (first, second))) and len(first) <= 8)
        _require(_RSA_BYTES[0] <= len(second.lstrip(b"\0")) <= _RSA_BYTES[1])
    else:
        _require(name == b"ecdsa-sha2-" + first)
        _require(len(second) == _POINT_BYTES.get(first) and second[0] == 4)
    return (first, second), rest


def _is_positive(number: bytes) -> bool:
    """Whether an ``mpint`` is above zero, and written as shortly as can be (RFC 4251, 5)."""
    if not number or number[0] & 0x80:
        return False
    return number[0] != 0 or (len(number) > 1 and number[1] & 0x80 != 0)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("not of that form")
