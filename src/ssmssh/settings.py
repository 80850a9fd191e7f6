"""What the environment says, and where files go: the only reader of the environment.

The order of precedence is the same for every setting: words in the typed host name, then options (what
the block in the ssh config pins), then ``SSMSSH_*`` variables, then AWS's own configuration. This module
answers for the third step and for ``AWS_REGION``, which botocore does not read though other AWS programs do.

Files: what ssh itself reads (our key, our known_hosts) is in `ssh_directory`. Cache, state and logs are where
platformdirs puts them, unless ``SSMSSH_HOME`` names one directory for all three, as test suites and the sandbox
do to stay away from the user's own.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssmssh.errors import UsageError

APPLICATION = "ssmssh"

DEFAULT_DOCUMENT = "AWS-StartSSHSession"
"""The session document, where nobody names one."""

PUSH_WAYS = ("instance-connect", "run-command", "only-run-command")
"""How a public key comes to an instance: through EC2 Instance Connect; the same, or through Run Command where that
cannot be; or through Run Command alone."""

HOST_KEY_POLICIES = ("accept-new", "enforce")
"""What ssh does with a host key that AWS does not vouch for: take it if it is the first, or refuse it."""

MAX_SESSIONS = 16
"""For one connection: as many as a relay takes (`ssmssh.bundle.relay`), 11 MB/s."""

KEY_NAME = "id_ed25519"
"""Of the private key of ours that is pushed, in `ssh_directory`."""


class Settings(NamedTuple):
    """Settings of the environment; None where it is silent.

    `profile`, `region`, `endpoint_url` (for the ``ssm`` API), `stream_endpoint_url` (for ``ssmmessages``),
    `document_name`, `reason`, `wait`, `window`, `rate`, `log_file` and `sessions` have the meaning of the options of
    the same names. `sessions` alone comes before its option, which a block pins: it is for one command.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    stream_endpoint_url: str | None = None
    document_name: str | None = None
    reason: str | None = None
    wait: str | None = None
    window: str | None = None
    rate: str | None = None
    log_file: str | None = None
    sessions: str | None = None

    def __repr__(self) -> str:
        shown = self._replace(endpoint_url=None, stream_endpoint_url=None)  # not looked through yet for a password
        return f"Settings{tuple(shown)}"


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Read ``SSMSSH_*``; a variable that is set but empty counts as not set, as it does for AWS programs."""
    environment = read() if environment is None else environment

    def value(name: str) -> str | None:
        return environment.get(f"SSMSSH_{name}") or None

    return Settings(
        profile=value("PROFILE"),
        region=value("REGION"),
        endpoint_url=value("ENDPOINT_URL"),
        stream_endpoint_url=value("STREAM_ENDPOINT_URL"),
        document_name=value("DOCUMENT_NAME"),
        reason=value("REASON"),
        wait=value("WAIT"),
        window=value("WINDOW"),
        rate=value("RATE"),
        log_file=value("LOG_FILE"),
        sessions=value("SESSIONS"),
    )


def read() -> Mapping[str, str]:
    """The process's environment, for handing it to a child or picking a variable that is not ours."""
    return os.environ  # noqa: TID251 - the one place


def aws_region() -> str | None:
    """``AWS_REGION``, which the AWS CLI and the other SDKs prefer to the ``AWS_DEFAULT_REGION`` botocore reads."""
    return read().get("AWS_REGION") or None


def ca_bundle() -> str | None:
    """The CA bundle that the environment names; one that a profile names comes before ``REQUESTS_CA_BUNDLE``."""
    return read().get("AWS_CA_BUNDLE") or requests_ca_bundle()


def requests_ca_bundle() -> str | None:
    """``REQUESTS_CA_BUNDLE``, which botocore falls back to when ``AWS_CA_BUNDLE`` and the profile name none."""
    return read().get("REQUESTS_CA_BUNDLE") or None


def sandbox_directory() -> Path | None:
    """That of the sandbox (``ssmssh sandbox``) this process is in, or None."""
    directory = read().get("SSMSSH_SANDBOX")
    return Path(directory) if directory else None


def home_directory() -> Path:
    """The home directory in the password database, which ssh goes by, whatever ``$HOME`` is.

    Raises:
        UsageError: There is none.
    """
    if sys.platform == "win32":
        return Path.home()  # there is no such database; ssh goes by the user's profile, too
    import pwd  # noqa: PLC0415 - not everywhere

    user = os.getuid()
    try:
        return Path(pwd.getpwuid(user).pw_dir)
    except KeyError:
        raise UsageError(f"uid {user} is not in the password database, and ssh serves no such user") from None


def path_for_ssh(name: str) -> Path:
    """The file that ssh takes for an IdentityFile of that name."""
    for beginning in ("~/", "%d/"):
        if name.startswith(beginning):
            return home_directory() / name.removeprefix(beginning)
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's raises where there is no such user


def ssh_directory() -> Path:
    """What ssh reads of ours and the proxy writes: our key, our known_hosts; not created here.

    ``~/.ssh/ssmssh`` of the home that ssh goes by; in a sandbox, where ids are always the same and host keys always
    others, a directory of the sandbox.

    Raises:
        UsageError: There is no home directory.
    """
    sandbox = sandbox_directory()
    return sandbox / "ssh" if sandbox else home_directory() / ".ssh" / APPLICATION


def cache_directory() -> Path:
    """What can be made again at any time; not created here."""
    return _directory("cache", "user_cache_path")


def state_directory() -> Path:
    """What must outlive a run: open sessions, backups; not created here."""
    return _directory("state", "user_state_path")


def log_directory() -> Path:
    """One small file per failed connection; not created here."""
    return _directory("log", "user_log_path")


def make_directory(path: Path) -> None:
    """Make `path` and what is missing above it, for its owner only: `Path.mkdir` leaves what is above to the umask.

    Raises:
        OSError: It cannot be made.
    """
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _directory(kind: str, finder: str) -> Path:
    home = read().get("SSMSSH_HOME")
    if home:
        return Path(home) / kind
    import platformdirs  # noqa: PLC0415 - 3 ms that most connections need not spend

    path: Path = getattr(platformdirs, finder)(APPLICATION, appauthor=False)
    return path
