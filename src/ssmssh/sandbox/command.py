r"""A non-interactive command: the agent's plugin without a terminal (agent: shell.go, processCommandsWithExec).

The text is split into words and run without a shell. What becomes of the output depends on ``separateOutputStream``.
With it, standard output and standard error come while the command runs, each as a type of its own and without a pause,
and its status last; a reader that finds the channel paused stops for good, and what the command has to say from then
on is lost, but for agents from 3.3.4851.0 on. Without it both go into a file, which is sent when the command has ended,
a kilobyte each millisecond or so, and nobody is told a status; that is also what agents do that are too old for the
property.

All that is sent is text (`textfilter`) and in the log of the session. Input is looked through for Ctrl-C and Ctrl-\,
which become signals, and is otherwise lost.
"""

import asyncio
import contextlib
import re
import signal

from ssmssh.protocol.message import ControlFlag, PayloadType
from ssmssh.sandbox import processes, remoteprocess
from ssmssh.sandbox.agentparser import read_flag
from ssmssh.sandbox.farside import AgentTask, Channel
from ssmssh.sandbox.outlet import AgentEnd
from ssmssh.sandbox.reading import PACE_SECONDS, PAYLOAD_BYTES
from ssmssh.sandbox.sessionlog import SessionLog
from ssmssh.sandbox.shelllexer import LexerError, split
from ssmssh.sandbox.textfilter import TextFilter
from ssmssh.sandbox.versions import separates_output, survives_pauses

_SIGNALS = {0x03: signal.SIGINT, 0x1C: signal.SIGQUIT}
_PREFIX = re.compile(rb"[0-9a-zA-Z\r\n_:-]{0,30}")
_ERROR_SECONDS = 1.0
"""Between the status of a command that cannot be started and the text that says why; twice as much more where the text
cannot be split."""
_ENDED = AgentEnd("", "the command has ended")


class Command:
    """The far side of one session; see `FarSide`."""

    def __init__(self, channel: Channel, task: AgentTask, log: SessionLog, agent_version: str) -> None:
        self._channel = channel
        self._properties = task.platform()
        self._separates = self._text("separateOutputStream") == "true" and separates_output(agent_version)
        self._survives_pauses = survives_pauses(agent_version)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_held = False
        self._free = asyncio.Event()
        self._set_free()

    @property
    def is_open(self) -> bool:
        """Whether it runs, or has run."""
        return self._running is not None

    def open(self) -> None:
        """Run it."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    def take(self, payload_type: int, payload: bytes) -> bool:
        """Signals and flags; whatever else is acknowledged and does nothing."""
        if payload_type == PayloadType.OUTPUT and self._process is not None:
            for byte in payload:
                if byte in _SIGNALS:
                    self._process.send_signal(_SIGNALS[byte])
                    break
        elif payload_type == PayloadType.FLAG and read_flag(payload) == ControlFlag.TERMINATE_SESSION:
            self._channel.finish(AgentEnd("", "the client sent the TerminateSession flag"), "terminate")
        return True

    def flush(self) -> None:
        """Nothing is collected."""

    def pause(self, paused: bool) -> None:  # noqa: ARG002 - as all far sides are told
        """Begin no read; or go on to."""
        self._set_free()

    def hold(self, held: bool) -> None:
        """Read nothing for a while; or go on."""
        self._is_held = held
        self._set_free()

    def close(self) -> None:
        """End the command."""
        if self._running is not None and self._running is not asyncio.current_task():
            self._running.cancel()
        self.kill_target()
        self._log.close()

    def kill_target(self) -> None:
        """End it as by SIGKILL."""
        if self._process is not None:
            remoteprocess.end(self._process.pid)

    def _text(self, name: str) -> str:
        return str(self._properties.get(name, ""))

    async def _run(self) -> None:
        try:
            argv = split(self._text("commands"))
        except LexerError as error:
            await self._cannot_start(f"failed to parse the command: {error}", 2 * _ERROR_SECONDS)
            return
        try:
            if self._separates:
                await self._run_separated(argv)
            else:
                await self._run_merged(argv)
        except OSError as error:
            await self._cannot_start(f"fork/exec {argv[0]}: {str(error.strerror).lower()}")
        except IndexError:
            await self._cannot_start("the command is empty")
        else:
            self._channel.finish(_ENDED)

    async def _cannot_start(self, reason: str, seconds: float = 0.0) -> None:
        text = f"Unable to start command: {reason}\n".encode()
        if self._separates:
            self._channel.say(PayloadType.EXIT_CODE, b"EXIT_CODE: 1")
        await asyncio.sleep(_ERROR_SECONDS + seconds)
        self._log.write(text)
        self._channel.say(PayloadType.STD_ERR if self._separates else PayloadType.OUTPUT, text)
        self._channel.finish(AgentEnd("", "the command could not be started"))

    async def _run_separated(self, argv: list[str]) -> None:
        process = await self._start(argv, asyncio.subprocess.PIPE, asyncio.subprocess.PIPE)
        if process.stdout is None or process.stderr is None:
            raise AssertionError("they are pipes")
        await asyncio.gather(
            self._pass_on(process.stdout, PayloadType.OUTPUT, "stdOutSeparatorPrefix"),
            self._pass_on(process.stderr, PayloadType.STD_ERR, "stdErrSeparatorPrefix"),
        )
        status = max(await process.wait(), -1)
        self._channel.say(PayloadType.EXIT_CODE, f"EXIT_CODE: {status}".encode())

    async def _pass_on(self, pipe: asyncio.StreamReader, payload_type: PayloadType, prefix_name: str) -> None:
        """Send what comes out of a pipe, until its end or until a read meets a pause."""
        text, prefix = TextFilter(), self._text(prefix_name).encode()
        prefix = prefix if _PREFIX.fullmatch(prefix) else b""
        is_at_start = True
        while data := await pipe.read(PAYLOAD_BYTES - len(prefix)):
            if self._channel.is_paused and not self._survives_pauses:
                return
            await self._free.wait()
            if passed := text.feed(data):
                passed = prefix + passed if is_at_start else passed
                is_at_start = passed.endswith(b"\n")
                self._log.write(passed)
                self._channel.say(payload_type, passed)

    async def _run_merged(self, argv: list[str]) -> None:
        written = SessionLog()
        with contextlib.closing(written):
            process = await self._start(argv, written.fileno(), written.fileno())
            await process.wait()
            data = TextFilter().feed(written.read())
        for at in range(0, len(data), PAYLOAD_BYTES):
            await self._free.wait()
            piece = data[at : at + PAYLOAD_BYTES]
            self._log.write(piece)
            self._channel.pass_on(memoryview(piece))
            await asyncio.sleep(PACE_SECONDS)

    async def _start(self, argv: list[str], stdout: int, stderr: int) -> asyncio.subprocess.Process:
        environment = remoteprocess.environment(has_terminal=False)
        self._process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=environment["HOME"],
            start_new_session=True,
            preexec_fn=processes.die_with_parent,
        )
        return self._process

    def _set_free(self) -> None:
        if self._is_held or self._channel.is_paused:
            self._free.clear()
        else:
            self._free.set()
