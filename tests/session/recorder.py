"""ssmssh-proxy under observation: ``python recorder.py DIRECTORY HOST PORT``.

It takes its environment from the file ``environment`` in DIRECTORY, and leaves its ``stderr``, ``log`` and exit
``status`` there. The client that starts it sees nothing of that. The file ``turns`` holds, at any time, how
often the session's loop has turned: eight bytes, native. After the end ``proc`` holds what Linux says of the process.
"""

import json
import mmap
import os
import sys
from pathlib import Path
from typing import NoReturn

directory = Path(sys.argv.pop(1))
os.environ.update(json.loads((directory / "environment").read_text()))
os.dup2(os.open(directory / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
sys.argv[1:1] = ["--log-file", str(directory / "log")]
leave = os._exit


def tell_and_leave(status: int) -> NoReturn:
    """The status in one step: who looks for the file finds all of it."""
    (directory / "proc").write_text(Path("/proc/self/status").read_text() if sys.platform == "linux" else "")
    (directory / "status.new").write_text(str(status))
    (directory / "status.new").rename(directory / "status")
    leave(status)


os._exit = tell_and_leave

from ssmssh.proxy import main  # noqa: E402 - after everything that it must not see
from ssmssh.session.loop import Loop  # noqa: E402

(directory / "turns").write_bytes(bytes(8))
with (directory / "turns").open("r+b") as file:
    turns = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
turn = Loop.turn


def count_and_turn(loop: Loop) -> None:
    turns[0] += 1
    turn(loop)


setattr(Loop, "turn", count_and_turn)  # noqa: B010 - for the type checker
main()
