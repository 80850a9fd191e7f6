"""The key that is pushed: made once, read anew, and refused where it cannot be pushed."""

import stat
import subprocess
import threading
from pathlib import Path

import pytest

from ssmssh.errors import FileError, UsageError
from ssmssh.nodes.pushedkey import own_key, public_half, rsa_bits

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5CvJFsbRxnXmDdFLKLnrmQrlhM2hBLPnlhKgQNgJ1u"


def keygen(path: Path, *words: str) -> str:
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "a comment", *words, "-f", path], check=True)
    return path.with_name(f"{path.name}.pub").read_text().rpartition(" a comment")[0]


def test_it_is_made_once_and_is_what_ssh_keygen_says_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "ssmssh"
    key = own_key(directory)
    said = subprocess.run(
        ["ssh-keygen", "-y", "-f", directory / "id_ed25519"], check=True, capture_output=True, text=True
    )
    assert said.stdout.split()[:2] == key.text.split()
    assert own_key(directory) == key
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "id_ed25519").stat().st_mode) == 0o600
    assert sorted(path.name for path in directory.iterdir()) == ["id_ed25519", "id_ed25519.lock", "id_ed25519.pub"]


def test_many_that_need_it_at_once_have_the_same(tmp_path: Path) -> None:
    keys = []
    threads = [threading.Thread(target=lambda: keys.append(own_key(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert set(keys) == {own_key(tmp_path)}


def test_a_public_half_that_is_lost_is_made_of_the_private_one(tmp_path: Path) -> None:
    key = own_key(tmp_path)
    (tmp_path / "id_ed25519.pub").unlink()
    assert own_key(tmp_path) == key
    (tmp_path / "id_ed25519").unlink()
    assert own_key(tmp_path) != key, "the private one is lost: both are made anew"


def test_a_key_that_ssh_would_not_use(tmp_path: Path) -> None:
    own_key(tmp_path)
    (tmp_path / "id_ed25519").chmod(0o640)
    with pytest.raises(FileError, match=r"others can read the key .*; run: chmod 600 "):
        own_key(tmp_path)


def test_what_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519").write_text("nothing")
    with pytest.raises(FileError, match="it is no key without a passphrase; move it away"):
        own_key(tmp_path)
    (tmp_path / "id_ed25519").unlink()
    (tmp_path / "id_ed25519").mkdir()
    with pytest.raises(FileError, match="cannot be used: Is a directory"):
        own_key(tmp_path)


@pytest.mark.parametrize("words", [("-t", "ed25519"), ("-t", "rsa", "-b", "2048"), ("-t", "rsa", "-b", "4096")])
def test_a_key_of_the_users_without_its_comment(tmp_path: Path, words: tuple[str, ...]) -> None:
    text = keygen(tmp_path / "key", *words)
    key = public_half(tmp_path / "key")
    assert key.text == text
    assert rsa_bits(key) == (int(words[-1]) if "rsa" in words else 0)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (None, FileError, "ssh-keygen -y -f"),
        ("", FileError, "is no public key"),
        ("ssh-ed25519 AAAA", FileError, "is no public key"),
        (f"{ED25519}\n{ED25519}", FileError, "is no public key"),
        (f'command="x" {ED25519}', FileError, "is no public key"),
        ("sk-ssh-ed25519@openssh.com AAAA x", UsageError, "security device"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA x", UsageError, "certificate"),
        ("ecdsa-sha2-nistp256 AAAA x", UsageError, "ECDSA"),
    ],
)
def test_what_cannot_be_pushed(tmp_path: Path, text: str | None, error: type[Exception], words: str) -> None:
    if text is not None:
        (tmp_path / "key.pub").write_text(text)
    with pytest.raises(error, match=words):
        public_half(tmp_path / "key")
