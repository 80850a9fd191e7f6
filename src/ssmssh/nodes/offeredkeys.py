"""Which host key an SSH server offers, read from the bytes that pass: its first key exchange is in the clear.

The server says its version in a line (RFC 4253, 4.2), before which others may stand. Then come packets: length, length
of the padding, payload, padding, and neither cipher nor checksum until NEWKEYS. The host key is the first string of the
server's reply, whichever the method is:

    KEXDH_REPLY, KEX_ECDH_REPLY       31   RFC 4253, 8; RFC 5656, 4; RFC 8731 (curve25519)
    KEX_HYBRID_REPLY                  31   sntrup761x25519, mlkem768x25519 (drafts of the IETF, and OpenSSH's PROTOCOL)
    KEX_DH_GEX_REPLY                  33   RFC 4419, where 31 is the group: a number, which is no key

Which method it is need not be known. A number that is made to look like a key can only be a key too many: the reply
follows, and each key is told before the packet that brings it is passed on.

This decides nothing. The client checks the key and that the server has its secret half; it is read here to be able to
say, in words, what the client has seen.
"""

from ssmssh.nodes.hostkeys import HostKey, parse_blob, take_string

MAX_BYTES = 256 * 1024
"""After which it is given up. OpenSSH's whole exchange has some 3 KiB, no packet of it is longer than 256 KiB."""

MAX_PACKET_BYTES = 35000
"""What every implementation must take (RFC 4253, 6.1); no reply has more than some kilobytes."""

NEWKEYS = 21
_REPLIES = (31, 33)


class OfferedKeys:
    """What the server's bytes, given piece by piece, say about its host key."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._has_version = False
        self._fed_bytes = 0
        self.is_over = False
        """Whether nothing more can be learnt: the rest is encrypted, or this is no SSH."""

    def feed(self, data: bytes) -> list[HostKey]:
        """The keys that are known with these bytes and were not before; one, at one of the calls, as a rule."""
        if self.is_over:
            return []
        self._fed_bytes += len(data)
        self._pending += data
        found: list[HostKey] = []
        try:
            while (payload := self._next_payload()) is not None:
                found += self._look_at(payload)
        except ValueError:
            self._end()
        if self._fed_bytes > MAX_BYTES:
            self._end()
        return found

    def _next_payload(self) -> bytes | None:
        """That of the next packet that is complete, empty for what is none; None if there is no such yet."""
        if self.is_over:
            return None
        if not self._has_version:
            line, feed, _ = self._pending.partition(b"\n")
            if not feed:
                return None
            del self._pending[: len(line) + 1]
            self._has_version = line.startswith((b"SSH-2.0-", b"SSH-1.99-"))
            return b""
        if len(self._pending) < 5:
            return None
        size = int.from_bytes(self._pending[:4], "big")
        padding = self._pending[4]
        if not padding + 1 < size <= MAX_PACKET_BYTES:
            raise ValueError("no packet")
        if len(self._pending) < 4 + size:
            return None
        payload = bytes(self._pending[5 : 4 + size - padding])
        del self._pending[: 4 + size]
        return payload

    def _look_at(self, payload: bytes) -> list[HostKey]:
        if payload[:1] == bytes([NEWKEYS]):
            self._end()
        elif payload and payload[0] in _REPLIES:
            try:
                blob, _ = take_string(payload[1:])
            except ValueError:
                return []
            key = parse_blob(blob)
            return [] if key is None else [key]
        return []

    def _end(self) -> None:
        self.is_over = True
        self._pending.clear()
