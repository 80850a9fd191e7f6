"""A shell and a command without ssh, as transfers: each moves known bytes and looks at what has arrived.

shell       somebody at a terminal who pastes lines into ``cat`` and reads them back; ``stty -g`` before and after
            tells whether the terminal is as it was, however the session ends
run         ``run --binary`` of a command that writes a file to its output
"""

import contextlib
import re
import signal
import subprocess
import time

from tests.acceptance.clients import EC2_HOST, Client, Terminal, payload, wait_until
from tests.session.place import CLIENT_SECONDS, Place

PASTES = 10
"""So many times lines go there and come back; one paste is less than what the terminals on the way hold."""
LINES = 8

_PROMPT = re.compile(rb"[#$] ")
PATIENCE_SECONDS = 2.0
"""Of somebody who waits for more output, and has been told that it may not come."""

QUIET_SECONDS = 20.0
"""Of somebody who has not: nobody but its agent knows that it was paused, and no longer reads from the command."""

CUT = "may have cut off the output"
NOTICES = (
    CUT,
    "the connection is lost; ",
    "the connection is there again",
    "waiting for ",
    "interrupted what runs",
    "said nothing",
)
"""What a person is told while a session goes on."""


def shell(place: Place) -> tuple[bool, str]:
    """What is said goes into a file: what the terminal shows is the far side's."""
    client = Client(place.box.environment, place.directory)
    script = f"stty -g > before; ssmssh shell --log-file log {EC2_HOST} 2> said; echo $? > ended; stty -g > after"
    try:
        with Terminal(client, "sh", "-c", script) as terminal:
            is_whole = _talk(terminal, place.size_bytes // PASTES // LINES)
            if not is_whole:
                terminal.press(b"\r~.")
            terminal.wait()
    finally:
        client.close()
    before, after, status = (_read(place, name) for name in ("before", "after", "ended"))
    assert before == after, f"the terminal is not as it was, but {after}; {_read(place, 'said')}"
    _leave(place, _errors(place), int(status))
    return is_whole and int(status) == 0, _read(place, "said")


def _talk(terminal: Terminal, line_bytes: int) -> bool:
    """Whether everything comes back as it was said, and nothing else."""
    if not terminal.sees(_PROMPT, CLIENT_SECONDS):
        return False
    terminal.press(b"stty -echo; echo re''ady; cat; echo e''nd; exit\r")
    if not terminal.sees(re.compile(rb"ready\r\n"), CLIENT_SECONDS):
        return False
    for number in range(PASTES):
        lines = [payload(line_bytes // 2, seed=LINES * number + each).hex().encode() for each in range(LINES)]
        terminal.press(b"".join(line + b"\n" for line in lines))
        if not terminal.follows(b"".join(line + b"\r\n" for line in lines), CLIENT_SECONDS):
            return False
    terminal.press(b"\x04")
    return terminal.follows(b"end\r\n", CLIENT_SECONDS)


def run(place: Place) -> tuple[bool, str]:
    """Failures of ours have one status here, and the one that they have elsewhere is in the text: that one counts.

    Who is told that the output may have been cut off, or sees nothing more come for long, presses Ctrl-C, twice.
    """
    data = payload(place.size_bytes, seed=4)
    (place.directory / "source").write_bytes(data)
    client = Client(place.box.environment, place.directory)
    words = ["ssmssh", "run", "--binary", "--log-file", "log", EC2_HOST, "cat", str(place.directory / "source")]
    with (place.directory / "output").open("wb") as output, (place.directory / "said").open("wb") as said:
        process = client.start(*words, stdout=output, stderr=said)
    try:
        _wait_for_end(place, process)
        for _ in range(2):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_SECONDS)
                break
            process.send_signal(signal.SIGINT)
        status = process.wait(CLIENT_SECONDS)
    finally:
        client.close()
    stated = re.search(r" \(status (\d+)\)", _read(place, "said"))
    if status == -signal.SIGINT:  # it was about to leave, with its signals as they were before
        status = 255 if stated else 128 + signal.SIGINT
    assert (status == 255) is bool(stated), f"status {status}: {_read(place, 'said')}"
    is_whole = status == 0 and (place.directory / "output").read_bytes() == data
    _leave(place, _errors(place), int(stated[1]) if stated else status)
    return is_whole, _read(place, "said")


def _wait_for_end(place: Place, process: "subprocess.Popen[bytes]") -> None:
    seen, since = 0, time.monotonic()

    def is_over() -> bool:
        nonlocal seen, since
        size = (place.directory / "output").stat().st_size
        if size != seen:
            seen, since = size, time.monotonic()
        is_quiet = time.monotonic() - since > QUIET_SECONDS
        return process.poll() is not None or CUT in _read(place, "said") or is_quiet

    wait_until(is_over, "its end", CLIENT_SECONDS)


def _errors(place: Place) -> str:
    """What was said, but for what a person is told while a session goes on."""
    lines = [line for line in _read(place, "said").replace("\r", "\n").splitlines() if line]
    return "".join(f"{line}\n" for line in lines if not any(notice in line for notice in NOTICES))


def _read(place: Place, name: str) -> str:
    return (place.directory / name).read_text("utf-8", "replace")


def _leave(place: Place, line: str, status: int) -> None:
    """What the observed proxy leaves."""
    (place.directory / "stderr").write_text(line)
    (place.directory / "status").write_text(str(status))


COMMANDS = {"shell": shell, "run": run}
