"""What an agent says: acknowledgements, numbered messages, and again what nobody has acknowledged.

While it is paused it numbers and stores, and sends nothing, nor anything again. What was stored then goes out like what
was lost: at a tick of the timer, when its time is up, and so behind all that is newer (agent: datachannel.go,
SendStreamDataMessage and ResendStreamDataMessageScheduler).
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ssmssh.protocol.message import (
    ACKNOWLEDGE_FLAGS,
    MessageType,
    PayloadType,
    encode,
    random_message_id,
)
from ssmssh.protocol.payloads import build_acknowledge
from ssmssh.sandbox.agentparser import ClientMessage
from ssmssh.sandbox.reading import PAYLOAD_BYTES
from ssmssh.sandbox.resend import TICK_SECONDS, Unacknowledged

if TYPE_CHECKING:
    from ssmssh.sandbox.agentcipher import AgentCipher

_START_SECONDS = 0.147
"""From the client's open to the first tick: a message that was held came after 145 to 149 ms."""
_UNPACED_RESENDS = 64
"""How many of the oldest messages an unpaced agent looks at in a tick; the real one looks at one. It sends about as
many times faster, so that much is lost with a connection, and mending that is to take as long as with the real one."""


class Outbox:
    """An agent's messages. `send` takes them; while `is_held` nothing is sent again, as nobody takes it."""

    def __init__(self, send: Callable[[list[bytes]], None], *, unpaced: bool) -> None:
        self.unacknowledged = Unacknowledged()
        self.is_paused = False
        self.is_held = False
        self.cipher: AgentCipher | None = None
        self._send = send
        self._looks_at = _UNPACED_RESENDS if unpaced else 1
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many messages wait for `flush`."""
        return len(self._waiting)

    def begin(self) -> None:
        """Set the timer going."""
        self._tick_in(TICK_SECONDS)

    def start(self) -> None:
        """The service has said that the client is there."""
        if self._timer is not None:
            self._tick_in(_START_SECONDS)

    def stop(self) -> None:
        """Send nothing more by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def say(self, payload_type: PayloadType, payload: bytes) -> None:
        """Send a message with the next number, at the next `flush`."""
        message = self._add(payload_type, payload, self._loop.time(), time.time_ns() // 1_000_000)
        if not self.is_paused:
            self._waiting.append(message)

    def pass_on(self, data: memoryview) -> None:
        """Send data of the target at once."""
        now, wall_ms, add = self._loop.time(), time.time_ns() // 1_000_000, self._add
        messages = [
            add(PayloadType.OUTPUT, data[at : at + PAYLOAD_BYTES], now, wall_ms)
            for at in range(0, len(data), PAYLOAD_BYTES)
        ]
        if not self.is_paused:
            self._send(messages)

    def acknowledge(self, message: ClientMessage, at: int | None = None) -> None:
        """Acknowledge a message at the next `flush`; before the message at the place `at`, or last."""
        payload = build_acknowledge(message.message_type, message.message_id, message.sequence_number)
        acknowledgement = encode(
            MessageType.ACKNOWLEDGE,
            0,
            PayloadType.UNSET,
            payload,
            random_message_id(),
            time.time_ns() // 1_000_000,
            ACKNOWLEDGE_FLAGS,
        )
        self._waiting.insert(len(self._waiting) if at is None else at, acknowledgement)

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            messages, self._waiting = self._waiting, []
            self._send(messages)

    def _add(self, payload_type: PayloadType, payload: bytes | memoryview, now: float, wall_ms: int) -> bytes:
        """Number and store a message."""
        if self.cipher is not None:
            payload = self.cipher.encrypt(payload_type, payload)
        return self.unacknowledged.add(payload_type, payload, now, wall_ms)

    def _tick_in(self, seconds: float) -> None:
        self.stop()
        self._timer = self._loop.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._tick_in(TICK_SECONDS)
        if self.is_paused or self.is_held:
            return
        if messages := self.unacknowledged.due(self._loop.time(), self._looks_at):
            self._send(messages)
