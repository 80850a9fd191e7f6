"""The policies of a running sandbox's callers and instances, as its user changes them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ssmssh.errors import FileError, UsageError
from ssmssh.sandbox import documentcontent
from ssmssh.sandbox.accounts import PROFILES
from ssmssh.sandbox.documents import SHELL_DOCUMENT
from ssmssh.sandbox.motoiam import MANAGED_POLICY
from ssmssh.sandbox.policies import parse
from ssmssh.sandbox.refusals import ApiError

Document = Mapping[str, object] | str
"""A policy, as an object or as JSON."""


class Policies:
    """What the holder of a sandbox's credentials may do. Without a policy, everything.

    The policies are inline ones of the caller (`Sandbox` says whether that is a role or a user), and IAM's calls show
    them. They hold from the next call on; what has begun goes on.
    """

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def attach(self, name: str, document: Document, *, profile: str = "sandbox") -> None:
        """Give the caller a policy, in place of one of the same name.

        Raises:
            PolicyError: It is none, or has something that the sandbox cannot evaluate.
            ControlError: IAM does not take it.
        """
        self._call("attach_policy", account_id=PROFILES[profile], name=name, document=_text(document))

    def detach(self, name: str, *, profile: str = "sandbox") -> None:
        """Take a policy away; without any, the caller may do everything again.

        Raises:
            ControlError: There is none of that name.
        """
        self._call("detach_policy", account_id=PROFILES[profile], name=name)

    def attach_to_instances(self, *documents: Document, profile: str = "sandbox") -> None:
        """Have the role of the EC2 instances have these policies, and no others.

        The one that it has at first is AWS's, and is meant by its name, ``AmazonSSMManagedInstanceCore``.

        Raises:
            PolicyError: One is none.
        """
        named = [
            [f"policy-{number}", document if document == MANAGED_POLICY else _text(document)]
            for number, document in enumerate(documents, 1)
        ]
        self._call("give_instances_policies", account_id=PROFILES[profile], policies=named)


def resolve(given: Sequence[Document | Path]) -> list[list[str]]:
    """The account, name and text of the policies that a sandbox starts with: its own account's, or those of files.

    Raises:
        FileError: A file cannot be read.
        PolicyError: One is none.
    """
    return [[PROFILES["sandbox"], *_named(number, each)] for number, each in enumerate(given, 1)]


def preferences(given: Document | Path | None) -> str:
    """The text of the account's preferences document; empty for none.

    Raises:
        FileError: A file cannot be read.
        UsageError: It is no session document.
    """
    if given is None:
        return ""
    text = _read(given, "preferences") if isinstance(given, Path) else given
    text = text if isinstance(text, str) else json.dumps(text)
    try:
        documentcontent.read(SHELL_DOCUMENT, text)
    except ApiError as error:
        raise UsageError(f"the preferences are no session document: {error.message.rstrip('.')}") from None
    return text


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise FileError(f"cannot read the {what} {path}: {error.strerror}", f"name a file with {what}") from None


def _named(number: int, given: Document | Path) -> tuple[str, str]:
    if not isinstance(given, Path):
        return f"policy-{number}", _text(given)
    return given.stem, _text(_read(given, "policy"))


def _text(document: Document) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    parse(text)
    return text
