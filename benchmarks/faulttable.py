"""``python -m benchmarks.faulttable > docs/faults.md``: run the matrix of faults and write it down."""

import datetime as dt
import platform
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ssmssh
from ssmssh.sandbox import Sandbox, SessionReport
from tests.session.commandtransfers import COMMANDS
from tests.session.matrix import FORWARD_ROWS, ROWS, SIZE_BYTES, Row, run_row
from tests.session.transfers import TRANSFERS, Outcome

HEAD = """\
# Faults, and what becomes of a session

Made by `python -m benchmarks.faulttable > docs/faults.md`, with ssmssh {version} on {system}, {date}. The tests run
the same on every change (`tests/session/test_faults.py`), and hold all of it but the figures.

Each fault of the sandbox, or several at once, against six clients at the same time: `ssh` that uploads {size} kB,
`ssh` that downloads as much, `ssh` that sends a line and waits for its echo ({size} kB each way), paramiko that does
both by SFTP, the same over a socket of the library, without a proxy, and three clients at once of an echo server that
`ssmssh forward` leads to ({size} kB together, each way). The agent is as slow as the real one: it
sends 1 KiB per millisecond, and resends one message in 100 ms, which is most of the time that the rows with cuts and
losses take. The seconds are of a machine that had other work: compare them with the first row.

Nothing hangs, and here no byte is lost, doubled or changed in silence: a cell says **all bytes**, or which exit status
ended the session (of a forwarding: its clients', which is 1 where one of them was not given every byte; it goes on
itself); the last column has the line that says why. 0, 129 and 143 go without one: the client is told that
the connection is closed, and ended us itself. In parentheses: messages that were resent, by us and by the agent, and
doubles that reached us and the agent.

## What ssh has to notice

The SSM Agent has a fault of its own that no client can see or mend. When *its* connection to the service is reset while
more than one message is on its way to it, it may write one of them, 1024 bytes, to the port twice (seen with the
official agent's code in 6 of 10 raw uploads through such a reset).

- **ssh, scp, sftp, rsync and git over ssh** notice: the SSH server finds a packet that makes no sense and ends the
  connection. Nothing wrong is taken for right, but the transfer has to be made again. Where ssmssh-proxy can tell that
  this is likely (the session ends within 15 seconds of an interruption with messages in flight) its line says so.
- **A raw stream** (`ssmssh-proxy` to a port that speaks neither SSH nor TLS) is corrupted without anybody's notice.
  Compare a digest where that matters.
- **`ssmssh forward`** carries raw streams, in frames. Behind the 1024 bytes that came twice the agent finds no frame
  any more where it looks for one, and ends the session with all its connections; but it may have passed on up to 32 KiB
  of one connection before, with the doubled bytes among them. So the server may have got wrong bytes, and the client
  knows that its connection has failed. TLS and databases notice by themselves; otherwise compare a digest.

The acknowledgement of a message is no proof that it was delivered, either: once the target has closed, the agent still
acknowledges what comes later, and drops it.

## The table
"""

COMMANDS_HEAD = """
## Shells and commands

The same faults against `ssmssh shell`, in whose terminal somebody pastes {size} kB in lines and reads them back, and
`ssmssh run --binary` of a command that writes {size} kB. The terminal was as before after each of them. **run** ends
with 7 (that is 255, with the 7 in its text) where the agent stopped reading the output when it was paused: agents
before 3.3.4851.0 do, and the command then hangs if it has more to say. 130 stands for the Ctrl-C of somebody who was
told so.
"""


def main() -> None:
    today = dt.datetime.now(dt.UTC).date().isoformat()
    system = f"{platform.system()} {platform.machine()}"
    print(HEAD.format(version=ssmssh.__version__, system=system, date=today, size=SIZE_BYTES // 1000))
    with Sandbox(seed=1) as box:
        _print_table((*ROWS, *FORWARD_ROWS), [*TRANSFERS], box)
        print(COMMANDS_HEAD.format(size=SIZE_BYTES // 1000))
        _print_table(ROWS, [*COMMANDS], box)


def _print_table(rows: Sequence[Row], names: Sequence[str], box: Sandbox) -> None:
    print("| fault |", " | ".join(names), "| says |")
    print("|---|" + "---|" * len(names) + "---|")
    with tempfile.TemporaryDirectory() as name:
        for number, row in enumerate(rows):
            directory = Path(name) / str(number)
            directory.mkdir()
            outcomes = run_row(row, box, directory, ["forward"] if row in FORWARD_ROWS else names)
            sessions = {session.session_id: session for session in box.sessions()}
            cells = [_cell(row, outcomes[each], sessions) if each in outcomes else "" for each in names]
            print(f"| {row.name} |", " | ".join(cells), f"| {_line(outcomes)} |", flush=True)


def _cell(row: Row, outcome: Outcome, sessions: dict[str, SessionReport]) -> str:
    what = "**all bytes**" if outcome.is_whole else f"ends, {outcome.status}"
    if not row.holds(outcome):
        what = f"WRONG: {what}"
    session = sessions.get(outcome.session_id())
    if session is None:
        return f"{what}, {outcome.seconds:.1f} s"
    resent = f"{outcome.counted('resent')}+{session.agent_resent}"
    doubles = f"{outcome.counted('duplicates')}+{session.agent_duplicates}"
    return f"{what}, {outcome.seconds:.1f} s ({resent}, {doubles})"


def _line(outcomes: dict[str, Outcome]) -> str:
    lines = {
        outcome.line.partition(" (log:")[0].removeprefix("ssmssh-proxy: ").removeprefix("ssmssh: ")
        for outcome in outcomes.values()
    }
    shown = {re.sub("localhost:[0-9]+", "localhost:PORT", line.strip()).replace("|", "\\|") for line in lines if line}
    return "<br>".join(sorted(shown))


if __name__ == "__main__":
    main()
