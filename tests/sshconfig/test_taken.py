"""Which names an entry may have, and which are somebody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.knownhosts import KnownHosts
from ssmssh.sshconfig.patterns import is_concrete
from ssmssh.sshconfig.position import Reader
from ssmssh.sshconfig.taken import MAX_NAME, Taken, objection

SUFFIXES = ("ssm", "lab")


@pytest.mark.parametrize(
    "name",
    [
        "web-1",
        "w",
        "1-web",
        "web.ssm",
        "a.b.lab",
        "web.eu-west-1",
        "web.us-gov-west-1",
        "web.123456789012",
        "web.i-0123456789abcdef0",
        "x" * 63,
    ],
)
def test_names_that_an_entry_may_have(name: str) -> None:
    assert objection(name, SUFFIXES) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("github.com", "domain"),
        ("web.prod", "domain"),
        ("web.ssm.com", "domain"),
        ("ssm.", "no host name"),
        (".ssm", "no host name"),
        ("..", "no host name"),
        ("a..ssm", "no host name"),
        ("*", "pattern"),
        ("web-?", "pattern"),
        ("!web", "pattern"),
        ("-oProxyCommand=x", "no host name"),
        ("-web", "no host name"),
        ("web-", "no host name"),
        ("a b", "no host name"),
        ("a\nb", "no host name"),
        ("a\tb", "no host name"),
        ("", "no host name"),
        ("$(x)", "no host name"),
        ("a;b", "no host name"),
        ('"a"', "no host name"),
        ("a#b", "no host name"),
        ("a,b", "no host name"),
        ("a%h", "no host name"),
        ("a@b", "no host name"),
        ("a:b", "no host name"),
        ("a/b", "no host name"),
        ("web_1", "no host name"),
        ("\U0001f680", "no host name"),
        ("caf\xe9", "no host name"),
        ("x" * 64, "no host name"),
        ("x." * 150 + "ssm", "no host name"),
        ("Web", "capitals"),
        ("i-0123456789abcdef0", "instance id"),
        ("mi-server", "instance id"),
        ("i-am.ssm", "instance id"),
        ("localhost", "computer"),
        ("10", "address"),
        ("0x7f000001", "address"),
        ("127.1", "domain"),
        ("10.0.0.1", "domain"),
    ],
)
def test_names_that_an_entry_may_not_have(name: str, why: str) -> None:
    assert why in objection(name, SUFFIXES)


@given(st.text(max_size=300))
def test_what_passes_is_a_word_that_every_program_reads_alike(name: str) -> None:
    if not objection(name, SUFFIXES):
        assert name.isascii()
        assert len(name) <= MAX_NAME
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789.-")
        assert is_concrete(name)
        assert name[0] not in ".-"
        assert "." not in name or not name.rpartition(".")[2].isalpha() or name.rpartition(".")[2] in SUFFIXES


CONFIG = b"""\
Host web-1 gate
    User me
Host web-*
    User deploy
Host db-* !db-9
    ProxyJump gate
Match host lab-7,lab-8
    User me
Host *-cold
    HostName 10.0.0.9
Host *
    ProxyJump gate
"""


def taken(text: bytes = CONFIG, known: bytes = b"") -> Taken:
    return Taken(Document(text), "config", Reader(), lambda: KnownHosts([known]))


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("web-1", "line 1 of config has a host of that name"),
        ("gate", "line 1 of config"),
        ("lab-8", "line 7 of config has a host of that name"),
        ("db-1", "line 5 of config says how to get to it"),
        ("db-cold", "line 9 of config"),
        ("x-cold", "line 9 of config says how to get to it"),
        ("web-2", ""),  # a User for it is welcome
        ("db-9", ""),
        ("other", ""),  # whatever goes for every host goes for hosts that nobody has named
    ],
)
def test_names_of_the_users_config(name: str, who: str) -> None:
    assert taken().by(name).startswith(who)
    assert bool(taken().by(name)) == bool(who)


def test_a_name_in_capitals_is_the_same_host() -> None:
    assert taken(b"Host Web-1\n").by("web-1")


def test_known_hosts_are_asked_about_new_names_alone() -> None:
    asked = []

    def known() -> KnownHosts:
        asked.append(1)
        return KnownHosts([b"web-5 ssh-ed25519 AAAA\n"])

    names = Taken(Document(CONFIG), "config", Reader(), known)
    assert names.by("web-5", is_new=False) == ""
    assert not asked
    assert "known_hosts" in names.by("web-5")
    assert names.by("web-6") == ""
    assert len(asked) == 1


def test_entries_of_our_own_are_nobody_elses() -> None:
    block = b"# >>> ssmssh hosts >>>\n# options: --target i-1\nHost web-7\n    HostName x\n# <<< ssmssh hosts <<<\n"
    assert taken(block).by("web-7") == ""
    assert taken(block + b"Host web-7\n").by("web-7") == "line 6 of config has a host of that name"
