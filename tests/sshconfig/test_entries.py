"""What a block of entries says, and what is read from it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig.document import HOSTS, SYNC, Document
from ssmssh.sshconfig.entries import MAX_ENTRIES, EntriesText, Entry, entries_of
from ssmssh.sshconfig.options import EntryOptions

SCRIPT = "/opt/bin/ssmssh-proxy"
ID = "i-0123456789abcdef0"


def rendered(*entries: Entry, name: str = HOSTS, newline: bytes = b"\n", closed: bool = False) -> bytes:
    return EntriesText(name, entries, SCRIPT, "~/.ssh/ssmssh").render(newline, frozenset(), closed=closed)


def entry(name: str = "web", **options: object) -> Entry:
    return Entry(name, EntryOptions(**{"target": ID, **options}))  # type: ignore[arg-type]


def test_the_block_as_documented() -> None:
    first = entry("web-1", user="ec2-user", profile="prod", region="eu-west-1")
    second = entry("gpu", target="sagemaker-cluster:abcd_workers-i-0")
    assert rendered(first, second).decode() == (
        '# >>> ssmssh hosts >>> (managed: change with "ssmssh host", '
        'remove with "ssmssh uninstall-config --name hosts")\n'
        "# options: --user ec2-user --profile prod --region eu-west-1 --target i-0123456789abcdef0\n"
        "Host web-1\n"
        "    HostName i-0123456789abcdef0\n"
        "    User ec2-user\n"
        "    ProxyCommand /opt/bin/ssmssh-proxy --profile prod --region eu-west-1 %h %p\n"
        "    HostKeyAlias i-0123456789abcdef0\n"
        "    ServerAliveInterval 30\n"
        "    ServerAliveCountMax 4\n"
        "# options: --target sagemaker-cluster:abcd_workers-i-0\n"
        "Host gpu\n"
        "    ProxyCommand /opt/bin/ssmssh-proxy --target sagemaker-cluster:abcd_workers-i-0 %h %p\n"
        "    HostKeyAlias sagemaker-cluster:abcd_workers-i-0\n"
        "    ServerAliveInterval 30\n"
        "    ServerAliveCountMax 4\n"
        "# <<< ssmssh hosts <<<\n"
    )


def test_a_target_that_is_no_name_for_a_key_gets_none() -> None:
    assert b"HostKeyAlias" not in rendered(entry(target="a b"))
    assert b'--target "a b" %h %p' in rendered(entry(target="a b"))


@pytest.mark.parametrize("target", ["a%b", 'a"b', "a$b", "a#b", "caf\xe9", "-x"])
def test_a_target_that_no_proxy_command_can_carry(target: str) -> None:
    with pytest.raises(UsageError):
        rendered(entry(target=target))


def test_more_than_ssh_reads_quickly() -> None:
    with pytest.raises(UsageError, match="20001 entries"):
        EntriesText(SYNC, (entry(),) * (MAX_ENTRIES + 1), SCRIPT, "~").check()


WORDS = st.from_regex(r"[a-zA-Z0-9_ .:/@+-]{1,20}", fullmatch=True).filter(lambda text: text.strip() and text[0] != "-")
OPTIONS = st.builds(
    EntryOptions,
    user=st.none() | st.sampled_from(["ec2-user", ""]),
    profile=st.none() | WORDS,
    region=st.none() | st.just("eu-west-1"),
    reason=st.none() | WORDS,
    identity_file=st.none() | WORDS.map("/h/{}".format),
    forward_agent=st.none() | st.booleans(),
    server_alive=st.none() | st.integers(0, 100),
    option=st.none() | st.just(("LogLevel ERROR", "SetEnv A=b c")),
    target=st.just(ID) | WORDS,
    account=st.none() | st.just("123456789012"),
)


@given(
    st.lists(st.tuples(st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True), OPTIONS), min_size=1, max_size=5),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.sampled_from([HOSTS, SYNC]),
)
def test_what_is_written_is_read_again(
    pairs: list[tuple[str, EntryOptions]], newline: bytes, closed: bool, name: str
) -> None:
    entries = tuple(Entry(*pair) for pair in pairs)
    text = rendered(*entries, name=name, newline=newline, closed=closed)
    document = Document(b"User me" + newline + text + b"Host x" + newline)
    assert entries_of(document, name) == entries
    assert entries_of(document, "other") == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"# options: --target i-0123456789abcdef0\n", b""),
        (b"# options: --target", b"# options: --targets"),
        (b"# options: --target i-0123456789abcdef0\n", b"# options: --user me\n"),
        (b"# options: --target", b"# options: '--target"),
        (b"Host web\n", b"Host web web-2\n"),
        (b"Host web\n", b"Match host web\n"),
        (b"Host web\n", b"Host w\xc3\xa9b\n"),
        (b"Host web\n", b"\nHost web\n"),
        (b"Host web\n", b"Host gate\n    User me\nHost web\n"),
    ],
)
def test_what_is_no_entry_is_named(old: bytes, new: bytes) -> None:
    text = rendered(entry())
    assert old in text
    with pytest.raises(FileError, match=r"line [0-9]+ of config is no entry that 'ssmssh host' has written"):
        entries_of(Document(text.replace(old, new), "config"), HOSTS)
