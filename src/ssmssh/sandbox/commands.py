"""Commands that Run Command has agents carry out: scripts that really run, and what became of them.

Like an agent's: the lines are one script for ``sh``; of its output the first 24,000 characters are kept, of its errors
8,000, and more is said to have been cut; a status other than 0 is told in the errors, too. An invocation is not there
at once, but shortly after SendCommand (boto/boto3#2701).
"""

import asyncio
import contextlib
import datetime as dt
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ssmssh.sandbox import node
from ssmssh.sandbox.faults import FaultSet

APPEARS_SECONDS = 0.1
"""How long an invocation does not exist yet; about a second with the real service."""
_STARTS_SECONDS = 0.2
"""When the agent has it, after SendCommand."""
_OUTPUT_CHARACTERS = 24_000
_ERROR_CHARACTERS = 8_000
_TRUNCATED = "--output truncated--"
_READ_BYTES = 64 << 10
_MOST_BYTES = 4 * _OUTPUT_CHARACTERS
"""Kept of an output: as many bytes as its characters may take; the rest is read and dropped."""
_AT_ONCE = 16
"""How many run at the same time; others are pending."""
_KEPT = 1000
"""Invocations that are remembered."""
_GARBAGE = "\x1b[31m\x00-----BEGIN NOTHING-----\r\n{\x07" * 200
_TIMED_OUT_STATUS = 137


@dataclass(slots=True)
class Invocation:
    """One command on one node. Times are those of the clock, in seconds; 0 is not yet.

    One class, because it is a row: what the service tells of an invocation.
    """

    script: str
    working_directory: str
    timeout_seconds: float
    sent_at: float
    status: str = "Pending"
    details: str = "Pending"
    response_code: int = -1
    started_at: float = 0.0
    ended_at: float = 0.0
    output: str = ""
    errors: str = ""
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    def describe(self) -> dict[str, object]:
        """What GetCommandInvocation tells of it."""
        end = self.ended_at or time.time()
        return {
            "Status": self.status,
            "StatusDetails": self.details,
            "ResponseCode": self.response_code,
            "StandardOutputContent": self.output,
            "StandardErrorContent": self.errors,
            "ExecutionStartDateTime": _moment(self.started_at),
            "ExecutionElapsedTime": f"PT{end - self.started_at:.3f}S" if self.started_at else "",
            "ExecutionEndDateTime": _moment(self.ended_at),
        }


class Commands:
    """The invocations of all nodes. Scripts run with `umask`, in a session of their own."""

    def __init__(self, directory: Path, umask: int, faults: FaultSet) -> None:
        self._directory = directory
        self._umask = umask
        self._faults = faults
        self._invocations: dict[tuple[str, str], Invocation] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def begin(self, command_id: str, instance_id: str, region: str, invocation: Invocation) -> None:
        """Have a script run on a node."""
        self._invocations[command_id, instance_id] = invocation
        if len(self._invocations) > _KEPT:
            del self._invocations[next(iter(self._invocations))]
        variables = node.environment(self._directory, instance_id, region)
        invocation.task = asyncio.get_running_loop().create_task(self._carry_out(invocation, variables))

    def find(self, command_id: str, instance_id: str) -> Invocation | None:
        """An invocation; None before it exists."""
        invocation = self._invocations.get((command_id, instance_id))
        if invocation is None or time.time() - invocation.sent_at < APPEARS_SECONDS:
            return None
        return invocation

    def cancel(self, command_id: str, instance_id: str) -> None:
        """End an invocation, if it has not ended."""
        invocation = self._invocations.get((command_id, instance_id))
        if invocation is not None and invocation.task is not None and not invocation.ended_at:
            invocation.task.cancel()

    async def _carry_out(self, invocation: Invocation, variables: Mapping[str, str]) -> None:
        try:
            async with self._slots:
                slow = self._faults.get("command-slow")
                await asyncio.sleep(_STARTS_SECONDS + (slow["seconds"] if slow is not None else 0))
                invocation.status = invocation.details = "InProgress"
                invocation.started_at = time.time()
                async with asyncio.timeout(invocation.timeout_seconds):
                    if self._faults.get("command-hangs") is not None:
                        await asyncio.Event().wait()
                    await self._run(invocation, variables)
        except TimeoutError:
            _end(invocation, "TimedOut", "ExecutionTimedOut", _TIMED_OUT_STATUS)
        except asyncio.CancelledError:
            _end(invocation, "Cancelled", "Cancelled", -1)
        except OSError as error:
            invocation.errors = f"failed to run commands: {error.strerror}"
            _end(invocation, "Failed", "Failed", 1)

    async def _run(self, invocation: Invocation, variables: Mapping[str, str]) -> None:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            node.translated(self._directory, invocation.script),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=invocation.working_directory or self._directory / "home",
            env=dict(variables),
            umask=self._umask,
            start_new_session=True,
        )
        try:
            output, errors, status = await asyncio.gather(_read(process.stdout), _read(process.stderr), process.wait())
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        if status:
            errors += f"failed to run commands: {_ending(status)}".encode()
        invocation.output = self._as_told(output, _OUTPUT_CHARACTERS)
        invocation.errors = self._as_told(errors, _ERROR_CHARACTERS)
        word = "Failed" if status else "Success"
        _end(invocation, word, word, status if status >= 0 else 1)

    def _as_told(self, data: bytes, characters: int) -> str:
        """What the service gives of an output."""
        if self._faults.get("command-garbage") is not None:
            return _GARBAGE[:characters]
        limit = self._faults.get("command-truncated")
        characters = min(characters, int(limit["characters"])) if limit is not None else characters
        text = data.decode("utf-8", "replace")
        if len(text) <= characters:
            return text
        return text[: max(0, characters - len(_TRUNCATED))] + _TRUNCATED


async def _read(source: asyncio.StreamReader | None) -> bytes:
    """What a script writes, up to `_MOST_BYTES` of it."""
    kept = b""
    while source is not None and (data := await source.read(_READ_BYTES)):
        kept += data[: _MOST_BYTES - len(kept)]
    return kept


def _end(invocation: Invocation, status: str, details: str, code: int) -> None:
    invocation.status, invocation.details, invocation.response_code = status, details, code
    invocation.ended_at = time.time()


def _ending(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal: {signal.Signals(-status).name}"


def _moment(seconds: float) -> str:
    if not seconds:
        return ""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
