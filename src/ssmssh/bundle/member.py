"""A session as a member of a bundle: what it carries is frames, between the near end and a relay.

It begins with proofs, each way, that the secret is known (`ssmssh.bundle.relay`): an agent dials `localhost`, and who
listens there by now nobody knows. What does not add up ends the member, never the bundle.
"""

import hmac
import math
import os
import selectors
import time
from collections.abc import Callable, Collection, Sequence

from ssmssh.bundle.relay import HELLO, MAGIC, proof
from ssmssh.bundle.splitting import BrokenMemberError, SplitStream
from ssmssh.protocol.events import DataReceived, FlagReceived, HandshakeCompleted
from ssmssh.protocol.expectation import ONE_CONNECTION
from ssmssh.session.keying import KeySource
from ssmssh.session.loop import Turning
from ssmssh.session.sides import Controls, EndPolicy

GREETING_BYTES = len(MAGIC) + 16
PROOF_BYTES = 32

PROVED_SECONDS = 4.0
"""From the handshake of the session to the relay's proof: two round trips. The relay itself gives `PROOF_SECONDS`."""


class NearEnd:
    """This end of the stream, its members' to share.

    Args:
        fill: Called whenever a member looks for something to carry: what there is of it goes into the stream, so that
            one turn carries as much as the member takes, and not only what the stream holds.
    """

    def __init__(self, fill: Callable[[], None]) -> None:
        self.split = SplitStream()
        self.fill = fill
        self.changes = 0
        """Counted, so that a member that was asked in vain is not asked again before something is another."""
        self.due = math.inf
        """When somebody wants a turn, besides what the stream wants."""


class MemberSide:
    """The side of one member.

    One class, because it is a side, and all else that it has are the words of one proof.

    Args:
        key: The member's, in `near`.
        near: What it is a member of.
        secret: The relay's.
        name: The stream's, at the relay.
        is_first: Whether the relay is to make the stream.
    """

    expectation = ONE_CONNECTION
    key_source: KeySource | None = None
    """A port's session is never encrypted by itself."""
    end_policy = EndPolicy.FLAG
    owes_input = True
    is_full = False
    """What comes was asked for: never more than the stream's window."""
    is_at_end = False

    def __init__(self, key: int, near: NearEnd, secret: bytes, name: bytes, *, is_first: bool) -> None:
        self.key = key
        self._near = near
        self._secret = secret
        self._name = name
        self._is_first = is_first
        self._words = b""
        self._unsent = b""
        self._expected = b""
        self._proves_by = math.inf
        self._asked_at = -1
        self.is_proved = False
        """Whether the relay is the one that knows the secret: it is a member from then on."""
        self.is_leaving = False
        """Whether it carries nothing any more, and its session is to end."""
        self.complaint = ""
        """Why it had to leave, if it had to."""

    def leave(self, complaint: str = "") -> None:
        """Carry nothing any more."""
        if not self.is_leaving:
            self.is_leaving, self.complaint = True, complaint
            self._unsent = b""

    def is_asked_in_vain(self, now: float) -> bool:
        """Whether it has nothing to carry, or cannot, as far as is known."""
        split = self._near.split
        is_wanted = self.is_proved and self.key in split.members and split.wants(self.key, now)
        return not is_wanted or self._asked_at == self._near.changes

    # -- a side's ---------------------------------------------------------------------------------------

    def watch(self, selector: selectors.BaseSelector, owner: Turning) -> None:
        """Nothing: others wake the loop."""

    def unwatch(self) -> None:
        """Nothing, again."""

    def next_deadline(self, now: float) -> float:  # noqa: ARG002 - a side's, and not needed
        """When the stream wants to look, or the relay has to have proved itself."""
        split_due = self._near.split.next_deadline()
        due = min(self._near.due, math.inf if split_due is None else split_due)
        return due if self.is_proved or self.is_leaving else min(due, self._proves_by)

    def look(self, ready: Collection[object], now: float) -> None:  # noqa: ARG002 - a side's, and not needed
        """Have the stream look at the clock."""
        if not self.is_proved and now >= self._proves_by:
            self.leave("the relay does not answer")
        split_due = self._near.split.next_deadline()
        self._near.split.handle_timeout(now)
        if split_due is not None and now >= split_due:
            self._near.changes += 1

    def opened(self, handshake: HandshakeCompleted) -> None:  # noqa: ARG002 - a side's, and not needed
        """The agent connects to the relay."""
        self._proves_by = time.monotonic() + PROVED_SECONDS

    def received(self, events: Sequence[DataReceived | FlagReceived]) -> None:
        """Frames, and first of all the relay's proof."""
        data = b"".join([event.payload for event in events if isinstance(event, DataReceived)])
        if self.is_leaving or not data:
            return
        frames = data if self.is_proved else self._prove(data)
        if self.key in self._near.split.members:
            self._near.changes += 1
            try:
                self._near.split.receive(self.key, frames, time.monotonic())
            except BrokenMemberError as error:
                self.leave(str(error))

    @property
    def queued_bytes(self) -> int:
        """Whether there is something to carry; how much is known once it is taken."""
        if self.is_leaving and not self._has_last_words:
            return 0
        if self._unsent or not self.is_proved or self.key not in self._near.split.members:
            return len(self._unsent)
        self._near.fill()
        self._asked_at = self._near.changes
        return int(self._near.split.wants(self.key, time.monotonic()))

    def take(self, limit_bytes: int) -> memoryview:
        """Frames."""
        if self._unsent:
            data, self._unsent = self._unsent[:limit_bytes], self._unsent[limit_bytes:]
            return memoryview(data)
        return memoryview(self._near.split.take(self.key, limit_bytes, time.monotonic()))

    def control(self, controls: Controls, now: float) -> None:
        """Nothing: a port has neither size nor flags of ours."""

    def has_more(self) -> bool:
        """Whether a word of the end is left."""
        return bool(self.queued_bytes)

    def is_gone(self) -> bool:
        """Whether its session is to end."""
        return self.is_leaving

    def discard(self) -> None:
        """Carry nothing any more."""
        self.leave()

    def finish(self) -> None:
        """Nothing is left: what has come is the stream's."""

    # -- proofs -----------------------------------------------------------------------------------------

    @property
    def _has_last_words(self) -> bool:
        member = self._near.split.members.get(self.key)
        return member is not None and bool(member.rest or member.last_words)

    def _prove(self, data: bytes) -> bytes:
        """Hear the greeting and the proof; what is behind them."""
        self._words += data
        if not self._expected and len(self._words) >= GREETING_BYTES:
            greeting, self._words = self._words[:GREETING_BYTES], self._words[GREETING_BYTES:]
            if not greeting.startswith(MAGIC):
                self.leave("what listens there is no relay")
                return b""
            nonce = os.urandom(16)
            words = greeting, self._name, nonce
            answer = proof(self._secret, b"member%d" % self._is_first, *words)
            self._unsent = HELLO.pack(self._is_first, self._name, nonce, answer)
            self._expected = proof(self._secret, b"relay", *words)
        if not self._expected or len(self._words) < PROOF_BYTES:
            return b""
        answer, rest = self._words[:PROOF_BYTES], self._words[PROOF_BYTES:]
        if not hmac.compare_digest(answer, self._expected):
            self.leave("what listens there does not know the secret")
            return b""
        self.is_proved = True
        self._near.split.join(self.key)
        self._near.changes += 1
        return rest
