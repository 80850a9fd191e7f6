"""One call for all who want its result: whose failures are whose."""

import threading

import pytest

from ssmssh.aws.together import Together
from ssmssh.errors import NetworkError
from tests.acceptance.clients import wait_until
from tests.aws.crowd import Crowd


class Counted:
    """A call that waits for its gate; what comes of it is told for each time, the last for all further ones."""

    def __init__(self, *outcomes: str | BaseException) -> None:
        self.gate = threading.Event()
        self.calls = 0
        self._outcomes = outcomes

    def __call__(self) -> str:
        self.calls += 1
        outcome = self._outcomes[min(self.calls, len(self._outcomes)) - 1]
        assert self.gate.wait(60)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def test_nothing_is_remembered() -> None:
    together, call = Together[str](), Counted("first", "second")
    call.gate.set()
    assert [together.do(call), together.do(call)] == ["first", "second"]


def test_a_failure_that_was_foreseen_is_everybodys() -> None:
    together, call = Together[str](), Counted(NetworkError("no network", "plug it in"), "second")
    crowd = Crowd.of(8, lambda: together.do(call))
    crowd.wait_until_all_wait()
    call.gate.set()
    assert crowd.join() == []
    told = [(type(error), error.sentence, error.hint) for error in crowd.errors]
    assert told == [(NetworkError, "no network", "plug it in")] * 8
    assert call.calls == 1
    assert together.do(call) == "second"


@pytest.mark.parametrize("outcome", [KeyboardInterrupt(), ZeroDivisionError()])
def test_any_other_is_the_threads_own(outcome: BaseException) -> None:
    together, call = Together[str](), Counted(outcome, "second")
    caught: list[BaseException] = []

    def lead() -> None:
        try:
            together.do(call)
        except BaseException as error:  # noqa: BLE001 - looked at below
            caught.append(error)

    leader = threading.Thread(target=lead)
    leader.start()
    wait_until(lambda: call.calls, "the first call")
    crowd = Crowd.of(8, lambda: together.do(call))
    crowd.wait_until_all_wait()
    call.gate.set()
    leader.join()
    assert caught == [outcome]
    assert crowd.join() == ["second"] * 8
