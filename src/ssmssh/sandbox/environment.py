"""What a program finds in a sandbox: files of its own, and the environment variables that lead to them.

Nothing of the user's is read or written by the AWS programs, ssh or ssmssh that run in it. ssh does not go by
``$HOME`` and scp has its ssh's path compiled in, so a directory at the head of PATH holds ``ssh``, ``scp`` and
``sftp``, which call the real ones with ``-F``; rsync and git find ``ssh`` there too.
"""

import os
import pwd
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssmssh.errors import UsageError
from ssmssh.sandbox.accounts import OTHER_REGION, PROFILES, REGIONS
from ssmssh.sandbox.certificates import SshKey, make_ssh_key
from ssmssh.sandbox.files import make_directory, write_file
from ssmssh.sandbox.inventory import INSTANCES, Instance
from ssmssh.sandbox.keys import AccessKey
from ssmssh.sshconfig.section import quote_word

_WRAPPED = ("ssh", "scp", "sftp")
_SCRIPTS = ("ssmssh", "ssmssh-proxy")

_REMOVED_PREFIXES = ("AWS_", "SSMSSH_", "BOTO_")
_REMOVED = frozenset(
    {
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",  # the stand-in is on loopback
        "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
        "SSH_AUTH_SOCK", "SSH_AGENT_PID",  # the user's keys have no business here
        "GIT_SSH", "GIT_SSH_COMMAND", "RSYNC_RSH", "CVS_RSH",  # would go past our ssh
    }
)  # fmt: skip

_SSH_CONFIG = """\
Host i-* mi-*
    # Not kept by install-config, whose block goes above it.
    User {user}
    ProxyCommand {proxy} %h %p
    ServerAliveInterval 30
    ServerAliveCountMax 4

Host *
    IdentityFile {identity}
    IdentitiesOnly yes
    UserKnownHostsFile {known_hosts}
    StrictHostKeyChecking accept-new
"""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the stand-in listens."""

    endpoint_url: str
    stream_endpoints: Sequence[str]


def installed_script(name: str) -> Path:
    """The absolute path of one of this installation's programs.

    Raises:
        UsageError: it is not there: ssmssh is imported from somewhere it is not installed.
    """
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    if Path(sys.argv[0]).name in _SCRIPTS:
        folders.insert(0, Path(sys.argv[0]).resolve().parent)
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name
    raise UsageError(f"{name} is not installed beside {sys.executable}", "install ssmssh with pip, pipx or uv")


def write_ssh_files(
    directory: Path,
    user_key: SshKey,
    host_key: SshKey,
    instances: Sequence[Instance],
    region: str,
    *,
    offers_key: bool = True,
) -> None:
    """Write the keys of both sides, and the files that make each known to the other.

    Without `offers_key` the ssh in the sandbox has no key.
    """
    write_file(directory / "id_ed25519", user_key.private_key)
    write_file(directory / "id_ed25519.pub", f"{user_key.public_key} ssmssh-sandbox\n")
    write_file(directory / "authorized_keys", f"{user_key.public_key} ssmssh-sandbox\n")
    write_file(directory / "host_key", host_key.private_key)
    write_file(directory / "swapped_host_key", make_ssh_key().private_key)
    write_file(directory / "host_key.pub", f"{host_key.public_key} root@sandbox\n", 0o644)
    names = [name for instance in INSTANCES for name in _host_names(instance.instance_id, region)]
    names += dict.fromkeys(instance.instance_id for instance in instances if ":" not in instance.instance_id)
    write_file(directory / "known_hosts", f"{','.join(names)},i-*,mi-* {host_key.public_key}\n")
    text = _SSH_CONFIG.format(
        user=pwd.getpwuid(os.geteuid()).pw_name,
        proxy=quote_word(str(installed_script("ssmssh-proxy"))),
        identity=quote_word(str(directory / "id_ed25519")) if offers_key else "none",
        known_hosts=quote_word(str(directory / "known_hosts")),
    )
    write_file(directory / "ssh_config", text)


def _host_names(instance_id: str, region: str) -> list[str]:
    """What one of the three may be called: with a region, a profile or both, in either order.

    Others are found by their ids, and all by a pattern; this is for those that know no patterns (paramiko).
    """
    regions = dict.fromkeys((region, *REGIONS))
    words = [[each] for each in (*regions, *PROFILES)]
    words += [pair for one in regions for profile in PROFILES for pair in ([one, profile], [profile, one])]
    return [".".join([instance_id, *each]) for each in words]


def write_aws_files(directory: Path, keys: Mapping[str, AccessKey], region: str) -> None:
    """Write the AWS configuration, with each profile's region and the `keys` of its account."""
    regions = dict.fromkeys(PROFILES, region) | {"other": OTHER_REGION}
    write_file(
        directory / "aws_config",
        "".join(f"[{'' if name == 'default' else 'profile '}{name}]\nregion = {regions[name]}\n" for name in PROFILES),
    )
    write_credentials(directory, keys)


def write_credentials(directory: Path, keys: Mapping[str, AccessKey]) -> None:
    """Write the credentials, in one step if there were others before."""
    text = "".join(
        f"[{name}]\naws_access_key_id = {key.access_key_id}\naws_secret_access_key = "
        f"{key.secret_access_key}\naws_session_token = {key.session_token}\n"
        for name, account_id in PROFILES.items()
        for key in [keys[account_id]]
    )
    write_file(directory / "aws_credentials.new", text)
    (directory / "aws_credentials.new").replace(directory / "aws_credentials")


def write_programs(directory: Path, base: Mapping[str, str]) -> None:
    """Fill ``bin``: the wrappers, and this installation's own programs.

    Raises:
        UsageError: there is no ssh on the PATH.
    """
    folder = directory / "bin"
    make_directory(folder)
    for name in _WRAPPED:
        program = shutil.which(name, path=base.get("PATH", os.defpath))
        if program is None and name == "ssh":
            raise UsageError("there is no ssh on the PATH", "install OpenSSH's client")
        if program is not None:
            words = shlex.join([program, "-F", str(directory / "ssh_config")])
            write_file(folder / name, f'#!/bin/sh\nexec {words} "$@"\n', 0o700)
    for name in _SCRIPTS:
        write_file(folder / name, f'#!/bin/sh\nexec {shlex.quote(str(installed_script(name)))} "$@"\n', 0o700)


def changes(directory: Path, endpoints: Endpoints, region: str, base: Mapping[str, str]) -> dict[str, str | None]:
    """The variables to set, and with None those to remove, from the environment `base`."""
    removed = [name for name in base if name.startswith(_REMOVED_PREFIXES) or name.upper() in _REMOVED]
    return dict.fromkeys(removed) | {
        "PATH": f"{directory / 'bin'}{os.pathsep}{base.get('PATH', os.defpath)}",
        "AWS_CONFIG_FILE": str(directory / "aws_config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "aws_credentials"),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoints.endpoint_url,
        "AWS_CA_BUNDLE": str(directory / "ca.pem"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost,::1",
        "no_proxy": "127.0.0.1,localhost,::1",
        "SSMSSH_HOME": str(directory / "ssmssh"),
        "SSMSSH_SANDBOX": str(directory),
    }


def apply(base: Mapping[str, str], changed: Mapping[str, str | None]) -> dict[str, str]:
    """The environment that results."""
    merged = {name: value for name, value in base.items() if name not in changed}
    return merged | {name: value for name, value in changed.items() if value is not None}


def shell_lines(changed: Mapping[str, str | None]) -> str:
    """The same as lines for a POSIX shell."""
    lines = [
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in sorted(changed.items())
    ]
    return "\n".join(lines) + "\n"
