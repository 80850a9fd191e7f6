"""Configs of the kind that config maintainers have come to grief over.

Each is a text, or a text and files it includes; ``@`` stands for the directory that they are in. `REFUSED` are
those that must not be touched, with the reason that must be given.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

HOSTS = ("web", "work", "db.example.com", "10.0.0.1", "mail-i-1")
"""Hosts that are not ours, whatever the config says."""


class Hostile(NamedTuple):
    """A config and the files beside it."""

    main: bytes
    beside: Mapping[str, bytes] = MappingProxyType({})


CONFIGS: dict[str, Hostile] = {
    "empty": Hostile(b""),
    "one newline": Hostile(b"\n"),
    "blanks only": Hostile(b"  \n\t\n \r\n"),
    "comment only": Hostile(b"# nothing yet"),
    "no final newline": Hostile(b"Host web\n  User me"),
    "global without final newline": Hostile(b"AddKeysToAgent yes"),
    "global CR LF without final newline": Hostile(b"AddKeysToAgent yes\r\nHashKnownHosts yes"),
    "last byte CR": Hostile(b"AddKeysToAgent yes\r"),
    "CR LF": Hostile(b"AddKeysToAgent yes\r\n\r\nHost web\r\n  User me\r\n"),
    "CR LF and LF": Hostile(b"AddKeysToAgent yes\r\nHost web\n  User me\r\n"),
    "lone CR in a comment": Hostile(b"# a\rHost i-*\rProxyCommand /bin/evil\nHost web\n"),
    "vertical tab and form feed": Hostile(b"# a\x0bProxyCommand /bin/evil\n# b\x0cUser x\nHost web\x0c\n"),
    "NEL and line separator": Hostile(b"# a\xc2\x85ProxyCommand evil\n# b\xe2\x80\xa8User evil\nHost web\n"),
    "latin-1 comment": Hostile(b"# Z\xfcrich\nHost web\n  User me\n"),
    "bytes that are no text": Hostile(b"# \xff\xfe\x80\x81\nHost web\n"),
    "NUL in a comment": Hostile(b"# a\0b\nHost web\n"),
    "NUL hides the rest of a line": Hostile(b"User me\0 Host web\nHost web\n"),
    "NUL in a Host line": Hostile(b"Host web\0 i-*\n  ProxyJump gate\n"),
    "emoji": Hostile("# 🚀 keys\nHost web # rocket\n  User me\n".encode()),
    "tabs": Hostile(b"\tHost\tweb\n\t\tUser\tme\n"),
    "no indentation": Hostile(b"Host web\nUser me\nHost work\nUser you\n"),
    "upper case": Hostile(b"HOST web\n  USER me\nMATCH ALL\n  PORT 2222\n"),
    "equals signs": Hostile(b"Host=web\nUser=me\nHost = work\nPort = 22\n"),
    "equals sign before the keyword": Hostile(b"  = Host web\n User me\n"),
    "quoted keyword": Hostile(b'"Host" web\n "User" me\n'),
    "quote inside a keyword": Hostile(b'Ho"st" web\nUser me\n'),
    "open quote hides a line": Hostile(b'Host" i-*\nUser me\nHost web\n'),
    "quoted pattern": Hostile(b"Host \"web\" 'work'\n  User me\n"),
    "comment after patterns": Hostile(b"Host web # i-* mi-*\n  User me\n"),
    "HostKeyAlgorithms is no Host": Hostile(b"HostKeyAlgorithms +ssh-rsa\nHostbasedAuthentication no\nHost web\n"),
    "commented Host": Hostile(b"#Host i-*\n# Host mi-*\n#ProxyCommand x\nAddKeysToAgent yes\nHost web\n"),
    "comment block above Host": Hostile(b"AddKeysToAgent yes\n# work\n# machines\nHost work\n  User me\n"),
    "comment right at the top": Hostile(b"# vim: ft=sshconfig\nHost work\n  User me\n"),
    "comment, blank, comment": Hostile(b"# file\n\n# work\nHost work\n"),
    "star first": Hostile(b"Host *\n  User me\n  ServerAliveInterval 60\nHost web\n  Port 2222\n"),
    "star last": Hostile(b"Host web\n  User you\nHost *\n  User me\n  ProxyCommand nc %h %p\n"),
    "star with ProxyJump": Hostile(b"Host *\n  ProxyJump gate\n"),
    "global ProxyCommand": Hostile(b"ProxyCommand nc %h %p\nHost web\n"),
    "global ProxyJump": Hostile(b"ProxyJump gate\nHost web\n  ProxyJump none\n"),
    "global ProxyCommand none": Hostile(b"ProxyCommand none\n"),
    "global User": Hostile(b"User me\nHost web\n  Port 2222\n"),
    "global keep-alive": Hostile(b"ServerAliveInterval 5\nServerAliveCountMax 2\nHost web\n"),
    "global keep-alive, ours": Hostile(b"ServerAliveInterval 30\nServerAliveCountMax 4\nHost web\n"),
    "global IdentityFile": Hostile(b"IdentityFile ~/.ssh/id_work\nHost web\n"),
    "AWS's own advice": Hostile(
        b'# SSH over Session Manager\nHost i-* mi-*\n    ProxyCommand sh -c "aws ssm start-session --target %h '
        b"--document-name AWS-StartSSHSession --parameters 'portNumber=%p'\"\n    User ec2-user\n"
    ),
    "AWS's own advice by Match": Hostile(b'Match host i-*,mi-*\n  ProxyCommand sh -c "aws ssm start-session %h"\n'),
    "Match all first": Hostile(b"Match all\n  User me\n  ProxyCommand nc %h %p\nHost web\n"),
    "Match exec": Hostile(b'Match exec "true"\n  User me\n  ProxyJump gate\nHost web\n'),
    "Match exec with a host in it": Hostile(b"Match host web exec \"test -n '%h'\"\n  User me\n"),
    "Match final": Hostile(b"Match final all\n  User me\n  ProxyJump gate\nHost web\n  User you\n"),
    "Match canonical": Hostile(b"CanonicalizeHostname no\nMatch canonical all\n  User me\n"),
    "Match originalhost": Hostile(b"Match originalhost web,!work\n  User me\nMatch !host i-*\n  Port 2222\n"),
    "Match by user": Hostile(b"Match user root\n  Port 2222\nMatch localuser root\n  User me\n"),
    "negated pattern": Hostile(b"Host * !i-*\n  ProxyJump gate\nHost *\n  User me\n"),
    "many patterns": Hostile(b"Host " + b" ".join(b"h%d" % n for n in range(500)) + b"\n  User me\n"),
    "long line": Hostile(b"# " + b"x" * 100_000 + b"\nHost web\n  User me\n"),
    "a thousand hosts": Hostile(b"".join(b"Host h%d\n  User u%d\n" % (n, n) for n in range(1000))),
    "duplicate blocks": Hostile(b"Host web\n  User a\nHost web\n  User b\n"),
    "block without lines": Hostile(b"Host web\nHost work\nHost gate"),
    "trailing blanks": Hostile(b"Host web   \n  User me\t \n   \n"),
    "include of nothing": Hostile(b"Include @/none/*.conf\nHost web\n"),
    "include of globals": Hostile(b"Include @/a\nHost web\n", {"a": b"AddKeysToAgent yes\n"}),
    "include of a star": Hostile(b"Include @/a\nHost web\n", {"a": b"Host *\n  User me\n  ProxyJump gate\n"}),
    "include that ends in a block": Hostile(b"Include @/a\nPort 2222\nHost web\n", {"a": b"Host web\n  User me"}),
    "include of an included": Hostile(b"Include @/a\n", {"a": b"Include @/b\n", "b": b"Host i-*\n  User me\n"}),
    "include by glob": Hostile(b"Include @/d/*\n", {"d/1": b"Host web\n  User me\n", "d/2": b"Host *\n  User you\n"}),
    "include of two": Hostile(b'Include "@/a" @/b # both\n', {"a": b"Host mi-*\n  Port 3\n", "b": b"ProxyJump gate\n"}),
    "include below a Host": Hostile(b"Host web\n  Include @/a\nHost work\n", {"a": b"User me\nProxyJump gate\n"}),
    "include of a Match": Hostile(b"Include @/a\n", {"a": b'Match exec "true"\n  ProxyJump gate\n'}),
    "include of a Match on another": Hostile(b"Include @/a\nHost web\n", {"a": b"Match host web\n  ProxyJump gate\n"}),
    "include of a pattern of ours": Hostile(b"Include @/a\n", {"a": b"Host i-0*\n  ProxyCommand nc %h %p\n"}),
    "include with CR LF": Hostile(b"Include @/a\r\nHost web\r\n", {"a": b"Host *\r\n  User me\r\n"}),
    "include of an empty file": Hostile(b"Include @/a", {"a": b""}),
    "another manager's section": Hostile(
        b"AddKeysToAgent yes\n\n# ------------START-CODER-----------\n# This section is managed\nHost coder.*\n"
        b"  User me\n# ------------END-CODER------------\n"
    ),
    "ssmssh in a comment": Hostile(b"# ssmssh\n# see >>> ssmssh >>> below\nHost web\n"),
    "a host like ours": Hostile(b"Host mi-server i-am-a-host\n  HostName 10.0.0.1\n  User me\n"),
    "an instance of theirs": Hostile(b"Host i-0fedcba9876543210\n  User bob\n"),
    "colour and cursor controls": Hostile(b"# \x1b[31mred\x1b]0;title\x07\nHost web\n"),
    "IgnoreUnknown": Hostile(b"IgnoreUnknown UseKeychain\nUseKeychain yes\nHost web\n  UseKeychain no\n"),
    "values with everything": Hostile(
        b'Host web\n  RemoteCommand echo "a b" \'c\' \\\\d %% #x\n  SetEnv A="b c" D=e\n'
    ),
    "HostName %h": Hostile(b"Host *\n  HostName %h\nHost web\n  HostName %h.example.com\n"),
}

REFUSED: dict[str, tuple[Hostile, str]] = {
    "byte order mark": (Hostile(b"\xef\xbb\xbfHost web\n  User me\n"), "byte order mark"),
    "UTF-16": (Hostile("Host web\n".encode("utf-16")), "byte order mark"),
    "unknown keyword": (Hostile(b"Host web\n  Nonsense yes\n"), "line [0-9]+: Bad configuration option: nonsense"),
    "bad value": (Hostile(b"Host web\n  Port many\n"), "line [0-9]+: Bad port"),
    "keyword alone": (Hostile(b"AddKeysToAgent\nHost web\n"), "line [0-9]+: no argument after keyword"),
    "open quote": (Hostile(b'Host "web\n  User me\n'), "line [0-9]+: invalid quotes"),
    "include circle": (Hostile(b"Include @/a\n", {"a": b"Include @/a\n"}), "levels deep|Too many recursive"),
    "HostName among the globals": (Hostile(b"HostName elsewhere\nHost web\n"), "add --option 'HostName %h'"),
    "every host renamed": (Hostile(b"Host *\n  HostName %h.example.com\n"), "add --option 'HostName %h'"),
    "descriptors passed": (Hostile(b"Host *\n  ProxyUseFdpass yes\n"), "add --option 'ProxyUseFdpass no'"),
    "half a block": (Hostile(b"Host web\n# >>> ssmssh >>>\nHost i-*\n"), "^line 2 .* does not end"),
    "another half": (Hostile(b"Host web\n# <<< ssmssh <<<\n"), "^line 2 .* did not begin"),
    "two blocks": (
        Hostile(b"# >>> ssmssh >>>\n# <<< ssmssh <<<\n# >>> ssmssh >>>\n# <<< ssmssh <<<\n"),
        "^line 3 .* a second time",
    ),
    "nested blocks": (
        Hostile(b"# >>> ssmssh >>>\n# >>> ssmssh a >>>\n# <<< ssmssh a <<<\n# <<< ssmssh <<<\n"),
        "^line 2 .* inside the one",
    ),
    "an edited marker": (Hostile(b"# >>> ssmssh (mine) >>>\nHost i-*\n# <<< ssmssh <<<\n"), "^line 1 .* looks like"),
    "options nobody wrote": (
        Hostile(b"# >>> ssmssh >>>\n# options: --user 'me\nHost i-*\n# <<< ssmssh <<<\n"),
        "cannot be read; give --reset",
    ),
}
