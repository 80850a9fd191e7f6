"""What an instance has printed on its console since it booted: the kernel's first lines, and cloud-init's host keys.

EC2 hands out the latest 64 KB, in base64, with the line ends of a terminal, and nothing at all for some minutes after
the boot. Format of the blocks: cloud-init, ``tools/write-ssh-key-fingerprints``; each line of the fingerprints comes
through the system log, those of the keys do not.
"""

import base64
import datetime as dt
import hashlib
from pathlib import Path

from ssmssh.sandbox.inventory import Instance

_BYTES = 64 << 10
_BOOT = """\
[    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org)
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0-18-cloud-amd64 console=tty0 console=ttyS0,115200
[    1.204312] systemd[1]: Detected virtualization kvm.
"""
_PROMPT = """
Debian GNU/Linux 12 {host} ttyS0

{host} login: \
"""

QUIET_SECONDS = 240.0
"""How long after the boot nothing is handed out: minutes, nobody says how many."""


def output(instance: Instance, keys: Path, now: dt.datetime) -> str:
    """What GetConsoleOutput hands out of an instance; the directory `keys` has its public host keys (``*.pub``)."""
    host = instance.private_host_name.partition(".")[0]
    lines = [path.read_text("utf-8").strip() for path in sorted(keys.glob("*.pub"))]
    booted = now - dt.timedelta(seconds=instance.age_seconds)
    prefix = f"<14>{booted:%b %d %H:%M:%S} ec2: "
    ruler = "#" * 61
    if instance.platform_type != "Linux":
        lines = []
    fingerprints = [
        ruler,
        "-----BEGIN SSH HOST KEY FINGERPRINTS-----",
        *map(_fingerprint, lines),
        "-----END SSH HOST KEY FINGERPRINTS-----",
        ruler,
    ]
    text = _BOOT + (instance.console or _PROMPT.format(host=host)) + "\n"
    if lines and not instance.console:
        text += "".join(f"{prefix}{line}\n" for line in fingerprints)
        text += "\n".join(["-----BEGIN SSH HOST KEY KEYS-----", *lines, "-----END SSH HOST KEY KEYS-----", ""])
        text += (
            f"[   23.901177] cloud-init[612]: Cloud-init v. 22.4.2 finished at {booted:%a, %d %b %Y %H:%M:%S} +0000.\n"
        )
    return base64.b64encode(text.replace("\n", "\r\n").encode()[-_BYTES:]).decode()


def _fingerprint(line: str) -> str:
    """A line of ``ssh-keygen -l``."""
    kind, blob, comment = line.split(None, 2)
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    bits = {"ssh-ed25519": 256}[kind]
    return f"{bits} SHA256:{digest} {comment} ({kind.removeprefix('ssh-').upper()})"
