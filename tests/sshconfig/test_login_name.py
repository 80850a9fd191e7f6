"""The log-in name comes to the proxy as ssh has it, and only from an ssh that lets no shell act upon it."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from ssmssh.commands import _doubts
from ssmssh.errors import UsageError
from ssmssh.sshconfig import loginname, verify
from ssmssh.sshconfig.block import BlockText
from ssmssh.sshconfig.entries import EntriesText, Entry
from ssmssh.sshconfig.install import Installation
from ssmssh.sshconfig.options import BlockOptions, EntryOptions
from ssmssh.sshconfig.places import place_of
from ssmssh.sshconfig.plan import Files

HOST = "i-0123456789abcdef0"
PUSHING = BlockOptions(push_key="instance-connect")


class Recorder:
    """A program in place of the proxy, which notes its words; and an ssh that starts it."""

    def __init__(self, directory: Path, ssh: str) -> None:
        self._directory, self._ssh = directory, ssh
        self._noted = directory / "words"
        self.script = directory / "ssmssh-proxy"
        self.script.write_text(f'#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done > {self._noted}\n')
        self.script.chmod(0o755)

    def words(self, *arguments: str, user: str = "") -> list[str] | None:
        """What the proxy gets from the block, where the user's config names a `user`; None if it is not started."""
        text = BlockText("", PUSHING, str(self.script), passes_user=True).render(b"\n", frozenset(), closed=False)
        config = self._directory / "config"
        config.write_bytes((f'Host *\n    User "{user}"\n' if user else "").encode() + text)
        self._noted.unlink(missing_ok=True)
        command = [self._ssh, "-F", str(config), "-o", "BatchMode=yes", *arguments, "--", HOST]
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 255
        return self._noted.read_text().splitlines() if self._noted.exists() else None


@pytest.mark.parametrize("name", ["ec2-user", "a b", "CORP\\kim", "a  b\\c", "it is * ~ ? ^"])
def test_the_name_comes_whole(tmp_path: Path, each_ssh: str, name: str) -> None:
    recorder = Recorder(tmp_path, each_ssh)
    assert recorder.words(user=name) == ["--push-key=instance-connect", HOST, "22", name]


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_the_name_comes_whole_through_the_users_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("SHELL", shell)
    ssh = verify.find_ssh()
    assert ssh is not None
    for name in ("a b", "CORP\\kim"):
        words = Recorder(tmp_path, ssh).words(user=name)
        assert words is not None
        assert words[-1] == name


def test_a_release_is_trusted_that_starts_nothing_for_a_harmful_name(tmp_path: Path, each_ssh: str) -> None:
    marker = tmp_path / "harm"
    recorder = Recorder(tmp_path, each_ssh)
    assert loginname.can_be_passed(each_ssh)
    for name in (*loginname.HARMFUL, f"$(touch {marker})", f"`touch {marker}`", f'"; touch {marker}; "'):
        assert recorder.words("-l", name) is None
    assert not marker.exists()


def careless_ssh(directory: Path) -> str:
    """The system's ssh, without a look at the name on its command line: as before 9.6."""
    real = verify.find_ssh()
    assert real is not None
    program = directory / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/bash
name= words=() config=
while [ $# -gt 0 ]; do
    case $1 in
        -l) name=$2; shift 2;;
        -F) config=$2; shift 2;;
        *) words+=("$1"); shift;;
    esac
done
[ -z "$name" ] || {{
    printf 'Host *\\n    User "%s"\\n' "${{name//\\"/\\\\\\"}}" > {directory}/careless
    [ "$config" = none ] || echo "Include $config" >> {directory}/careless
    config={directory}/careless
}}
exec {shlex.quote(real)} ${{config:+-F "$config"}} "${{words[@]}}"
"""
    )
    program.chmod(0o755)
    return str(program)


def test_a_careless_ssh_is_told_by_what_it_takes(tmp_path: Path) -> None:
    marker = tmp_path / "harm"
    ssh = careless_ssh(tmp_path)
    assert Recorder(tmp_path, ssh).words("-l", f"$(touch {marker})") is not None
    assert marker.exists()
    assert not loginname.can_be_passed(ssh)


def test_an_ssh_that_refuses_everything_proves_nothing(tmp_path: Path) -> None:
    refusing = tmp_path / "ssh"
    refusing.write_text("#!/bin/sh\nexit 255\n")
    refusing.chmod(0o755)
    assert not loginname.can_be_passed(str(refusing))
    assert not loginname.can_be_passed(None)


def written(directory: Path, options: BlockOptions) -> BlockText:
    """The block that an installation of `options` is about."""
    place = place_of(directory / "config", directory / "state", None, directory / "keys")
    return Installation("", options, False, "/opt/ssmssh-proxy").text(place, Files("config", None, "own", None))


def test_with_a_careless_ssh_the_word_is_left_out_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written(tmp_path, PUSHING).deciding()["proxycommand"].endswith(b'%h %p "%r"')
    assert not list(_doubts.about_options(PUSHING))
    monkeypatch.setenv("PATH", f"{Path(careless_ssh(tmp_path)).parent}{os.pathsep}{os.environ['PATH']}")
    assert written(tmp_path, PUSHING).deciding()["proxycommand"].endswith(b"--push-key=instance-connect %h %p")
    (note,) = _doubts.about_options(PUSHING)
    assert note.endswith("is not told whom ssh logs in as, so give --user, too")
    named = PUSHING.changed_by(BlockOptions(user="ubuntu"))
    command = written(tmp_path, named).deciding()["proxycommand"]
    assert command == b"/opt/ssmssh-proxy --user ubuntu --push-key=instance-connect %h %p"
    (note,) = _doubts.about_options(named)
    assert note.endswith("so it takes ubuntu for it")
    assert not list(_doubts.about_options(BlockOptions(user="ubuntu")))


def test_without_need_the_proxy_is_not_told(tmp_path: Path) -> None:
    assert written(tmp_path, BlockOptions(user="ubuntu")).deciding()["proxycommand"] == b"/opt/ssmssh-proxy %h %p"


def test_a_block_that_pushes_offers_the_key_that_is_pushed(tmp_path: Path) -> None:
    keys = str(tmp_path / "keys")
    settings = written(tmp_path, PUSHING).deciding()
    assert settings["identityfile"] == f"{keys}/id_ed25519".encode()
    assert settings["identitiesonly"] == b"yes"
    own = written(
        tmp_path, BlockOptions(push_key="instance-connect", identity_file="%d/.ssh/my key", identities_only=False)
    )
    settings = own.deciding()
    assert settings["identityfile"] == b'"%d/.ssh/my key"'
    assert settings["identitiesonly"] == b"no"
    assert settings["proxycommand"] == (
        b'/opt/ssmssh-proxy --push-key=instance-connect --identity-file "~/.ssh/my key" %h %p "%r"'
    )
    with pytest.raises(UsageError, match="--push-key takes instance-connect"):
        written(tmp_path, BlockOptions(push_key="post")).check()


def test_entries_are_told_too() -> None:
    entry = Entry("web-1", EntryOptions(push_key="instance-connect", target=HOST))
    text = EntriesText("hosts", (entry,), "/opt/ssmssh-proxy", "~/.ssh/ssmssh", sampled=("web-1",), passes_user=True)
    settings = text.wanted()["web-1"]
    assert settings["proxycommand"] == b'/opt/ssmssh-proxy --push-key=instance-connect %h %p "%r"'
    assert settings["identityfile"] == b"~/.ssh/ssmssh/id_ed25519"
