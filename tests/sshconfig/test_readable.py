"""A file that ssh would not read is not written: it is judged by the installed ssh, whose rules differ."""

import os
from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.sshconfig import verify
from ssmssh.sshconfig.install import Installation, carry_out, preview
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.places import Place, place_of
from tests.sshconfig.home import Home

JOB = Installation("", BlockOptions(user="me"), reset=False, script="/opt/bin/ssmssh-proxy")
SOMEBODY_ELSES = 1 if os.geteuid() == 0 else 0
"""A group that is not ours alone, where we may give files to one."""

pytestmark = pytest.mark.usefixtures("each_ssh")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The config of a home directory of its own."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "config").write_bytes(b"Host web\n")
    return place_of(tmp_path / ".ssh" / "config", tmp_path / "state", tmp_path)


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("mode", [0o666, 0o602, 0o664, 0o620])
def test_what_others_may_write_is_refused(place: Place, mode: int, installed: bool) -> None:
    if installed:
        carry_out(JOB, place, lambda plan, doubt: None, None)
    if mode & 0o020 and os.geteuid() == 0:
        os.chown(place.config, -1, SOMEBODY_ELSES)
    place.config.chmod(mode)
    before = place.config.read_bytes()
    ssh = verify.find_ssh() or ""
    including = place.state.parent / "including"
    including.write_text(f"Include {place.config}\n")
    with pytest.raises(verify.RefusedError, match="Bad owner or permissions"):
        verify.ask(ssh, "web", config=including)
    with pytest.raises(FileError, match=rf"mode {mode:04o}.*; run: chmod go-w") as caught:
        preview(JOB, place)
    assert str(place.config) in caught.value.hint
    with pytest.raises(FileError, match=f"others may write it .* run: chmod go-w {place.config}"):
        carry_out(JOB, place, lambda plan, doubt: None, None)
    assert place.config.read_bytes() == before
    place.config.chmod(mode & ~0o022)
    carry_out(JOB, place, lambda plan, doubt: None, None)
    verify.ask(ssh, "web", config=including)


def test_what_the_installed_ssh_reads_is_not(place: Place) -> None:
    os.chown(place.config, -1, os.getegid())
    place.config.chmod(0o660)
    including = place.state.parent / "including"
    including.write_text(f"Include {place.config}\n")
    try:
        verify.ask(verify.find_ssh() or "", "web", config=including)
    except verify.RefusedError:
        with pytest.raises(FileError, match="chmod go-w"):
            preview(JOB, place)
    else:
        preview(JOB, place)


def test_our_own_file_is_looked_at_too(place: Place) -> None:
    job = JOB._replace(options=BlockOptions(user="me", include=True))
    carry_out(job, place, lambda plan, doubt: None, None)
    place.own.chmod(0o666)
    with pytest.raises(FileError, match=f"ssh does not read {place.own}, .* chmod go-w {place.own}"):
        preview(job, place)


def test_a_file_for_the_command_line_is_noted_only(home: Home) -> None:
    home.write(b"Host web\n")
    home.config.chmod(0o666)
    assert f"when another file includes it; run: chmod go-w {home.config}." in home.install("--user", "me").stderr
    assert home.config.stat().st_mode & 0o777 == 0o666


def test_a_file_of_another_user_is_not_read(place: Place) -> None:
    carry_out(JOB, place, lambda plan, doubt: None, None)
    if os.geteuid() == 0:
        os.chown(place.config, 12345, -1)
        with pytest.raises(FileError, match="belongs to another user"):
            preview(JOB, place)
