"""The text of a block: what can be asked for, what may not, and how it is written and remembered.

The rules come from what other programs that read ssh configs can bear. The ProxyCommand line is plain
ASCII under 1024 bytes (libssh cuts there), its first word an absolute path, quotes are double ones
round single words (open-remote-ssh knows no others), ``#`` never occurs (asyncssh and ssh-config cut there), nor do
the characters that one of the shells in ``$SHELL -c`` would act upon. No line has a trailing comment.
Only ``%h`` and ``%p`` are used, since other tokens fail in one client or another.

What was asked for stands in the block's second line as options of ``install-config``, so that a later run can
change one of them and keep the rest.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from sshconf import empty_ssh_config_file

from ssmssh.errors import UsageError
from ssmssh.sshconfig.document import NAME_PATTERN, begin_marker, end_marker
from ssmssh.sshconfig.sharing import SOCKET_NAME, check_time

DEFAULT_PATTERNS = ("i-*", "mi-*")

SERVER_ALIVE_SECONDS = 30
SERVER_ALIVE_COUNT = 4
"""Both as long as ssh waits before it ends a connection that is silent: 120 s. The proxy resumes within that."""

MAX_REASON_CHARACTERS = 256

MAX_PROXY_COMMAND_BYTES = 1000
"""libssh cuts lines at 1024 bytes; the keyword and the indentation belong to the line."""

_INDENT = "    "
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_@+:,./-][A-Za-z0-9_@+=:,./-]*")
_UNFIT = re.compile(r"""[^ -~]|["'\\$`!#%]""")
_PATTERN = re.compile(r"[A-Za-z0-9_.:*?-]+")
_PATH = re.compile(r"(?:%d/)?[^\"'\\#%$]+")
_DOCUMENT_NAME = re.compile(r"[A-Za-z0-9_.:/-]{3,128}")
"""As botocore's ssm model has it; that of a reason is any text up to 256 characters."""
_FORWARD = re.compile(r"((?:(?:\[[^]\s]*\]|[^:\s]*):)?\d+):((?:\[[^]\s]+\]|[^:\s]+):\d+)")

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
    """

    include: bool | None = None
    host_pattern: tuple[str, ...] | None = None
    user: str | None = None
    profile: str | None = None
    region: str | None = None
    document_name: str | None = None
    reason: str | None = None
    identity_file: str | None = None
    identities_only: bool | None = None
    forward_agent: bool | None = None
    compression: bool | None = None
    server_alive: int | None = None
    multiplex: str | None = None
    local_forward: tuple[str, ...] | None = None
    remote_forward: tuple[str, ...] | None = None
    option: tuple[str, ...] | None = None

    def changed_by(self, other: "BlockOptions") -> "BlockOptions":
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
            flag, value = _flag(field.name), getattr(self, field.name)
            if value is None or (field.name == "include" and not value):
                continue  # inline is not worth remembering: it is where the block stands
            if isinstance(value, bool):
                words.append(flag if value else _flag("no_" + field.name))
            else:
                values = (value or ("",)) if isinstance(value, tuple) else (value,)
                words += (word for each in values for word in (flag, str(each)))
        return shlex.join(words)


def recall(text: str) -> BlockOptions:
    """Read what `BlockOptions.remembered` wrote.

    Raises:
        UsageError: Somebody else wrote it.
    """
    kinds = {_flag(field.name): (field.name, str(field.type)) for field in fields(BlockOptions)}
    negated = {_flag("no_" + name): name for name, kind in kinds.values() if kind.startswith("bool")}
    found: dict[str, object] = {}
    try:
        words = iter(shlex.split(text))
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
    return BlockOptions(**found)  # type: ignore[arg-type]


def default_patterns(name: str) -> tuple[str, ...]:
    """What a block of that name answers for unless it is told otherwise."""
    return tuple(f"{pattern}.{name}" for pattern in DEFAULT_PATTERNS) if name else DEFAULT_PATTERNS


@dataclass(frozen=True, slots=True)
class BlockText:
    """A block to be written.

    `name` is empty for the unnamed one, `script` is the program for the ProxyCommand line, and `directory` is where
    control sockets are kept, in ssh's spelling.
    """

    name: str
    options: BlockOptions
    script: str
    directory: str = "~/.ssh/ssmssh"

    @property
    def patterns(self) -> tuple[str, ...]:
        """What the ``Host`` line says; a named block answers for ids followed by its name unless told otherwise."""
        return self.options.host_pattern or default_patterns(self.name)

    @property
    def proxy_command(self) -> str:
        """The value of the ProxyCommand line."""
        options = self.options
        words = [self.script]
        for flag in ("profile", "region", "document_name", "reason"):
            value = getattr(options, flag)
            if value and value.startswith("-"):
                raise UsageError(f"{_flag(flag)} {value!r} looks like another option", "give a value that does not")
            if value:
                words += [_flag(flag), value]
        return " ".join([*(quote_word(word) for word in words), "%h", "%p"])

    def settings(self) -> list[tuple[str, str]]:
        """Keywords and values in the order in which they are written."""
        options = self.options
        pairs: list[tuple[str, str]] = []
        if options.user:
            pairs.append(("User", options.user))
        if options.identity_file:
            pairs.append(("IdentityFile", _quoted_if_blank(options.identity_file)))
        pairs.append(("ProxyCommand", self.proxy_command))
        seconds = SERVER_ALIVE_SECONDS if options.server_alive is None else options.server_alive
        if seconds:
            pairs.append(("ServerAliveInterval", str(seconds)))
            pairs.append(("ServerAliveCountMax", str(SERVER_ALIVE_COUNT)))
        for keyword, chosen in (
            ("IdentitiesOnly", options.identities_only),
            ("ForwardAgent", options.forward_agent),
            ("Compression", options.compression),
        ):
            if chosen is not None:
                pairs.append((keyword, "yes" if chosen else "no"))
        if options.multiplex:
            pairs += (
                ("ControlMaster", "auto"),
                ("ControlPath", _quoted_if_blank(f"{self.directory}/{SOCKET_NAME}")),
                ("ControlPersist", options.multiplex),
            )
        pairs += (("LocalForward", forward_spec(spec)) for spec in options.local_forward or ())
        pairs += (("RemoteForward", forward_spec(spec)) for spec in options.remote_forward or ())
        others = [(key, value) for key, value in (text.split(None, 1) for text in options.option or ())]
        overruled = {key.lower() for key, _ in others}
        return [(key, value) for key, value in pairs if key.lower() not in overruled] + others

    def deciding(self) -> dict[str, bytes]:
        """The settings by keyword as `document` reads them."""
        return {key.lower(): value.encode() for key, value in self.settings()}

    def render(self, newline: bytes, flags: frozenset[str], *, closed: bool) -> bytes:
        """The bytes of the block, from marker to marker.

        Args:
            newline: How lines end in the file it goes into.
            flags: What must be undone with the block (`document.FILE_CREATED`, `document.NEWLINE_ADDED`).
            closed: Whether a bare ``Host *`` line ends it, so that what follows applies to every host.

        Raises:
            UsageError: An option has a value that the block cannot carry.
        """
        self.check()
        lines = [begin_marker(self.name, flags)]
        remembered = self.options.remembered()
        if remembered:
            lines.append(f"# options: {remembered}")
        lines += _rendered(self.patterns, self.settings())
        if closed:
            lines.append("Host *")
        lines.append(end_marker(self.name))
        return b"".join(line.encode() + newline for line in lines)

    def check(self) -> None:
        """Refuse what would harm the file or one of the programs that read it; UsageError says why."""
        options = self.options
        if self.name and not re.fullmatch(NAME_PATTERN, self.name):
            raise UsageError(f"--name {self.name!r} is not a name", "use letters, digits, - and _, at most 64")
        for pattern in self.patterns:
            if not _PATTERN.fullmatch(pattern):
                raise UsageError(
                    f"--host-pattern {pattern!r} cannot be used",
                    "letters, digits, . _ : - and the wildcards * and ? are what every ssh client understands",
                )
        if len(self.proxy_command) > MAX_PROXY_COMMAND_BYTES:
            raise UsageError(f"the ProxyCommand line would be longer than {MAX_PROXY_COMMAND_BYTES} bytes")
        _check_values(options)
        for text in options.option or ():
            check_option(text)
        for key, value in self.settings():
            if not value.isprintable() or not value.isascii() or not value.strip():
                raise UsageError(f"the value of {key} is empty or has characters other than printable ASCII ones")


def _check_values(options: BlockOptions) -> None:
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
    if options.server_alive is not None and not 0 <= options.server_alive <= 100_000:
        raise UsageError("--server-alive takes seconds, 0 to 100000 (0: no keep-alive)")
    if options.multiplex:
        check_time(options.multiplex)
    if options.user and not re.fullmatch(r"[^\s\"'\\#%$-][^\s\"'\\#%$]*", options.user):
        raise UsageError(f"--user {options.user!r} cannot be a user name")


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


def quote_word(word: str) -> str:
    """A word of the ProxyCommand line: as it is, or in double quotes where a shell would cut or change it.

    Raises:
        UsageError: No spelling of the word means the same to every shell and every ssh client.
    """
    unfit = _UNFIT.search(word)
    if unfit is not None:
        raise UsageError(
            f"{word!r} cannot stand in a ProxyCommand because of {unfit[0]!r}",
            "the shells and ssh clients that read the line do not agree on it",
        )
    return word if _PLAIN_WORD.fullmatch(word) else f'"{word}"'


def forward_spec(spec: str) -> str:
    """A forwarding as the config wants it, ``[bind:]port host:hostport``, from that or from ``ssh -L``'s spelling."""
    found = _FORWARD.fullmatch(spec)
    return f"{found[1]} {found[2]}" if found else spec


def _rendered(patterns: tuple[str, ...], settings: list[tuple[str, str]]) -> list[str]:
    """The ``Host`` line and the settings below it, printed by sshconf in its spelling of the keywords."""
    values: dict[str, list[str]] = {}
    for key, value in settings:
        values.setdefault(key, []).append(value)
    config = empty_ssh_config_file()
    config.indent = _INDENT
    config.add(" ".join(patterns), **values)
    return [line for line in config.config().split("\n") if line]


def _quoted_if_blank(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _key(text: str) -> str:
    return text.split(None, 1)[0].lower() if text.strip() else ""


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
