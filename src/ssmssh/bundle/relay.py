"""The far end of bundles: a program that is sent to the instance, and joins what comes over several sessions.

It listens on 127.0.0.1, on a port of the system's choice. A connection that proves within `PROOF_SECONDS` that it knows
the secret is a member of the stream that it names, and hears the proof that the relay knows it, too: who else listens
on that port, or connects to it, gets nowhere. Each stream has one connection to the one port that the relay was started
for. A stream that has lost all of its members waits `ORPHAN_SECONDS` for another one.

It writes no file, and ends `IDLE_SECONDS` after its last member, at any signal, and when a member says so.

For Python 3.6 and later, standard library alone: `ssmssh.bundle.packing` makes one program of this file and of
`ssmssh.bundle.splitting`.
"""

import hmac
import os
import select
import socket
import struct
import sys
import time
from typing import Dict, List, Optional, Union

from ssmssh.bundle.splitting import LEAVE, BrokenMemberError, SplitStream, encode

MAX_STREAMS, MAX_MEMBERS, MAX_STRANGERS = 8, 16, 16
"""Streams; members of each; connections that have proved nothing yet, of which the oldest makes room for the next."""

PROOF_SECONDS, ORPHAN_SECONDS, IDLE_SECONDS, CONNECT_SECONDS = 5.0, 30.0, 300.0, 3.0

SEND_BUFFER_BYTES = 16 * 1024
"""Of the system, for each member: what waits there waits for this member, however slow it is."""

PIECE_BYTES = 64 * 1024
"""Of one reading, or writing."""

MAGIC = b"ssmssh relay 1\r\n"
"""The relay's first word, before its nonce."""

HELLO = struct.Struct("!?16s16s32s")
"""A member's answer: whether its stream is to be made, the stream's name, a nonce, the proof."""


def proof(secret: bytes, who: bytes, greeting: bytes, name: bytes, nonce: bytes) -> bytes:
    """What only somebody who knows the secret can say, about these words of both sides, as `who`."""
    return hmac.new(secret, who + greeting + name + nonce, "sha256").digest()


class Connection:
    """Somebody who has connected: a stranger, who has until `proves_by`, then a member of `stream`."""

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.greeting = MAGIC + os.urandom(16)
        self.proves_by = now + PROOF_SECONDS
        self.input = b""
        self.stream: Optional[Stream] = None
        self.is_broken = False

    def fileno(self) -> int:
        return self.sock.fileno()


class Stream:
    """One that is split over members here, and whole at the port."""

    def __init__(self, target: socket.socket, now: float) -> None:
        self.split = SplitStream()
        self.target = target
        self.is_written = False
        """Whether the port takes no more: it was told the end, or is gone."""
        self.orphan_since = now

    def fileno(self) -> int:
        return self.target.fileno()

    def read_target(self) -> None:
        """Bytes of the port."""
        try:
            data = self.target.recv(self.split.room)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.split.write(data)
        else:
            self.split.end()

    def write_target(self) -> None:
        """Bytes for the port."""
        data, sent = self.split.read(PIECE_BYTES), 0
        try:
            if not self.is_written:
                sent = self.target.send(data) if data else 0
                self.split.unread(data[sent:])
                if self.split.end_has_come and not self.split.is_readable:
                    self.is_written = True
                    self.target.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self.split.unread(data)
        except OSError:
            self.is_written = True


class Relay:
    """Its loop, for one `port` of this machine."""

    def __init__(self, listener: socket.socket, secret: bytes, port: int) -> None:
        self._listener = listener
        self._secret = secret
        self._port = port
        self._connections: Dict[int, Connection] = {}
        self._streams: Dict[bytes, Stream] = {}
        self._count = 0
        self._idle_since = time.monotonic()
        self.is_over = False

    def turn(self) -> None:
        """Wait until there is something to do, and do it."""
        now = time.monotonic()
        reads: List[Union[socket.socket, Connection, Stream]] = [self._listener]
        writes: List[Union[Connection, Stream]] = []
        due = now + 1.0
        for key, connection in self._connections.items():
            reads.append(connection)
            if connection.stream is not None and connection.stream.split.wants(key, now):
                writes.append(connection)
        for stream in self._streams.values():
            if stream.split.room:
                reads.append(stream)
            if stream.split.is_readable or (stream.split.end_has_come and not stream.is_written):
                writes.append(stream)
            due = min(due, stream.split.next_deadline() or due)
        can_read, can_write, _ = select.select(reads, writes, [], max(0.0, due - now))
        now = time.monotonic()
        if self._listener in can_read:
            self._accept(now)
        for stream in self._streams.values():
            if stream in can_read:
                stream.read_target()
            if stream in can_write:
                stream.write_target()
            stream.split.handle_timeout(now)
        for key, connection in list(self._connections.items()):
            self._serve(key, connection, connection in can_read, connection in can_write, now)
        self._look_for_ends(now)

    def _accept(self, now: float) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        strangers = [key for key, each in self._connections.items() if each.stream is None]
        if len(strangers) >= MAX_STRANGERS:
            self._drop(strangers[0], now)
        self._count += 1
        self._connections[self._count] = connection = Connection(sock, now)
        self._send(self._count, connection.greeting, now)

    def _serve(self, key: int, connection: Connection, can_read: bool, can_write: bool, now: float) -> None:
        stream = connection.stream
        try:
            if can_read:
                data = connection.sock.recv(PIECE_BYTES)
                if not data:
                    raise OSError
                if stream is not None:
                    stream.split.receive(key, data, now)
                elif not connection.is_broken:
                    self._hear(key, connection, connection.input + data, now)
            elif stream is None and now >= connection.proves_by:
                raise OSError
            if can_write and stream is not None:
                data = stream.split.take(key, PIECE_BYTES, now)
                stream.split.give_back(key, data[connection.sock.send(data) :])
        except BlockingIOError:
            pass
        except BrokenMemberError:
            self._part(key, connection, now)
        except OSError:
            self._drop(key, now)

    def _hear(self, key: int, connection: Connection, data: bytes, now: float) -> None:
        """Words of a stranger; raises OSError for false ones."""
        connection.input = data
        if len(data) < HELLO.size:
            return
        is_new, name, nonce, answer = HELLO.unpack(data[: HELLO.size])
        words = connection.greeting, name, nonce
        if not hmac.compare_digest(answer, proof(self._secret, b"member%d" % is_new, *words)):
            raise OSError
        stream = self._streams.get(name)
        if (stream is None) != is_new or (is_new and len(self._streams) >= MAX_STREAMS):
            raise OSError
        if stream is None:
            stream = self._streams[name] = Stream(self._connect(), now)
        if len(stream.split.members) >= MAX_MEMBERS:
            raise OSError
        connection.stream = stream
        stream.split.join(key)
        stream.split.give_back(key, proof(self._secret, b"relay", *words))
        stream.split.receive(key, data[HELLO.size :], now)

    def _part(self, key: int, connection: Connection, now: float) -> None:
        """Tell a member to leave, which it does; what it still says is not read for sense."""
        if connection.stream is not None:
            connection.stream.split.leave(key)
            connection.stream.orphan_since = now
        connection.stream, connection.is_broken = None, True
        connection.proves_by = now + PROOF_SECONDS
        self._send(key, encode(LEAVE), now)

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(("localhost", self._port), CONNECT_SECONDS)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _send(self, key: int, data: bytes, now: float) -> None:
        try:
            self._connections[key].sock.send(data)
        except OSError:
            self._drop(key, now)

    def _drop(self, key: int, now: float) -> None:
        connection = self._connections.pop(key)
        connection.sock.close()
        if connection.stream is not None:
            connection.stream.split.leave(key)
            connection.stream.orphan_since = self._idle_since = now

    def _look_for_ends(self, now: float) -> None:
        for name, stream in list(self._streams.items()):
            split = stream.split
            if split.members:
                self._idle_since = now
            is_done = split.closed_with is not None or (stream.is_written and split.end_was_sent and split.is_flushed)
            if is_done or (not split.members and now >= stream.orphan_since + ORPHAN_SECONDS):
                for key in list(split.members):
                    self._drop(key, now)
                stream.target.close()
                del self._streams[name]
            self.is_over = self.is_over or split.is_stop_asked
        self.is_over = self.is_over or now >= self._idle_since + IDLE_SECONDS


def serve(port: int) -> None:
    """Say on standard output where the relay for that port is and what its secret is, and be it, in the background."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(MAX_MEMBERS)
    listener.setblocking(False)
    secret = os.urandom(32)
    words = "ssmssh-relay %d %s\n" % (listener.getsockname()[1], secret.hex())
    sys.stdout.write(words)
    sys.stdout.flush()  # raises where nobody waits any more, and then there is no relay
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    relay = Relay(listener, secret, port)
    while not relay.is_over:
        relay.turn()
