"""One push for many: what is remembered, for how long, and by whom."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.errors import AccessDeniedError, FileError
from ssmssh.nodes.pushes import COUNTS_SECONDS, KEPT, Push, Pushes

PUSH = Push(
    "123456789012/aws/eu-west-1/https://ssm", "i-0123456789abcdef0", "ec2-user", "ssh-ed25519 AAAA", "run-command"
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def made(directory: Path, clock: Clock, push: Push = PUSH) -> bool:
    """Whether a push was made, by a process of its own."""
    calls: list[int] = []
    is_made = Pushes(directory, clock).once(push, lambda: calls.append(1), patience_seconds=5)
    assert is_made == bool(calls)
    return is_made


def test_a_push_counts_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    assert made(tmp_path / "pushes", clock)
    clock.now += COUNTS_SECONDS - 0.1
    assert not made(tmp_path / "pushes", clock)
    clock.now += 0.2
    assert made(tmp_path / "pushes", clock)
    clock.now -= 100
    assert made(tmp_path / "pushes", clock), "the clock was set back"


def test_it_counts_for_the_same_identity_instance_user_key_and_way_only(tmp_path: Path) -> None:
    clock = Clock()
    others = [PUSH._replace(**{name: f"{value}x"}) for name, value in PUSH._asdict().items()]
    assert [made(tmp_path, clock, each) for each in (PUSH, *others, PUSH, *others)] == [True] * 6 + [False] * 6


@given(st.tuples(*[st.text(max_size=3)] * 5), st.tuples(*[st.text(max_size=3)] * 5))
def test_no_two_pushes_share_a_name(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    assert (Push(*first).digest == Push(*second).digest) == (first == second)


def test_what_fails_is_not_remembered_and_holds_nobody_up(tmp_path: Path) -> None:
    def fail() -> None:
        raise AccessDeniedError("no")

    clock = Clock()
    with pytest.raises(AccessDeniedError):
        Pushes(tmp_path, clock).once(PUSH, fail, patience_seconds=5)
    assert made(tmp_path, clock)


def test_the_time_counts_from_before_the_call(tmp_path: Path) -> None:
    """The service counts from when it has the key, and its answer may take seconds."""
    clock = Clock()

    def call() -> None:
        clock.now += 10

    assert Pushes(tmp_path, clock).once(PUSH, call, patience_seconds=5)
    clock.now += COUNTS_SECONDS - 9
    assert made(tmp_path, clock)


def test_many_at_once_are_one(tmp_path: Path) -> None:
    calls: list[int] = []
    entered, leave = threading.Event(), threading.Event()

    def call() -> None:
        calls.append(1)
        entered.set()
        leave.wait(60)

    def connect() -> None:
        Pushes(tmp_path).once(PUSH, call, patience_seconds=60)

    threads = [threading.Thread(target=connect) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert entered.wait(60)
    with pytest.raises(FileError, match="locked for too long"):
        Pushes(tmp_path).once(PUSH, call, patience_seconds=0.05)
    leave.set()
    for thread in threads:
        thread.join()
    assert calls == [1]


@pytest.mark.parametrize("spoil", ["torn", "others", "garbage"])
def test_a_file_that_cannot_be_believed_costs_a_push(tmp_path: Path, spoil: str) -> None:
    clock = Clock()
    made(tmp_path, clock)
    (path,) = tmp_path.glob("*.push")
    if spoil == "torn":
        path.write_bytes(path.read_bytes()[:-1])
    elif spoil == "others":
        path.chmod(0o666)
    else:
        path.write_bytes(b"\xff\x00")
    assert made(tmp_path, clock)


def test_files_are_private_few_and_tell_nothing(tmp_path: Path) -> None:
    clock = Clock()
    for number in range(KEPT + 5):
        made(tmp_path, clock, PUSH._replace(user=f"u{number}"))
    names = [path.name for path in tmp_path.iterdir()]
    assert KEPT <= len([name for name in names if name.endswith(".push")]) <= KEPT + 1
    assert len(names) <= 2 * KEPT + 2
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    told = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"u1" not in told
    assert b"ssh-ed25519" not in told
