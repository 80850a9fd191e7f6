"""The Condition of a statement: operators, and what they make of keys that a request lacks or has several values of.

All operators of a statement, and all keys of an operator, must hold; of a key's values one is enough, or for an
operator with *Not* in it none may be. A key that the request lacks makes an operator false, one with *Not* true, one
that ends in ``IfExists`` true, and ``Null`` is what asks for it. ``ForAllValues:`` and ``ForAnyValue:`` are for keys
with several values. IAM User Guide, "Condition operators", "Set operators for multivalued context keys".
"""

import datetime as dt
import ipaddress
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.sandbox.policyvariables import literal, pattern

Context = Mapping[str, str | Sequence[str]]
"""What a request has of each condition key: one value, or several."""
Values = Mapping[str, Sequence[str]]
"""The same, with keys in lower case and lists only."""

_IF_EXISTS = "IfExists"
_ARN_FIELDS = 6


class PolicyError(UsageError):
    """A policy is none, or has something that the sandbox cannot evaluate."""


class _Operator(NamedTuple):
    """How one value of a policy is compared with one of a request; with `negates`, none of the policy's may be it."""

    compare: Callable[[str, str, Values | None], bool]
    negates: bool = False


def lower_keys(context: Context) -> Values:
    """A context as the rest of this module takes it."""
    return {key.lower(): [value] if isinstance(value, str) else list(value) for key, value in context.items()}


def check_conditions(conditions: object) -> None:
    """See to it that a Condition can be evaluated.

    Raises:
        PolicyError: It cannot.
    """
    if not isinstance(conditions, dict):
        raise PolicyError("a statement's Condition is an object")
    for name, keys in conditions.items():
        one = _parse(name).operator
        if not isinstance(keys, dict):
            raise PolicyError(f"the condition operator {name} is of an object of keys")
        for key, given in keys.items():
            for value in _texts(given):
                try:
                    one.compare(value, value, None)
                except ValueError as error:
                    raise PolicyError(f"the condition {name} of {key} has a value that is wrong: {error}") from None


def holds(conditions: Mapping[str, object], context: Values, variables: Values | None) -> bool:
    """Whether a request meets all conditions; `variables` is None in a policy whose version has no variables.

    Raises:
        PolicyError: An operator is not known.
    """
    for name, keys in conditions.items():
        form = _parse(name)
        for key, given in keys.items() if isinstance(keys, dict) else ():
            if not form.holds(_texts(given), context.get(key.lower()), variables):
                return False
    return True


class _Form(NamedTuple):
    """An operator as it is written: with a set operator before it and ``IfExists`` behind it, or without."""

    operator: _Operator
    set_operator: str
    if_exists: bool
    is_null: bool = False

    def holds(self, wanted: Sequence[str], has: Sequence[str] | None, variables: Values | None) -> bool:
        """Whether a key's values in a request are what the policy's are."""
        if self.is_null:
            return any((each.lower() == "true") is (has is None) for each in wanted)
        if not has:
            if self.set_operator:
                return self.set_operator == "ForAllValues" or (self.if_exists and has is None)
            return self.if_exists or self.operator.negates
        each = [self._one(wanted, value, variables) for value in has]
        if self.set_operator == "ForAnyValue" or (not self.set_operator and not self.operator.negates):
            return any(each)
        return all(each)

    def _one(self, wanted: Sequence[str], value: str, variables: Values | None) -> bool:
        found = False
        for one in wanted:
            try:
                found = found or self.operator.compare(one, value, variables)
            except ValueError:  # the request's value is no number, date or address: it is not what is wanted
                continue
        return found is not self.operator.negates


def _parse(name: str) -> _Form:
    set_operator, colon, rest = name.partition(":")
    if colon and set_operator not in ("ForAllValues", "ForAnyValue"):
        raise PolicyError(f"{set_operator} is no set operator of conditions")
    if not colon:
        set_operator, rest = "", name
    if rest == "Null":
        return _Form(_Operator(_is_bool), set_operator, if_exists=False, is_null=True)
    found = _OPERATORS.get(rest.removesuffix(_IF_EXISTS))
    if found is None:
        raise PolicyError(f"the sandbox does not know the condition operator {name}")
    return _Form(found, set_operator, rest.endswith(_IF_EXISTS))


def _texts(given: object) -> list[str]:
    values = given if isinstance(given, list) else [given]
    texts = []
    for value in values:
        if not isinstance(value, str | bool | int | float):
            raise PolicyError("the values of a condition are strings")
        texts.append(str(value).lower() if isinstance(value, bool) else str(value))
    return texts


def _equals(wanted: str, value: str, variables: Values | None) -> bool:
    return literal(wanted, variables) == value


def _equals_in_any_case(wanted: str, value: str, variables: Values | None) -> bool:
    text = literal(wanted, variables)
    return text is not None and text.lower() == value.lower()


def _like(wanted: str, value: str, variables: Values | None) -> bool:
    return pattern(wanted, variables).fullmatch(value) is not None


def _arn_like(wanted: str, value: str, variables: Values | None) -> bool:
    """Field by field, with wildcards in each."""
    has, patterns = value.split(":", _ARN_FIELDS - 1), wanted.split(":", _ARN_FIELDS - 1)
    return len(has) == len(patterns) and all(
        _like(one, each, variables) for one, each in zip(patterns, has, strict=True)
    )


def _is_bool(wanted: str, value: str, variables: Values | None) -> bool:
    text = literal(wanted, variables)
    return text is not None and text.lower() == value.lower()


def _in_network(wanted: str, value: str, variables: Values | None) -> bool:
    del variables  # AWS takes none here
    network = ipaddress.ip_network(wanted, strict=False)
    return ipaddress.ip_address(value.partition("/")[0]) in network


def _number(compare: Callable[[float, float], bool]) -> _Operator:
    return _Operator(lambda wanted, value, _: compare(float(value), float(wanted)))


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)).timestamp()


def _date(compare: Callable[[float, float], bool]) -> _Operator:
    return _Operator(lambda wanted, value, _: compare(_moment(value), _moment(wanted)))


_OPERATORS: Mapping[str, _Operator] = {
    "StringEquals": _Operator(_equals),
    "StringNotEquals": _Operator(_equals, negates=True),
    "StringEqualsIgnoreCase": _Operator(_equals_in_any_case),
    "StringNotEqualsIgnoreCase": _Operator(_equals_in_any_case, negates=True),
    "StringLike": _Operator(_like),
    "StringNotLike": _Operator(_like, negates=True),
    "ArnEquals": _Operator(_arn_like),
    "ArnLike": _Operator(_arn_like),
    "ArnNotEquals": _Operator(_arn_like, negates=True),
    "ArnNotLike": _Operator(_arn_like, negates=True),
    "Bool": _Operator(_is_bool),
    "IpAddress": _Operator(_in_network),
    "NotIpAddress": _Operator(_in_network, negates=True),
    "NumericEquals": _number(operator.eq),
    "NumericNotEquals": _Operator(_number(operator.eq).compare, negates=True),
    "NumericLessThan": _number(operator.lt),
    "NumericLessThanEquals": _number(operator.le),
    "NumericGreaterThan": _number(operator.gt),
    "NumericGreaterThanEquals": _number(operator.ge),
    "DateEquals": _date(operator.eq),
    "DateNotEquals": _Operator(_date(operator.eq).compare, negates=True),
    "DateLessThan": _date(operator.lt),
    "DateLessThanEquals": _date(operator.le),
    "DateGreaterThan": _date(operator.gt),
    "DateGreaterThanEquals": _date(operator.ge),
}
