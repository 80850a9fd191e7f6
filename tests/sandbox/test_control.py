"""Calls between the processes of a sandbox end, whatever the other side does."""

import asyncio
import socket

import pytest

from ssmssh.sandbox import control
from ssmssh.sandbox.control import Caller, ControlError, Peer


async def echo(*, text: str) -> str:
    return text


async def refuse() -> None:
    raise ControlError("not today")


async def crash() -> None:
    raise LookupError("a secret")


def test_both_ends_may_call() -> None:
    async def talk() -> None:
        near, far = socket.socketpair()
        one, other = await Peer.over(near, {"echo": echo}), await Peer.over(far, {"echo": echo})
        running = [asyncio.ensure_future(peer.run()) for peer in (one, other)]
        said = await asyncio.gather(one.call("echo", text="there"), other.call("echo", text="back"))
        assert list(said) == ["there", "back"]
        for each in running:
            each.cancel()
        await asyncio.wait(running)

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refuse", "not today"),
        ("crash", "LookupError in the sandbox's crash"),
        ("unknown", "there is no call 'unknown'"),
    ],
)
def test_what_fails_is_an_error_in_words(name: str, words: str) -> None:
    async def talk() -> None:
        near, far = socket.socketpair()
        serving = asyncio.ensure_future(
            control.serve(await Peer.over(far, {"refuse": refuse, "crash": crash}), stopped := asyncio.Event())
        )
        peer = await Peer.over(near, {})
        running = asyncio.ensure_future(peer.run())
        with pytest.raises(ControlError, match=words) as caught:
            await peer.call(name)
        assert "secret" not in str(caught.value)
        stopped.set()
        await serving
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(talk())


def test_a_call_to_one_that_goes_or_is_gone_fails() -> None:
    async def talk() -> None:
        near, far = socket.socketpair()
        peer = await Peer.over(near, {})
        running = asyncio.ensure_future(peer.run())
        waiting = asyncio.ensure_future(peer.call("anything"))
        await asyncio.sleep(0)  # the call is under way
        far.close()
        with pytest.raises(ControlError, match="is gone"):
            await waiting
        await running
        with pytest.raises(ControlError, match="is gone"):
            await peer.call("anything")

    asyncio.run(talk())


def test_one_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_ANSWER_SECONDS", 0.01)

    async def talk() -> None:
        near, far = socket.socketpair()
        with far:
            peer = await Peer.over(near, {})
            running = asyncio.ensure_future(peer.run())
            with pytest.raises(ControlError, match="does not answer"):
                await peer.call("anything")
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(talk())


@pytest.mark.parametrize("answer", [b"", b'{"id": 0, "res'])
def test_half_an_answer_is_none(answer: bytes) -> None:
    near, far = socket.socketpair()
    far.sendall(answer)
    far.shutdown(socket.SHUT_WR)
    caller = Caller(near, "the sandbox")
    with far, pytest.raises(ControlError, match="the sandbox went away during a call"):
        caller.call("anything")
    caller.close()
