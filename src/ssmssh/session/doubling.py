"""Whether the agent may have written a message to its port twice: what explains the end of an ssh.

The agent writes a message to the port before it acknowledges it. When its own connection to the service is reset in
between, the acknowledgement fails, the message does not count as processed, and ours, sent again, is written again
(seen with the official agent's code in 6 of 10 raw uploads through such a reset; never with one message in flight). We
can neither see nor avoid that. ssh notices: its server ends the connection at once over a packet that makes no sense,
and the client says at best "Packet corrupt". A raw stream is corrupted in silence.

What can be seen is when it may have happened: our connection was lost as well, or the service had us pause because
the agent was away, and messages were in flight. A session that ends shortly behind that is told with the likely cause.
"""

SUSPICIOUS_SECONDS = 15.0
"""The longest time-out of a message is 8 s (`ssmssh.protocol.roundtrip`); then ssh ends at once, and the service is a
moment in telling it."""


class Doubling:
    """What is known of one session; `now` is monotonic."""

    def __init__(self) -> None:
        self._suspicious_until = 0.0

    def interrupted(self, now: float, unacknowledged_messages: int) -> None:
        """The connection was lost or resumed, a pause began or ended, while so much of ours was in flight."""
        if unacknowledged_messages:
            self._suspicious_until = now + SUSPICIOUS_SECONDS

    def explains(self, now: float) -> bool:
        """Whether a session that ends now may have ended because of it."""
        return now < self._suspicious_until
