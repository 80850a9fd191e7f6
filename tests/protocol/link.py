"""A link under a virtual clock between a data channel and an agent, with all that can go wrong on the way.

Messages between the two are lost, duplicated, delayed and so reordered; the link is cut and opened again; either
side is told to pause. What the service itself says (pauses, the end) arrives: it is the one that loses the rest.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.events import ChannelClosed, DataReceived, HandshakeCompleted
from ssmssh.protocol.message import MessageType, PayloadType, parse
from ssmssh.protocol.sending import RESEND_BURST_BYTES
from ssmssh.protocol.states import ChannelState
from tests.protocol.agent import Agent
from tests.protocol.support import TOKEN, UNIX_TIME, agent_message, wire

PATIENCE_SECONDS = 1800.0
"""Virtual ones, after which a transfer counts as stuck."""


@dataclass(frozen=True, slots=True)
class Break:
    """From `at` on, for `seconds`, something is wrong."""

    at: float
    seconds: float
    kind: str
    """`cut`: the client loses its connection. `pause`: the client is told to pause, and nothing passes, for the agent
    is away. `notice`: the client is told to pause, but everything passes. `mute`: so, and nobody tells of the end."""
    agent_pauses: bool = False
    """The service tells the agent to pause meanwhile."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a link does to its messages; `seed` decides which ones are meant."""

    seed: int = 0
    loss: float = 0.0
    duplication: float = 0.0
    delay_seconds: float = 0.01
    jitter_seconds: float = 0.0
    dial_seconds: float = 0.0
    rate_bytes: float = math.inf
    """Per second, of a narrow part in each direction, with an endless queue before it."""
    breaks: Sequence[Break] = ()


@dataclass(slots=True)
class Log:
    """What went through a link, for assertions."""

    download: bytearray = field(default_factory=bytearray)
    first_data_at: float = math.inf
    """When the agent's port took the first byte."""
    most_resent_bytes: int = 0
    queueing_seconds: list[float] = field(default_factory=list)
    """How long each message to the agent waited before the narrow part."""
    payload_types_before_open: set[int] = field(default_factory=set)


class Link:
    """Runs a transfer: `upload` from the channel's side, `download` from the agent's target."""

    def __init__(self, channel: DataChannel, schedule: Schedule, upload: bytes, download: Sequence[bytes]) -> None:
        self.channel = channel
        self.agent = Agent(download, dial_seconds=schedule.dial_seconds)
        self.log = Log()
        self.now = 0.0
        self._schedule = schedule
        self._random = Random(schedule.seed)
        self._upload = upload
        self._uploaded = 0
        self._expected_download = sum(map(len, download))
        self._order = count()
        self._narrow_until = {"agent": 0.0, "client": 0.0}
        self._travelling: list[tuple[float, int, str, bytes]] = []
        self._breaks = sorted(schedule.breaks, key=lambda each: each.at, reverse=True)
        self._broken: Break | None = None
        self._is_open = False
        channel.open(TOKEN, 0.0, UNIX_TIME + 0.0)

    def transfer(self) -> Log:
        """Run until both sides have everything, then end the session in good order."""
        while not self._is_done():
            self._turn()
        self.channel.close(self.now)
        while not (self.channel.is_flushed and self.agent.is_terminated):
            self._turn()
        assert self.channel.receive(wire("TV11"), self.now) == [ChannelClosed("")]
        assert self.channel.state is ChannelState.CLOSED
        assert self.agent.critic.complaints == []
        return self.log

    def _is_done(self) -> bool:
        return (
            len(self.agent.upload) >= len(self._upload)
            and len(self.log.download) >= self._expected_download
            and self.channel.is_flushed
            and self.agent.has_sent_everything
            and not self._broken
        )

    def _turn(self) -> None:
        self._feed()
        self._collect()
        deadlines = (self.channel.next_deadline() or math.inf, self.agent.next_deadline(), self._next_arrival())
        self.now = max(self.now, min(*deadlines, self._next_break()))
        assert self.now < PATIENCE_SECONDS, f"stuck: {self.channel.state} {self.channel.statistics}"
        self._deliver()
        self._break_or_mend()
        self.agent.handle_timeout(self.now)
        deadline = self.channel.next_deadline()
        if deadline is not None and self.now >= deadline:
            self._collect()
            self.channel.handle_timeout(self.now)
            resent = sum(map(len, self._collect()))
            assert resent, "at its deadline, a channel has something to resend"
            self.log.most_resent_bytes = max(self.log.most_resent_bytes, resent)
            assert resent <= RESEND_BURST_BYTES

    def _feed(self) -> None:
        """Give the channel what it takes."""
        while self._uploaded < len(self._upload) and (capacity := self.channel.send_capacity()):
            size = min(self._random.randint(1, 3000), capacity)
            self.channel.send(self._upload[self._uploaded : self._uploaded + size], self.now)
            self._uploaded += size
            statistics = self.channel.statistics
            assert statistics.unacknowledged_bytes <= statistics.window_bytes

    def _collect(self) -> list[bytes]:
        """Put what both sides have to say on its way."""
        output = self.channel.take_output()
        for message in output:
            if not self._is_open:
                self.log.payload_types_before_open.add(parse(message).payload_type)
            self._send("agent", message)
        for message in self.agent.output:
            self._send("client", message)
        self.agent.output.clear()
        return output

    def _send(self, to: str, message: bytes) -> None:
        is_blocked = self._broken is not None and self._broken.kind not in ("notice", "mute")
        if is_blocked or self._random.random() < self._schedule.loss:
            return
        copies = 2 if self._random.random() < self._schedule.duplication else 1
        for _ in range(copies):
            leaves = max(self.now, self._narrow_until[to]) + len(message) / self._schedule.rate_bytes
            self._narrow_until[to] = leaves
            if to == "agent":
                self.log.queueing_seconds.append(leaves - self.now)
            delay = self._schedule.delay_seconds + self._random.random() * self._schedule.jitter_seconds
            heapq.heappush(self._travelling, (leaves + delay, next(self._order), to, message))

    def _next_arrival(self) -> float:
        return self._travelling[0][0] if self._travelling else math.inf

    def _deliver(self) -> None:
        while self._travelling and self._travelling[0][0] <= self.now:
            _, _, to, message = heapq.heappop(self._travelling)
            if to == "agent":
                self.agent.receive(message, self.now)
                if self.agent.upload and self.log.first_data_at == math.inf:
                    self.log.first_data_at = self.now
            else:
                self._to_client(message)

    def _to_client(self, message: bytes) -> None:
        for event in self.channel.receive(message, self.now):
            if isinstance(event, DataReceived):
                assert event.payload_type is PayloadType.OUTPUT
                self.log.download += event.payload
            elif isinstance(event, HandshakeCompleted):
                self._is_open = True

    # -- breaks ---------------------------------------------------------------------------------------------

    def _next_break(self) -> float:
        if self._broken is not None:
            return self._broken.at + self._broken.seconds
        return self._breaks[-1].at if self._breaks else math.inf

    def _break_or_mend(self) -> None:
        if self.now < self._next_break():
            return
        if self._broken is None:
            self._break(self._breaks.pop())
        else:
            self._mend(self._broken)

    def _break(self, broken: Break) -> None:
        self._broken = Break(self.now, broken.seconds, broken.kind, broken.agent_pauses)
        if broken.kind not in ("notice", "mute"):
            self._travelling.clear()
        if broken.kind == "cut":
            self.channel.disconnected(self.now)
        else:
            self._to_client(agent_message(MessageType.PAUSE_PUBLICATION))
        self.agent.is_paused = broken.agent_pauses

    def _mend(self, broken: Break) -> None:
        self._broken = None
        if broken.kind == "cut":
            self.channel.open(TOKEN, self.now, UNIX_TIME + self.now)
        elif broken.kind != "mute":
            self._to_client(agent_message(MessageType.START_PUBLICATION))
        self.agent.is_paused = False
