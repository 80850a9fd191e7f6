"""What an instance's console says when the machine is beyond an agent's help, and what that means. Pure.

EC2 keeps what was printed since the last boot, so a line may be old, and a machine that has recovered has it still:
who asks has to know whether the machine is well. The words are those of the kernel, systemd, GRUB, cloud-init and the
agent; each line of the table is a pattern, what it means, and what to do with the volume or the machine.
"""

import re
from typing import NamedTuple


class Sign(NamedTuple):
    """A pattern of a line, and what it means: the end of a sentence about whoever printed it."""

    pattern: str
    meaning: str


SIGNS = (
    Sign(r"Kernel panic - not syncing: VFS: Unable to mount root fs", "its kernel finds no root file system"),
    Sign(r"Kernel panic - not syncing: Out of memory", "it ran out of memory, and its kernel gave up"),
    Sign(r"Kernel panic - not syncing", "its kernel panicked"),
    Sign(
        r"dracut-initqueue.*(?:timeout|could not boot)|ALERT!.*does not exist|Entering emergency mode\. Exit the shell",
        "it does not find its root volume and waits in the initial file system",
    ),
    Sign(
        r"You are in emergency mode|Welcome to emergency mode|Reached target .*[Ee]mergency(?:\.target| Mode)",
        "it is in emergency mode: a file system of /etc/fstab cannot be mounted, or is damaged",
    ),
    Sign(r"You are in rescue mode|Welcome to rescue mode", "it is in rescue mode"),
    Sign(r"Dependency failed for (?:Local File Systems|/\S*)", "a file system of its /etc/fstab cannot be mounted"),
    Sign(
        r"UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY|fsck failed with (?:exit status|error)",
        "a file system of it is damaged (fsck)",
    ),
    Sign(
        r"error: (?:no such (?:device|partition)|unknown filesystem)|^grub(?: rescue)?>", "its boot loader fails (GRUB)"
    ),
    Sign(r"[Nn]o space left on device|ENOSPC", "a file system of it is full"),
    Sign(
        r"Out of memory: Kill(?:ed)? process|oom-kill:|invoked oom-killer",
        "it is out of memory, and processes are killed",
    ),
    Sign(
        r"I/O error, dev \w+|EXT4-fs error|XFS \(\w+\): (?:Corruption|metadata I/O error)|"
        r"Remounting filesystem read-only",
        "its disk fails, or a file system of it is damaged",
    ),
    Sign(
        r"INFO: task \S+ blocked for more than \d+ seconds|soft lockup - CPU",
        "it hangs: processes wait for disk or processor",
    ),
    Sign(
        r"cloud-init\[\d+\]:.*(?:[Ff]ailed|Traceback|ERROR)|Failed to start .*[Cc]loud-init|"
        r"util\.py\[WARNING\]: Failed|Failed running /var/lib/cloud/instance",
        "cloud-init failed, so what makes the machine ready may not have run",
    ),
    Sign(
        r"Failed to start (?:\S+ - )?[Aa]mazon[- ]ssm[- ]agent|amazon-ssm-agent.*(?:Failed with result|core-dump)",
        "its SSM Agent does not start",
    ),
    Sign(
        r"Failed to start (?:\S+ - )?(?:Network Service|Wait for Network|Raise network interfaces|Network Manager)",
        "its network does not start",
    ),
)

MAX_LINE = 160
"""Characters of a line that are shown."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[^\S\n]*\r")


class Reading(NamedTuple):
    """A sign, and the last line that shows it."""

    sign: Sign
    line: str


def read(console: str) -> list[Reading]:
    """What a console's output shows, each meaning once, in the order of the table."""
    lines = [_ESCAPES.sub("", line).strip() for line in console.splitlines()]
    found: list[Reading] = []
    taken: set[int] = set()
    for sign in SIGNS:
        pattern = re.compile(sign.pattern)
        numbers = [number for number, line in enumerate(lines) if number not in taken and pattern.search(line)]
        if numbers:
            found.append(Reading(sign, "".join(c for c in lines[numbers[-1]] if c.isprintable())[:MAX_LINE]))
            taken.update(numbers)
    return found
