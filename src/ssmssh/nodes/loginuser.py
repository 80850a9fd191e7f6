"""Whom to log in as on an instance, by what its image and its platform are called. Pure.

Who makes an image decides: AWS's for its own and for most others, the distribution's for theirs. Sources: EC2 User
Guide, "Manage system users on your Amazon EC2 Linux instance", and the makers' pages. The image counts first where its
maker has a user of its own whatever the distribution; else the platform, as the agent reports it; and the image's name
again where no agent has reported anything. A name that is in no table has no user: nobody guesses.
"""

import re
from collections.abc import Sequence

_MAKERS: Sequence[tuple[str, str]] = (
    ("bitnami", "bitnami"),
    ("flatcar", "core"),
    ("fedora-coreos|rhcos", "core"),
    ("kali", "kali"),
)
"""Parts of images' names whose users are their own."""

_PLATFORMS: Sequence[tuple[str, str]] = (
    ("amazon linux|bottlerocket", "ec2-user"),
    ("ubuntu", "ubuntu"),
    ("debian", "admin"),
    ("rocky", "rocky"),
    ("almalinux", "ec2-user"),
    ("red hat|oracle", "ec2-user"),
    ("centos stream", "ec2-user"),
    ("centos", "centos"),
    ("fedora coreos|flatcar", "core"),
    ("fedora", "fedora"),
    ("suse|sles", "ec2-user"),
    ("kali", "kali"),
    ("arch linux", "arch"),
    ("alpine", "alpine"),
    ("freebsd", "ec2-user"),
    ("macos", "ec2-user"),
    ("microsoft windows", "Administrator"),
)
"""What agents call the platforms (``PlatformName``)."""

_IMAGES: Sequence[tuple[str, str]] = (
    ("amzn|al2023|bottlerocket", "ec2-user"),
    ("ubuntu", "ubuntu"),
    ("debian", "admin"),
    ("rocky", "rocky"),
    ("almalinux", "ec2-user"),
    ("rhel|ol[0-9]|oracle", "ec2-user"),
    ("centos stream", "ec2-user"),
    ("centos", "centos"),
    ("fedora", "fedora"),
    ("suse", "ec2-user"),
    ("arch-linux", "arch"),
    ("alpine", "alpine"),
    ("freebsd", "ec2-user"),
    ("amzn-ec2-macos", "ec2-user"),
    ("windows_server", "Administrator"),
)
"""How the names of public images begin, behind a folder or not."""

_TYPES = {"Windows": "Administrator", "MacOS": "ec2-user"}
"""Where a type of platform alone decides."""


def login_user(platform_name: str, platform_type: str, image_name: str = "") -> str:
    """The user that exists for log-ins; "" where that is not known.

    Args:
        platform_name: As Systems Manager tells it: "Amazon Linux", "Ubuntu"; "" if it does not.
        platform_type: ``Linux``, ``Windows`` or ``MacOS``; "" if nobody has told.
        image_name: The name of the AMI; "" if it is not known.
    """
    found = _first(_MAKERS, image_name, r"(?:^|[/ _-])(?:{})") or _first(_PLATFORMS, platform_name, r"^(?:{})")
    if found or platform_name:
        return found or _TYPES.get(platform_type, "")
    return _first(_IMAGES, image_name, r"(?:^|/)(?:{})") or _TYPES.get(platform_type, "")


def _first(table: Sequence[tuple[str, str]], text: str, pattern: str) -> str:
    return next((user for words, user in table if re.search(pattern.format(words), text, re.IGNORECASE)), "")
