"""Which names an entry may have: none that could be another host's, and none that a program reads otherwise.

The names of entries come from tags, and whoever may tag an instance must not be able to have ``ssh github.com`` lead
to it. So a name has no dot unless no domain ends in its last word: our suffix, a region, an account's number or an
instance id. It is no pattern, no id, and not the name of a host that the user's config or known_hosts have. A section
of the user's that applies to some of our names is no reason to refuse them (``Host web-*`` with a ``User``), unless it
says how to get there.

libssh compares ``Host`` lines with the host in lower case, so no name has a capital; and it takes no host with a ``_``.
"""

import re
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import NamedTuple

from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.knownhosts import KnownHosts
from ssmssh.sshconfig.patterns import PatternIndex, Patterns, is_concrete
from ssmssh.sshconfig.position import Reader, Sighting, documents, named_hosts
from ssmssh.target import is_instance_id

MAX_NAME = 253
"""Characters of a host name (RFC 1035); no word of it may have more than 63."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_LIKE_ID = re.compile(r"m?i-.*", re.DOTALL)
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]+")
_OWN = frozenset({"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback", "broadcasthost"})
"""What every computer calls itself."""

_LEADING = frozenset({"hostname", "proxycommand", "proxyjump"})
"""Settings that say how to get to a host."""


def objection(name: str, suffixes: Collection[str]) -> str:
    """Why an entry cannot have that name, whatever else there is; empty if it can. Pure.

    Args:
        name: The name.
        suffixes: Those that our blocks have (``--suffix``).
    """
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        return _form(name)
    if _LIKE_ID.fullmatch(name):
        return "it begins like an instance id"
    if name in _OWN or _NUMBER.fullmatch(name):
        return "it is this computer's, or an address"
    _, dot, last = name.rpartition(".")
    if dot and last not in suffixes and not _REGION.fullmatch(last) and not _ACCOUNT.fullmatch(last):
        return "" if is_instance_id(last) else "it has a dot, so it could be a host's in some domain"
    return ""


def _form(name: str) -> str:
    if any(character in name for character in "*?!"):
        return "it is a pattern"
    if name != name.lower() and _NAME.fullmatch(name.lower()):
        return "it has capitals, and some ssh clients compare in small letters"
    return "it is no host name: small letters, digits and -, at most 63 between two dots"


class Taken:
    """The names that others have: hosts of the user's config, and of known_hosts files.

    Args:
        document: The config.
        path: Its name.
        reader: Reads what it includes.
        known: Called for the hosts of known_hosts files, once somebody asks about a new name.
    """

    def __init__(self, document: Document, path: str, reader: Reader, known: Callable[[], KnownHosts]) -> None:
        self._hosts: dict[str, Sighting] = {}
        self._ways: PatternIndex[_Way] = PatternIndex()
        self._read_known = known
        for sighting, is_way in _foreign_sections(document, path, reader):
            words = [word.decode("utf-8", "surrogateescape") for word in named_hosts(sighting.line)]
            way = _Way(Patterns(words), sighting)
            for word in words:
                if word.startswith("!"):
                    continue
                if is_concrete(word):
                    self._hosts.setdefault(word.lower(), sighting)
                elif is_way and word.strip("*?"):
                    self._ways.add(word, way)

    def by(self, name: str, *, is_new: bool = True) -> str:
        """Who has a name already, as a sentence; empty if nobody has.

        One that is not new has been asked about when it was, so known_hosts files are not looked through for it.
        """
        if (sighting := self._hosts.get(name.lower())) is not None:
            return f"{sighting} has a host of that name"
        for way in self._ways.find(name):
            if way.patterns.match(name):
                return f"{way.sighting} says how to get to it"
        return "a known_hosts file has a host of that name" if is_new and self._known.has(name) else ""

    @cached_property
    def _known(self) -> KnownHosts:
        return self._read_known()


class _Way(NamedTuple):
    """A section of the user's that says how to get to several hosts."""

    patterns: Patterns
    sighting: Sighting


def _foreign_sections(document: Document, path: str, reader: Reader) -> Iterator[tuple[Sighting, bool]]:
    """The sections outside our blocks, and whether they say how to get to their hosts."""
    for here, current in documents(document, path, reader):
        has_blocks = current is document or reader.is_replaced(current)
        section, is_way = None, False
        for line in current.lines:
            if line.is_section:
                if section is not None:
                    yield Sighting(here, section), is_way
                section, is_way = (None if has_blocks and current.owner(line.start) else line), False
            is_way = is_way or line.keyword in _LEADING
        if section is not None:
            yield Sighting(here, section), is_way
