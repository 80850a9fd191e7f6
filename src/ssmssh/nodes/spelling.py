"""How names and addresses are spelled where they are compared: as ssh carries them, as EC2 says them. Pure."""

import ipaddress
import re

_NOT_IN_A_HOST = re.compile(r"[^a-z0-9._-]")


def as_host(name: str) -> str:
    """A Name as ssh sees it when it is typed as a host: ASCII in lower case, every other character a ``-``. Pure.

    What comes out has as many characters as `name`. ssh does not take all of it: nothing that begins with ``-``.
    """
    # In this order: some letters that are not ASCII have a lower case that is, or that is two.
    return _NOT_IN_A_HOST.sub("-", "".join(c.lower() if c.isascii() else "-" for c in name))


def canonical_address(text: str) -> str | None:
    """An IP address as it is compared here; None for what is none. Brackets as in URLs may stand round one of IPv6."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None
