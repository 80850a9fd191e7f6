"""Temporary credentials, shared with the AWS CLI.

Without this every connection through a role costs a call to STS, and one through a role with MFA asks for a
code. The AWS CLI keeps such results in ``~/.aws/cli/cache``, by names that botocore computes (aws-cli:
``customizations/assumerole.py``; version 2 also those of SSO: ``customizations/sso``). We read and write the
same files with botocore's own class, so that one MFA code serves both programs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.utils import JSONFileCache

from ssmssh.settings import make_directory

if TYPE_CHECKING:
    from botocore.credentials import CredentialResolver

_DIRECTORY = Path("~/.aws/cli/cache")
_PROVIDERS = ("assume-role", "assume-role-with-web-identity", "sso")


class SharedCache(JSONFileCache):
    """botocore's cache, except that a file it cannot use is no entry and one it cannot write is no failure.

    botocore fails with KeyError on a damaged file, and with OSError where the home directory is read-only.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(str(directory))
        self._directory = directory

    def __contains__(self, cache_key: str) -> bool:
        try:
            return "Expiration" in self[cache_key]["Credentials"]
        except (KeyError, TypeError):
            return False

    def __setitem__(self, cache_key: str, value: Any) -> None:
        try:
            make_directory(self._directory)  # for its owner only; botocore would leave that to the umask
            super().__setitem__(cache_key, value)
        except (OSError, ValueError):
            return  # asked for again next time; the text of the ValueError would show the credentials


def share_with_aws_cli(chain: "CredentialResolver", directory: Path | None = None) -> None:
    """Let the providers of `chain` that call a service keep their results where the AWS CLI keeps them.

    Or in `directory`: a stand-in for AWS has its own, because the names of the files do not tell its roles from AWS's.
    A user without a home directory shares nothing, and the providers remember what they have themselves.
    """
    try:
        cache = SharedCache(directory or _DIRECTORY.expanduser())
    except RuntimeError:  # of expanduser: HOME is not set, and the user is not in the password database
        return
    for name in _PROVIDERS:
        provider: Any = chain.get_provider(name)
        provider.cache = cache
