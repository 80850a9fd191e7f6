"""What consoles say, and what that means. The lines are written by hand, like those of kernel and systemd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.doctor.consolesigns import MAX_LINE, SIGNS, read

TELLING = {
    "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)": "no root file system",
    "[  912.4] Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled": "ran out of memory",
    "[    0.8] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009": "kernel panicked",
    "[  184.8] dracut-initqueue[284]: Warning: dracut-initqueue timeout - starting timeout scripts": "root volume",
    "ALERT!  UUID=0e5f1fe2-4b4a-4f0f does not exist.  Dropping to a shell!": "root volume",
    'You are in emergency mode. After logging in, type "journalctl -xb" to view': "emergency mode",
    "\x1b[0;1;39mWelcome to emergency mode! After logging in": "emergency mode",
    "[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39memergency.target\x1b[0m - Emergency Mode.": "emergency mode",
    'You are in rescue mode. After logging in, type "journalctl -xb"': "rescue mode",
    "[\x1b[0;1;38;5;185mDEPEND\x1b[0m] Dependency failed for \x1b[0;1;39m/data\x1b[0m.": "cannot be mounted",
    "[DEPEND] Dependency failed for Local File Systems.": "cannot be mounted",
    "/dev/nvme1n1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.": "fsck",
    "systemd-fsck[412]: fsck failed with exit status 4.": "fsck",
    "error: no such device: 8b1b5d1d-1a1c.": "boot loader",
    "grub rescue> ": "boot loader",
    "cloud-init[900]: OSError: [Errno 28] No space left on device": "is full",
    "[ 77.1] Out of memory: Killed process 812 (java) total-vm:8123456kB": "out of memory",
    "[ 77.0] java invoked oom-killer: gfp_mask=0x1100cca": "out of memory",
    "[ 33.3] blk_update_request: I/O error, dev nvme0n1, sector 4096 op 0x0:(READ)": "disk fails",
    "[ 40.1] EXT4-fs error (device nvme0n1p1): ext4_find_entry:1455": "disk fails",
    "[ 363.1] INFO: task jbd2/xvda1-8:251 blocked for more than 120 seconds.": "hangs",
    "[ 52.0] watchdog: BUG: soft lockup - CPU#0 stuck for 23s!": "hangs",
    "[   14.2] cloud-init[712]: 2026-11-26 10:00:00 - util.py[WARNING]: Failed running scripts-user": "cloud-init",
    "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mcloud-init.service\x1b[0m - Cloud-init": "cloud-init",
    "[FAILED] Failed to start amazon-ssm-agent.service - amazon-ssm-agent.": "SSM Agent",
    "systemd[1]: amazon-ssm-agent.service: Failed with result 'exit-code'.": "SSM Agent",
    "[FAILED] Failed to start Wait for Network to be Configured.": "network does not start",
}

HARMLESS = """\
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=UUID=0e5f ro console=ttyS0 panic=-1 net.ifnames=0
[    1.204312] systemd[1]: Detected virtualization kvm.
[    2.1] EXT4-fs (nvme0n1p1): mounted filesystem with ordered data mode. Opts: (null)
[  OK  ] Started amazon-ssm-agent.service - amazon-ssm-agent.
[  OK  ] Finished cloud-init.service - Cloud-init: Network Stage.
[   23.9] cloud-init[612]: Cloud-init v. 22.4.2 finished at Thu, 26 Nov 2026 10:00:00 +0000.
ip-10-0-0-1 login: """


@pytest.mark.parametrize("line", TELLING)
def test_a_line_that_tells(line: str) -> None:
    found = read(f"{HARMLESS}\r\n{line}\r\n\r\n")
    assert len(found) == 1, found
    assert TELLING[line] in found[0].sign.meaning
    assert found[0].line.isprintable()
    assert len(found[0].line) <= MAX_LINE


def test_what_every_boot_prints_tells_nothing() -> None:
    assert read(HARMLESS) == []


def test_the_deepest_reason_comes_first_and_a_line_counts_once() -> None:
    both = read("Dependency failed for /data.\nYou are in emergency mode. After\nNo space left on device")
    words = ("emergency", "/etc/fstab", "full")
    assert all(word in each.sign.meaning for word, each in zip(words, both, strict=True))
    panic = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
    assert len(read(panic)) == 1


def test_the_last_of_such_lines_is_shown() -> None:
    assert read("EXT4-fs error (device a)\nEXT4-fs error (device b)")[0].line.endswith("(device b)")


def test_each_sign_is_tried() -> None:
    tried = {each.sign.pattern for line in TELLING for each in read(line)}
    assert tried == {sign.pattern for sign in SIGNS}


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for each in read(text):
        assert each.line.isprintable()
