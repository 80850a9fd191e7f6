"""Lines of known_hosts about a name: others in their place, and all else as it was."""

import base64
import hashlib
import hmac
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.nodes.hostkeys import HostKey
from ssmssh.nodes.hostlines import names_of, with_keys
from tests.nodes.test_offered_keys import key, string

ID = "i-0123456789abcdef0"
OTHER = HostKey("ssh-ed25519", string(b"ssh-ed25519") + string(b"o" * 32))


def hashed(name: str) -> str:
    salt = bytes(20)
    digest = hmac.digest(salt, name.encode(), hashlib.sha1)
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("host", "port", "names"),
    [
        (ID, 22, (ID,)),
        ("Web-1.ssm", 22, ("web-1.ssm", ID)),
        (ID, 2222, (f"[{ID}]:2222", ID)),
        (f"{ID}.eu-west-1", 22, (f"{ID}.eu-west-1", ID)),
    ],
)
def test_what_ssh_looks_for(host: str, port: int, names: tuple[str, ...]) -> None:
    assert names_of(host, port, ID) == names


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "NEW"),
        ("# a comment\nother KEY", "# a comment\nother KEY\nNEW"),
        ("other KEY\nweb KEY c\nlast KEY\n", "other KEY\nNEWlast KEY\n"),
        ("web,db KEY c\n", "NEWdb KEY c\n"),
        ("WEB KEY\n", "NEW"),
        ("@revoked web KEY\n@cert-authority * KEY\n", "NEW@cert-authority * KEY\n"),
        ("@revoked db,web KEY\n", "NEW@revoked db KEY\n"),
        (f"{hashed('web')} KEY\n{hashed('db')} KEY\n", f"NEW{hashed('db')} KEY\n"),
        ("[web]:2222 KEY\n*web KEY\nwebs KEY\n", "[web]:2222 KEY\n*web KEY\nwebs KEY\nNEW"),
        ("|1|x web KEY\n|1| KEY\n\n", "|1|x web KEY\n|1| KEY\n\nNEW"),
        ("web KEY\r\nx KEY\r\n", "NEWx KEY\r\n"),
    ],
)
def test_lines_in_place_of_others(before: str, after: str) -> None:
    def with_key(text: str) -> bytes:
        return text.replace("NEW", f"web {key().text}\n").replace("KEY", OTHER.text).encode()

    made = with_keys(with_key(before), ["web"], [key()])
    assert made == with_key(after)
    assert with_keys(made, ["web"], [key()]) == made


@given(st.lists(st.binary(max_size=60).filter(lambda line: b"web" not in line.lower() and b"|1|" not in line)))
def test_all_other_lines_stay_whatever_they_are(lines: list[bytes]) -> None:
    text = b"".join(line + b"\n" for line in lines)
    made = with_keys(text, ["web"], [key()])
    assert made == text + f"web {key().text}\n".encode()
    assert with_keys(made, ["web"], []) == text


def test_ssh_keygen_finds_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_bytes(with_keys(b"", names_of("web", 2222, ID), [key()]))
    for name in ("[web]:2222", ID):
        found = subprocess.run(["ssh-keygen", "-F", name, "-f", file], check=True, capture_output=True, text=True)
        assert key().text in found.stdout
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    assert with_keys(file.read_bytes(), names_of("web", 2222, ID), []) == b""
