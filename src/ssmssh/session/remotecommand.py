"""A command on an instance, from its words to its status: what ``ssmssh run`` and the library do with one session."""

import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ssmssh.errors import NetworkError, SessionEndedError, TargetError
from ssmssh.protocol.events import HandshakeCompleted, Paused
from ssmssh.protocol.versions import SEPARATED_OUTPUT_AFTER, WHOLE_OUTPUT_AFTER, supports
from ssmssh.session.commandline import as_base64, in_shell, quoted
from ssmssh.session.link import Lost
from ssmssh.session.remote import RemoteSession
from ssmssh.session.session import ConnectionEvent, Session
from ssmssh.session.sides.command import SILENCE_SECONDS, CommandSide, Output
from ssmssh.session.sides.outputs import Base64Output, Captured
from ssmssh.session.streams import Wakeup

DOCUMENT = "AWS-StartNonInteractiveCommand"

UNKNOWN_STATUS = 254
"""Of a command whose own nobody knows: the agent tells -1, or none at all."""


class Command(NamedTuple):
    """What is to be run.

    Attributes:
        argv: Its words, the program first.
        has_shell: They are joined by blanks, and a shell makes of them what it likes.
        is_binary: Its standard output is any bytes: it is carried as base64, and proved to be whole.
    """

    argv: Sequence[str]
    has_shell: bool = False
    is_binary: bool = False

    @property
    def parameters(self) -> dict[str, list[str]]:
        """Of `DOCUMENT`. Raises UsageError as `ssmssh.session.commandline.quoted`."""
        argv = in_shell(self.argv) if self.has_shell else self.argv
        text = quoted(as_base64(argv) if self.is_binary else argv)
        return {"command": [text], "separateOutputStream": ["true"]}


class Outcome(NamedTuple):
    """What has become of a command.

    Attributes:
        status: Its own, from 0 to 255; None if nobody knows it.
        notes: What a person should know of it, as sentences.
    """

    status: int | None
    notes: Sequence[str]


def run_command(
    command: Command,
    remote: RemoteSession,
    output: Output,
    errors: Output,
    wakeup: Wakeup,
    *,
    stop_requested: Callable[[], bool],
    on_side: Callable[[CommandSide], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run `command` in a session of its own. Blocks until it has ended.

    Args:
        command: What to run; `remote` was asked for with its `parameters`.
        remote: The session.
        output: Gets standard output.
        errors: Gets standard error.
        wakeup: Of the session's loop.
        stop_requested: Whether to end the session, and with it the command; looked at when `wakeup` fires.
        on_side: Is given the side before the session begins, for what may interrupt the command.
        tell: Is given a sentence for a person while the command runs: that its output may have been cut off, because
            the connection was interrupted or nothing has come for long. An agent that has stopped reading leaves the
            command to hang as soon as a pipe is full, for as long as the service lets an idle session live.

    Raises:
        SessionEndedError: Some of the output is known to be missing.
        SsmsshError: As `Session.run`.
    """
    large = f"this is much for the session logs of {remote.description}; for files scp is the better way"
    decoder = Base64Output(output, lambda: tell(large)) if command.is_binary else None
    was_interrupted = has_told = False

    def tell_once(sentence: str) -> None:
        nonlocal has_told
        if not has_told and _may_cut_off(side.agent_version):
            has_told = True
            tell(sentence if command.is_binary else f"{sentence}; --binary finds out whether something is missing")

    def note(event: ConnectionEvent | HandshakeCompleted) -> None:
        nonlocal was_interrupted
        was_interrupted = was_interrupted or isinstance(event, Lost | Paused)  # a command may run before we know
        if was_interrupted and side.agent_version:
            tell_once(_interrupted(side.agent_version, remote.description))

    def note_silence() -> None:
        tell_once(_silent(side.agent_version, remote.description))

    side = CommandSide(decoder or output, errors, stop_requested, remote.data_key, note_silence)
    on_side(side)

    Session(remote, side, wakeup, on_connection=note, on_open=note).run()
    if side.is_gone():
        return Outcome(side.status, ())
    _check_ended(side, remote.description)
    if decoder is not None:
        _check_whole(decoder, remote.description)
    return _outcome(side, decoder, remote.description)


def capture(
    command: Command, remote: RemoteSession, timeout_seconds: float | None
) -> "subprocess.CompletedProcess[bytes]":
    """Run `command` in a session of its own, with its outputs in memory. Blocks.

    Raises:
        NetworkError: It took more than `timeout_seconds`; the session is ended.
        SessionEndedError: There was more output than is kept, or some is known to be missing.
        SsmsshError: As `Session.run`.
    """
    output, errors = Captured(), Captured()
    wakeup, is_late = Wakeup(), threading.Event()

    def give_up() -> None:
        is_late.set()
        wakeup.wake()

    timer = threading.Timer(threading.TIMEOUT_MAX if timeout_seconds is None else timeout_seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        outcome = run_command(command, remote, output, errors, wakeup, stop_requested=is_late.is_set)
    finally:
        timer.cancel()
        timer.join()
        wakeup.close()
    if is_late.is_set():
        raise NetworkError(f"The command on {remote.description} took more than {timeout_seconds:g} s")
    if output.is_broken or errors.is_broken:
        raise SessionEndedError(f"The output of the command on {remote.description} is too large", "use scp for files")
    status = UNKNOWN_STATUS if outcome.status is None else outcome.status
    return subprocess.CompletedProcess(list(command.argv), status, output.getvalue(), errors.getvalue())


def _check_ended(side: CommandSide, target: str) -> None:
    """An agent that tells statuses tells one of every command that has ended: else only the session has."""
    if not side.has_status and supports(side.agent_version, SEPARATED_OUTPUT_AFTER):
        raise SessionEndedError(
            f"The session with {target} ended before the command had",
            "somebody may have ended it; look there how far the command came",
        )


def _check_whole(decoder: Base64Output, target: str) -> None:
    if decoder.is_whole:
        return
    if decoder.lacks_encoder:
        raise TargetError(f"There is no base64 on {target}", "install it there, or leave out --binary")
    raise SessionEndedError(
        f"The output of the command on {target} is not whole", "run it again; for files scp is the better way"
    )


def _may_cut_off(agent_version: str) -> bool:
    """Whether an agent that is paused reads nothing more from the command.

    One that does not separate the outputs writes them into a file, and sends that later.
    """
    separates = supports(agent_version, SEPARATED_OUTPUT_AFTER)
    return separates and not supports(agent_version, WHOLE_OUTPUT_AFTER)


def _interrupted(agent_version: str, target: str) -> str:
    return (
        f"the connection to {target} was interrupted, and its agent ({agent_version}) may have cut off the output; "
        "if nothing more comes, Ctrl-C twice ends it"
    )


def _silent(agent_version: str, target: str) -> str:
    return (
        f"the command on {target} has said nothing for {SILENCE_SECONDS:.0f} s or more: it may just be silent, or its "
        f"agent ({agent_version}) was paused and does not read its output any more; Ctrl-C twice ends it"
    )


def _outcome(side: CommandSide, decoder: Base64Output | None, target: str) -> Outcome:
    status = decoder.status if side.status is None and decoder is not None else side.status
    notes = []
    if status is None and not supports(side.agent_version, SEPARATED_OUTPUT_AFTER):
        notes.append(
            f"the agent of {target} ({side.agent_version}) tells no status and cannot keep errors apart from output; "
            "3.1.1511.0 can"
        )
    elif status is None:
        notes.append(f"nobody knows with which status the command on {target} ended: a signal, perhaps")
    return Outcome(status, notes)
