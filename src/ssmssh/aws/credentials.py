"""Getting credentials from a session of botocore's, and saying why there are none.

The providers are botocore's. Around them stands what a program behind ssh needs: the AWS CLI's cache, a prompt that
leaves standard input alone, helpers that end with us, and, for each provider, what its failures mean.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, CredentialRetrievalError, MissingDependencyException, NoCredentialsError
from botocore.session import Session

from ssmssh.aws.caches import share_with_aws_cli
from ssmssh.aws.errors import UNREADABLE, Context, map_error, mapped, quote, trouble_of
from ssmssh.aws.helpers import watch_helpers
from ssmssh.aws.origins import Origin, Trouble, origin_of, watch_origins
from ssmssh.aws.proxies import judge_metadata_proxy
from ssmssh.errors import AccessDeniedError, CredentialsError, ProtocolError, SsmsshError, UsageError

_HEADER_VALUE = re.compile(r"[!-~]*")
"""What keys and tokens consist of: they travel in headers."""

_PARTS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Names of the parts of credentials, in the environment; elsewhere they are called alike, in small letters."""

_NAME = re.compile(r"[A-Z][A-Za-z]{2,40}")
_LEGIBLE = ("Unsupported host", "Auth token value")
"""Beginnings of botocore's own texts in ValueErrors, which otherwise repeat what could not be read."""

_HOST = re.compile(r" '.*'", re.DOTALL)
"""In the first of them; of a URL that is misread it may be half a password."""

_ANSWERED = frozenset({"roleCredentials", "expiresIn"})
"""What botocore takes from answers of IAM Identity Center without a look: a web page, to it, is an empty one."""

Ask = Callable[[str, str | None], str]


def equip(
    session: Session,
    profile: str | None,
    role_cache: Path | None,
    ask: Ask,
    explain: Callable[[Exception, Origin], SsmsshError],
) -> None:
    """Complete the providers of `session`, which has not looked for credentials yet.

    Args:
        session: Of botocore.
        profile: The one in use.
        role_cache: Directory for temporary credentials, instead of the AWS CLI's.
        ask: Called with a question and the profile; returns an MFA code.
        explain: What is to be raised for what a provider raises.
    """
    chain = session.get_component("credential_provider")
    share_with_aws_cli(chain, role_cache)
    watch_helpers(chain)
    judge_metadata_proxy(chain)
    # botocore has no public way to replace the prompt; its own falls back to standard input.
    chain.get_provider("assume-role")._prompter = lambda question: ask(question, profile)  # noqa: SLF001
    watch_origins(chain, profile, explain)


def find_credentials(session: Session, context: Context) -> Credentials:
    """What an equipped session finds, by one thread at a time; it remembers that. Blocks; raises `SsmsshError`."""
    with mapped(context):
        credentials: Credentials | None = session.get_credentials()
        if credentials is not None:
            return credentials
        from ssmssh.aws.files import silent_fault

        if fault := silent_fault(session):
            raise UsageError(context.sentence(fault.sentence), fault.hint)
        raise NoCredentialsError


def freeze(credentials: Credentials, context: Context) -> ReadOnlyCredentials:
    """What to sign with now: refreshed, for which it blocks, if they are about to expire. Raises `SsmsshError`."""
    with mapped(context):
        frozen: ReadOnlyCredentials = credentials.get_frozen_credentials()
    for name, part in zip(_PARTS, frozen, strict=False):
        if not _HEADER_VALUE.fullmatch(part or ""):
            from ssmssh.aws.advice import describe

            origin = origin_of(credentials)
            source = f" of {describe(origin)}" if origin else ""
            shown = name if origin and origin.method == "env" else name.lower()
            raise CredentialsError(
                context.sentence(f"{shown}{source} holds a blank, a line feed or a letter that no key has"),
                f"correct {shown}",
            )
    return frozen


def explain(error: Exception, origin: Origin, context: Context, configured: Mapping[str, Any]) -> SsmsshError:
    """What to raise for `error`, which a provider of `origin` has raised.

    Args:
        error: Of botocore; or whatever else it let through.
        origin: Of the provider.
        context: Of the call for credentials.
        configured: What AWS's files hold, as ``Session.full_config``.
    """
    from ssmssh.aws.advice import advise, describe
    from ssmssh.aws.sources import fault_of_source

    if fault := fault_of_source(error, origin, configured, context):
        return fault
    ours = map_error(error, context)
    trouble = trouble_of(error)
    if isinstance(error, KeyError) and error.args[0] in _ANSWERED:
        ours = ProtocolError(context.sentence(f"{describe(origin)} got an answer that is not one of AWS"))
        trouble = Trouble.FOREIGN
    elif not isinstance(error, BotoCoreError) and isinstance(error, (OSError, *UNREADABLE)):
        ours = CredentialsError(context.sentence(f"{describe(origin)} {_defect(error)}"))
        trouble = Trouble.EXPIRED if isinstance(error, RuntimeError) else Trouble.UNUSABLE
    elif isinstance(error, CredentialRetrievalError):
        # What a container's endpoint has answered may be credentials.
        told = str(error.kwargs.get("error_msg", "")).partition(" from container metadata: ")[0]
        reason = quote(told).strip() or "it does not say why"
        ours = CredentialsError(context.sentence(f"{describe(origin)} gave none: {reason}"))
    elif isinstance(error, MissingDependencyException):
        from ssmssh.installation import command_for

        return CredentialsError(ours.sentence, f"run: {command_for('login')}")
    is_named = isinstance(ours, AccessDeniedError) and ours.hint.startswith("ask for")
    advice = advise(origin, trouble, context.profile) if trouble and not is_named else None
    kind = CredentialsError if type(ours) is SsmsshError else type(ours)
    return kind(ours.sentence, advice or ours.hint)


def _defect(error: Exception) -> str:
    """What is wrong, as the rest of a sentence; nothing of what could not be read is repeated."""
    match error:
        case OSError():  # of a file that cannot be read
            return f"cannot be had: {error.strerror}: {error.filename}"
        case ValueError() if str(error).startswith(_LEGIBLE):
            return f"cannot be asked: {quote(_HOST.sub('', str(error), 1))}"
        case RuntimeError():  # botocore has only this one
            what = "credentials that have already expired"
        case json.JSONDecodeError():
            what = "something that is not JSON"
        case UnicodeDecodeError():
            what = "something that is not text"
        case KeyError(args=[name]) if _NAME.fullmatch(str(name)):
            what = f"no {name}"
        case _:
            what = "something incomplete, or of another form than it should be"
    return f"gave {what}"
