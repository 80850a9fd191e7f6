"""One stream of bytes each way, split over several connections that may stall and break; knows no socket and no clock.

Both ends are alike. What is written is cut into frames, and a frame goes to whichever member takes it. A frame carries
the place of its first byte in the stream, its length and its checksums, so the other end puts it in order, drops what
comes twice, and notices when the bytes of a member do not add up: an SSM Agent may write a message to its port twice.
Then that member is left alone, and what it carried is sent again over the others.

An acknowledgement says up to where the stream is complete, how far the other end may go, and how many frames have come
over the very member that it is sent over. So frames of a member that is alive are not sent again for one that is not;
what a member has not confirmed for a second is, once, and until it confirms something it gets nothing new. The end of a
direction is a frame, too.

Bounds: the far end never sends further than `WINDOW_BYTES` behind what was read, in at most `MAX_FRAMES` frames; so an
end holds at most that much that it has received and that much that it has sent, and `ROOM_BYTES` that it has not.

For Python 3.6 and later, standard library alone: with `ssmssh.bundle.relay` it is sent to instances.
"""

import heapq
import struct
import zlib
from collections import deque
from typing import Deque, Dict, List, Optional, Tuple

WINDOW_BYTES = 2 * 1024 * 1024 - 64 * 1024
"""Of one direction, between the first byte not read yet and the last one sent: 16 members at 0.7 MB/s for 170 ms."""

ROOM_BYTES = 64 * 1024
"""Of what was written and no member has taken yet."""

MAX_FRAMES = 4096
"""Under way, and early: a stream of single bytes must not cost a hundred times its size."""

FRAME_BYTES = 8 * 1024
"""At most, with its head: eight messages of an agent, 12 ms of a member's pace."""

ACK_BYTES = 32 * 1024
ACK_SECONDS = 0.1
"""After so much, or so long, what has come over a member is confirmed over it; or when something goes there anyway. So
much is for several members: of one alone as much may be under way as is asked for, and to ask for more confirms it."""

STALLED_SECONDS = 1.0
"""A frame that is not confirmed for so long is sent over another member."""

SMALL_FLIGHT_BYTES, FLIGHT_BYTES, LARGE_FLIGHT_BYTES = FRAME_BYTES, 64 * 1024, 512 * 1024
"""What may be under way over one member of several: at the least, at first, at the most. It grows while frames take
less than half of `STALLED_SECONDS` longer than the quickest, and is halved when one takes too long."""

DATA, END, ACK, CLOSE, STOP, LEAVE = range(1, 7)
"""Kinds of frames: bytes; no more bytes; an acknowledgement; this end is gone; the relay is to end; this member's bytes
did not add up."""

HEAD = struct.Struct("!BHQII")
"""Kind, length, number, checksum of the payload, checksum of the head before it."""

ACKNOWLEDGED = struct.Struct("!QQ")
"""How far the other end may go, and how many frames have come over this member; the number is where the gap begins."""

PAYLOAD_BYTES = FRAME_BYTES - HEAD.size


class BrokenMemberError(Exception):
    """The bytes of a member do not add up; it has to leave."""


class Frame:
    """One that is numbered, as long as it is not known to have come."""

    __slots__ = ("kind", "number", "payload", "end", "over", "sent_at", "is_waiting", "has_come")

    def __init__(self, kind: int, number: int, payload: bytes) -> None:
        self.kind = kind
        self.number = number
        self.payload = payload
        self.end = number + len(payload) + (kind == END)
        self.over: Optional[Member] = None
        self.sent_at = 0.0
        self.is_waiting = False
        self.has_come = False

    def __lt__(self, other: "Frame") -> bool:
        return self.number < other.number


class Member:
    """A connection that carries frames.

    One class, because all of it is forgotten at once when the member leaves.
    """

    def __init__(self) -> None:
        self.input = bytearray()
        self.rest = b""
        self.flight: Deque[Tuple[Frame, float, int]] = deque()
        self.flight_bytes = 0
        self.flight_limit = FLIGHT_BYTES
        self.quickest_seconds = STALLED_SECONDS
        self.is_stalled = False
        self.confirmed = 0
        self.came = 0
        self.data_bytes = 0
        """Of payload, in both directions: what tells whether it is of use."""
        self.told_limit = WINDOW_BYTES
        self.untold_bytes = 0
        self.untold_since: Optional[float] = None
        self.last_words: List[bytes] = []


def encode(kind: int, number: int = 0, payload: bytes = b"") -> bytes:
    """A frame as it is sent."""
    head = HEAD.pack(kind, len(payload), number, zlib.crc32(payload), 0)[:-4]
    return head + struct.pack("!I", zlib.crc32(head)) + payload


class SplitStream:
    """One end. Members are known by a number of the caller's, `now` is monotonic seconds.

    One class, because every part of it decides with the others: what a member may take depends on what is missing.
    After any call ask `wants` of each member, `next_deadline`, and what can be read.
    """

    def __init__(self) -> None:
        self.members: Dict[int, Member] = {}
        self._now = 0.0
        self._unsent = bytearray()
        self._is_ending = False
        self._next_number = 0
        self._limit = WINDOW_BYTES
        self._unacknowledged: Deque[Frame] = deque()
        self._again: List[Frame] = []
        self.end_was_sent = False
        self._read = 0
        self._expected = 0
        self._ready: Deque[bytes] = deque()
        self._early: Dict[int, Tuple[int, bytes]] = {}
        self._early_bytes = 0
        self.end_has_come = False
        """Whether the last byte of the other end can be read, or was."""
        self.closed_with: Optional[str] = None
        """Why the other end is gone, if it has said so."""
        self.is_stop_asked = False

    # -- members ----------------------------------------------------------------------------------------

    def join(self, key: int) -> None:
        """There is another member: use it."""
        self.members[key] = Member()

    def leave(self, key: int) -> None:
        """That member is gone; what it has not confirmed is sent over the others."""
        member = self.members.pop(key, None)
        if member is not None:
            self._send_again(member)

    def receive(self, key: int, data: bytes, now: float) -> None:
        """Take what has come over a member; raises BrokenMemberError for what cannot be, and then it has to leave."""
        member, self._now = self.members[key], now
        member.input += data
        start, end = 0, len(member.input)
        try:
            with memoryview(member.input) as view:
                while end - start >= HEAD.size:
                    kind, length, number, checksum, head_checksum = HEAD.unpack_from(view, start)
                    if zlib.crc32(view[start : start + HEAD.size - 4]) != head_checksum or length > PAYLOAD_BYTES:
                        raise BrokenMemberError("not a frame")
                    if end - start < HEAD.size + length:
                        break
                    payload = bytes(view[start + HEAD.size : start + HEAD.size + length])
                    start += HEAD.size + length
                    if zlib.crc32(payload) != checksum:
                        raise BrokenMemberError("a frame with a wrong checksum")
                    self._take_in(member, kind, number, payload)
        finally:
            del member.input[:start]

    def wants(self, key: int, now: float) -> bool:
        """Whether there is something for that member to carry."""
        member, self._now = self.members[key], now
        return bool(member.rest or member.last_words) or self._is_ack_due(member) or self._has_frame_for(member)

    def take(self, key: int, limit_bytes: int, now: float) -> bytes:
        """What that member is to carry now."""
        member, self._now = self.members[key], now
        parts, size = [member.rest], len(member.rest)
        is_ack_due = self._is_ack_due(member)
        while size < limit_bytes and self._has_frame_for(member):
            frame = self._frame_for(member)
            parts.append(encode(frame.kind, frame.number, frame.payload))
            size += len(parts[-1])
        if is_ack_due or (member.untold_since is not None and len(parts) > 1):
            parts.insert(1, self._acknowledgement(member))
        parts += member.last_words
        del member.last_words[:]
        data = b"".join(parts)
        member.rest = data[limit_bytes:]
        return data[:limit_bytes]

    def give_back(self, key: int, data: bytes) -> None:
        """That member did not carry the last `data` that it has taken; it comes first the next time."""
        self.members[key].rest = data + self.members[key].rest

    def next_deadline(self) -> Optional[float]:
        """When to call `handle_timeout`, or to ask `wants`; None if time alone changes nothing."""
        members = self.members.values()
        times = [each.untold_since + ACK_SECONDS for each in members if each.untold_since is not None]
        if len(members) > 1:
            times += [each.flight[0][1] + STALLED_SECONDS for each in members if each.flight]
        return min((time for time in times if time > self._now), default=None)

    def handle_timeout(self, now: float) -> None:
        """Have sent again what members have not confirmed in time, if there is one that is not late."""
        self._now = now
        late = [each for each in self.members.values() if each.flight and each.flight[0][1] + STALLED_SECONDS <= now]
        if len(late) == len(self.members):
            return
        for member in late:
            if not member.is_stalled:
                member.is_stalled = True
                member.flight_limit = max(SMALL_FLIGHT_BYTES, member.flight_limit // 2)
            self._send_again(member)

    # -- the stream -------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many bytes `write` takes."""
        return 0 if self._is_ending else max(0, ROOM_BYTES - len(self._unsent))

    def write(self, data: bytes) -> None:
        """Have `data` sent."""
        self._unsent += data

    def end(self) -> None:
        """Nothing more will be written."""
        self._is_ending = True

    @property
    def is_flushed(self) -> bool:
        """Whether all that was written is known to have come, the end too."""
        return not (self._unacknowledged or self._unsent) and self.end_was_sent == self._is_ending

    @property
    def acknowledged_bytes(self) -> int:
        """Up to where the other end has all that was written."""
        return self._unacknowledged[0].number if self._unacknowledged else self._next_number

    @property
    def held_bytes(self) -> int:
        """Of the stream, here: what was written and has not come, what has come and was not read."""
        received = sum(map(len, self._ready)) + sum(len(payload) for _, payload in self._early.values())
        return len(self._unsent) + sum(len(frame.payload) for frame in self._unacknowledged) + received

    @property
    def is_readable(self) -> bool:
        """Whether there is something to `read`."""
        return bool(self._ready)

    def read(self, limit_bytes: int) -> bytes:
        """The next bytes of the other end, at most so many."""
        parts, size = [], 0
        while self._ready and size < limit_bytes:
            part = self._ready.popleft()
            if len(part) > limit_bytes - size:
                self._ready.appendleft(part[limit_bytes - size :])
                part = part[: limit_bytes - size]
            parts.append(part)
            size += len(part)
        self._read += size
        return b"".join(parts)

    def unread(self, data: bytes) -> None:
        """The last `data` that was read was not taken."""
        if data:
            self._ready.appendleft(data)
            self._read -= len(data)

    def say(self, kind: int, text: str = "") -> None:
        """Have a CLOSE or a STOP sent over every member, behind what it has taken."""
        for member in self.members.values():
            member.last_words.append(encode(kind, 0, text.encode()[:PAYLOAD_BYTES]))

    # -- what goes --------------------------------------------------------------------------------------

    def _has_frame_for(self, member: Member) -> bool:
        is_taxed = member.is_stalled or member.flight_bytes >= member.flight_limit
        if is_taxed and member.flight and len(self.members) > 1:
            return False
        while self._again and self._again[0].has_come:
            heapq.heappop(self._again)
        if self._again:
            return True
        if self._unsent:
            return self._next_number < self._limit and len(self._unacknowledged) < MAX_FRAMES
        return self._is_ending and not self.end_was_sent

    def _frame_for(self, member: Member) -> Frame:
        if self._again:
            frame: Frame = heapq.heappop(self._again)
        elif self._unsent:
            size = min(PAYLOAD_BYTES, len(self._unsent), self._limit - self._next_number)
            with memoryview(self._unsent) as view:
                frame = Frame(DATA, self._next_number, bytes(view[:size]))
            del self._unsent[:size]
            self._next_number += size
            self._unacknowledged.append(frame)
        else:
            frame = Frame(END, self._next_number, b"")
            self.end_was_sent = True
            self._unacknowledged.append(frame)
        frame.over, frame.sent_at, frame.is_waiting = member, self._now, False
        size = HEAD.size + len(frame.payload)
        member.flight.append((frame, self._now, size))
        member.flight_bytes += size
        member.data_bytes += len(frame.payload)
        return frame

    def _send_again(self, member: Member) -> None:
        """Have sent over another member what was last sent over this one."""
        for frame, _, _ in member.flight:
            if frame.over is member and not (frame.has_come or frame.is_waiting):
                frame.is_waiting, frame.over = True, None
                heapq.heappush(self._again, frame)

    # -- what comes -------------------------------------------------------------------------------------

    def _take_in(self, member: Member, kind: int, number: int, payload: bytes) -> None:
        if kind in (DATA, END):
            self._take_numbered(member, kind, number, payload)
        elif kind == ACK and len(payload) == ACKNOWLEDGED.size:
            self._take_acknowledgement(member, number, *ACKNOWLEDGED.unpack(payload))
        elif kind == CLOSE:
            self.closed_with = payload.decode("utf-8", "replace")
        elif kind == STOP:
            self.is_stop_asked = True
        elif kind == LEAVE:
            raise BrokenMemberError("its bytes did not add up there")
        else:
            raise BrokenMemberError("a frame of no known kind")

    def _take_numbered(self, member: Member, kind: int, number: int, payload: bytes) -> None:
        if bool(payload) != (kind == DATA) or number + len(payload) > self._read + WINDOW_BYTES:
            raise BrokenMemberError("a frame that was not asked for")
        member.came += 1
        member.data_bytes += len(payload)
        member.untold_bytes += HEAD.size + len(payload)
        if member.untold_since is None:
            member.untold_since = self._now
        if number < self._expected or number in self._early or self.end_has_come:
            return
        self._early[number] = kind, payload
        self._early_bytes += len(payload)
        if len(self._early) > MAX_FRAMES or self._early_bytes > WINDOW_BYTES:
            raise BrokenMemberError("more frames than were asked for")
        while self._expected in self._early:
            kind, payload = self._early.pop(self._expected)
            self._expected += len(payload)
            self._early_bytes -= len(payload)
            if kind == END:
                self.end_has_come = True
                self._early.clear()
                break
            self._ready.append(payload)

    def _take_acknowledgement(self, member: Member, number: int, limit: int, came: int) -> None:
        if not member.confirmed <= came <= member.confirmed + len(member.flight) or number > self._next_number + 1:
            raise BrokenMemberError("an acknowledgement of what was not sent")
        self._limit = max(self._limit, limit)
        for _ in range(came - member.confirmed):
            frame, sent_at, size = member.flight.popleft()
            member.flight_bytes -= size
            member.quickest_seconds = min(member.quickest_seconds, self._now - sent_at)
            if self._now - sent_at < member.quickest_seconds + STALLED_SECONDS / 2:
                member.flight_limit = min(LARGE_FLIGHT_BYTES, member.flight_limit + FRAME_BYTES)
            frame.has_come, frame.payload = True, b""
            member.is_stalled = False
        member.confirmed = came
        while self._unacknowledged and self._unacknowledged[0].end <= number:
            frame = self._unacknowledged.popleft()
            frame.has_come, frame.payload = True, b""

    def _is_ack_due(self, member: Member) -> bool:
        if self._read + WINDOW_BYTES - member.told_limit >= WINDOW_BYTES // 8:
            return True
        if member.untold_since is None:
            return False
        if self.end_has_come or self._now >= member.untold_since + ACK_SECONDS:
            return True
        return len(self.members) > 1 and member.untold_bytes >= ACK_BYTES

    def _acknowledgement(self, member: Member) -> bytes:
        member.told_limit = self._read + WINDOW_BYTES
        member.untold_bytes, member.untold_since = 0, None
        payload = ACKNOWLEDGED.pack(member.told_limit, member.came)
        return encode(ACK, self._expected + self.end_has_come, payload)
