"""What happens to one session because of the faults of the EVENT kind: when, and what.

An event is armed when it is set or, where that is later, when the session's data channel first opens. It then waits for
its number of payload bytes, messages or seconds; with none of them it happens at once, and the next time at the next
opening.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ssmssh.protocol.message import MessageType
from ssmssh.sandbox.agent import Agent
from ssmssh.sandbox.clientconnection import ClientConnection
from ssmssh.sandbox.faults import FAULT_TYPES, Fault, Kind
from ssmssh.sandbox.traffic import Traffic


class Struck(Protocol):
    """A session, as far as events can do something to it."""

    traffic: Traffic
    agent: Agent

    @property
    def client(self) -> ClientConnection | None:
        """The client's connection, if there is one."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing happens to it any more."""
        ...

    def faults(self) -> Mapping[str, Fault]:
        """What is in force for it."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something done, unless it is over by then."""
        ...

    def tell_client(self, kind: MessageType) -> None:
        """Send the client a message of the service's."""
        ...

    def terminate(self, reason: str, output: str = "") -> None:
        """End it from the service's side."""
        ...

    def idle(self) -> None:
        """Let it run into its idle timeout."""
        ...

    def expire(self) -> None:
        """Let it reach its maximum duration."""
        ...

    def agent_goes_away(self, seconds: float, *, double: float, orderly: bool) -> None:
        """Cut the agent's connection for a while."""
        ...


@dataclass(slots=True)
class _Armed:
    fault: Fault
    left: int
    at_bytes: float
    at_messages: float


class Events:
    """The events of one session."""

    def __init__(self, session: Struck, chance: random.Random) -> None:
        self._session = session
        self._chance = chance
        self._armed: dict[str, _Armed] = {}
        self._seen: dict[str, Fault] = {}
        self._waiting: list[tuple[Fault, int]] = []
        self._is_open = False
        self._dying: Fault | None = None

    def client_opened(self) -> None:
        """The data channel is open, for the first time or again."""
        if self._session.is_over:
            return
        self._is_open = True
        waiting, self._waiting = self._waiting, []
        for fault, left in waiting:
            self._arm(fault, left)
        self.refresh()

    def refresh(self) -> None:
        """Look which faults are in force: arm new ones, forget lifted ones; what happens at once has happened then."""
        if not self._is_open or self._session.is_over:
            return
        faults = {n: f for n, f in self._session.faults().items() if FAULT_TYPES[f.name].kind is Kind.EVENT}
        for name in [name for name, fault in self._seen.items() if faults.get(name) is not fault]:
            del self._seen[name]
            self._armed.pop(name, None)
            self._waiting = [(fault, left) for fault, left in self._waiting if fault.name != name]
        for name, fault in faults.items():
            if name not in self._seen:
                self._seen[name] = fault
                self._arm(fault, max(1, int(fault["times"])))

    def progressed(self) -> None:
        """Messages have passed."""
        if not self._armed:
            return
        traffic = self._session.traffic
        for armed in list(self._armed.values()):
            if traffic.payload_bytes >= armed.at_bytes or traffic.messages >= armed.at_messages:
                self._happen(armed)

    def zombie_seconds(self) -> float:
        """How long it takes to notice that the agent is dead; one that died by itself, of a closed port, at once."""
        return 0.0 if self._dying is None else self._dying["away"]

    def _arm(self, fault: Fault, times: int) -> None:
        traffic = self._session.traffic
        never = float("inf")
        armed = _Armed(
            fault,
            times,
            traffic.payload_bytes + fault["bytes"] if fault["bytes"] else never,
            traffic.messages + fault["messages"] if fault["messages"] else never,
        )
        self._armed[fault.name] = armed
        if fault["seconds"]:
            self._session.later(fault["seconds"], lambda: self._happen(armed))
        elif not (fault["bytes"] or fault["messages"]):
            self._happen(armed)

    def _happen(self, armed: _Armed) -> None:
        if self._armed.get(armed.fault.name) is not armed:
            return
        del self._armed[armed.fault.name]
        fault = armed.fault
        if armed.left > 1 and (fault["bytes"] or fault["messages"] or fault["seconds"]):
            self._arm(fault, armed.left - 1)
        elif armed.left > 1:
            self._waiting.append((fault, armed.left - 1))
        self._actions()[fault.name](fault)

    def _actions(self) -> dict[str, Callable[[Fault], None]]:
        session = self._session
        return {
            "cut": lambda _: session.client.abort() if session.client else None,
            "bye": lambda _: session.client.finish(1000, "Bye") if session.client else None,
            "half-open": lambda _: session.client.silence() if session.client else None,
            "agent-cut": self._agent_cut,
            "pause": self._pause,
            "pause-client": self._pause_client,
            "garbage": self._garbage,
            "agent-blocks": self._agent_blocks,
            "stray-bytes": self._stray_bytes,
            "sshd-dies": lambda _: session.agent.kill_server(),
            "agent-dies": self._agent_dies,
            "session-terminated-elsewhere": lambda _: session.terminate("TerminateSession by someone else"),
            "idle-timeout": lambda _: session.idle(),
            "max-duration": lambda _: session.expire(),
        }

    def _pause(self, fault: Fault) -> None:
        self._session.agent.pause()
        self._session.later(fault["away"], self._session.agent.start)

    def _pause_client(self, fault: Fault) -> None:
        self._session.tell_client(MessageType.PAUSE_PUBLICATION)
        if fault["away"]:
            self._session.later(fault["away"], lambda: self._session.tell_client(MessageType.START_PUBLICATION))

    def _agent_cut(self, fault: Fault) -> None:
        self._session.agent_goes_away(fault["away"], double=fault["double"], orderly=fault["orderly"] > 0)

    def _agent_dies(self, fault: Fault) -> None:
        self._dying = fault
        self._session.agent.die()

    def _agent_blocks(self, fault: Fault) -> None:
        self._session.agent.stall(True)
        self._session.later(fault["away"], lambda: self._session.agent.stall(False))

    def _stray_bytes(self, fault: Fault) -> None:
        self._session.agent.pass_on(memoryview(b"\xff" * int(fault["count"])))

    def _garbage(self, fault: Fault) -> None:
        client = self._session.client
        if client is None:
            return
        for _ in range(int(fault["count"])):
            noise = self._chance.randbytes(self._chance.randrange(1, 300))
            kinds = (
                noise,
                noise[:3],
                b"\xff\xff\xff\xff" + noise,
                b"\0\0\0\x74" + MessageType.OUTPUT_STREAM_DATA.encode().ljust(32) + noise.ljust(200, b"\0"),
            )
            client.send([self._chance.choice(kinds)])
