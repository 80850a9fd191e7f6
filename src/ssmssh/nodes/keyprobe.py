"""What an SSH client says until the server has shown its host key: version, algorithms, half of a key exchange.

The server answers with its host key in the clear (`ssmssh.nodes.offeredkeys`), and the client goes. The exchange is
never finished: the client's half is any 32 bytes, which are as good as a point of Curve25519 to the server (RFC 7748),
and nobody has the secret of it. So no cryptography is needed, and nothing is proved: whether the server has the secret
half of its host key, ssh will see.
"""

import os
import struct

VERSION = b"SSH-2.0-ssmssh_doctor\r\n"

_KEXINIT = 20
_KEX_ECDH_INIT = 30
_EXCHANGES = b"curve25519-sha256,curve25519-sha256@libssh.org"
_HOST_KEYS = (
    b"ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256,ssh-rsa"
)
"""In the order in which OpenSSH wants to have them where none is known."""
_CIPHERS = b"chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_MACS = b"hmac-sha2-256-etm@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"
_BLOCK = 8
"""To which a packet is padded before there is a cipher (RFC 4253, 6)."""


def first_messages() -> bytes:
    """All that the client says, in one go: the server reads one after the other."""
    lists = (_EXCHANGES, _HOST_KEYS, _CIPHERS, _CIPHERS, _MACS, _MACS, b"none", b"none", b"", b"")
    offer = bytes([_KEXINIT]) + os.urandom(16) + b"".join(map(_string, lists)) + b"\0" + bytes(4)
    half = bytes([_KEX_ECDH_INIT]) + _string(os.urandom(32))
    return VERSION + _packet(offer) + _packet(half)


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _packet(payload: bytes) -> bytes:
    """RFC 4253, 6: length, length of the padding, payload, padding of at least 4."""
    padding = _BLOCK - (5 + len(payload)) % _BLOCK
    padding += _BLOCK if padding < 4 else 0
    return struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)
