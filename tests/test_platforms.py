"""What another platform lacks is asked for in one place, and no import fails for it.

This is not that platform: its modules and names are only taken away. `python3 tasks.py check` has the types looked at
for each of them.
"""

import subprocess
import sys
from pathlib import Path

WITHOUT_POSIX = """
import importlib, os, pkgutil, select, signal, socket, sys
from pathlib import Path
import ssmssh

def load():
    names = [module.name for module in pkgutil.walk_packages(ssmssh.__path__, "ssmssh.")]
    wanted = [name for name in names if ".sandbox" not in name and not name.endswith("__main__")]
    return {name: importlib.import_module(name) for name in wanted}

load()  # what others bring along is there, then, and only what is ours is loaded once more
for name in [name for name in sys.modules if name.startswith("ssmssh.")]:
    del sys.modules[name]
sys.platform = "win32"
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
lacking = {
    os: ("O_CLOEXEC", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fchown", "geteuid", "getuid", "killpg"),
    select: ("PIPE_BUF", "POLLIN", "POLLOUT", "poll"),
    signal: ("SIGHUP", "SIGKILL", "SIGQUIT"),
    socket: ("MSG_DONTWAIT",),
}
for module, names in lacking.items():
    for name in names:
        delattr(module, name)
modules = load()
assert len(modules) > 60
"""


def run(program: str, directory: Path | None = None) -> str:
    words = [sys.executable, "-c", WITHOUT_POSIX + program]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_is_imported() -> None:
    run("")


def test_a_pipe_that_cannot_be_asked_is_taken_to_be_well() -> None:
    program = """
descriptors = modules["ssmssh.descriptors"]
reader, writer = os.pipe()
assert descriptors.has_reader(writer) and descriptors.has_writer(reader) and descriptors.is_writable(writer)
assert not descriptors.is_readable(reader, 0)
assert descriptors.writer_at_once(writer)(b"x") == 0
streams = modules["ssmssh.session.streams"]
wakeup = streams.Wakeup()
pump = streams.OutputPump(writer, wakeup)
pump.start()
pump.put([b"hello"])
assert os.read(reader, 5) == b"hello"
pump.put_first_line("too late")
"""
    run(program)


def test_files_that_cannot_be_locked(tmp_path: Path) -> None:
    program = """
directory = Path.cwd()
journal = modules["ssmssh.session.journal"]
owner = journal.Owner(*["x"] * len(journal.Owner._fields))
assert journal.Journal(directory, owner).record("a-session") is None
with modules["ssmssh.sshconfig.files"].locked(directory):
    pass
assert modules["ssmssh.aws.loader"].session_loader(directory, None) is None
modules["ssmssh.lifecycle"].forbid_core_dumps()
modules["ssmssh.connectionlog"].print_if_possible("to stderr")
assert modules["ssmssh.settings"].home_directory() == Path.home()
"""
    run(program, tmp_path)


def test_the_sandbox_says_that_it_is_not_for_windows() -> None:
    program = """
sys.argv = ["ssmssh", "sandbox"]
sys.stderr = sys.stdout
try:
    modules["ssmssh.cli"].main()
except SystemExit as leave:
    assert leave.code == 2
"""
    assert run(program) == "ssmssh: The sandbox needs Linux or macOS; run it in WSL\n"
