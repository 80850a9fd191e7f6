"""Instances by the number: the same ones each time, with all that tells one from another, and with hostile names.

Names and tags are written by others (whoever may tag an instance), and host names by whoever is root on a machine.
`HOSTILE_NAMES` is what has been tried, or would be, on programs that make host names, files and commands of them.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from ssmssh.sandbox.accounts import OTHER_REGION, REGION
from ssmssh.sandbox.inventory import DAY_SECONDS, Instance, Source

HOSTILE_NAMES = (
    "github.com",
    "localhost",
    "*",
    "web-?",
    "!web-1",
    "-oProxyCommand=touch pwned",
    "--",
    "..",
    "../../etc/passwd",
    "~",
    "$(touch pwned)",
    "`touch pwned`",
    "${HOME}",
    "%h",
    "%%d",
    "a b",
    " ",
    " web-1 ",
    'quo"te',
    "it's",
    "back\\slash",
    "two\nlines",
    "x\nHost *\n    ProxyCommand touch pwned",
    "carriage\rreturn",
    "tab\there",
    "comment # here",
    "web-1,db-1",
    "a;b|c",
    "<b>&amp;</b>",
    "=1+1",
    "null",
    "x" * 256,
    "caf" + chr(0xE9),
    chr(0x1F680) + " launch",
    chr(0x202E) + "gnp.exe",
    "web" + chr(0x200B) + "-1",
    chr(0xFF57) + "eb-1",
    "WEB-1",
    "web 1",
    "web_1",
    "web-1",
    "web-1.ssm",
    "web-1.eu-west-1",
    "web-1.eu-west-1.other",
    "i-0123456789abcdef0",
    "172.31.10.11",
    "tag:Name=web-1",
    "",
)
"""Patterns, options, paths, commands, what ends a word or a line, what looks like another, and what is another's.

Among them an accent, a rocket, a turn of the direction of writing, a blank of no width, and a letter of full width.
"""

_HOSTILE_HOST_NAMES = ("\x1b[2J\x1b]0;pwned\x07", "h" * 255, "two\nlines", "-oProxyCommand=touch pwned")

_SYSTEMS = (
    ("Linux", "Debian GNU/Linux", "12"),
    ("Linux", "Amazon Linux", "2023"),
    ("Windows", "Microsoft Windows Server 2022 Datacenter", "10.0.20348"),
    ("Linux", "Ubuntu", "24.04"),
    ("MacOS", "macOS", "14.5"),
)
_AGENTS = ("3.3.987.0", "3.3.4851.0", "3.1.1511.0", "3.0.196.0", "2.3.722.0")
_ROLES = ("web", "db", "worker", "bastion", "build")
_SOURCES: Sequence[Source] = ("on-premises", "azure", "gcp")
_NUMBERS = 20
"""A role's names are numbered up to this, and then begin again: the more instances, the more of one name."""


def generate(
    count: int, *, regions: Sequence[str] = (REGION, OTHER_REGION), profiles: Sequence[str] = ("sandbox", "other")
) -> list[Instance]:
    """Make `count` instances, in these regions and accounts; those of a smaller count are the first of a larger one.

    One of ten is a hybrid node; one of ten is stopped, not connected, without an agent, or terminated.
    """
    return [_make(number, regions, profiles) for number in range(count)]


def _make(number: int, regions: Sequence[str], profiles: Sequence[str]) -> Instance:
    digits = hashlib.sha256(str(number).encode()).hexdigest()
    # Every third is in another region, every fifth somebody else's: any pair of the two is met soon.
    region = regions[(number // 2) % len(regions) if number % 3 == 2 else 0]
    profile = profiles[(number // 3) % len(profiles) if number % 5 == 4 else 0]
    platform_type, platform_name, platform_version = _SYSTEMS[number % len(_SYSTEMS)]
    role = _ROLES[number % len(_ROLES)]
    is_hostile = number < len(HOSTILE_NAMES)
    name = HOSTILE_NAMES[number] if is_hostile else f"{role}-{number // len(_ROLES) % _NUMBERS + 1}"
    tags = {"Role": role, "Environment": ("production", "staging")[number // 7 % 2]}
    if is_hostile:
        tags |= {"Note": name, f"key of {name}"[:128]: ""}
    is_hybrid = number % 10 == 7
    # Two of one name can end alike, too: the number of digits that tell them apart is nobody's promise.
    tail = digits[:17] if number % 50 else f"{digits[:9]}00c0ffee"
    return Instance(
        f"mi-{tail}" if is_hybrid else f"i-{digits[:8] if number % 97 == 96 else tail}",
        name,
        platform_type=platform_type,
        platform_name=platform_name,
        platform_version=platform_version,
        agent_version=_AGENTS[number // 3 % len(_AGENTS)],
        tags=tags,
        region=region,
        profile=profile,
        public_address="" if is_hybrid or number % 4 else f"198.51.{number // 250 % 256}.{number % 250 + 1}",
        computer_name=_HOSTILE_HOST_NAMES[number // 10 % len(_HOSTILE_HOST_NAMES)] if is_hybrid and is_hostile else "",
        source=_SOURCES[number // 10 % len(_SOURCES)] if is_hybrid else "",
        age_seconds=DAY_SECONDS * (number % 400) + number,
        group="workers" if role == "worker" and not is_hybrid and not is_hostile else "",
        **_condition(number),
    )


def _condition(number: int) -> dict[str, Any]:
    """The fields of what is not as it should be, with one of ten."""
    match number % 10, number // 10 % 4:
        case 3, 0:
            return {"state": "stopped", "ping_status": "ConnectionLost", "ping_age_seconds": 3 * DAY_SECONDS}
        case 3, 1:
            return {"managed": False}
        case 8, 0:
            return {"ping_status": "ConnectionLost", "ping_age_seconds": 7_200.0}
        case 8, 1:
            return {"state": "terminated", "ping_status": "ConnectionLost", "ping_age_seconds": 1_800.0}
        case _:
            return {}
