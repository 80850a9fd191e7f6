"""A session as the service has it: a client that comes and goes, an agent, and the links between the two.

What the service does here is what is known or inferred of it: a side is paused while
the other has no open connection; a new client connection takes the place of an old one; when the agent has
ended, the client is told with `channel_closed` and its connection is closed. docs/sandbox.md lists what of that nobody
outside can know, and the faults that have it otherwise.

    CONNECTING -> CONNECTED <-> DISCONNECTED          any of them -> TERMINATED
"""

import asyncio
import functools
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from ssmssh.protocol.message import (
    SERVICE_HEADER_LENGTH,
    AgentMessage,
    MessageType,
    PayloadType,
    encode,
    random_message_id,
)
from ssmssh.protocol.payloads import SessionType, build_channel_closed
from ssmssh.sandbox import timelimits
from ssmssh.sandbox.agent import Agent
from ssmssh.sandbox.agentcipher import SessionKey
from ssmssh.sandbox.backlog import Backlog
from ssmssh.sandbox.character import Character, Dice, Races
from ssmssh.sandbox.clientconnection import ClientConnection
from ssmssh.sandbox.events import Events
from ssmssh.sandbox.farsides import FarSides
from ssmssh.sandbox.faults import Fault, FaultSet
from ssmssh.sandbox.link import Link
from ssmssh.sandbox.order import Order
from ssmssh.sandbox.outlet import AgentEnd, AgentState
from ssmssh.sandbox.port import Dialled
from ssmssh.sandbox.sessionlog import SessionLog
from ssmssh.sandbox.traffic import Traffic
from ssmssh.sandbox.weather import weather
from ssmssh.sandbox.wire import Weather

_log = logging.getLogger(__name__)

AGENT_START_SECONDS = 2.0
"""An agent appears when the client does, or after this, about what a real one needs to start its worker."""

_UNLIMITED_BYTES = 1 << 30

_WORKER_DIED = (
    "document process failed unexpectedly: ipc messaging received timeout signal , check "
    "[ssm-document-worker]/[ssm-session-worker] log for crash reason"
)
_IDLE = "The session was terminated because it was idle for too long."
_TOO_OLD = "The session was terminated because it reached its maximum duration."


@dataclass(frozen=True, slots=True)
class Environs:
    """What all sessions of a gateway share."""

    faults: FaultSet
    dial: Callable[[str, str, int], Awaitable[Dialled]]
    character: Character
    chance: random.Random
    stream_url: Callable[[str, str], str]
    report: Callable[["ServiceSession"], None]
    decrypt: Callable[[str, str, bytes, Mapping[str, str]], Awaitable[bytes]]


@dataclass(slots=True)
class _Credentials:
    token: str = field(repr=False)
    query: str
    is_used: bool = False


class ServiceSession:
    """One session, from StartSession to its end.

    It answers the API, the client's connection (as its `Channel`), the agent (as its `Outlet`) and `Events`.

    One class, because it is what these four have in common: each changes what the others are answered.
    """

    def __init__(self, order: Order, environs: Environs) -> None:
        self.order = order
        self.status = "Connecting"
        self.started_at = time.time()
        self.ended_at: float | None = None
        self.end_reason = ""
        self.traffic = Traffic()
        self.open_refusal = order.open_refusal
        self._environs = environs
        self._loop = asyncio.get_running_loop()
        self._credentials = self._issue()
        self._client: ClientConnection | None = None
        self._agent_away = False
        self._agent_was_reset = False
        self._agent_holds = False
        self._timers: list[asyncio.TimerHandle] = []
        chance, character = environs.chance, environs.character
        character = replace(character, version=order.agent_version, is_windows=order.is_windows)
        self._log = SessionLog()
        task = replace(order.task, key=self._key(), run_as=self._run_as())
        far_sides = FarSides(task, self._dial, character, self._log)
        self.agent = Agent(self, far_sides, character, Dice(chance, self._races))
        self._backlog = Backlog(self._to_agent, self._overrun, self.faults)
        self.up = Link(self._backlog.put, self.faults, chance)
        self.down = Link(self._to_client, self.faults, chance)
        self.events = Events(self, chance)
        slow = environs.faults.get("slow-agent-start", order.session_id)
        self._is_slow = slow is not None
        self._later(AGENT_START_SECONDS if slow is None else slow["seconds"], self._agent_appears)
        timelimits.begin(self, order.preferences)

    # The API's side.

    @property
    def token(self) -> str:
        """The token that opens the data channel now."""
        return self._credentials.token

    @property
    def stream_url(self) -> str:
        """The URL that goes with the token."""
        return self._environs.stream_url(self.order.session_id, self._credentials.query)

    @property
    def is_over(self) -> bool:
        """Whether it can no longer be resumed."""
        return self.ended_at is not None

    def resume(self, open_refusal: str = "") -> None:
        """Make a new token and URL; the old ones are worth nothing from now on.

        `open_refusal` is why the caller may not open the data channel; empty if it may.
        """
        self.open_refusal = open_refusal
        self._credentials = self._issue()

    def terminate(self, reason: str, output: str = "") -> None:
        """End the session from the service's side."""
        if not self.is_over:
            self.agent.discard()
            self._finish(output, reason)

    def faults(self) -> Mapping[str, Fault]:
        """What is in force for this session."""
        return self._environs.faults.all(self.order.session_id)

    def describe(self) -> dict[str, object]:
        """Everything there is to know, for DescribeSessions and for tests."""
        return {
            "session_id": self.order.session_id,
            "target": self.order.target,
            "document_name": self.order.document_name,
            "region": self.order.region,
            "account_id": self.order.account_id,
            "owner": self.order.owner,
            "reason": self.order.reason,
            "status": self.status,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "end_reason": self.end_reason,
            "agent_state": self.agent.state.value,
            "opens": self.traffic.opens,
            "bytes_up": self.traffic.bytes_up,
            "bytes_down": self.traffic.bytes_down,
            "messages_up": self.traffic.messages_up,
            "messages_down": self.traffic.messages_down,
            "lost": self.up.statistics.lost + self.down.statistics.lost,
            "duplicated": self.up.statistics.duplicated + self.down.statistics.duplicated,
            "reordered": self.up.statistics.reordered + self.down.statistics.reordered,
            "logged_bytes": self._log.size_bytes,
            "agent_resent": self.agent.sent.resent,
            "agent_unacknowledged": len(self.agent.sent),
            "agent_duplicates": self.agent.inbox.duplicates,
            "agent_invalid": self.agent.invalid,
            "complaints": list(self.agent.complaints),
        }

    # The client's connection (`Channel`).

    @property
    def region(self) -> str:
        """The region that the open request must be signed for."""
        return self.order.region

    def admits(self, query: str) -> bool:
        """Whether the URL is the current one."""
        return not self.is_over and secrets.compare_digest(query.encode(), self._credentials.query.encode())

    def client_opens(self, connection: ClientConnection, token: str) -> bool:
        """The client has introduced itself."""
        if self.is_over or not secrets.compare_digest(token.encode(), self.token.encode()):
            return False
        if self._credentials.is_used and "token-once" in self.faults():
            return False
        self._credentials.is_used = True
        old, self._client = self._client, connection
        if old is not None:
            old.finish(1000, "replaced by a new connection")
        if self._agent_holds:
            connection.pause("agent")
        self.status = "Connected"
        self.traffic.opens += 1
        if self.agent.state is AgentState.WAITING and not self._is_slow:
            self._agent_appears()
        elif not self._agent_away:
            self._loop.call_soon(self.agent.start)
        self.agent.hold(False)
        self._loop.call_soon(self.events.client_opened)  # which may end this very connection
        return True

    def client_sends(self, messages: list[bytes]) -> None:
        """Messages for the agent."""
        self.traffic.count_up(messages)
        self.events.progressed()  # before they have arrived: what happens finds them in flight
        if not self.is_over:
            self.up.put(messages)

    def client_ready(self) -> None:
        """The client reads again."""
        self.agent.hold(False)
        if self._client is not None:
            self._client.resume("flood")

    def client_lost(self, connection: ClientConnection) -> None:
        """The connection is gone."""
        if connection is not self._client:
            return
        self._client = None
        self.agent.hold(False)
        if not self.is_over:
            self.status = "Disconnected"
            if not self._agent_was_reset:
                self.agent.pause()

    def message_limit(self) -> int:
        """The longest message taken, in bytes."""
        fault = self.faults().get("oversize-refused")
        return _UNLIMITED_BYTES if fault is None else int(fault["limit"])

    def weather(self) -> Weather:
        """The client's network."""
        return weather(self.faults())

    # The agent (`Outlet`).

    def agent_sends(self, messages: list[bytes]) -> None:
        """Messages for the client."""
        self.down.put(messages)
        self.events.progressed()

    def agent_holds(self, held: bool) -> None:
        """The agent does not read; nor does it from another connection of the client."""
        self._agent_holds = held
        if self._client is not None:
            if held:
                self._client.pause("agent")
            else:
                self._client.resume("agent")

    def agent_ended(self, end: AgentEnd) -> None:
        """The agent has reported the end of the session."""
        late = self.faults().get("late-end")
        if late is None:
            self._finish(end.output, end.reason)
        else:
            self._later(late["seconds"], lambda: self._finish(end.output, end.reason))

    def agent_died(self) -> None:
        """The client is told at once, or when the agent's master has noticed, and then with a text of its own."""
        faults = self.faults()
        seconds = faults["port-closed"]["seconds"] if "port-closed" in faults else self.events.zombie_seconds()
        output = _WORKER_DIED if seconds else ""
        self._later(seconds, lambda: self._finish(output, "the agent's process died"))

    # What events do to a session.

    @property
    def client(self) -> ClientConnection | None:
        """The connection of the moment."""
        return self._client

    def agent_goes_away(self, seconds: float, *, double: float, orderly: bool) -> None:
        """Cut the agent's connection; it comes back later.

        One that is reset does not know that nothing arrives, and passes on one more message, with the rate `double`,
        that it does not acknowledge.
        """
        self._agent_away = True
        self._agent_was_reset = not orderly
        if orderly:
            self.agent.pause()
        else:
            self.agent.lose_connection(doubles=self._environs.chance.random() < double)
        self.tell_client(MessageType.PAUSE_PUBLICATION)
        self._later(seconds, self._agent_returns)

    def tell_client(self, kind: MessageType) -> None:
        """Send a message of the service's own."""
        if self._client is not None:
            created = time.time_ns() // 1_000_000
            message = encode(kind, 0, PayloadType.UNSET, b"{}", random_message_id(), created)
            self._client.send([message])

    def idle(self) -> None:
        """End as idle."""
        self.terminate("idle", _IDLE)

    def expire(self) -> None:
        """End as too old."""
        self.terminate("too old", _TOO_OLD)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call in so many seconds, unless the session is over by then."""
        self._later(seconds, call)

    # Inside.

    def _issue(self) -> _Credentials:
        # Opaque, and with the raw + and / that the real ones contain: clients must not touch them.
        cell = f"AAEAA{secrets.token_hex(4)}+k/{secrets.token_hex(4)}"
        return _Credentials(secrets.token_urlsafe(48), f"role=publish_subscribe&cell-number={cell}")

    def _run_as(self) -> str | None:
        return "nobody-here" if "run-as-missing" in self.faults() else self.order.preferences.run_as

    def _key(self) -> SessionKey | None:
        """The key that the account's preferences name; sessions to ports are not encrypted with it."""
        order, faults = self.order, self.faults()
        fault = next((each for each in faults.values() if each.name == "session-key"), None)
        key_id = order.preferences.key_id if fault is None else fault.subject
        if not key_id or order.session_type == SessionType.PORT:
            return None
        context = {"aws:ssm:SessionId": order.session_id, "aws:ssm:TargetId": order.target}
        decrypt = functools.partial(self._environs.decrypt, order.account_id, order.region)
        return SessionKey(key_id, context, decrypt, is_mangled="wrong-session-key" in faults)

    async def _dial(self, host: str, number: int) -> "Dialled":
        faults = self.faults()
        if "slow-connect" in faults:
            await asyncio.sleep(faults["slow-connect"]["seconds"])
        if "port-closed" in faults:
            raise ConnectionRefusedError("the fault port-closed is set")
        if "connect-fails" in faults and self._environs.chance.random() < faults["connect-fails"]["rate"]:
            raise ConnectionRefusedError("the fault connect-fails is set")
        return await self._environs.dial(self.order.target, host, number)

    def _agent_appears(self) -> None:
        if self.order.agent_refusal:
            self._finish(self.order.agent_refusal, "the agent may not open a data channel")
        elif self.agent.state is AgentState.WAITING:
            if self._client is None:
                self.agent.pause()
            self.agent.begin()

    def _agent_returns(self) -> None:
        self._agent_away = self._agent_was_reset = False
        self.agent.reconnect()
        if self._client is not None:
            self.tell_client(MessageType.START_PUBLICATION)
            self.agent.start()
        else:
            self.agent.pause()

    def _to_agent(self, messages: list[bytes]) -> None:
        if not self._agent_away or self._agent_was_reset:
            self.agent.receive(messages)

    def _overrun(self) -> None:
        if self._client is not None:
            self._client.finish(1008, "too much is waiting for the agent")

    def _races(self) -> Races:
        fault = self.faults().get("races")
        return Races() if fault is None else Races(**fault.arguments)

    def _to_client(self, messages: list[bytes]) -> None:
        client = self._client
        if client is None or self._agent_away:
            return
        self.traffic.count_down(messages)
        client.send(messages)
        if not client.writable:
            self.agent.hold(True)
        if client.is_flooded:  # with acknowledgements: it sends, and reads nothing
            client.pause("flood")

    def _finish(self, output: str, reason: str) -> None:
        if self.is_over:
            return
        _log.info("session %s is over: %s", self.order.session_id, reason)
        self.ended_at = time.time()
        self.end_reason = reason
        self.status = "Terminated"
        for timer in self._timers:
            timer.cancel()
        self.up.clear()
        self._backlog.clear()
        self.down.clear()
        client, self._client = self._client, None
        if client is not None:
            client.resume("agent")
            client.send([self._channel_closed(output)])
            if "stays-open" not in self.faults():
                client.finish(1000, "Bye")
        self._environs.report(self)

    def _channel_closed(self, output: str) -> bytes:
        message_id, created = random_message_id(), time.time_ns() // 1_000_000
        payload = build_channel_closed(
            message_id=message_id, session_id=self.order.session_id, created_date_ms=created, output=output
        )
        return AgentMessage(
            MessageType.CHANNEL_CLOSED, 0, 0, payload, message_id, created, header_length=SERVICE_HEADER_LENGTH
        ).serialize()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        now = self._loop.time()
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > now]
        self._timers.append(self._loop.call_later(seconds, call))
