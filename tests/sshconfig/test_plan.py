"""The plan, over bytes: nothing outside the block changes, and removing gives back what was there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig.block import BlockText
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.including import find
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.plan import Files, Plan, plan_install, plan_uninstall
from ssmssh.sshconfig.position import Reader
from tests.sshconfig.test_document import CONFIGS

OWN_PATH = "~/.ssh/ssmssh/config"
INCLUDE = f"Include {OWN_PATH}\n".encode()
MAINS = st.builds(
    lambda before, included, after: before + included + after,
    CONFIGS | st.just(b""),
    st.sampled_from([b"", b"", INCLUDE, INCLUDE.replace(b"\n", b" \r\n"), INCLUDE * 2]),
    CONFIGS,
).filter(lambda data: not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")))
"""Any bytes, and perhaps an Include line in them that is like ours but the user's."""
READER = Reader()
SCRIPT = "/opt/bin/ssmssh-proxy"
OPTIONS = st.builds(
    BlockOptions,
    user=st.none() | st.just("ec2-user"),
    profile=st.none() | st.just("my profile"),
    include=st.booleans(),
    server_alive=st.none() | st.just(0),
)


def install(files: Files, name: str = "", **options: object) -> Plan:
    return plan_install(files, BlockText(name, BlockOptions(**options), SCRIPT), READER)  # type: ignore[arg-type]


def test_a_byte_order_mark_is_refused() -> None:
    with pytest.raises(FileError, match="byte order mark"):
        install(given_files(b"\xef\xbb\xbfHost a\n"))


def given_files(main: bytes | None) -> Files:
    return Files("/nonexistent/.ssh/config", main, OWN_PATH, None)


def after(plan: Plan) -> Files:
    return plan.before._replace(main=plan.main, own=plan.own)


def text(main: bytes | None, **options: object) -> str:
    return (install(given_files(main), "", **options).main or b"").decode()


@settings(deadline=None)
@given(st.none() | MAINS, OPTIONS)
def test_installing_and_removing_is_the_identity(main: bytes | None, options: BlockOptions) -> None:
    files = given_files(main)
    installed = after(plan_install(files, BlockText("", options, SCRIPT), READER))
    again = plan_install(installed, BlockText("", options, SCRIPT), READER)
    assert not again.changes
    assert after(plan_uninstall(installed, "", READER)) == files


NAMES = ("", "prod", "dev")


@settings(deadline=None)
@given(
    st.none() | MAINS, st.permutations(NAMES), st.permutations(NAMES), st.lists(st.booleans(), min_size=6, max_size=6)
)
def test_several_blocks_in_any_order_and_mode(
    main: bytes | None, order: list[str], back: list[str], include: list[bool]
) -> None:
    files = given_files(main)

    def install_in(mode: bool, name: str) -> Plan:
        return install(files, name, include=mode, host_pattern=None if name else ("x-*",))

    for name, mode in zip(order * 2, include, strict=True):
        files = after(install_in(mode, name))
        assert not install_in(mode, name).changes
    for name, mode in zip(order, include[3:], strict=True):
        assert not install_in(mode, name).changes
    for name in back:
        files = after(plan_uninstall(files, name, READER))
    assert files == given_files(main)


@settings(deadline=None)
@given(MAINS, OPTIONS, OPTIONS)
def test_only_the_block_changes(main: bytes, first: BlockOptions, second: BlockOptions) -> None:
    files = given_files(main)
    for options in (first, second):
        files = after(plan_install(files, BlockText("", options, SCRIPT), READER))
        document = Document(files.main or b"")
        rest = document.data
        for block in document.blocks:
            rest = document.splice(block.start, block.end, b"").data
        if options.include:
            line = find(document, OWN_PATH)
            assert line is not None
            rest = rest if rest == main else rest.removeprefix(document.line_at(0) if line.number == 1 else b"")
        assert rest in (main, main + b"\n", main + b"\r\n")
    assert after(plan_uninstall(files, "", READER)) == given_files(main)


def test_the_block_goes_before_the_first_section_and_its_comment() -> None:
    result = text(b"AddKeysToAgent yes\n\n# work\n# more\nHost work\n  User me\n")
    assert result.startswith("AddKeysToAgent yes\n\n# >>> ssmssh >>>")
    assert result.endswith("# <<< ssmssh <<<\n# work\n# more\nHost work\n  User me\n")


def test_globals_that_decide_push_it_to_the_top() -> None:
    plan = install(given_files(b"# mine\nUser me\nHost work\n"), user="ec2-user")
    assert plan.main is not None
    assert plan.main.startswith(b"# >>> ssmssh >>>")
    assert b"Host *\n# <<< ssmssh <<<\n# mine\nUser me\n" in plan.main
    assert "line 2 of /nonexistent/.ssh/config decides User" in plan.notes[0]


@pytest.mark.parametrize("line", [b"ProxyJump gate", b"proxycommand=none", b'"ProxyCommand" "nc %h"'])
def test_any_rival_counts(line: bytes) -> None:
    assert text(line + b"\n").startswith("# >>>")


@pytest.mark.parametrize("line", [b"ServerAliveInterval 5", b"IdentityFile ~/.ssh/x", b"User me"])
def test_what_is_no_rival_does_not_count(line: bytes) -> None:
    assert text(line + b"\n").startswith(line.decode())


def test_a_shadowed_block_moves() -> None:
    installed = install(given_files(b"Host work\n")).main or b""
    moved = install(given_files(b"Host *\n  ProxyJump gate\n" + installed))
    assert (moved.main or b"").startswith(b"# >>> ssmssh >>>")
    assert (moved.main or b"").endswith(b"<<<\nHost *\n  ProxyJump gate\nHost work\n")
    assert "line 2 of" in moved.notes[0]


def test_a_block_that_is_not_shadowed_stays() -> None:
    installed = install(given_files(b"Host work\n")).main or b""
    assert not install(given_files(b"Host other\n  ProxyJump gate\n" + installed)).changes


def test_line_endings_follow_the_file() -> None:
    main = install(given_files(b"Host work\r\n")).main or b""
    assert main.count(b"\n") == main.count(b"\r\n") == 7


def test_names_that_the_patterns_capture_are_told_once() -> None:
    plan = install(given_files(b"Host mi-server web\nHost *.example\n"))
    assert list(plan.captured) == ["mi-server"]
    assert plan.captured["mi-server"].line.number == 1
    assert not install(after(plan), user="x").captured


def test_blocks_that_hide_each_other_are_refused() -> None:
    files = after(install(given_files(b"")))
    with pytest.raises(UsageError, match="answers for some of the same hosts"):
        install(files, "prod", host_pattern=("i-*",))


def test_the_unnamed_block_comes_after_named_ones() -> None:
    files = after(install(after(install(given_files(b"Host work\n"))), "prod"))
    again = after(install(after(install(given_files(b"Host work\n"), "prod"))))
    assert [block.name for block in Document(files.main or b"").blocks] == ["prod", ""]
    assert files == again


def test_switching_modes_leaves_no_trace() -> None:
    inline = install(given_files(b"Host work\n"))
    included = install(after(inline), include=True)
    assert included.main == b"Include ~/.ssh/ssmssh/config\nHost work\n"
    assert after(install(after(included), include=False)) == after(inline)


def test_a_path_that_no_include_line_can_hold_is_refused() -> None:
    files = given_files(b"")._replace(own_path="/my home/ssmssh/config")
    with pytest.raises(UsageError, match="cannot stand in an Include line"):
        install(files, include=True)


def test_a_block_that_lines_were_added_below_is_not_taken_from_above_them() -> None:
    installed = (install(given_files(b"AddKeysToAgent yes\nHost x\n")).main or b"").removesuffix(b"Host x\n")
    grown = given_files(installed + b"# note\nForwardAgent yes\n")
    with pytest.raises(
        FileError, match=r"line 9 of /nonexistent/.ssh/config \(ForwardAgent\) holds for the hosts of the block"
    ):
        plan_uninstall(grown, "", READER)
    assert not install(grown).changes


def test_an_added_newline_stays_when_text_follows_or_is_gone() -> None:
    installed = install(given_files(b"AddKeysToAgent yes")).main or b""
    assert b"[newline added]" in installed
    assert plan_uninstall(given_files(installed + b"Host x\n"), "", READER).main == b"AddKeysToAgent yes\nHost x\n"
    assert plan_uninstall(given_files(installed.removeprefix(b"AddKeysToAgent yes\n")), "", READER).main == b""


def test_removing_what_is_not_there_changes_nothing() -> None:
    for main in (None, b"", b"Host x"):
        assert not plan_uninstall(given_files(main), "prod", READER).changes


def test_an_include_line_that_was_moved_goes_back_to_the_top() -> None:
    files = after(install(given_files(b"Host x\n"), include=True))
    line = b"Include ~/.ssh/ssmssh/config\n"
    moved = files._replace(main=b"ProxyJump gate\n" + line + b"Host x\n")
    again = install(moved, include=True)
    assert again.main == line + b"ProxyJump gate\nHost x\n"
    why = "line 1 of /nonexistent/.ssh/config decides ProxyJump before it"
    assert again.notes == (f"the Include line moves to the very top, because {why}",)
    assert plan_uninstall(moved, "", READER).main == b"ProxyJump gate\nHost x\n"
    gone = files._replace(main=b"User me\n")
    assert plan_uninstall(gone, "", READER).main == b"User me\n"


def test_an_include_line_that_does_its_work_stays_where_it_is() -> None:
    files = after(install(given_files(b"Host x\n"), include=True))
    assert not install(files._replace(main=b"User me\n" + INCLUDE + b"Host x\n"), include=True).changes


@pytest.mark.parametrize(
    "line",
    [
        INCLUDE,
        b"  " + INCLUDE.replace(b"\n", b" \r\n"),
        INCLUDE.replace(b"Include", b"\tinclude"),
        INCLUDE.replace(b"Include ", b"INCLUDE="),
        INCLUDE.replace(b" ", b' "').replace(b"\n", b'"\n'),
    ],
)
def test_an_include_line_below_a_section_is_found_and_is_only_one(line: bytes) -> None:
    files = after(install(given_files(b"Port 22\n"), include=True))
    below = files._replace(main=b"Host first\n  User me\n" + line + b"Port 22\n")
    again = install(below, include=True)
    assert again.main == INCLUDE + b"Host first\n  User me\nPort 22\n"
    assert "because line 3 of /nonexistent/.ssh/config is in a section" in again.notes[0]
    assert not install(after(again), include=True).changes
    removed = plan_uninstall(below, "", READER)
    assert (removed.main, removed.own) == (b"Host first\n  User me\nPort 22\n", None)


def test_an_include_line_of_the_users_in_a_section_stays_beside_ours() -> None:
    main = b"Host x\n" + INCLUDE
    files = after(install(given_files(main), include=True))
    assert files.main == INCLUDE + main
    assert after(plan_uninstall(files, "", READER)) == given_files(main)
    files = after(install(given_files(INCLUDE), include=True))
    assert files.main == INCLUDE
    pushed_down = files._replace(main=b"Host first\n" + INCLUDE)
    files = after(install(pushed_down, include=True))
    assert files.main == INCLUDE + b"Host first\n" + INCLUDE
    assert plan_uninstall(files, "", READER).main == b"Host first\n" + INCLUDE


def test_only_the_very_top_is_above_our_include_line() -> None:
    files = after(install(given_files(b"ProxyJump gate\n"), "dev", include=True))
    both = install(files, "prod")
    assert (both.main or b"").startswith(b"Include ~/.ssh/ssmssh/config\n# >>> ssmssh prod >>>")
    assert not install(after(both), "dev", include=True).changes


def test_an_included_file_ends_in_no_section_of_ours() -> None:
    """libssh goes on below an Include line in the section that the included file ended with."""
    files = after(install(after(install(given_files(b"User me\n"), include=True)), "prod", include=True))
    assert (files.own or b"").count(b"    ServerAliveCountMax 4\nHost *\n# <<< ssmssh") == 2


def test_an_empty_block_among_ours_does_no_harm() -> None:
    empty = b"# >>> ssmssh x >>>\n# <<< ssmssh x <<<\n"
    prod = install(given_files(b"Host work\n"), "prod").main or b""
    both = empty + b"AddKeysToAgent yes\n" + prod
    main = install(given_files(both)).main or b""
    assert main.startswith(both.removesuffix(b"Host work\n") + b"# >>> ssmssh >>>")
    assert main.endswith(b"# <<< ssmssh <<<\nHost work\n")
    directly = install(given_files(empty + b"Host work\n"), user="me").main or b""
    assert directly.startswith(empty + b"# >>> ssmssh >>>")


def test_an_include_line_that_was_there_before_is_not_ours() -> None:
    main = INCLUDE + b"User me\n"
    inline = install(given_files(main), user="me")
    assert (inline.main or b"").startswith(INCLUDE)
    files = after(install(given_files(main), "prod", include=True))
    assert files.main == main
    assert b"[include found]" in (files.own or b"")
    files = after(plan_uninstall(after(install(files, "dev", include=True)), "prod", READER))
    assert b"# >>> ssmssh dev >>>" in (files.own or b"")
    assert b"[include found]" in (files.own or b"")
    assert after(plan_uninstall(files, "dev", READER)) == given_files(main)


def test_hosts_of_a_match_are_captured_too() -> None:
    plan = install(given_files(b"Match user me OriginalHost web,mi-server,!mi-other\nMatch final host mi-a\n"))
    assert list(plan.captured) == ["mi-server", "mi-a"]


def test_the_file_with_the_damage_is_named() -> None:
    with pytest.raises(
        FileError, match=r"^line 1 of /nonexistent/.ssh/config: the block that begins here does not end"
    ):
        install(given_files(b"# >>> ssmssh >>>\n"))
    with pytest.raises(FileError, match=r"^line 2 of ~/.ssh/ssmssh/config: a block ends that did not begin"):
        install(given_files(b"")._replace(own=b"\n# <<< ssmssh <<<\n"))


def first_again(main: bytes) -> bytes:
    """What a program does that wants its section to be the first."""
    section = b"# BEGIN gate\nHost *\n  ProxyJump gate\n# END gate\n"
    return section + main.replace(section, b"")


@pytest.mark.parametrize("include", [False, True])
def test_after_two_rounds_against_a_program_that_wants_to_be_first_it_is_said_what_to_do(include: bool) -> None:
    files = after(install(given_files(b"Host work\n"), include=include))
    for _ in range(2):
        files = files._replace(main=first_again(files.main or b""))
        plan = install(files, include=include)
        assert len(plan.notes) == 1
        assert "moves to the very top, because" in plan.notes[0] or "moves up, because" in plan.notes[0]
        files = after(plan)
        assert not install(files, include=include).changes
    files = files._replace(main=first_again(files.main or b""))
    for _ in range(2):
        plan = install(files, include=include)
        assert "at least the third time" in plan.notes[1]
        assert "leave our hosts out (Host * !i-* !mi-*)" in plan.notes[1]
        files = after(plan)._replace(main=first_again(plan.main or b""))
    assert plan_uninstall(files, "", READER).main == first_again(b"Host work\n")


def test_the_advice_to_a_program_that_wants_to_be_first_is_good() -> None:
    files = after(install(given_files(b"Host work\n")))
    section = b"Host * !i-* !mi-*\n  ProxyJump gate\n"
    assert not install(files._replace(main=section + (files.main or b""))).changes


@pytest.mark.parametrize("path", [b"${HOME}/x", b"%d/x", b'"a" "${DIR}/*"', b"/etc/%l.conf"])
def test_an_include_that_cannot_be_told_sends_the_block_to_the_top(path: bytes) -> None:
    line = b"Include " + path + b"\n"
    plan = install(given_files(line + b"Host work\n"))
    assert (plan.main or b"").startswith(b"# >>> ssmssh")
    why = "what line 1 of /nonexistent/.ssh/config includes depends on the environment"
    assert plan.notes == (f"the block goes to the very top, because {why}",)
    beside = b"Host work\n  " + line
    assert (install(given_files(beside)).main or b"").endswith(b"<<<\n" + beside)
    assert text(b"Include $x/y # 50%\n").startswith("Include")


def test_indented_markers_are_ours() -> None:
    written = install(given_files(b"Host work\n"), user="me").main or b""
    indented = b"".join(b"  " + line for line in written.splitlines(keepends=True))
    assert (install(given_files(indented), user="me").main or b"") == written.replace(b"Host work", b"  Host work")
    assert plan_uninstall(given_files(indented), "", READER).main == b"  Host work\n"


@pytest.mark.parametrize(
    ("main", "remedy"),
    [
        (
            "# >>> ssmssh >>>\nHost i-*\nHost web\n",
            "put '# <<< ssmssh <<<' below the last line of the block that begins",
        ),
        ("Host web\n# <<< ssmssh a <<<\n", "put '# >>> ssmssh a >>>' above the block's first line, or delete this one"),
        ("# >>> ssmssh (mine) >>>\nHost web\n", "make it '# >>> ssmssh >>>' or '# <<< ssmssh <<<', with"),
        ("# >>> ssmssh a >>>\n# >>> ssmssh >>>\n", "put '# <<< ssmssh a <<<' below the last line of the block that"),
        ("# >>> ssmssh >>>\n# <<< ssmssh <<<\n" * 2, "delete the markers of one of the two, and of the lines between"),
    ],
)
def test_the_remedy_for_damaged_markers_takes_nothing_from_the_user(main: str, remedy: str) -> None:
    with pytest.raises(FileError) as caught:
        install(given_files(main.encode()))
    assert f"nothing was changed; {remedy}" in caught.value.hint


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_global_lines_stay_global_when_a_block_goes_from_below_a_section(newline: bytes) -> None:
    """The section came after the block: another program had put it above the first line that begins with Host."""
    main = b"ProxyJump gate\n".replace(b"\n", newline)
    section = b"Host shop\n  User kim\n".replace(b"\n", newline)
    files = after(install(given_files(main), user="x"))
    grown = files._replace(main=section + (files.main or b""))
    closed = section + b"Host *" + newline + main
    assert plan_uninstall(grown, "", READER).main == closed
    assert install(grown, user="x", include=True).main == INCLUDE.replace(b"\n", newline) + closed
    star = b"Host *\n  Port 22\n".replace(b"\n", newline)
    assert plan_uninstall(files._replace(main=star + (files.main or b"")), "", READER).main == star + main
