"""What a data channel may hold, and how much it carries in one message."""

import math
from typing import Final, NamedTuple

DEFAULT_PAYLOAD_BYTES: Final = 1024
"""What both official programs send, so what the service is known to carry."""

LEAST_MESSAGES: Final = 4
"""What the window never falls below: enough for the acknowledgement of one to come while others are on their way."""


class Limits(NamedTuple):
    """The bounds of a channel's buffers.

    Attributes:
        initial_window_bytes: A second on a path of 30 KB/s, where more would be taken for the path's own round trip;
            RFC 6928 begins with half of it.
        max_window_bytes: 20 MB/s over 200 ms, so that the window of an ssh channel (2 MiB in OpenSSH) is the narrower
            one. All of it may have to be resent after a lost connection.
        max_rate: Bytes per second that are sent at most, envelopes included.
        early_messages: As many as the official client keeps.
        early_bytes: Room for these at the usual size, with some to spare.
    """

    initial_window_bytes: int = 32 * 1024
    max_window_bytes: int = 4 * 1024 * 1024
    max_rate: float = math.inf
    early_messages: int = 10_000
    early_bytes: int = 16 * 1024 * 1024


DEFAULT_LIMITS: Final = Limits()
