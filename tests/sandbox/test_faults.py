"""How faults are written, and which of them holds."""

import pytest

from ssmssh.errors import UsageError
from ssmssh.sandbox.faults import FAULT_TYPES, FaultSet, parse


@pytest.mark.parametrize("name", sorted(FAULT_TYPES))
def test_every_fault_can_be_written_and_read_back(name: str) -> None:
    subjects = {
        "": "",
        "ACTION": ":ec2:Describe*",
        "ACTION/CODE": ":ec2:Describe*/InternalError",
        "ACTION/WHAT": ":ssm:StartSession/scp",
        "KEY": ":alias/sessions",
    }
    written = name + subjects[FAULT_TYPES[name].subject]
    fault = parse(written)
    assert fault.arguments == FAULT_TYPES[name].parameters
    assert fault.key == written
    assert parse(str(fault)) == fault
    main = FAULT_TYPES[name].main
    assert not main or parse(f"{written}{',' if fault.subject else ':'}7")[main] == 7


def test_numbers_by_name() -> None:
    fault = parse("cut:bytes=4000000,times=3")
    assert (fault["bytes"], fault["times"], fault["seconds"]) == (4_000_000, 3, 0)
    assert parse("loss:0.25")["rate"] == 0.25


@pytest.mark.parametrize(
    "text",
    ["nothing", "", "loss:rate", "loss:what=1", "loss:-1", "loss:nan", "loss:inf", "cut:x", "deny", "deny:times=1"],
)
def test_what_cannot_be_read_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_a_session_has_its_own_and_the_general_ones() -> None:
    faults = FaultSet()
    faults.set(parse("loss:0.1"))
    faults.set(parse("delay:1"))
    faults.set(parse("loss:0.5"), "s-1")
    assert faults.all("s-1")["loss"]["rate"] == 0.5
    assert faults.all("s-2")["loss"]["rate"] == 0.1
    assert set(faults.all("s-1")) == {"loss", "delay"}
    faults.clear("loss", "s-1")
    assert faults.all("s-1")["loss"]["rate"] == 0.1
    faults.clear()
    assert not faults.all("s-1")
    faults.clear("loss")  # that it is not set is no error


def test_what_was_set_for_a_session_is_forgotten_with_it() -> None:
    faults = FaultSet()
    faults.set(parse("loss:0.5"), "s-1")
    assert "loss" in faults.all("s-1")
    faults.forget("s-1")
    assert not faults.all("s-1")


def test_each_third_call_fails_where_that_is_asked_for() -> None:
    faults = FaultSet()
    faults.set(parse("throttle:every=3,times=2"))
    assert [faults.take_call("throttle") for _ in range(9)] == [False, False, True] * 2 + [False] * 3


def test_what_is_of_something_holds_for_several_at_once() -> None:
    faults = FaultSet()
    for text in ("deny:ssm:StartSession", "deny:ec2:*,times=1"):
        faults.set(parse(text))
    assert set(faults.all()) == {"deny:ssm:StartSession", "deny:ec2:*"}
    assert [faults.take_call("deny:ec2:*") for _ in range(2)] == [True, False]
    faults.set(parse("deny:ec2:*"))
    faults.clear("deny:ec2:*")
    assert set(faults.all()) == {"deny:ssm:StartSession"}
    faults.clear("deny")
    assert not faults.all()


def test_calls_are_counted() -> None:
    faults = FaultSet()
    faults.set(parse("throttle:2"))
    assert [faults.take_call("throttle") for _ in range(3)] == [True, True, False]
    faults.set(parse("throttle"))
    assert all(faults.take_call("throttle") for _ in range(10))
    faults.set(parse("resume-error:1"), "s-1")
    assert not faults.take_call("resume-error", "s-2")
    assert faults.take_call("resume-error", "s-1")
    assert not faults.take_call("resume-error", "s-1")
