"""A shell, or an interactive command, in a terminal: the agent's plugins that have one (agent: shell_unix.go).

The terminal is there as soon as the session begins; the first read comes a second later, then a kilobyte each
millisecond or so. Output is text (`textfilter`), and in the log of the session. Input goes to the terminal as it comes;
a terminal that takes no more holds up everything. The session ends with the process. An agent on Windows makes carriage
returns of line feeds on their way in; what is behind the terminal here is a shell of this computer all the same.
"""

import asyncio
import contextlib
import fcntl
import os
import struct
import subprocess
import termios

from ssmssh.protocol.message import ControlFlag, MessageError, PayloadType
from ssmssh.protocol.payloads import parse_size
from ssmssh.sandbox import processes, remoteprocess
from ssmssh.sandbox.agentparser import read_flag
from ssmssh.sandbox.character import Character
from ssmssh.sandbox.farside import Channel
from ssmssh.sandbox.outlet import AgentEnd
from ssmssh.sandbox.reading import PACE_SECONDS, PAYLOAD_BYTES
from ssmssh.sandbox.sessionlog import SessionLog
from ssmssh.sandbox.textfilter import TextFilter

FIRST_READ_SECONDS = 1.0
_UINT16 = 0xFFFF
_REAP_SECONDS = 0.05
_PENDING_BYTES = 64 << 10
"""Of input that the terminal has not taken, above which the agent reads nothing more."""


class Terminal:
    """The far side of one session, in which `argv` runs; see `FarSide`. `typed` is its input before the client's."""

    def __init__(
        self, channel: Channel, argv: list[str], log: SessionLog, character: Character, typed: str = ""
    ) -> None:
        self._channel = channel
        self._argv = argv
        self._log = log
        self._character = character
        self._loop = asyncio.get_running_loop()
        self._text = TextFilter()
        self._master = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = bytearray(typed.encode())
        self._timer: asyncio.TimerHandle | None = None
        self._is_held = False
        self._is_over = False

    @property
    def is_open(self) -> bool:
        """Whether there is a terminal."""
        return self._master >= 0 or self._is_over

    def open(self) -> None:
        """Start the shell."""
        master, slave = os.openpty()
        os.set_blocking(master, False)

        def take_terminal() -> None:
            processes.die_with_parent()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        environment = remoteprocess.environment(has_terminal=True)
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=environment,
                cwd=environment["HOME"],
                start_new_session=True,
                preexec_fn=take_terminal,  # noqa: PLW1509 - two calls of the system, which take no lock
            )
        except OSError as error:
            os.close(master)
            self._channel.finish(AgentEnd(f"\n----------ERROR-------\nUnable to start command: {error.strerror}", ""))
            return
        finally:
            os.close(slave)
        self._master = master
        self._write()
        self._later(FIRST_READ_SECONDS)

    def take(self, payload_type: int, payload: bytes) -> bool:
        """Input, sizes and flags; whatever else is acknowledged and does nothing."""
        if not self.is_open:
            return False
        if self._is_over:
            return True
        match payload_type:
            case PayloadType.OUTPUT:
                self._pending += _as_on_windows(payload) if self._character.is_windows else payload
                self._write()
            case PayloadType.SIZE:
                self._resize(payload)
            case PayloadType.FLAG if read_flag(payload) == ControlFlag.TERMINATE_SESSION:
                self._channel.finish(AgentEnd("", "the client sent the TerminateSession flag"), "terminate")
        return True

    def flush(self) -> None:
        """Nothing is collected."""

    def pause(self, paused: bool) -> None:
        """Reads find out by themselves."""

    def hold(self, held: bool) -> None:
        """Read nothing for a while; or go on."""
        self._is_held = held

    def close(self) -> None:
        """Hang up."""
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)
            self._master = -1
        self.kill_target()
        self._log.close()

    def kill_target(self) -> None:
        """Kill the shell."""
        if self._process is not None:
            remoteprocess.end(self._process.pid)
            self._reap(self._process)

    def _later(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._read)

    def _read(self) -> None:
        """One read, if there is something and somebody to send it to; the next one follows."""
        if self._channel.is_paused or self._is_held:
            self._later(PACE_SECONDS)
            return
        try:
            data = os.read(self._master, PAYLOAD_BYTES)
        except BlockingIOError:
            self._loop.add_reader(self._master, self._readable)
            return
        except OSError:  # EIO: nobody has the other end any more
            data = b""
        if not data:
            self._channel.finish(AgentEnd("", "the shell has ended"))
            return
        if passed := self._text.feed(data):
            self._log.write(passed)
            self._channel.pass_on(memoryview(passed))
        self._later(0.0 if self._character.unpaced else PACE_SECONDS)

    def _readable(self) -> None:
        self._loop.remove_reader(self._master)
        self._read()

    def _write(self) -> None:
        """Give the terminal what it takes; the rest when it takes more."""
        try:
            written = os.write(self._master, self._pending) if self._pending else 0
        except BlockingIOError:
            written = 0
        except OSError:  # the shell has gone: the next read tells
            written = len(self._pending)
        del self._pending[:written]
        if self._pending:
            self._loop.add_writer(self._master, self._write)
        else:
            self._loop.remove_writer(self._master)
        self._channel.block(len(self._pending) > _PENDING_BYTES)

    def _resize(self, payload: bytes) -> None:
        with contextlib.suppress(MessageError):
            size = parse_size(payload)
            rows, columns = size.rows & _UINT16, size.columns & _UINT16
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _reap(self, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            self._loop.call_later(_REAP_SECONDS, self._reap, process)


def _as_on_windows(payload: bytes) -> bytes:
    """Input as the agent's plugin for Windows writes it (protocol: 8.7)."""
    return payload if b"\r\n" in payload else payload.replace(b"\n", b"\r")
