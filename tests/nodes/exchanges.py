"""First key exchanges, as servers of several makes begin them: their bytes, kept on their way to a real ssh."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEYGEN = {
    "ssh-ed25519": ("ed25519",),
    "ssh-rsa": ("rsa", "-b", "2048"),
    "ecdsa-sha2-nistp256": ("ecdsa", "-b", "256"),
    "ecdsa-sha2-nistp384": ("ecdsa", "-b", "384"),
    "ecdsa-sha2-nistp521": ("ecdsa", "-b", "521"),
}
"""What ssh-keygen takes for a key of an algorithm."""


def make_key(directory: Path, algorithm: str) -> Path:
    """A new key of an algorithm; its file, beside which the public one is."""
    path = directory / algorithm
    if not path.exists():
        words = ["ssh-keygen", "-q", "-N", "", "-C", f"root@{algorithm}", "-t", *KEYGEN[algorithm], "-f", str(path)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def sshd_bytes(directory: Path, key: Path, method: str, ssh: str = "ssh", *lines: str) -> bytes:
    """What the system's sshd says with that host key, by that method, until ssh refuses its key."""
    configuration, taken = directory / "sshd_config", directory / "taken"
    settings = (f"HostKey {key}", f"KexAlgorithms {method}", "StrictModes no", "UsePAM no", "PidFile none", *lines)
    configuration.write_text("\n".join(settings) + "\n")
    server = ["/usr/sbin/sshd", "-i", "-f", str(configuration), "-E", str(directory / "log")]
    run_ssh(ssh, f"{shlex.join(server)} | tee {shlex.quote(str(taken))}", method)
    return taken.read_bytes()


def run_ssh(ssh: str, server: str, method: str) -> None:
    """Have an ssh that knows no host key connect to what a shell command serves; it leaves at the reply."""
    options = [
        f"ProxyCommand=sh -c {shlex.quote(server)}",
        f"KexAlgorithms={method}", "StrictHostKeyChecking=yes", "UserKnownHostsFile=none", "GlobalKnownHostsFile=none",
        "HostKeyAlgorithms=+ssh-rsa", "BatchMode=yes",
    ]  # fmt: skip
    words = [ssh, "-F", "none", *(word for option in options for word in ("-o", option)), "nobody.example"]
    done = subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    assert b"Host key verification failed" in done.stderr, done.stderr


@contextmanager
def certified(directory: Path, key: Path) -> Iterator[Path]:
    """A certificate for a host key, by an authority that nobody knows."""
    authority = make_key(directory, "ssh-ed25519")
    words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "host", "-h", "-n", "nobody.example", f"{key}.pub"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=60)
    path = Path(f"{key}-cert.pub")
    yield path
    path.unlink()
