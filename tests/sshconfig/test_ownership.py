"""What in a block is not ours is not touched; what is ours without markers is known again."""

import re

import pytest
from hypothesis import assume, given, settings

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig.block import BlockText, default_patterns
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.options import BlockOptions, recall
from ssmssh.sshconfig.ownership import check_own, unmarked
from ssmssh.sshconfig.plan import Files, Plan, plan_install, plan_uninstall, remembered
from ssmssh.sshconfig.position import Reader
from tests.sshconfig.home import Home
from tests.sshconfig.test_document import CONFIGS
from tests.sshconfig.test_plan import OPTIONS
from tests.sshconfig.tools import SECTIONS

SCRIPT = "/opt/bin/ssmssh-proxy"
OWN_PATH = "~/.ssh/ssmssh/config"


def install(main: bytes | None, name: str = "", own: bytes | None = None, **options: object) -> Plan:
    files = Files("/nonexistent/.ssh/config", main, OWN_PATH, own)
    return plan_install(files, BlockText(name, BlockOptions(**options), SCRIPT), Reader())  # type: ignore[arg-type]


def numbers_of_strangers(main: bytes) -> str:
    document = Document(main)
    block = document.block("")
    assert block is not None
    try:
        check_own(document, block)
    except FileError as error:
        return error.sentence.rpartition(": ")[2]
    return ""


@pytest.mark.parametrize(
    ("at", "text", "numbers"),
    [
        (b"Host i-*", SECTIONS["DevPod"], "3, 4, 5, 6, 7, 8, 9, 10"),
        (b"Host *\n", b"\n\nHost web\n  User me\n", "8, 9"),
        (b"# <<<", b"Include x\n", "7"),
        (b"# <<<", b"Host *\n  User x\n", "7, 8"),
        (b"    ServerAliveInterval", b"Include x\n", "4"),
        (b"    ServerAliveInterval", b"Host web\n", "4, 5, 6"),
        (b"Host i-*", b"User me\n", "2"),
        (b"# <<<", b"# just a note\n\n", ""),
        (b"    ServerAliveInterval", b"    Port 2222\n", ""),
    ],
)
def test_lines_of_others_between_the_markers_are_named(at: bytes, text: bytes, numbers: str) -> None:
    installed = install(b"AddKeysToAgent yes\n").main or b""
    installed = installed.removeprefix(b"AddKeysToAgent yes\n")
    assert numbers_of_strangers(installed) == ""
    assert numbers_of_strangers(installed.replace(at, text + at, 1)) == numbers


def test_a_block_with_lines_of_others_is_neither_replaced_nor_removed(home: Home) -> None:
    home.write(b"Host web\n")
    home.install("--user", "x")
    grown = home.config.read_bytes().replace(b"Host i-*", b"Host web\n  User me\nHost i-*")
    home.config.write_bytes(grown)
    for command, *words in (
        ("install-config", "--user", "y"),
        ("install-config",),
        ("install-config", "--include"),
        ("uninstall-config",),
    ):
        with pytest.raises(FileError, match="lines that are not the block's: 3, 4; nothing was changed; move them"):
            home.run(command, "--yes", *words)
        assert home.config.read_bytes() == grown
    moved = grown.replace(b"Host web\n  User me\nHost i-*", b"Host i-*")
    home.config.write_bytes(b"Host web\n  User me\n" + moved)
    home.uninstall()
    assert home.config.read_bytes() == b"Host web\n  User me\nHost web\n"


def test_many_lines_are_not_all_named() -> None:
    installed = install(b"Host x\n").main or b""
    many = installed.replace(b"# <<<", b"Host y\n" * 20 + b"# <<<")
    assert numbers_of_strangers(many) == "6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 and more"


def without_comments(data: bytes) -> bytes:
    return re.sub(rb"(?m)^[ \t]*#.*\n?", b"", data)


@settings(deadline=None)
@given(CONFIGS, OPTIONS)
def test_a_block_without_comments_is_known_again(main: bytes, options: BlockOptions) -> None:
    main = without_comments(main)
    assume(not main.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")))
    installed = install(main, user=options.user, profile=options.profile, server_alive=options.server_alive)
    bare = without_comments(installed.main or b"")
    files = installed.before._replace(main=bare)
    known = recall(remembered(files, "", default_patterns("")) or "")
    assert (known.user, known.profile) == (options.user, options.profile)
    again = plan_install(files, BlockText("", known, SCRIPT), Reader())
    assert (again.main or b"").count(b"ssmssh-proxy") == 1
    assert "lost its markers" in again.notes[0]
    assert (plan_uninstall(files, "", Reader()).main or b"").count(b"ssmssh-proxy") == 0
    once_more = again.before._replace(main=again.main)
    assert not plan_install(once_more, BlockText("", known, SCRIPT), Reader()).changes
    assert b"ssmssh" not in (plan_uninstall(once_more, "", Reader()).main or b"")


EVERYTHING = (
    *("--user", "ubuntu", "--identity-file", "/h/my keys/id", "--region", "eu-west-1", "--reason", "ticket 12"),
    *("--identities-only", "--no-forward-agent", "--compression", "--server-alive", "60", "--multiplex", "10m"),
    *("--local-forward", "8080:localhost:80", "--remote-forward", "1080", "--option", "LogLevel ERROR"),
    *("--option", 'SetEnv A="b c"', "--host-pattern", "i-*", "--host-pattern", "web-*"),
)


PUSHING = ("--user", "x", "--push-key", "instance-connect", "--identity-file", "/h/my keys/id")


@pytest.mark.parametrize(
    "words",
    [EVERYTHING, (), ("--user", "x", "--server-alive", "0"), ("--name", "prod"), PUSHING[:4], PUSHING],
)
def test_what_had_been_asked_for_shows_in_what_is_left(short_home: Home, words: tuple[str, ...]) -> None:
    short_home.write(b"Host web\n  User me\n")
    host = "i-0.prod" if "prod" in words else "i-0"
    short_home.install(*words)
    before, other = short_home.ssh(host), short_home.ssh("web-1")
    bare = without_comments(short_home.config.read_bytes())
    short_home.config.write_bytes(bare)
    said = short_home.install(*(words if "prod" in words else ())).stderr
    assert "is a block of ssmssh that has lost its markers" in said
    assert (short_home.ssh(host), short_home.ssh("web-1")) == (before, other)
    assert short_home.config.read_bytes().count(b"ssmssh-proxy") == 1
    short_home.config.write_bytes(bare)
    short_home.uninstall(*(words if "prod" in words else ()))
    assert short_home.config.read_bytes().replace(b"Host *\n", b"") == b"Host web\n  User me\n"


@pytest.mark.parametrize(
    "main",
    [
        b"Host web\n  ProxyCommand /opt/bin/ssmssh-proxy %h %p\n",
        b"Match host i-*\n  ProxyCommand /opt/bin/ssmssh-proxy %h %p\n",
        b"Host i-*\n  ProxyCommand /opt/bin/ssmssh-proxy-old %h %p\n",
        b"Host i-*\n  ProxyCommand 'ssmssh-proxy %h %p\n",
        b"Host i-*\n  User ssmssh-proxy\n",
        b"ProxyCommand /opt/bin/ssmssh-proxy %h %p\n",
        b"Host i-*\n  # ours since May\n  ProxyCommand /opt/bin/ssmssh-proxy %h %p\n",
        b"Host i-*\n  ProxyCommand /opt/bin/ssmssh-proxy %h %p\n  Include more\n",
        b"# Host i-*\n#  ProxyCommand /opt/bin/ssmssh-proxy %h %p\n",
    ],
)
def test_what_only_looks_like_a_block_is_the_users(main: bytes) -> None:
    assert unmarked(Document(main), default_patterns("")) is None
    assert not plan_uninstall(Files("config", main, OWN_PATH, None), "", Reader()).changes


def test_options_that_are_none_of_ours_are_a_clear_line() -> None:
    main = b"Host i-*\n  ProxyCommand ssmssh-proxy --nonsense %h %p\n"
    text = remembered(Files("config", main, OWN_PATH, None), "", default_patterns(""))
    with pytest.raises(UsageError, match="cannot be read; give --reset"):
        recall(text or "")


def test_our_own_file_without_comments_is_known_again() -> None:
    files = install(b"Host web\n", include=True, user="x")
    own = without_comments(files.own or b"")
    left = files.before._replace(main=files.main, own=own)
    assert recall(remembered(left, "", default_patterns("")) or "") == BlockOptions(user="x", include=True)
    again = plan_install(left, BlockText("", BlockOptions(user="x", include=True), SCRIPT), Reader())
    assert (again.own or b"").count(b"ssmssh-proxy") == 1
    assert again.main == files.main
