"""What ``ssmssh sync`` makes of listings: which entries there are to be, and which of those that there are stay. Pure.

Entries of an account and a region of which nothing was listed stay as they are. Of those that were listed whole, what
passes the filters has an entry, and nothing else has. A listing that is incomplete proves the absence of nothing: so
nothing is removed for it, and nobody is called otherwise than until now. Only what Systems Manager knows is written: an
instance that EC2 alone has told of may be one that nobody can reach.

Whether a name is alone is judged by all that was listed, whatever passes the filters: ``web`` of production is not the
only ``web`` because somebody asks for production.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ssmssh.nodes.filters import Filters
from ssmssh.nodes.naming import Template, could_be, distinct, in_order
from ssmssh.nodes.node import Node
from ssmssh.sshconfig.entries import Entry
from ssmssh.sshconfig.hosts import Edited, Free
from ssmssh.sshconfig.options import EntryOptions
from ssmssh.target import excerpt


class Found(NamedTuple):
    """What one account has in one region: all nodes that were listed, and whether that is all of the region.

    The account is "" where nobody knows it; then the listing is complete of nothing.
    """

    account: str
    region: str
    nodes: Sequence[Node]
    is_complete: bool

    @property
    def place(self) -> tuple[str, str]:
        """The account and the region."""
        return self.account, self.region


class _Listed(NamedTuple):
    """A node, and where it was listed."""

    node: Node
    found: Found


class Wish(NamedTuple):
    """What the command line says about entries; `users` says whom to log in as, by id, if that was to be found out."""

    filters: Filters
    template: Template
    options: EntryOptions
    users: Mapping[str, str] | None = None

    def edited(self, there: Sequence[Entry], free: Free, found: Sequence[Found]) -> Edited:
        """What is to be in the block that has the entries `there`, by what was `found`. As `hosts.Edit`."""
        listed = _by_id(found)
        complete = {each.place for each in found if each.is_complete}
        passing = {key: each for key, each in listed.items() if self.filters.match(each.node)}
        staying = [entry for entry in there if entry.target not in passing and _place(entry) not in complete]
        wanted = {key: self.template.name(each.node, each.found.account) for key, each in listed.items()}
        names = self._names(there, staying, passing, {key: name for key, name in wanted.items() if name})
        entries, refused = list(staying), []
        for each in in_order(each.node for each in passing.values()):
            key, place = each.instance_id, passing[each.instance_id].found
            name = names.get(key, "")
            if reason := self._objection(passing[key], name, wanted[key], free):
                called = f"{excerpt(each.name, 60)} as {excerpt(name, 60)}" if name else excerpt(each.name, 60)
                refused.append(f"{key} in {place.region}, Name {called}: {reason}")
                continue
            leading = EntryOptions(profile=each.profile, region=place.region, target=key, account=place.account)
            user = None if self.users is None else self.users.get(key, "")
            entries.append(Entry(name, self.options.changed_by(replace(leading, user=user))))
        return Edited(sorted(entries, key=lambda entry: entry.name), tuple(refused))

    def _names(
        self,
        there: Sequence[Entry],
        staying: Sequence[Entry],
        passing: Mapping[str, _Listed],
        wanted: Mapping[str, str],
    ) -> dict[str, str]:
        """The names of those that pass, as far as they can have one."""
        kept = {
            entry.target: entry.name
            for entry in there
            if (each := passing.get(entry.target))
            and (not each.found.is_complete or could_be(entry.name, wanted.get(entry.target, ""), entry.target))
        }
        taken = {entry.name for entry in staying}
        leaving = {entry.name for entry in there} - taken - set(kept.values())
        return distinct(wanted, taken, kept, leaving)

    def _objection(self, listed: _Listed, name: str, wanted: str, free: Free) -> str:
        """Why a node has no entry of that name; empty if it can have it."""
        node = listed.node
        if name and not set(node.name) & set("*?!"):
            return free(name) or self._pretence(listed, name, wanted)
        if set(node.name) & set("*?!"):
            return "it is a pattern"
        if not wanted:
            return f"it lacks a tag of {self.template.text}"
        return f"another has the name {excerpt(wanted, 60)}, or had it until now: then it gets it when sync runs again"

    def _pretence(self, listed: _Listed, name: str, wanted: str) -> str:
        """Why a name says what its instance is not; empty if it does not, or is one of another template's.

        A tag may be ``web.eu-west-1`` on an instance of another region, or end in the suffix, and then answer in the
        place of what a look-up would find. Behind the last dot stands what the template says, or where it is.
        """
        node, found = listed
        _, dot, last = name.rpartition(".")
        is_true = last in {node.region, found.account, node.instance_id} or self.template.text.endswith(f".{last}")
        if not dot or is_true or not could_be(name, wanted, node.instance_id):
            return ""
        return f"a tag alone says {excerpt('.' + last, 60)}"


def _by_id(found: Iterable[Found]) -> dict[str, _Listed]:
    """The nodes that Systems Manager knows, each once: an account that was asked twice, by its complete listing."""
    listed: dict[str, _Listed] = {}
    for each in sorted(found, key=lambda each: not each.is_complete):
        for node in each.nodes:
            if node.is_managed:
                listed.setdefault(node.instance_id, _Listed(node, each))
    return listed


def _place(entry: Entry) -> tuple[str, str]:
    return entry.options.account or "", entry.options.region or ""
