"""Two ends of a split stream, and what may happen to the members between them; its clock is virtual."""

import random
from collections import deque

from ssmssh.bundle.splitting import BrokenMemberError, SplitStream

TICK_SECONDS = 0.01
PIPE_BYTES = 64 * 1024
"""What is on its way in one direction of a member: as a system's buffers."""


class Pipe:
    """One direction of a member."""

    def __init__(self, delay_seconds: float, bytes_per_tick: int) -> None:
        self.delay_seconds = delay_seconds
        self.bytes_per_tick = bytes_per_tick
        self.is_stalled = False
        self.room = PIPE_BYTES
        self.under_way: deque[tuple[float, bytes]] = deque()

    def put(self, data: bytes, now: float) -> None:
        if data:
            self.under_way.append((now + self.delay_seconds, data))
            self.room -= len(data)

    def arrived(self, now: float) -> bytes:
        if self.is_stalled:
            return b""
        parts: list[bytes] = []
        left = self.bytes_per_tick
        while left > 0 and self.under_way and self.under_way[0][0] <= now:
            at, data = self.under_way.popleft()
            parts.append(data[:left])
            if len(data) > left:
                self.under_way.appendleft((at, data[left:]))
            left -= len(parts[-1])
            self.room += len(parts[-1])
        return b"".join(parts)


class Network:
    """Ends 0 and 1, the members between them, and what each end has read."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.ends = [SplitStream(), SplitStream()]
        self.pipes: dict[int, tuple[Pipe, Pipe]] = {}
        self.now = 1000.0
        self.unwritten = [b"", b""]
        self.is_ending = False
        """Whether each end ends what it writes behind that."""
        self.received = [bytearray(), bytearray()]
        self.reads = [1 << 20, 1 << 20]
        """How much each end reads in a tick."""
        self.broken = 0
        self.most_held = 0
        self._members = 0
        self._ghosts: list[tuple[float, int, int]] = []
        """Members that have died and one end still uses: until when, the end, the member."""

    def join(self, delay_seconds: float = 0.02, bytes_per_tick: int = 7000) -> int:
        self._members += 1
        self.pipes[self._members] = Pipe(delay_seconds, bytes_per_tick), Pipe(delay_seconds, bytes_per_tick)
        for end in self.ends:
            end.join(self._members)
        return self._members

    def die(self, member: int) -> None:
        """What was on its way is lost; one end hears of it at once, the other perhaps later."""
        del self.pipes[member]
        first = self.chance.randrange(2)
        self.ends[first].leave(member)
        self._ghosts.append((self.now + self.chance.choice((0.0, 0.5, 3.0)), 1 - first, member))

    def spoil(self, member: int, way: int, how: str) -> None:
        """Something of what is on its way there is written twice, is lost, or is another."""
        under_way = self.pipes[member][way].under_way
        if not under_way:
            return
        place = self.chance.randrange(len(under_way))
        at, data = under_way[place]
        cut = self.chance.randrange(len(data) + 1)
        piece = data[cut : cut + 1024]
        other = {"twice": piece + piece, "lost": b"", "other": bytes(byte ^ 0x40 for byte in piece)}[how]
        under_way[place] = at, data[:cut] + other + data[cut + 1024 :]

    def step(self) -> None:
        """A tick: each end writes, sends, receives, looks at its clock, reads."""
        self.now += TICK_SECONDS
        for ghost in list(self._ghosts):
            until, number, member = ghost
            self.ends[number].take(member, 1 << 20, self.now)
            if self.now >= until:
                self.ends[number].leave(member)
                self._ghosts.remove(ghost)
        for number, end in enumerate(self.ends):
            if self.unwritten[number] and (room := end.room):
                end.write(self.unwritten[number][:room])
                self.unwritten[number] = self.unwritten[number][room:]
            if self.is_ending and not self.unwritten[number]:
                end.end()
            for member, ways in list(self.pipes.items()):
                way = ways[number]
                while way.room > 0 and end.wants(member, self.now):
                    data = end.take(member, min(way.room, self.chance.choice((900, 20_000, 1 << 20))), self.now)
                    taken = self.chance.randint(len(data) // 2, len(data))
                    end.give_back(member, data[taken:])
                    way.put(data[:taken], self.now)
                    if not taken:
                        break
            for member, ways in list(self.pipes.items()):
                if not ways[1 - number].under_way:
                    continue
                try:
                    end.receive(member, ways[1 - number].arrived(self.now), self.now)
                except BrokenMemberError:
                    self.broken += 1
                    self.die(member)
            end.handle_timeout(self.now)
            self.received[number] += end.read(self.reads[number])
            self.most_held = max(self.most_held, end.held_bytes)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_SECONDS)):
            self.step()

    def run_until_done(self, seconds: float) -> None:
        """Until all has come both ways, or that much time has gone."""
        until = self.now + seconds
        while self.now < until and not self.is_done:
            self.step()

    @property
    def is_done(self) -> bool:
        is_over = all(end.end_has_come and end.is_flushed and not end.is_readable for end in self.ends)
        return is_over and not any(self.unwritten)
