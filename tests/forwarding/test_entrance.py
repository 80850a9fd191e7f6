"""Who is let in while many clients of ``-D`` have not said where they want to go; time is a number here."""

import contextlib
import selectors
import socket
from collections.abc import Iterator
from typing import NoReturn

import pytest

from ssmssh.forwarding.entrance import MAX_ACCEPTED, MAX_ASKED, REQUEST_SECONDS, Door, Entrance
from ssmssh.forwarding.listeners import Listener, listen
from ssmssh.forwarding.routes import Route, Routes
from ssmssh.forwarding.specs import Destination, TcpBind
from ssmssh.session.loop import Loop
from ssmssh.session.streams import Wakeup


class Doors:
    """A door of ``-L``, whose clients are reset at once, and one of ``-D``."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        wakeup = Wakeup()
        stack.callback(wakeup.close)
        loop = Loop(wakeup)
        stack.callback(loop.close)
        route = Route(Destination("localhost", 80), is_pooled=False)
        route.rests_until = float("inf")
        self.local, self.dynamic = (listen(TcpBind("127.0.0.1", 0)) for _ in range(2))
        self._entrance = Entrance([Door(self.local, route), Door(self.dynamic, None)], Routes(loop, wakeup, none, self))
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._entrance.join(self._selector)
        stack.callback(self._entrance.close)

    def say(self, sentence: str) -> NoReturn:
        raise AssertionError(sentence)

    mention = say

    def connect(self, listener: Listener) -> socket.socket:
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", listener.port), timeout=30))

    def turn(self, now: float) -> bool:
        """One turn, as the loop gives it; whether anything was ready."""
        self._entrance.prepare(now)
        ready = [key.fileobj for key, _ in self._selector.select(0)]
        self._entrance.turn(ready, now)
        return bool(ready)


def none(_: Destination) -> NoReturn:
    raise AssertionError("nobody asks for a session")


@pytest.fixture
def doors() -> Iterator[Doors]:
    with contextlib.ExitStack() as stack:
        yield Doors(stack)


def test_silent_clients_of_socks_keep_nobody_of_a_port_waiting(doors: Doors) -> None:
    silent = [doors.connect(doors.dynamic) for _ in range(MAX_ASKED + MAX_ACCEPTED)]
    while doors.turn(0.0):
        pass
    client = doors.connect(doors.local)
    assert doors.turn(REQUEST_SECONDS / 2)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert not doors.turn(REQUEST_SECONDS / 2)  # the rest of the silent ones wait
    doors.turn(REQUEST_SECONDS)
    assert silent[0].recv(1) == b""
    while doors.turn(REQUEST_SECONDS):
        pass
    silent[-1].sendall(b"\x05\x01\x00")
    doors.turn(REQUEST_SECONDS)
    assert silent[-1].recv(2) == b"\x05\x00"
