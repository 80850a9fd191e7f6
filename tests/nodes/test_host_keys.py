"""Public host keys: what counts as one, and where they stand in what a machine prints."""

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.nodes.hostkeys import (
    CONSOLE_BEGIN,
    CONSOLE_END,
    MAX_KEYS,
    HostKey,
    in_console,
    in_lines,
    parse_blob,
    parse_line,
)
from tests.nodes.exchanges import KEYGEN, make_key
from tests.nodes.test_offered_keys import ED25519, string


def line(*fields: bytes, algorithm: str | None = None) -> str:
    blob = b"".join(map(string, fields))
    return f"{algorithm or fields[0].decode()} {base64.b64encode(blob).decode()} comment"


@pytest.mark.parametrize("algorithm", KEYGEN)
def test_keys_of_ssh_keygen(tmp_path: Path, algorithm: str) -> None:
    path = Path(f"{make_key(tmp_path, algorithm)}.pub")
    key = parse_line(path.read_text())
    assert key is not None
    assert path.read_text().startswith(f"{key.text} ")
    shown = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout.split()
    assert shown[1] == key.fingerprint
    assert shown[-1] == f"({key.label})"


RSA_256 = b"\0" + b"\xc1" * 256

NOT_KEYS = {
    "an empty line": "",
    "no blob": "ssh-ed25519",
    "no Base64": "ssh-ed25519 AAAA!",
    "another algorithm than the blob's": line(b"ssh-ed25519", bytes(32), algorithm="ssh-rsa"),
    "a short key": line(b"ssh-ed25519", bytes(31)),
    "a long key": line(b"ssh-ed25519", bytes(33)),
    "bytes behind the key": line(b"ssh-ed25519", bytes(32), b""),
    "an RSA key of 512 bits": line(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xc1" * 64),
    "an RSA key of 32768 bits": line(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xc1" * 4096),
    "a negative modulus": line(b"ssh-rsa", b"\1\0\1", RSA_256[1:]),
    "a modulus with zeros in front": line(b"ssh-rsa", b"\1\0\1", b"\0" + RSA_256),
    "an exponent of nothing": line(b"ssh-rsa", b"", RSA_256),
    "an exponent as long as a modulus": line(b"ssh-rsa", RSA_256, RSA_256),
    "a curve of another name": line(b"ecdsa-sha2-nistp256", b"nistp384", b"\4" + bytes(96)),
    "an unknown curve": line(b"ecdsa-sha2-nistp192", b"nistp192", b"\4" + bytes(48)),
    "a compressed point": line(b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + bytes(64)),
    "a point of another curve": line(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + bytes(96)),
    "DSA": line(b"ssh-dss", RSA_256, RSA_256),
    "a certificate": line(b"ssh-ed25519-cert-v01@openssh.com", bytes(32), bytes(32)),
    "options in front": f'command="x" {ED25519}',
    "a name in front": f"host {ED25519}",
    "a marker": f"@cert-authority * {ED25519}",
}


@pytest.mark.parametrize("text", NOT_KEYS.values(), ids=NOT_KEYS)
def test_what_is_no_key(text: str) -> None:
    assert parse_line(text) is None


def test_an_rsa_key_of_the_least_size() -> None:
    assert parse_line(line(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xc1" * 128))
    assert parse_line(line(b"ssh-rsa", b"\1\0\1", RSA_256))


@given(st.binary(max_size=300))
def test_any_blob_is_borne(blob: bytes) -> None:
    key = parse_blob(blob)
    assert key is None or parse_blob(key.blob) == key


@given(st.text(max_size=400))
def test_any_text_is_borne(text: str) -> None:
    assert parse_line(text) is None
    assert in_console(f"{CONSOLE_BEGIN}\n{text}\n{CONSOLE_END}") == ()


@given(st.binary(min_size=32, max_size=32), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_written_is_made_of_the_blob_alone(point: bytes, comment: str) -> None:
    """A comment with a line feed is another line: it is no key, and nothing of it is left."""
    key = HostKey("ssh-ed25519", string(b"ssh-ed25519") + string(point))
    found = in_lines(f"{key.text} {comment}")
    assert found == (key,)
    assert found[0].text.isascii()
    assert "\n" not in found[0].text


def other(number: int) -> str:
    return line(b"ssh-ed25519", bytes([number]) * 32)


CONSOLE = f"""\
[    0.000000] Linux version 6.1.0
{other(9)}
<14>Nov 26 10:00:00 cloud-init: #############################################################
-----BEGIN SSH HOST KEY FINGERPRINTS-----
256 SHA256:abc root@ip (ED25519)
-----END SSH HOST KEY FINGERPRINTS-----
{CONSOLE_BEGIN}
{ED25519} root@ip-10-0-0-1
[   12.345678] cloud-init[812]: {other(8)}
{other(1)}
{CONSOLE_END}
login: {other(7)}
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_block_of_the_console(newline: str) -> None:
    keys = in_console(CONSOLE.replace("\n", newline))
    assert keys == (parse_line(ED25519), parse_line(other(1)))


def test_the_last_block_counts() -> None:
    later = CONSOLE.replace(ED25519, other(3))
    assert in_console(CONSOLE + later) == (parse_line(other(3)), parse_line(other(1)))


@pytest.mark.parametrize("missing", [CONSOLE_BEGIN, CONSOLE_END])
def test_half_a_block_is_none(missing: str) -> None:
    assert in_console(CONSOLE.replace(missing, "")) == ()


def test_a_second_block_that_is_not_printed_to_its_end_yet() -> None:
    assert in_console(CONSOLE + CONSOLE.partition(CONSOLE_END)[0]) == (parse_line(ED25519), parse_line(other(1)))


def test_each_key_once_and_not_too_many() -> None:
    assert in_lines(f"{ED25519}\n\n# none\n{ED25519} again\n") == (parse_line(ED25519),)
    assert len(in_lines("\n".join(map(other, range(40))))) == MAX_KEYS
