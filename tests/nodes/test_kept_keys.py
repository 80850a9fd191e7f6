"""What is remembered of host keys, and what ssh is told of it."""

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.nodes.hostkeys import HostKey
from ssmssh.nodes.keptkeys import MAX_SEEN, KeptKeys
from tests.nodes.test_offered_keys import key, string

ID, OTHER_ID = "i-0123456789abcdef0", "i-0fedcba9876543210"


def made(number: int) -> HostKey:
    return HostKey("ssh-ed25519", string(b"ssh-ed25519") + string(bytes([number]) * 32))


@pytest.fixture
def kept(tmp_path: Path) -> KeptKeys:
    return KeptKeys(tmp_path / "state", tmp_path / "home" / ".ssh" / "ssmssh")


def text(kept: KeptKeys) -> str:
    return kept.known_hosts.read_text() if kept.known_hosts.exists() else ""


def test_nothing_is_known_at_first(kept: KeptKeys) -> None:
    assert kept.record(ID) == ((), ())
    assert kept.tell_ssh(ID, ID, 22) is None
    assert text(kept) == ""
    assert stat.S_IMODE(kept.known_hosts.stat().st_mode) == 0o600  # before ssh makes one by its umask


def test_verified_keys_are_remembered_and_told(kept: KeptKeys) -> None:
    kept.vouch(ID, [key(), made(1)], "run-command", 100)
    assert KeptKeys(kept._directory.parent, kept.known_hosts.parent).record(ID).keys == (key(), made(1))
    kept.tell_ssh(ID, "web.ssm", 2222)
    assert text(kept) == f"[web.ssm]:2222,{ID} {key().text}\n[web.ssm]:2222,{ID} {made(1).text}\n"


def test_for_this_user_only(kept: KeptKeys) -> None:
    kept.vouch(ID, [key()], "run-command", 100)
    kept.tell_ssh(ID, "web", 22)
    for path in (*kept._directory.iterdir(), *kept.known_hosts.parent.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for directory in (kept._directory, kept.known_hosts.parent, kept.known_hosts.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_key_that_stays_keeps_its_time(kept: KeptKeys) -> None:
    kept.vouch(ID, [key()], "console", 100)
    record = kept.vouch(ID, [key(), made(1)], "run-command", 200)
    assert [(each.way, each.since) for each in record.verified] == [("run-command", 100), ("run-command", 200)]


def test_a_key_that_ssh_took_goes_once_others_are_verified(kept: KeptKeys) -> None:
    kept.tell_ssh(ID, ID, 22)
    kept.known_hosts.write_text(f"{ID} {made(9).text}\nelse {made(9).text}\n")
    kept.tell_ssh(ID, ID, 22)
    assert made(9).text in text(kept)
    kept.vouch(ID, [key()], "run-command", 100)
    kept.tell_ssh(ID, ID, 22)
    assert text(kept) == f"{ID} {key().text}\nelse {made(9).text}\n"


def test_only_what_is_verified(kept: KeptKeys) -> None:
    kept.known_hosts.parent.mkdir(parents=True)
    kept.known_hosts.write_text(f"{ID} {made(9).text}\nelse {made(9).text}\n")
    kept.tell_ssh(ID, ID, 22, strictly=True)
    assert text(kept) == f"else {made(9).text}\n"


def test_a_name_that_leads_to_another_instance(kept: KeptKeys) -> None:
    kept.vouch(ID, [key()], "run-command", 100)
    kept.vouch(OTHER_ID, [made(1)], "run-command", 100)
    assert kept.tell_ssh(ID, "web", 22) is None
    assert kept.tell_ssh(OTHER_ID, "web", 22) == ID
    assert kept.tell_ssh(OTHER_ID, "web", 22) is None
    assert text(kept) == f"web,{OTHER_ID} {made(1).text}\n{ID} {key().text}\n"


def test_a_name_that_leads_to_one_of_which_nothing_is_known(kept: KeptKeys) -> None:
    kept.vouch(ID, [key()], "run-command", 100)
    kept.tell_ssh(ID, "web", 22)
    assert kept.tell_ssh(OTHER_ID, "web", 22) == ID
    assert text(kept) == f"{ID} {key().text}\n"
    kept.known_hosts.write_text(f"web {made(9).text}\n")  # ssh takes its key by itself
    assert kept.tell_ssh(OTHER_ID, "web", 22) is None
    assert text(kept) == f"web {made(9).text}\n"


def test_what_was_seen(kept: KeptKeys) -> None:
    for number in range(MAX_SEEN + 2):
        kept.saw(ID, made(number), 100 + number)
        kept.saw(ID, made(number), 900)
    assert [each.since for each in kept.record(ID).seen] == list(range(102, 102 + MAX_SEEN))
    kept.vouch(ID, [made(5)], "run-command", 500)
    assert made(5) not in [each.key for each in kept.record(ID).seen]
    kept.saw(ID, made(5), 600)
    assert made(5) not in [each.key for each in kept.record(ID).seen]


@pytest.mark.parametrize("spoil", [lambda path: path.chmod(0o666), lambda path: path.write_bytes(b"{}"),
                                   lambda path: path.unlink()])  # fmt: skip
def test_a_record_that_others_may_have_written_is_none(kept: KeptKeys, spoil: "object") -> None:
    kept.vouch(ID, [key()], "run-command", 100)
    assert callable(spoil)
    spoil(kept._record_path(ID))
    assert kept.record(ID) == ((), ())


def test_a_file_that_others_may_have_written_is_refused(kept: KeptKeys) -> None:
    kept.vouch(ID, [key()], "run-command", 100)
    kept.tell_ssh(ID, ID, 22)
    kept.known_hosts.chmod(0o622)
    with pytest.raises(FileError, match="others can write it"):
        kept.tell_ssh(ID, ID, 22)
    kept.known_hosts.unlink()
    kept.known_hosts.symlink_to("elsewhere")
    with pytest.raises(FileError, match="cannot be used"):
        kept.tell_ssh(ID, ID, 22)
    assert not (kept.known_hosts.parent / "elsewhere").exists()


def test_a_lock_that_is_not_let_go(kept: KeptKeys) -> None:
    with kept._locked(), pytest.raises(FileError, match="locked for too long"):
        kept.vouch(ID, [key()], "run-command", 100)


def test_many_threads_at_once(kept: KeptKeys) -> None:
    ids = [f"i-{number:017x}" for number in range(20)]

    def connect(number: int) -> None:
        kept.vouch(ids[number], [made(number)], "run-command", 100)
        kept.tell_ssh(ids[number], f"web-{number}", 22)

    threads = [threading.Thread(target=connect, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(text(kept).splitlines()) == sorted(
        f"web-{number},{ids[number]} {made(number).text}" for number in range(20)
    )
    assert len(kept._names()) == 20


def test_processes_that_are_killed_leave_whole_files(kept: KeptKeys) -> None:
    """What is left of one that dies while it writes has another name."""
    program = (
        "import os; from pathlib import Path; from ssmssh.nodes.keptkeys import KeptKeys\n"
        f"kept = KeptKeys(Path({str(kept._directory.parent)!r}), Path({str(kept.known_hosts.parent)!r}))\n"
        "Path.replace = lambda *_: os._exit(9)\n"
        "kept._replace_known_hosts(b'half')\n"
    )
    kept.vouch(ID, [key()], "run-command", 100)
    kept.tell_ssh(ID, ID, 22)
    before = text(kept)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert text(kept) == before
    kept.vouch(ID, [made(1)], "run-command", 100)  # and no lock is left
