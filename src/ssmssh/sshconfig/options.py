"""What can be asked for of a block or an entry, what may not, and how it is remembered.

What was asked for stands in the block's second line as options of ``install-config``, so that a later run can
change one of them and keep the rest. An entry of a block that holds several remembers its own, and what it leads to.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Self, TypeVar

from ssmssh.errors import UsageError
from ssmssh.settings import MAX_SESSIONS, PUSH_WAYS
from ssmssh.sshconfig.sharing import check_time

MAX_REASON_CHARACTERS = 256

_PATH = re.compile(r"(?:%d/)?[^\"'\\#%$]+")
_DOCUMENT_NAME = re.compile(r"[A-Za-z0-9_.:/-]{3,128}")
"""As botocore's ssm model has it; that of a reason is any text up to 256 characters."""

_SUFFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A label of a host name (RFC 1123), as ssh hands it on: in lower case."""
_BY = re.compile(r"name|private-ip|public-ip|dns|tag:.+")

_CHOICES = ("newest", "oldest")

_QUOTING = re.compile(r"[\"'\\]")

_Options = TypeVar("_Options", bound="BlockOptions")

_RESERVED: Mapping[str, str] = MappingProxyType(
    {
        "host": "it would end the block; give --host-pattern",
        "match": "it would end the block; give --host-pattern",
        "include": "the block holds settings only",
        "proxycommand": "that line is what the block is for",
        "proxyjump": "it would bypass Session Manager",
        "user": "give --user",
        "identityfile": "give --identity-file",
        "identitiesonly": "give --identities-only",
        "forwardagent": "give --forward-agent",
        "compression": "give --compression",
        "serveraliveinterval": "give --server-alive",
        "localforward": "give --local-forward",
        "remoteforward": "give --remote-forward",
    }
)


@dataclass(frozen=True, slots=True)
class BlockOptions:
    """What a block is asked to say; the fields are the options of ``install-config`` by name.

    None stands for "not chosen", an empty text or tuple for "chosen to have none".

    One class, because it is a row: the options of one command, each on its own.
    """

    include: bool | None = None
    host_pattern: tuple[str, ...] | None = None
    suffix: str | None = None
    by: str | None = None
    choose: str | None = None
    user: str | None = None
    profile: str | None = None
    region: str | None = None
    document_name: str | None = None
    reason: str | None = None
    identity_file: str | None = None
    identities_only: bool | None = None
    push_key: str | None = None
    verify_host_keys: str | None = None
    sessions: int | None = None
    forward_agent: bool | None = None
    compression: bool | None = None
    server_alive: int | None = None
    multiplex: str | None = None
    local_forward: tuple[str, ...] | None = None
    remote_forward: tuple[str, ...] | None = None
    option: tuple[str, ...] | None = None

    @property
    def needs_user(self) -> bool:
        """Whether the proxy has to know whom ssh logs in as."""
        return bool(self.push_key) or self.is_bundle

    @property
    def is_bundle(self) -> bool:
        """Whether a connection may have several sessions."""
        return (self.sessions or 1) > 1

    def changed_by(self, other: "BlockOptions") -> Self:
        """These options with what `other` chooses; ``--option`` is taken key by key, a key alone removes it."""
        chosen = {field.name: value for field in fields(other) if (value := getattr(other, field.name)) is not None}
        if self.option and other.option:
            rechosen = {_key(text) for text in other.option}
            kept = (text for text in self.option if _key(text) not in rechosen)
            chosen["option"] = (*kept, *(text for text in other.option if len(text.split(None, 1)) > 1))
        return replace(self, **chosen)

    def remembered(self) -> str:
        """These options as words of a command line, in a fixed order."""
        words: list[str] = []
        for field in fields(self):
            flag, value = flag_of(field.name), getattr(self, field.name)
            if value is None or (field.name == "include" and not value):
                continue  # inline is not worth remembering: it is where the block stands
            if isinstance(value, bool):
                words.append(flag if value else flag_of("no_" + field.name))
            else:
                values = (value or ("",)) if isinstance(value, tuple) else (value,)
                words += (word for each in values for word in (flag, str(each)))
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class EntryOptions(BlockOptions):
    """What an entry is asked to say: a block for one host, with what it leads to.

    `target` is an instance id or any other Target; `account` is the account (12 digits) whose listing it comes from,
    empty for one that a person has added.
    """

    target: str | None = None
    account: str | None = None


def recall(text: str) -> BlockOptions:
    """Read what `BlockOptions.remembered` wrote; raises UsageError if somebody else did."""
    return _recall(text, BlockOptions)


def recall_entry(text: str) -> EntryOptions:
    """Read what `EntryOptions.remembered` wrote; raises as `recall`."""
    return _recall(text, EntryOptions)


def _recall(text: str, kind_of_options: type[_Options]) -> _Options:
    kinds = {flag_of(field.name): (field.name, str(field.type)) for field in fields(kind_of_options)}
    negated = {flag_of("no_" + name): name for name, kind in kinds.values() if kind.startswith("bool")}
    found: dict[str, object] = {}
    try:
        # shlex takes a tenth of a millisecond, and an entry's options seldom need it.
        words = iter(shlex.split(text) if _QUOTING.search(text) else text.split())
        for word in words:
            if word in negated:
                found[negated[word]] = False
                continue
            name, kind = kinds[word]
            if kind.startswith("bool"):
                found[name] = True
            elif kind.startswith("tuple"):
                value = next(words)
                earlier = found.get(name, ())
                found[name] = (*earlier, value) if value and isinstance(earlier, tuple) else earlier
            else:
                found[name] = int(next(words)) if kind.startswith("int") else next(words)
    except (ValueError, KeyError, StopIteration):
        raise UsageError(
            "the options that the block remembers cannot be read", "give --reset and the options that you want"
        ) from None
    return kind_of_options(**found)  # type: ignore[arg-type]


def check_values(options: BlockOptions) -> None:
    """Refuse values that a block cannot carry; UsageError says which and why."""
    for spec in (*(options.local_forward or ()), *(options.remote_forward or ())):
        if re.search(r"[\"'\\#]", spec):
            raise UsageError(
                f"the forwarding {spec!r} cannot be used",
                "quotes, backslashes and # are read differently by ssh clients",
            )
    if options.document_name and not _DOCUMENT_NAME.fullmatch(options.document_name):
        raise UsageError(
            f"--document-name {options.document_name!r} cannot be the name of a document",
            "a name or an ARN has 3 to 128 letters, digits and _ - . : /",
        )
    if len(options.reason or "") > MAX_REASON_CHARACTERS:
        raise UsageError(f"--reason is longer than {MAX_REASON_CHARACTERS} characters, which AWS does not take")
    if options.identity_file and not _PATH.fullmatch(options.identity_file):
        raise UsageError(
            f"--identity-file {options.identity_file!r} cannot be used",
            "quotes, backslashes, # % and $ mean something else to some ssh client",
        )
    if options.push_key and options.push_key not in PUSH_WAYS:
        raise UsageError(f"--push-key takes {' or '.join(PUSH_WAYS)}, and not {options.push_key!r}")
    if options.sessions is not None and not 1 <= options.sessions <= MAX_SESSIONS:
        raise UsageError(f"--sessions takes a number from 1 to {MAX_SESSIONS} (1: plain)")
    if options.server_alive is not None and not 0 <= options.server_alive <= 100_000:
        raise UsageError("--server-alive takes seconds, 0 to 100000 (0: no keep-alive)")
    if options.multiplex:
        check_time(options.multiplex)
    if options.user and not re.fullmatch(r"[^\s\"'\\#%$-][^\s\"'\\#%$]*", options.user):
        raise UsageError(f"--user {options.user!r} cannot be a user name")


def check_finders(options: BlockOptions) -> None:
    """Refuse a ``--suffix``, ``--by`` or ``--choose`` that is none or that goes with nothing; raises UsageError."""
    if options.suffix and not _SUFFIX.fullmatch(options.suffix):
        raise UsageError(
            f"--suffix {options.suffix!r} cannot end a host name",
            "it is one word, like ssm: small letters, digits and -, with one of the first two at both ends",
        )
    if options.by and not _BY.fullmatch(options.by):
        raise UsageError(
            f"--by {options.by!r} is nothing to find a host by", "write name, private-ip, public-ip, dns or tag:KEY"
        )
    if options.suffix and options.by:
        raise UsageError("--suffix and --by cannot be given together", "give one of them to a block of another --name")
    if options.choose and options.choose not in _CHOICES:
        raise UsageError(f"--choose takes {' or '.join(_CHOICES)}, and not {options.choose!r}")
    if options.choose and not (options.suffix or options.by == "name" or (options.by or "").startswith("tag:")):
        raise UsageError("--choose is for hosts that may mean a group", "give --suffix, --by name or --by tag:KEY, too")


def check_option(text: str) -> None:
    """Refuse an ``--option`` that is not 'Key value' or that the block decides itself; UsageError says why.

    Whether the installed ssh knows the key and takes the value is for ssh to say.
    """
    key, _, value = text.strip().partition(" ")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", key) or not value.strip() or value.lstrip().startswith("="):
        raise UsageError(f"--option {text!r} is not of the form 'Key value'")
    if "#" in value:
        raise UsageError(f"--option {text!r} holds a '#'", "some ssh clients take what follows for a comment")
    if key.lower() in _RESERVED:
        raise UsageError(f"--option {key} cannot be given", _RESERVED[key.lower()])


def _key(text: str) -> str:
    return text.split(None, 1)[0].lower() if text.strip() else ""


def flag_of(name: str) -> str:
    """The option of that name on a command line."""
    return "--" + name.replace("_", "-")
