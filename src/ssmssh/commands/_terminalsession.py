"""A session with this program's terminal at its near end, as ``shell`` and ``run -t`` have it."""

from ssmssh.commands._group import current_program
from ssmssh.commands._rawterminal import RawTerminal
from ssmssh.commands._written import status_of_writing
from ssmssh.errors import ExitStatus, SsmsshError
from ssmssh.session.caller import Caller
from ssmssh.session.link import Connected, Lost
from ssmssh.session.outage import PERSONAL_RESUME_SECONDS
from ssmssh.session.remote import RemoteSession, SessionRequest
from ssmssh.session.session import ConnectionEvent, Session
from ssmssh.session.sides.terminal import TerminalSide
from ssmssh.session.streams import InputPump, OutputPump, Wakeup


def run_in_terminal(caller: Caller, request: SessionRequest, terminal: RawTerminal) -> int:
    """Run one session until it has ended; the terminal is as before then. The status of its output's writing. Blocks.

    Raises:
        FileError: The output cannot be written.
        SsmsshError: As `Session.run`.
    """
    program = current_program()
    wakeup = Wakeup()
    remote = RemoteSession(caller, request._replace(resume_seconds=PERSONAL_RESUME_SECONDS))
    source, sink = InputPump(0, wakeup), OutputPump(1, wakeup)
    side = TerminalSide(
        source,
        sink,
        lambda: bool(program.stop),
        terminal,
        is_interactive=terminal.is_interactive,
        key_source=remote.data_key,
    )

    def note(event: ConnectionEvent) -> None:
        match event:
            case Lost():
                side.lost()
            case Connected():
                side.connected()

    session = Session(
        remote,
        side,
        wakeup,
        on_connection=note,
        on_wait=lambda awaited: terminal.tell(f"waiting for {awaited}") if terminal.is_interactive else None,
    )
    with terminal.restored():
        program.stop.wake(wakeup.signal_fd)
        source.start()
        sink.start()
        try:
            session.run()
        except SsmsshError:
            if not side.has_left:  # who has left need not be told that the session did not end well
                raise
    return ExitStatus.DONE if side.has_left else status_of_writing(sink)
