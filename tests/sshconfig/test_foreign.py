"""What other programs keep in the config: our block stands beside it, and lives on when it is rewritten."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmssh.sshconfig.block import BlockText
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.foreign import generated, section_around, sections
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.plan import Files, Plan, plan_install, plan_uninstall
from ssmssh.sshconfig.position import Reader
from tests.sshconfig.home import Home
from tests.sshconfig.test_hostile import OURS, check_that_ours_wins_and_theirs_do_not_notice
from tests.sshconfig.tools import OTHERS, SECTIONS

SCRIPT = "/opt/bin/ssmssh-proxy"
BESIDE = (b"", b"\n", b"AddKeysToAgent yes\n", b"Host web\n  User me\n", b"# BEGIN other\n\nHost x\n# END other\n")


def install(main: bytes, **options: object) -> Plan:
    files = Files("/nonexistent/.ssh/config", main, "~/.ssh/ssmssh/config", None)
    return plan_install(files, BlockText("", BlockOptions(**options), SCRIPT), Reader())  # type: ignore[arg-type]


def block_of(main: bytes | None) -> bytes:
    document = Document(main or b"")
    block = document.block("")
    assert block is not None
    return document.data[block.start : block.end]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(BESIDE), max_size=2).map(b"".join),
    st.sampled_from(sorted(SECTIONS)),
    st.lists(st.sampled_from(BESIDE), max_size=2).map(b"".join),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_the_block_is_not_inside_and_all_else_stays(before: bytes, name: str, after: bytes, newline: bytes) -> None:
    section = SECTIONS[name].replace(b"\n", newline)
    main = (before + b"@" + after).replace(b"\n", newline).replace(b"@", section)
    installed = install(main)
    written = installed.main or b""
    assert section in written
    assert written.replace(block_of(written), b"") == main
    rewritten = written.replace(section, b"")  # as the program does when it moves or removes its section
    assert block_of(written) in rewritten
    files = installed.before._replace(main=written)
    assert not plan_install(files, BlockText("", BlockOptions(), SCRIPT), Reader()).changes
    assert plan_uninstall(files, "", Reader()).main == main


@pytest.mark.parametrize("name", SECTIONS)
def test_it_is_above_the_whole_section(name: str) -> None:
    assert (install(b"HashKnownHosts yes\n\n" + SECTIONS[name]).main or b"").endswith(b"<<<\n" + SECTIONS[name])


@pytest.mark.parametrize("name", [*SECTIONS, *OTHERS])
def test_ssh_agrees(home: Home, name: str) -> None:
    check_that_ours_wins_and_theirs_do_not_notice(home, *OTHERS.get(name) or (SECTIONS[name], {}))


@pytest.mark.parametrize(
    ("data", "around"),
    [
        (b"# BEGIN a\n|Host x\n# END a\n", "# BEGIN a"),
        (b"# BEGIN a\n# BEGIN b\n|Host x\n# END b\n# END a\n", "# BEGIN a"),
        (b"# START\n|Host x\n# END\n", "# START"),
        (b"# BEGIN a\n|Host x\n# END b\n", None),
        (b"# BEGIN\n|Host x\n# END b\n", None),
        (b"# BEGIN a\n|Host x\n", None),
        (b"# the end\n|Host x\n# begin the\n", None),
        (b"# notes\n|Host x\n# end\n", None),
        (b"# BEGIN a\nHost x\n# END a\n|Host y\n", None),
        (b"|# BEGIN a\nHost x\n# END a\n", None),
        (b"# BEGIN a\nHost x\n# END a\n# BEGIN a\n|Host y\n# END a\n", "# BEGIN a"),
        (b"# DevPod Start end.devpod\n|Host end.devpod\n# DevPod End end.devpod\n", "# DevPod Start end.devpod"),
        (b"# >>> ssmssh >>>\n|Host i-*\n# <<< ssmssh <<<\n", None),
        (b"# BEGIN \xff\n|Host x\n# END \xff\n", "# BEGIN \\xff"),
    ],
)
def test_sections_are_known_by_their_comments(data: bytes, around: str | None) -> None:
    found = section_around(Document(data.replace(b"|", b"")), data.index(b"|"))
    assert (found.title if found else None) == around


@given(st.lists(st.sampled_from([b"# BEGIN a\n", b"# a\n", b"# END a\n", b"# end of a b\n", b"Host x\n", b"#\n"])))
def test_any_comments_give_sections_that_are_there(lines: list[bytes]) -> None:
    data = b"".join(lines)
    for section in sections(Document(data)):
        inside = data[section.start : section.end]
        assert inside.startswith(b"#")
        assert re.search(rb"# (END a|end of a b)\n\Z", inside)


def test_a_block_that_was_put_into_a_section_stays_there_and_that_is_said() -> None:
    block = block_of(install(b"").main)
    main = b"# BEGIN ANSIBLE MANAGED BLOCK\n" + block + b"# END ANSIBLE MANAGED BLOCK\n"
    again = install(main)
    assert not again.changes
    assert "in the section that begins with '# BEGIN ANSIBLE MANAGED BLOCK'" in again.notes[0]


def test_a_check_explains_what_to_do_about_a_program_that_wants_to_be_first(home: Home) -> None:
    def first_again() -> None:
        section = b"# START shop\nHost *\n  ProxyJump gate\n# END shop\n"
        home.config.write_bytes(section + home.config.read_bytes().replace(section, b""))

    home.write(b"Host work\n")
    home.install("--user", "x")
    for _ in range(2):
        first_again()
        home.install()
        assert home.run("install-config", "--check").return_value == 0
    first_again()
    checked = home.run("install-config", "--check")
    assert checked.return_value == 1
    assert (
        "Let it write a file of its own, and end yours with the lines 'Host *' and 'Include' with its name"
        in checked.stderr
    )
    section, rest = home.config.read_bytes().split(b"# END shop\n")
    (home.directory / "shop").write_bytes(section)  # as it says
    (home.directory / "shop").chmod(0o600)
    home.config.write_bytes(rest + f"Host *\nInclude {home.directory}/shop\n".encode())
    assert home.run("install-config", "--check").return_value == 0
    assert "proxyjump" not in home.ssh(OURS[0])
    assert home.ssh("web")["proxyjump"] == ["gate"]


ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["append", "prepend"]), st.sampled_from(sorted(SECTIONS))),
    st.tuples(st.sampled_from(["inline", "include", "remove"]), st.sampled_from(["", "prod"])),
)


@settings(deadline=None)
@given(st.sampled_from(BESIDE), st.lists(ACTIONS, max_size=8))
def test_whatever_programs_do_around_us_their_bytes_are_theirs(start: bytes, actions: list[tuple[str, str]]) -> None:
    files = Files("/nonexistent/.ssh/config", start, "~/.ssh/ssmssh/config", None)
    without_us = start
    for action, what in [*actions, ("remove", ""), ("remove", "prod")]:
        if action == "append":
            files = files._replace(main=(files.main or b"") + SECTIONS[what])
            without_us += SECTIONS[what]
        elif action == "prepend":
            files = files._replace(main=SECTIONS[what] + (files.main or b""))
            without_us = SECTIONS[what] + without_us
        elif action == "remove":
            plan = plan_uninstall(files, what, Reader())
            files = files._replace(main=plan.main, own=plan.own)
        else:
            options = BlockOptions(include=action == "include", host_pattern=None if what else ("x-*",))
            plan = plan_install(files, BlockText(what, options, SCRIPT), Reader())
            files = files._replace(main=plan.main, own=plan.own)
            assert not plan_install(files, BlockText(what, options, SCRIPT), Reader()).changes
            for block in Document(files.main or b"").blocks:
                assert section_around(Document(files.main or b""), block.start) is None
    assert files.own is None
    assert (files.main or b"").replace(b"Host *\n", b"") == without_us


GENERATED = {
    "assh": b"# This file was automatically generated by assh v2.16.0\n# based on ~/.ssh/assh.yml\n\nHost x\n",
    "chezmoi": b"# ~/.ssh/config\n# Managed by chezmoi, do not edit\nHost x\n",
    "home-manager": b"#\n\n# DO NOT EDIT: generated by home-manager\n",
}


@pytest.mark.parametrize("name", GENERATED)
def test_a_file_that_says_it_is_generated_gets_a_note(home: Home, name: str) -> None:
    home.write(GENERATED[name])
    said = home.install("--user", "x").stderr
    assert "whoever writes it will drop the block again" in said
    assert "ssmssh install-config --print" in said
    assert home.ssh(OURS[0])["user"] == ["x"]


@pytest.mark.parametrize("data", [*SECTIONS.values(), b"Host x\n# generated by assh\n", b"# keys\n", b"", b"User me\n"])
def test_a_section_or_a_later_comment_does_not_speak_for_the_file(data: bytes) -> None:
    assert generated(Document(data)) is None


def devpod(main: bytes) -> bytes:
    """What DevPod does: its section out, and in again before the first line that begins with Host and its comments."""
    section = SECTIONS["DevPod"].decode().splitlines()
    text = main.decode().replace("\n".join(section), "").removeprefix("\n")
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if line.strip().startswith("Host")), len(lines))
    while at > 0 and lines[at - 1].strip().startswith("#"):
        at -= 1
    return "\n".join(lines[:at] + section + lines[at:]).encode()


@pytest.mark.parametrize("main", [None, b"Host web\n  User me\n", b"AddKeysToAgent yes\r\n", b"ProxyJump gate\n"])
def test_devpod_and_we_leave_each_other_in_peace(home: Home, main: bytes | None) -> None:
    if main is not None:
        home.write(main)
    home.install("--user", "x")
    for _ in range(3):
        home.config.write_bytes(devpod(home.config.read_bytes()))
        assert home.run("install-config", "--check").return_value == 0
        assert home.ssh(OURS[0])["user"] == ["x"]
        assert home.ssh("shop.devpod")["user"] == ["kim"]
    home.uninstall()
    assert home.ssh("shop.devpod")["user"] == ["kim"]
    assert b"ssmssh" not in home.config.read_bytes()
