"""What a section says about host keys that AWS vouches for, by policy; and what would take its meaning away.

    accept-new   our known_hosts, then the user's own; ssh takes an unknown key, into ours, and refuses a changed one
    enforce      our known_hosts alone; ssh refuses whatever is not in it

ssh is content with a match in any file that it reads, so under ``enforce`` the system's file is ours, too: a key that
somebody once took blindly, or for another machine of that name, must not do. For the same reason neither DNS nor a
command of the user's may answer. ``UpdateHostKeys`` would have the server itself say which keys it has besides.
"""

from collections.abc import Mapping
from pathlib import Path

from ssmssh.errors import UsageError
from ssmssh.settings import HOST_KEY_POLICIES
from ssmssh.sshconfig.judge import Objection

ACCEPT_NEW, ENFORCE = HOST_KEY_POLICIES

RULED = frozenset(
    {
        "stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile", "updatehostkeys", "verifyhostkeydns",
        "hostkeyalias",
    }
)  # fmt: skip
"""Settings that are the policy, by lower-case keyword."""

NO_COMMAND = "KnownHostsCommand none"


def settings(policy: str, directory: str) -> list[tuple[str, str]]:
    """The settings of a policy; `directory` is where our known_hosts is, in ssh's spelling."""
    ours = f"{directory}/known_hosts"
    ours = f'"{ours}"' if " " in ours else ours
    if policy == ACCEPT_NEW:
        return [
            ("UserKnownHostsFile", f"{ours} ~/.ssh/known_hosts"),
            ("StrictHostKeyChecking", "accept-new"),
            ("UpdateHostKeys", "no"),
        ]
    return [
        ("UserKnownHostsFile", ours),
        ("GlobalKnownHostsFile", ours),
        ("StrictHostKeyChecking", "yes"),
        ("UpdateHostKeys", "no"),
        ("VerifyHostKeyDNS", "no"),
    ]


def as_printed(keyword: str, value: str, home: Path | None) -> tuple[str, ...]:
    """The spellings in which ``ssh -G`` may print a setting: with words of its own (8.4 to 10.6), and paths whole."""
    if keyword in ("stricthostkeychecking", "updatehostkeys", "verifyhostkeydns"):
        return (value, {"yes": "true", "no": "false"}.get(value, value))
    if keyword in ("userknownhostsfile", "globalknownhostsfile"):
        plain = value.replace('"', "")
        whole = " ".join(f"{home}{word[1:]}" if word.startswith("~/") else word for word in plain.split(" "))
        return (plain, whole) if home else (plain,)
    return (value,)


def objection(host: str, wanted: Mapping[str, bytes], answer: Mapping[str, list[str]]) -> Objection | None:
    """What ssh would be content with besides our file, where it must not be; None if nothing."""
    command = answer.get("knownhostscommand", ["none"])
    if wanted.get("stricthostkeychecking") != b"yes" or command == ["none"]:
        return None
    sentence = f"your ssh config has a command say which host keys of {host} are good (KnownHostsCommand)"
    return Objection(f"{sentence}, and nothing but AWS's word may count", "knownhostscommand", NO_COMMAND)


def check(policy: str | None, target: str, others: Mapping[str, str], *, is_instance: bool) -> None:
    """Refuse a policy that is none, that cannot be for a target, or that `others` of the settings would undo.

    Raises:
        UsageError: Which, and why.
    """
    if not policy:
        return
    if policy not in HOST_KEY_POLICIES:
        raise UsageError(f"--verify-host-keys takes {' or '.join(HOST_KEY_POLICIES)}, and not {policy!r}")
    if target and not is_instance:
        raise UsageError(
            f"--verify-host-keys cannot be given for {target}", "AWS says which host keys an instance has, and no other"
        )
    for keyword, value in others.items():
        if keyword in RULED or (keyword == "knownhostscommand" and value != "none"):
            raise UsageError(f"--option {keyword} cannot be given with --verify-host-keys", "that is what it decides")
