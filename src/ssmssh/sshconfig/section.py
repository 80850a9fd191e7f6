"""A ``Host`` section of ours: which settings, in which spelling, and what no program that reads it could bear.

The rules come from what other programs that read ssh configs can bear. The ProxyCommand line is plain
ASCII under 1024 bytes (libssh cuts there), its first word an absolute path, quotes are double ones
round single words (open-remote-ssh knows no others), ``#`` never occurs (asyncssh and ssh-config cut there), nor do
the characters that one of the shells in ``$SHELL -c`` would act upon. No line has a trailing comment.
Only ``%h`` and ``%p`` are used, and ``%r`` where something needs to know whom ssh logs in as (`loginname`), since other
tokens fail in one client or another.

A section for one machine under another name has its id as ``HostName``, which all of them know, and as
``HostKeyAlias``: the key belongs to the machine, whatever its name leads to tomorrow. A Target that is no id cannot be
a host name; it is an option of the proxy.
"""

import re
from dataclasses import dataclass, replace

from sshconf import empty_ssh_config_file

from ssmssh.errors import UsageError
from ssmssh.settings import KEY_NAME
from ssmssh.sshconfig import hostkeychecking, loginname
from ssmssh.sshconfig.options import BlockOptions, check_finders, check_option, check_values, flag_of
from ssmssh.sshconfig.sharing import SOCKET_NAME
from ssmssh.target import is_instance_id

SERVER_ALIVE_SECONDS = 30
SERVER_ALIVE_COUNT = 4
"""Both as long as ssh waits before it ends a connection that is silent: 120 s. The proxy resumes within that."""

MAX_PROXY_COMMAND_BYTES = 1000
"""libssh cuts lines at 1024 bytes; the keyword and the indentation belong to the line."""

_INDENT = "    "
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_@+:,./-][A-Za-z0-9_@+=:,./-]*")
_UNFIT = re.compile(r"""[^ -~]|["'\\$`!#%]""")
_PATTERN = re.compile(r"[A-Za-z0-9_.:*?-]+")
_FORWARD = re.compile(r"((?:(?:\[[^]\s]*\]|[^:\s]*):)?\d+):((?:\[[^]\s]+\]|[^:\s]+):\d+)")
_KEY_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
"""What known_hosts files have no other use for."""

_FINDERS = ("suffix", "by", "choose")
"""Options of the proxy that say what a host name stands for, and which one if that is a group."""


@dataclass(frozen=True, slots=True)
class SectionText:
    """A section to be written.

    `patterns` are what its ``Host`` line says, `script` is the program for the ProxyCommand line, and `directory` is
    where control sockets are kept, in ssh's spelling. `target` is what it leads to; empty where the host names tell.
    `keys` is where a key of ours is, in ssh's spelling, and `passes_user` says that the installed ssh can be trusted
    with the log-in name, where an option needs it. `drop_word` ends host names and says nothing of a target.
    """

    patterns: tuple[str, ...]
    options: BlockOptions
    script: str
    directory: str
    target: str = ""
    keys: str = "~/.ssh/ssmssh"
    passes_user: bool = False
    drop_word: str = ""

    @property
    def proxy_command(self) -> str:
        """The value of the ProxyCommand line."""
        options = self.options
        words = [self.script]
        given = {name: getattr(options, name) for name in ("profile", "region", "document_name", "reason", *_FINDERS)}
        if self.target and not is_instance_id(self.target):
            given = {"target": self.target} | given
        if options.needs_user and not self.passes_user:
            given["user"] = options.user
        for name, value in given.items():
            if value and value.startswith("-"):
                raise UsageError(f"{flag_of(name)} {value!r} looks like another option", "give a value that does not")
            if value:
                words += [flag_of(name), value]
        if options.sessions:
            words += ["--sessions", str(options.sessions)]
        if self.drop_word:
            words += ["--drop-word", self.drop_word]
        if options.push_key:
            words.append(f"--push-key={options.push_key}")
            if options.identity_file:
                words += ["--identity-file", re.sub(r"^%d/", "~/", options.identity_file)]
        if options.verify_host_keys:
            words += ["--verify-host-keys", options.verify_host_keys]
        passed = [loginname.WORD] if options.needs_user and self.passes_user else []
        return " ".join([*(quote_word(word) for word in words), "%h", "%p", *passed])

    def settings(self) -> list[tuple[str, str]]:
        """Keywords and values in the order in which they are written."""
        options = self.options
        if options.push_key and options.identities_only is None:  # what an agent offers would use up MaxAuthTries first
            options = replace(options, identities_only=True)
        pairs: list[tuple[str, str]] = []
        if is_instance_id(self.target):
            pairs.append(("HostName", self.target))
        if options.user:
            pairs.append(("User", options.user))
        if identity_file := options.identity_file or (f"{self.keys}/{KEY_NAME}" if options.push_key else ""):
            pairs.append(("IdentityFile", _quoted_if_blank(identity_file)))
        pairs.append(("ProxyCommand", self.proxy_command))
        if _KEY_ALIAS.fullmatch(self.target):
            pairs.append(("HostKeyAlias", self.target))
        if options.verify_host_keys:
            pairs += hostkeychecking.settings(options.verify_host_keys, self.keys)
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

    def lines(self) -> list[str]:
        """The ``Host`` line and the settings below it, printed by sshconf in its spelling of the keywords.

        Raises:
            UsageError: As `check`.
        """
        values: dict[str, list[str]] = {}
        for key, value in self.check():
            values.setdefault(key, []).append(value)
        config = empty_ssh_config_file()
        config.indent = _INDENT
        config.add(" ".join(self.patterns), **values)
        return [line for line in config.config().split("\n") if line]

    def check(self) -> list[tuple[str, str]]:
        """Refuse what would harm the file or one of the programs that read it; UsageError says why. The settings."""
        check_finders(self.options)
        for pattern in self.patterns:
            if not _PATTERN.fullmatch(pattern):
                raise UsageError(
                    f"--host-pattern {pattern!r} cannot be used",
                    "letters, digits, . _ : - and the wildcards * and ? are what every ssh client understands",
                )
        if len(self.proxy_command) > MAX_PROXY_COMMAND_BYTES:
            raise UsageError(f"the ProxyCommand line would be longer than {MAX_PROXY_COMMAND_BYTES} bytes")
        check_values(self.options)
        others = dict(_keyword_and_value(text) for text in self.options.option or () if " " in text.strip())
        is_instance = is_instance_id(self.target)
        hostkeychecking.check(self.options.verify_host_keys, self.target, others, is_instance=is_instance)
        for text in self.options.option or ():
            check_option(text)
        settings = self.settings()
        for key, value in settings:
            if not value.isprintable() or not value.isascii() or not value.strip():
                raise UsageError(f"the value of {key} is empty or has characters other than printable ASCII ones")
        return settings


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


def _keyword_and_value(option: str) -> tuple[str, str]:
    keyword, value = option.split(None, 1)
    return keyword.lower(), value


def _quoted_if_blank(path: str) -> str:
    return f'"{path}"' if " " in path else path
