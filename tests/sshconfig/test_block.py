"""What a block says, what it refuses to say, and what it remembers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmssh.errors import UsageError
from ssmssh.sshconfig.block import BlockText
from ssmssh.sshconfig.options import BlockOptions, recall
from ssmssh.sshconfig.section import forward_spec, quote_word

SCRIPT = "/opt/bin/ssmssh-proxy"


def rendered(name: str = "", script: str = SCRIPT, **options: object) -> list[str]:
    text = BlockText(name, BlockOptions(**options), script)  # type: ignore[arg-type]
    return text.render(b"\n", frozenset(), closed=False).decode().splitlines()


def test_the_block_as_documented() -> None:
    text = BlockText("", BlockOptions(user="ec2-user", profile="prod"), "/home/me/.local/bin/ssmssh-proxy")
    assert text.render(b"\n", frozenset(), closed=False).decode() == (
        '# >>> ssmssh >>> (managed: change with "ssmssh install-config", remove with "ssmssh uninstall-config")\n'
        "# options: --user ec2-user --profile prod\n"
        "Host i-* mi-*\n"
        "    User ec2-user\n"
        "    ProxyCommand /home/me/.local/bin/ssmssh-proxy --profile prod %h %p\n"
        "    ServerAliveInterval 30\n"
        "    ServerAliveCountMax 4\n"
        "# <<< ssmssh <<<\n"
    )


def test_everything_that_can_be_asked_for() -> None:
    lines = rendered(
        "prod",
        user="ubuntu",
        profile="my profile",
        region="eu-west-1",
        document_name="My-Document",
        reason="ticket 12",
        identity_file="/home/me/my keys/id",
        identities_only=True,
        forward_agent=False,
        compression=True,
        server_alive=60,
        multiplex="10m",
        local_forward=("8080:localhost:80", "[::1]:9090 [::1]:90"),
        remote_forward=("127.0.0.1:2222:localhost:22",),
        option=("LogLevel ERROR", "serveralivecountmax 2"),
    )
    words = '--profile "my profile" --region eu-west-1 --document-name My-Document --reason "ticket 12"'
    assert lines[2:-1] == [
        "Host i-*.prod mi-*.prod",
        "    User ubuntu",
        '    IdentityFile "/home/me/my keys/id"',
        f"    ProxyCommand {SCRIPT} {words} %h %p",
        "    ServerAliveInterval 60",
        "    IdentitiesOnly yes",
        "    ForwardAgent no",
        "    Compression yes",
        "    ControlMaster auto",
        "    ControlPath ~/.ssh/ssmssh/%C",
        "    ControlPersist 10m",
        "    LocalForward 8080 localhost:80",
        "    LocalForward [::1]:9090 [::1]:90",
        "    RemoteForward 127.0.0.1:2222 localhost:22",
        "    LogLevel ERROR",
        "    ServerAliveCountMax 2",
    ]


def test_no_keep_alive_on_request() -> None:
    assert not any("ServerAlive" in line for line in rendered(server_alive=0))


def test_patterns_of_the_users_choice() -> None:
    assert "Host web-* i-0abc" in rendered(host_pattern=("web-*", "i-0abc"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"host_pattern": ("a b",)}, "--host-pattern"),
        ({"host_pattern": ("!a",)}, "--host-pattern"),
        ({"host_pattern": ("a\nHost *",)}, "--host-pattern"),
        ({"host_pattern": ("a#b",)}, "--host-pattern"),
        ({"user": "a b"}, "cannot be a user name"),
        ({"user": "-oProxyCommand=x"}, "cannot be a user name"),
        ({"user": "a\nProxyCommand x"}, "cannot be a user name"),
        ({"profile": "a%b"}, "because of '%'"),
        ({"profile": 'a"b'}, "because of '\"'"),
        ({"profile": "a'b"}, "because of"),
        ({"profile": "a#b"}, "because of '#'"),
        ({"profile": "$(x)"}, r"because of '\$'"),
        ({"profile": "caf\xe9"}, "because of"),
        ({"reason": "a\nb"}, "because of"),
        ({"reason": "wow!"}, "because of '!'"),
        ({"reason": "x" * 257}, "longer than 256 characters"),
        ({"reason": "x" * 256, "profile": "x" * 800}, "longer than 1000 bytes"),
        ({"region": "-x"}, "--region '-x' looks like another option"),
        ({"profile": "-x"}, "--profile '-x' looks like"),
        ({"reason": "--x"}, "--reason '--x' looks like"),
        ({"document_name": "a b"}, "cannot be the name of a document"),
        ({"document_name": "ab"}, "3 to 128"),
        ({"identity_file": '/h/a"b"'}, "quotes, backslashes"),
        ({"identity_file": "/h/50%"}, "quotes, backslashes"),
        ({"identity_file": "~/#a"}, "quotes, backslashes"),
        ({"server_alive": -1}, "--server-alive"),
        ({"identity_file": "/a\nHost *"}, "printable ASCII"),
        ({"local_forward": ("1\n2",)}, "printable ASCII"),
        ({"local_forward": ("1 a:1 # x",)}, "quotes, backslashes and #"),
        ({"remote_forward": ('1 "a":1',)}, "quotes, backslashes and #"),
        ({"option": ("Host *",)}, "it would end the block"),
        ({"option": ("match all",)}, "it would end the block"),
        ({"option": ("Include x",)}, "settings only"),
        ({"option": ("ProxyCommand x",)}, "what the block is for"),
        ({"option": ("ProxyJump x",)}, "bypass"),
        ({"option": ("User x",)}, "give --user"),
        ({"option": ("LogLevel",)}, "'Key value'"),
        ({"option": ("Log-Level x",)}, "'Key value'"),
        ({"option": ("LogLevel=ERROR",)}, "'Key value'"),
        ({"option": ("LogLevel = ERROR",)}, "'Key value'"),
        ({"option": ("LogLevel ERROR # x",)}, "holds a '#'"),
        ({"option": ("LogLevel a\nHost *",)}, "printable ASCII"),
    ],
)
def test_what_would_do_harm_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        rendered(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a b", "-a", "a" * 65, "a.b", "a\n"])
def test_names_are_words(name: str) -> None:
    with pytest.raises(UsageError, match="is not a name"):
        rendered(name)


def test_words_are_quoted_where_a_shell_would_act() -> None:
    assert quote_word("/usr/bin/x-y_z.0") == "/usr/bin/x-y_z.0"
    assert quote_word("C:/Program Files/x.exe") == '"C:/Program Files/x.exe"'
    for word in ("a b", "a;b", "a*", "a|b", "a&b", "<a>", "(a)", "{a}", "~a", "=a", "a^b", ""):
        assert quote_word(word) == f'"{word}"'


@pytest.mark.parametrize(
    ("spec", "written"),
    [
        ("80:web:8080", "80 web:8080"),
        ("127.0.0.1:80:web:8080", "127.0.0.1:80 web:8080"),
        ("*:80:web:8080", "*:80 web:8080"),
        ("[::1]:80:[fe80::1]:8080", "[::1]:80 [fe80::1]:8080"),
        ("80 web:8080", "80 web:8080"),
        ("1080", "1080"),
        ("/run/a.sock /run/b.sock", "/run/a.sock /run/b.sock"),
    ],
)
def test_forwardings_are_written_as_configs_want_them(spec: str, written: str) -> None:
    assert forward_spec(spec) == written


TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)
MANY = st.none() | st.lists(TEXT.filter(bool), max_size=3).map(tuple)
OPTIONS = st.builds(
    BlockOptions,
    include=st.sampled_from([None, True]),
    host_pattern=MANY,
    user=st.none() | TEXT,
    reason=st.none() | TEXT,
    identities_only=st.none() | st.booleans(),
    server_alive=st.none() | st.integers(0, 100),
    option=MANY,
)


@settings(deadline=None)
@given(OPTIONS)
def test_what_is_remembered_is_recalled(options: BlockOptions) -> None:
    assert recall(options.remembered()) == options


@pytest.mark.parametrize("text", ["--nonsense", "--user", "--server-alive x", "--user 'a", "me", "--no-user x"])
def test_what_nobody_remembered_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        recall(text)


def test_a_choice_changes_what_it_names_and_nothing_else() -> None:
    earlier = BlockOptions(user="a", profile="p", option=("LogLevel ERROR", "Port 22"))
    changed = earlier.changed_by(BlockOptions(user="b", option=("loglevel DEBUG", "TCPKeepAlive no")))
    assert changed == BlockOptions(user="b", profile="p", option=("Port 22", "loglevel DEBUG", "TCPKeepAlive no"))
    assert changed.changed_by(BlockOptions(option=("Port",))).option == ("loglevel DEBUG", "TCPKeepAlive no")
    assert changed.changed_by(BlockOptions(option=())).option == ()
    assert changed.changed_by(BlockOptions(user="")).user == ""


def test_a_key_may_be_given_more_than_once() -> None:
    twice = BlockOptions(option=("SendEnv A", "SendEnv B"))
    assert twice.changed_by(twice) == twice
    more = twice.changed_by(BlockOptions(option=("LogLevel ERROR",)))
    assert more.option == ("SendEnv A", "SendEnv B", "LogLevel ERROR")
    assert twice.changed_by(BlockOptions(option=("sendenv C",))).option == ("sendenv C",)


KEYED = st.none() | st.lists(st.sampled_from(["A 1", "a 2", "B 1", "B 2", "C"]), max_size=4).map(tuple)


@given(KEYED, KEYED)
def test_the_same_choice_again_changes_nothing(earlier: tuple[str, ...] | None, later: tuple[str, ...] | None) -> None:
    changed = BlockOptions(option=earlier).changed_by(BlockOptions(option=later))
    assert changed.changed_by(BlockOptions(option=later)) == changed or "C" in (later or ())
