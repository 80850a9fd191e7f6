"""The key that is pushed to an instance: one of ours, made when it is first needed, or the public half of the user's.

Ours is one ed25519 key for all instances, ``id_ed25519`` in the directory for ssh's files. It opens nothing by itself:
only what it was pushed to, for a minute. It is made by cryptography, which is installed with us; ``ssh-keygen`` is not
where a library is the client, and is one more program to start.

What is pushed is made of the parsed key anew, so neither a comment nor options of a file go anywhere.
"""

import os
import tempfile
from pathlib import Path

from ssmssh.errors import FileError, UsageError
from ssmssh.nodes.hostkeys import HostKey, parse_line, take_string
from ssmssh.nodes.locking import locked
from ssmssh.ownfiles import CAN_TELL_OWNER
from ssmssh.settings import KEY_NAME, make_directory

LOCK_SECONDS = 2.0
"""To wait for another process that makes the key: for some milliseconds."""

_LONGEST_BYTES = 64 * 1024
_COMMENT = "ssmssh"
_KINDS = "name one of the types ed25519 and rsa in --identity-file, or none: ssmssh has one of its own"


def own_key(directory: Path) -> HostKey:
    """The public half of our key in `directory`, made if it is not there; blocks for files.

    Raises:
        FileError: It cannot be read or made, or ssh would not take it.
    """
    private, public = directory / KEY_NAME, directory / f"{KEY_NAME}.pub"
    try:
        if not (private.exists() and public.exists()):
            make_directory(directory)
            with locked(directory / f"{KEY_NAME}.lock", LOCK_SECONDS):
                if not private.exists():
                    _make(private, public)
                elif not public.exists():
                    _write(public, _public_half(private.read_bytes()), 0o644)
        status = private.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no key without a passphrase"
        raise FileError(f"the key {private} cannot be used: {reason}", "move it away; another one is made") from None
    if CAN_TELL_OWNER and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
        raise FileError(f"others can read the key {private}, so ssh will not use it", f"run: chmod 600 {private}")
    return public_half(private)


def public_half(identity_file: Path) -> HostKey:
    """The public half of a private key, from the ``.pub`` file beside it.

    Raises:
        FileError: There is no such file, or no key in it.
        UsageError: It is a key that cannot be pushed.
    """
    path = identity_file.with_name(f"{identity_file.name}.pub")
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise FileError(
            f"the public key {path} cannot be read: {error.strerror}",
            f"make it with: ssh-keygen -y -f {identity_file} > {path}",
        ) from None
    algorithm = text.partition(" ")[0]
    if "-cert-" in algorithm:
        raise UsageError(f"{path} is a certificate, which cannot be pushed", "name the plain key in --identity-file")
    if algorithm.startswith("sk-"):
        raise UsageError(f"{path} is the key of a security device, which cannot be pushed", _KINDS)
    if algorithm.startswith("ecdsa-"):
        raise UsageError(f"{path} is an ECDSA key, which cannot be pushed", _KINDS)
    key = parse_line(text) if "\n" not in text else None
    if key is None:
        raise FileError(f"{path} is no public key", f"make it anew with: ssh-keygen -y -f {identity_file} > {path}")
    return key


def rsa_bits(key: HostKey) -> int:
    """The length of an RSA key; 0 for others."""
    if key.algorithm != "ssh-rsa":
        return 0
    _, rest = take_string(key.blob)
    _, rest = take_string(rest)
    return int.from_bytes(take_string(rest)[0], "big").bit_length()


def _make(private: Path, public: Path) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - once in a user's life
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    _write(public, _public_half(text), 0o644)
    _write(private, text, 0o600)


def _public_half(text: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    key = serialization.load_ssh_private_key(text, None).public_key()
    line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line + f" {_COMMENT}\n".encode()


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put `content` there in one step. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
