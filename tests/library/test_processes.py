"""Sessions and the life of a process: its exit, its forks, its signals, what it has of its own."""

import contextlib
import signal

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, receive_exactly, wait_until
from tests.library.farside import FarSide, read_all
from tests.library.programs import Program


def sessions_since(box: Sandbox, before: int) -> list[bool]:
    return [session.is_open for session in box.sessions()[before:]]


EXITS = {
    "the end of the program": "",
    "sys.exit": "sys.exit()",
    "in another thread": "threading.Thread(target=lambda: session.socket.recv(1), daemon=True).start()",
    "a download that nobody reads": "session.socket.recv(1)",
    "an upload that nobody takes": """
session.socket.settimeout(1)
try:
    session.socket.sendall(bytes(50_000_000))
except TimeoutError:
    pass
""",
    "no thread can be started": """
import atexit
def refuse(*_):
    raise RuntimeError("can't create new thread at interpreter shutdown")
def forbid():
    threading.Thread.start = refuse
atexit.register(forbid)  # before what is registered already
""",
}


@pytest.mark.parametrize("how", EXITS)
def test_a_program_that_exits_without_closing(program: Program, sandbox: Sandbox, far_side: FarSide, how: str) -> None:
    """What it wrote arrives, and its sessions are ended before it is gone."""
    before = len(sandbox.sessions())
    running = program.start(
        f"""
import sys, threading, ssmssh
sessions = [ssmssh.open_session(sys.argv[1], int(sys.argv[2])) for _ in range(3)]
for session in sessions:
    session.socket.sendall(b"last words")
{EXITS[how]}
""",
        EC2_HOST,
        far_side.number,
    )
    theres = [far_side.accept() for _ in range(3)]
    for there in theres:
        assert receive_exactly(there, 10) == b"last words"
    if "download" in how:
        theres[2].setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):  # the second: it is gone already
            while theres[2].send(bytes(65536)):
                pass
    output, said = running.communicate(timeout=60)
    assert running.returncode == 0
    assert output == b""
    assert b"Traceback" not in said
    assert sessions_since(sandbox, before) == [False] * 3


def test_a_program_that_is_killed_leaves_its_sessions_to_the_next(
    program: Program, sandbox: Sandbox, far_side: FarSide
) -> None:
    running = program.start(
        """
        import sys, ssmssh
        session = ssmssh.open_session(sys.argv[1], int(sys.argv[2]))
        session.socket.sendall(b"x")
        session.socket.recv(1)
        """,
        EC2_HOST,
        far_side.number,
    )
    there = far_side.accept()
    assert receive_exactly(there, 1) == b"x"
    session_id = sandbox.sessions()[-1].session_id
    running.kill()
    running.wait()
    program.run(
        """
        import sys, ssmssh
        with ssmssh.connect(sys.argv[1]) as end:
            while end.recv(100) and not sys.stdin.read():
                break
        """,
        EC2_HOST,
    )
    wait_until(
        lambda: not [each for each in sandbox.sessions() if each.is_open and each.session_id == session_id],
        "the end of the first session",
    )


def test_an_interrupt_while_connecting(program: Program, sandbox: Sandbox) -> None:
    """It is Python's own KeyboardInterrupt, and leaves no session."""
    before = len(sandbox.sessions())
    with sandbox.faults.during("slow-agent-start:seconds=3"):
        running = program.start(
            """
            import sys, ssmssh
            try:
                ssmssh.connect(sys.argv[1])
            except KeyboardInterrupt:
                print("interrupted")
            """,
            EC2_HOST,
        )
        wait_until(lambda: sessions_since(sandbox, before), "the session")
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=60) == (b"interrupted\n", b"")
        assert running.returncode == 0
    wait_until(lambda: sessions_since(sandbox, before) == [False], "its end")


FORKS = {
    "os._exit": "os._exit(0)",
    "sys.exit": "sys.exit(0)",
    "close": "session.close(); session.socket.close(); os._exit(0)",
    "the child's own": """
with ssmssh.connect(sys.argv[1]) as own:
    print(own.recv(4).decode(), flush=True)
os._exit(0)
""",
    "the child's own, to its exit": """
own = ssmssh.connect(sys.argv[1])
print(own.recv(4).decode(), flush=True)
warnings.simplefilter("ignore")
sys.exit(0)
""",
}


@pytest.mark.parametrize("child", FORKS)
def test_a_forked_child(program: Program, sandbox: Sandbox, far_side: FarSide, child: str) -> None:
    """It does not end its parent's sessions, nor keep them, and can have its own."""
    before = len(sandbox.sessions())
    body = "\n    ".join(FORKS[child].strip().splitlines())
    running = program.start(
        f"""
import os, sys, warnings, ssmssh
session = ssmssh.open_session(sys.argv[1], int(sys.argv[2]))
if not os.fork():
    try:
        session.socket.recv(1)
    except OSError as error:
        print(error.strerror, flush=True)
    {body}
os.wait()
session.socket.sendall(b"still here")
print(session.socket.recv(100).decode(), flush=True)
session.close()
print(session.wait(0), flush=True)
""",
        EC2_HOST,
        far_side.number,
    )
    there = far_side.accept()
    assert receive_exactly(there, 10) == b"still here"
    there.sendall(b"so am I")
    output, said = running.communicate(timeout=60)
    assert said == b""
    assert output.decode().splitlines() == [
        "Bad file descriptor",
        *(["SSH-"] if "own" in child else []),
        "so am I",
        "True",
    ]
    assert not any(sessions_since(sandbox, before))


def test_a_child_that_lives_on_does_not_keep_its_parents_session(
    program: Program, sandbox: Sandbox, far_side: FarSide
) -> None:
    """Neither end of the socket pair, nor the WebSocket, nor the note of the session."""
    before = len(sandbox.sessions())
    running = program.start(
        """
        import os, sys, ssmssh
        session = ssmssh.open_session(sys.argv[1], int(sys.argv[2]))
        if not os.fork():
            os.write(1, str(sorted(os.readlink(f"/proc/self/fd/{fd}")[:6]
                for fd in os.listdir("/proc/self/fd") if int(fd) > 2)).encode() + b"\\n")
            sys.stdin.read()
            os._exit(0)
        del session
        """,
        EC2_HOST,
        far_side.number,
    )
    there = far_side.accept()
    assert read_all(there) == b""
    wait_until(lambda: sessions_since(sandbox, before) == [False], "the end of the session")
    assert running.stdin is not None
    assert running.stdout is not None
    kept = running.stdout.readline().decode()
    assert "anon_i" not in kept, "a selector"
    assert kept.count("socket") <= 1, "a connection to the API at most"
    running.stdin.close()
    running.wait(60)


def test_what_is_started_inherits_nothing_and_may_be_given_the_end(
    program: Program, sandbox: Sandbox, far_side: FarSide
) -> None:
    said = program.start(
        """
        import subprocess, sys, ssmssh
        with ssmssh.connect(sys.argv[1], int(sys.argv[2])) as end:
            subprocess.run(["sh", "-c", "ls /proc/self/fd | wc -l"], check=True)
            subprocess.run(["head", "-c", "5"], stdin=end, stdout=end, check=True)
        """,
        EC2_HOST,
        far_side.number,
    )
    there = far_side.accept()
    there.sendall(b"hello")
    assert read_all(there) == b"hello"
    assert said.communicate(timeout=60) == (b"4\n", b"")


def test_multiprocessing(program: Program, sandbox: Sandbox) -> None:
    """Processes that were forked while the parent had a session, each with its own."""
    before = len(sandbox.sessions())
    said = program.run(
        """
        import multiprocessing, sys, ssmssh

        def work(host):
            with ssmssh.connect(host) as end:
                return end.recv(4)

        with ssmssh.connect(sys.argv[1]) as end, multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, [sys.argv[1]] * 4))
            print(end.recv(4))
            pool.close()
            pool.join()
        """,
        EC2_HOST,
    )
    assert said.splitlines() == [str([b"SSH-"] * 4), str(b"SSH-")]
    assert sessions_since(sandbox, before) == [False] * 5


def test_nothing_of_the_programs_own_is_touched(program: Program, far_side: FarSide) -> None:
    """Its signals, streams, environment, threads and descriptors are the same behind as before."""
    running = program.start(
        """
        import gc, logging, os, signal, sys, threading, warnings, ssmssh.api  # urllib3 adds filters

        def state():
            return {
                "signals": [signal.getsignal(number) for number in signal.valid_signals()],
                "wakeup": signal.set_wakeup_fd(-1),
                "environment": dict(os.environ),
                "streams": [sys.stdin, sys.stdout, sys.stderr, *(os.fstat(fd)[:3] for fd in (0, 1, 2))],
                "filters": list(warnings.filters),
                "handlers": logging.getLogger().handlers[:],
                "gc": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
                "threads": threading.enumerate(),
                "awscrt": sys.modules.get("awscrt", "not imported"),
                "umask": os.umask(0o22),
            }

        os.umask(0o22)
        before = state()
        with ssmssh.connect(sys.argv[1], int(sys.argv[2])) as end:
            within = state()
            end.recv(1)
        while threading.active_count() > 1:
            pass
        after = state()
        for name, value in before.items():
            if name == "awscrt":
                assert after[name] is not None
                continue
            assert after[name] == value, (name, value, after[name])
            assert name == "threads" or within[name] == value, (name, value, within[name])
        print(len(within["threads"]) - 1)
        """,
        EC2_HOST,
        far_side.number,
    )
    far_side.accept().sendall(b"x")
    output, said = running.communicate(timeout=60)
    assert said == b""
    assert int(output) >= 2


def test_a_program_is_left_with_the_descriptors_it_had(program: Program, far_side: FarSide) -> None:
    """But for a connection to the API, which the next session uses."""
    running = program.start(
        """
        import os, sys, threading, ssmssh

        def count():
            while threading.active_count() > 1:
                pass
            return len(os.listdir("/proc/self/fd"))

        counts = []
        for _ in range(5):
            sessions = [ssmssh.open_session(sys.argv[1], int(sys.argv[2])) for _ in range(4)]
            for session in sessions:
                session.close()
                assert session.wait(60)
            counts.append(count())
        print(len({*counts}), counts)
        """,
        EC2_HOST,
        far_side.number,
    )
    output, said = running.communicate(timeout=60)
    assert (output.split()[0], said) == (b"1", b""), output


def test_threads_that_go_on_connecting_when_the_program_exits(
    program: Program, sandbox: Sandbox, far_side: FarSide
) -> None:
    before = len(sandbox.sessions())
    running = program.start(
        """
import contextlib, sys, threading, ssmssh
has_connected = threading.Semaphore(0)
def connect():
    with contextlib.suppress(ssmssh.errors.SsmsshError):
        while True:
            ssmssh.connect(sys.argv[1], int(sys.argv[2]))
            has_connected.release()
for _ in range(3):
    threading.Thread(target=connect, daemon=True).start()
for _ in range(9):
    has_connected.acquire()
""",
        EC2_HOST,
        far_side.number,
    )
    running.communicate()
    assert running.returncode == 0
    wait_until(lambda: not any(sessions_since(sandbox, before)), "the end of the sessions")


def test_a_fork_while_a_session_is_begun(program: Program, far_side: FarSide) -> None:
    """The child forgets a session that is not whole yet, too, and keeps nothing open of the others."""
    said = program.run(
        """
import os, sys, threading, ssmssh
from ssmssh.session import host
opened = ssmssh.open_session(sys.argv[1], int(sys.argv[2]))
before, is_beginning, may_go_on = host.Attempts, threading.Event(), threading.Event()
def attempts(*arguments, **settings):
    is_beginning.set()
    may_go_on.wait()
    return before(*arguments, **settings)
host.Attempts = attempts
thread = threading.Thread(target=lambda: ssmssh.connect(sys.argv[1], int(sys.argv[2])).close())
thread.start()
is_beginning.wait()
if not os.fork():
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            pass
    print(sum("socket:" in link or "eventpoll" in link for link in links) <= 2, opened.wait(), flush=True)
    os._exit(0)
os.wait()
may_go_on.set()
thread.join()
opened.close()
""",
        EC2_HOST,
        far_side.number,
    )
    assert said == "True True\n"
