"""What a command finds on a node, beyond this computer: an ``sshd`` and a password database that lead into the sandbox.

Run Command really runs here, as whoever runs the sandbox. A script that wants to know the SSH server's host keys, or
whose file of keys it is to write, must not come upon the real ones: ``sshd -T`` and ``getent passwd`` are the
sandbox's, first on the PATH; HOME is the home of the sandbox's logins; and where a script names ``/etc/ssh/``, it
gets the sandbox's. A path under ``~user`` is the one thing left that leads to a real home.
"""

import os
import pwd
import shlex
from collections.abc import Mapping
from pathlib import Path

from ssmssh.sandbox.files import make_directory, write_file

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_SSHD = """\
#!/bin/sh
for word; do
    case $word in -T) exec cat {shown} ;; esac
done
PATH={path}
sshd=$(command -v sshd) && exec "$sshd" "$@"
echo "sshd: not found" >&2
exit 127
"""

_SHOWN = """\
port 22
strictmodes yes
pubkeyauthentication yes
hostkey {host_key}
authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2
authorizedkeyscommand none
"""
"""What an instance's server says of itself, whose paths are the sandbox's."""

_GETENT = """\
#!/bin/sh
if [ "$1" = passwd ]; then
    case $2 in {name}|{uid}) printf '%s\\n' {line}; exit ;; esac
fi
PATH={path} exec getent "$@"
"""


def write_files(directory: Path) -> None:
    """Write the programs, and the public host keys under the names that an instance has them by."""
    folder = directory / "node"
    for path in (folder, folder / "bin", folder / "ssh"):
        make_directory(path)
    host_key = folder / "ssh" / "ssh_host_ed25519_key"
    write_file(host_key.with_suffix(".pub"), (directory / "host_key.pub").read_bytes(), 0o644)
    write_file(folder / "sshd_shown", _SHOWN.format(host_key=host_key))
    user = pwd.getpwuid(os.geteuid())
    line = f"{user.pw_name}:x:{user.pw_uid}:{user.pw_gid}::{directory / 'home'}:{user.pw_shell}"
    sshd = _SSHD.format(shown=shlex.quote(str(folder / "sshd_shown")), path=_SYSTEM_PATH)
    getent = _GETENT.format(name=shlex.quote(user.pw_name), uid=user.pw_uid, line=shlex.quote(line), path=_SYSTEM_PATH)
    write_file(folder / "bin" / "sshd", sshd, 0o700)
    write_file(folder / "bin" / "getent", getent, 0o700)


def translated(directory: Path, script: str) -> str:
    """A script as it is to run: where it names the SSH server's directory, it gets the sandbox's."""
    return script.replace("/etc/ssh/", f"{directory / 'node' / 'ssh'}/")


def environment(directory: Path, instance_id: str, region: str) -> Mapping[str, str]:
    """What the agent of a node runs commands with."""
    return {
        "HOME": str(directory / "home"),
        "PATH": f"{directory / 'node' / 'bin'}:{_SYSTEM_PATH}",
        "AWS_SSM_INSTANCE_ID": instance_id,
        "AWS_SSM_REGION_NAME": region,
    }
