"""Lists that come in pages, as the services give them: a token says where the next one begins, and nothing else does.

A page may be empty though more follow (the fault ``empty-pages``): the services stop filtering after some time and give
what they have. So a token holds the number of the page too, as pages that are empty begin where the last one did.
"""

import re
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from ssmssh.sandbox.faults import FaultSet

Row = TypeVar("Row")

_TOKEN = re.compile("page-([0-9]{1,6})-at-([0-9]{1,9})")


class Page(NamedTuple, Generic[Row]):
    """Some rows, and the token for what follows; None where nothing does."""

    rows: Sequence[Row]
    next_token: str | None


def listing(name: str, page: Page[object]) -> dict[str, object]:
    """A page in the form of Systems Manager: its rows as `name`, and the token."""
    rows: dict[str, object] = {name: list(page.rows)}
    return rows if page.next_token is None else rows | {"NextToken": page.next_token}


class TokenError(Exception):
    """A token is none that a page gave out."""


def cut(rows: Sequence[Row], size: int, token: str, faults: FaultSet) -> Page[Row]:
    """The page of at most `size` rows that `token` names; the first one without.

    Raises:
        TokenError: it names none.
    """
    number, start = 1, 0
    if token:
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise TokenError
        number, start = int(found[1]), int(found[2])
    fault = faults.get("empty-pages")
    is_empty = fault is not None and start < len(rows) and number % max(2, int(fault["every"])) == 0
    end = start if is_empty else start + size
    return Page(rows[start:end], f"page-{number + 1}-at-{end}" if end < len(rows) else None)
