"""The query services' calls (EC2, Auto Scaling, STS): a form as the request, XML as the answer.

Lists are numbered: ``Filter.1.Value.2`` with EC2, ``Names.member.1`` with the others, whose XML says ``member`` where
EC2's says ``item``.
"""

import itertools
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from ssmssh.sandbox.accounts import Place
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.pages import Page, Row, TokenError, cut
from ssmssh.sandbox.refusals import ApiError

Value = str | Mapping[str, "Value"] | Sequence["Value"]
"""What is in an element: text, elements by name, or a list."""

_LISTED = 1000
"""How many elements a list of a request may have: EC2's limit of ids."""


@dataclass(frozen=True, slots=True)
class QueryCall:
    """One call: its action, its parameters, and where it goes; `item` is its word for an element of a list."""

    action: str
    parameters: Mapping[str, str]
    place: Place
    item: str

    def texts(self, name: str) -> list[str]:
        """The list `name`."""
        prefix = name if self.item == "item" else f"{name}.member"
        texts = (self.parameters.get(f"{prefix}.{number}") for number in range(1, _LISTED + 1))
        return [text for text in itertools.takewhile(lambda text: text is not None, texts) if text is not None]

    def filters(self, name: str, values: str) -> list[tuple[str, list[str]]]:
        """The filters in the list `name`, each with its key and what its list `values` has."""
        prefix = name if self.item == "item" else f"{name}.member"
        found = []
        for number in range(1, _LISTED + 1):
            key = self.parameters.get(f"{prefix}.{number}.Name")
            if key is None:
                break
            found.append((key, self.texts(f"{prefix}.{number}.{values}")))
        return found

    def page(
        self, rows: Sequence[Row], size_name: str, sizes: tuple[int, int], default: int, faults: FaultSet
    ) -> Page[Row]:
        """The page of `rows` that is asked for; `sizes` are the smallest and the largest, `default` that of no word.

        Raises:
            ApiError: the size is neither, or the token is none of ours.
        """
        text = self.parameters.get(size_name, str(default))
        if not re.fullmatch("[0-9]{1,6}", text) or not sizes[0] <= int(text) <= sizes[1]:
            raise ApiError(
                "InvalidParameterValue",
                f"Value ( {text} ) for parameter {size_name} is invalid. Expecting a value between {sizes[0]} and "
                f"{sizes[1]}.",
            )
        try:
            return cut(rows, int(text), self.parameters.get("NextToken", ""), faults)
        except TokenError:
            raise ApiError("InvalidNextToken", "The token is invalid.") from None

    def answer(self, content: Mapping[str, Value], namespace: str) -> Response:
        """The answer with `content`, in the service's form."""
        number = secrets.token_hex(16)
        if self.item == "item":
            content = {"requestId": number, **content}
        else:
            content = {f"{self.action}Result": content, "ResponseMetadata": {"RequestId": number}}
        body = "".join(_element(name, value, self.item) for name, value in content.items())
        text = f'<{self.action}Response xmlns="{namespace}">{body}</{self.action}Response>'
        return Response(200, text.encode(), {"Content-Type": "text/xml;charset=UTF-8"})


def read_call(body: bytes, service: str, place: Place) -> QueryCall | None:
    """The call in a form; None where it is none."""
    try:
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
    except (UnicodeDecodeError, ValueError):
        return None
    action = parameters.get("Action", "")
    return QueryCall(action, parameters, place, "item" if service == "ec2" else "member") if action else None


def _element(name: str, value: Value, item: str) -> str:
    if isinstance(value, str):
        # A parser takes a bare carriage return for a line feed.
        text = escape(value, {"\r": "&#13;"})
    elif isinstance(value, Mapping):
        text = "".join(_element(key, each, item) for key, each in value.items())
    else:
        text = "".join(_element(item, each, item) for each in value)
    return f"<{name}>{text}</{name}>"
