"""The key of a session that is to be encrypted: asked for in a thread, because it comes from a service.

The agent asks in the middle of the handshake and waits for 15 s. Meanwhile the loop goes on: what the agent repeats is
acknowledged, the connection is watched over, and resumed if it is lost.
"""

from collections.abc import Callable
from functools import partial

from ssmssh.errors import SsmsshError
from ssmssh.protocol.channel import DataChannel
from ssmssh.protocol.events import KeyRequested
from ssmssh.protocol.handshake import DataKey
from ssmssh.session.background import Background
from ssmssh.session.streams import Wakeup

KeySource = Callable[[KeyRequested], DataKey]
"""Gives a session's key. May block, for a bounded time; raises SsmsshError if there is none."""


class Keying:
    """The key of a `channel`, from `source`; None for a use that cannot encrypt."""

    def __init__(self, source: KeySource | None, channel: DataChannel, wakeup: Wakeup) -> None:
        self._source = source
        self._channel = channel
        self._wakeup = wakeup
        self._call: Background[DataKey] | None = None

    def requested(self, event: KeyRequested, now: float) -> None:
        """The agent wants one."""
        if self._source is None:
            self._channel.refuse_key(None, now)
        else:
            self._call = Background("key", partial(self._source, event), self._wakeup)

    def hand_over(self, now: float) -> bool:
        """Give the channel the key that has come, or the reason why there is none; whether it has the key now.

        Raises:
            SsmsshError: There is none. What the channel has to send should still be sent: it tells the agent why.
        """
        if self._call is None or not self._call.is_done:
            return False
        call, self._call = self._call, None
        try:
            key = call.result()
        except SsmsshError as error:
            self._channel.refuse_key(error, now)
            raise
        self._channel.provide_key(key, now)
        return True
