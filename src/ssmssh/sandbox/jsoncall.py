"""A call of a JSON service, as a handler gets it: who asks for what, where, and with which arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.pages import Page, Row, TokenError, cut
from ssmssh.sandbox.refusals import ApiError


@dataclass(frozen=True, slots=True)
class JsonCall:
    """One call. What its arguments are is checked as they are read, with the service's words."""

    operation: str
    arguments: Mapping[str, object]
    place: Place
    caller: Caller

    def text(self, name: str, default: str | None = None) -> str:
        """A string.

        Raises:
            ApiError: it is missing and has no default, or is none.
        """
        value = self.arguments.get(name, default)
        if not isinstance(value, str):
            raise ApiError("ValidationException", f"1 validation error detected: Value at '{name}' must be a string")
        return value

    def mappings(self, name: str) -> Sequence[Mapping[str, object]]:
        """A list of structures, empty where it is missing.

        Raises:
            ApiError: it is none.
        """
        value = self.arguments.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise ApiError("SerializationException", f"{name} must be a list of structures")
        return value

    def page(self, rows: Sequence[Row], sizes: tuple[int, int], default: int, faults: FaultSet) -> Page[Row]:
        """The page of `rows` that is asked for; `sizes` are the smallest and the largest, `default` that of no word.

        Raises:
            ApiError: the size is neither, or the token is none of ours.
        """
        smallest, largest = sizes
        size = self.arguments.get("MaxResults", default)
        if not isinstance(size, int) or not smallest <= size <= largest:
            raise ApiError("ValidationException", f"MaxResults must be between {smallest} and {largest}.")
        try:
            return cut(rows, size, str(self.arguments.get("NextToken") or ""), faults)
        except TokenError:
            raise ApiError("InvalidNextToken", "The specified token isn't valid.") from None
