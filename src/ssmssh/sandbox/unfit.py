"""A session that the agent's plugin refuses: it ends as Failed, in good order, as soon as it begins."""

from ssmssh.sandbox.farside import Channel
from ssmssh.sandbox.outlet import AgentEnd


class Unfit:
    """The far side that there is not; see `FarSide`."""

    is_open = True

    def __init__(self, channel: Channel, end: AgentEnd) -> None:
        self._channel = channel
        self._end = end

    def open(self) -> None:
        """End."""
        self._channel.finish(self._end)

    def take(self, payload_type: int, payload: bytes) -> bool:  # noqa: ARG002 - as all far sides take it
        """Lose it."""
        return True

    def flush(self) -> None:
        """Nothing is written."""

    def pause(self, paused: bool) -> None:
        """Nothing is read."""

    def hold(self, held: bool) -> None:
        """Nothing is read."""

    def close(self) -> None:
        """Nothing is open."""

    def kill_target(self) -> None:
        """There is none."""
