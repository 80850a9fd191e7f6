"""Every fault that there is, and what a session must make of it: `ROWS`."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.faults import parse
from tests.session.commandtransfers import COMMANDS
from tests.session.place import Place
from tests.session.transfers import TRANSFERS, Outcome, run

SIZE_BYTES = 300_000
"""Of each transfer. The agent sends 1 KiB per millisecond at most, and resends one in 100 ms."""


@dataclass(frozen=True)
class Row:
    """One fault or several together.

    Attributes:
        name: For people.
        faults: As the sandbox reads them. Events happen after some ten thousand bytes: in the middle of the transfer.
        ends: None if every byte must arrive. Otherwise the exit statuses of the proxy that are right, one of `words`
            being in its line; a status of 0 or of a signal goes without a line.
        may_arrive: With `ends`: it depends on the moment, and every byte may as well arrive.
        forward_words: With `ends`: what a forwarding may say besides.
        is_of_port: With `ends`: shells and commands, which have no port, do not meet it.
    """

    name: str
    faults: tuple[str, ...]
    ends: tuple[int, ...] | None = None
    words: tuple[str, ...] = ()
    may_arrive: bool = False
    forward_words: tuple[str, ...] = ()
    is_of_port: bool = False

    def holds(self, outcome: Outcome) -> bool:
        """Whether a transfer has met its faults and ended as it should."""
        if outcome.is_forward:
            return self._holds_forward(outcome)
        if outcome.is_command:
            return self._holds_command(outcome)
        is_quiet = not outcome.line and outcome.status in (0, *SIGNALS)
        if self.ends is None or (self.may_arrive and outcome.is_whole):
            has_met_all = outcome.log.count("lost the connection") >= self._cuts()
            return outcome.is_whole and is_quiet and has_met_all
        has_said_why = outcome.line.count("\n") == 1 and any(word in outcome.line for word in self.words)
        return not outcome.is_whole and outcome.status in self.ends and (is_quiet or has_said_why)

    def _holds_forward(self, outcome: Outcome) -> bool:
        """The same for a forwarding: its session may end and not itself, then its clients fail, and it says why."""
        if self.ends is None or (self.may_arrive and outcome.is_whole):
            return outcome.is_whole and not outcome.line and outcome.log.count("lost the connection") >= self._cuts()
        is_said = any(word in outcome.line for word in (*self.words, *self.forward_words))
        is_quiet = not outcome.line and 0 in self.ends
        return not outcome.is_whole and outcome.status in (CLIENT_FAILED, *self.ends) and (is_said or is_quiet)

    def _holds_command(self, outcome: Outcome) -> bool:
        """The same for a shell or a command.

        All that a command has to say may have been said before an event, and an agent that is paused in the middle of
        it says nothing more.
        """
        if outcome.is_whole:
            return not outcome.line
        if self.ends is None or self.is_of_port:
            if "agent-cut" in {parse(fault).name for fault in self.faults} and outcome.status in (0, ENDED):
                return True  # a message may have come twice, which only ssh notices
            has_told = any(word in outcome.line for word in CUT_OFF) or outcome.status == INTERRUPTED
            return outcome.status in (ENDED, INTERRUPTED) and has_told and self._pauses()
        is_quiet = not outcome.line and 0 in self.ends
        has_said_why = outcome.line.count("\n") == 1 and any(word in outcome.line for word in (*self.words, *CUT_OFF))
        return outcome.status in self.ends and (is_quiet or has_said_why)

    def _pauses(self) -> bool:
        """Whether the agent is paused for a while."""
        return not {parse(fault).name for fault in self.faults}.isdisjoint(PAUSING)

    def _cuts(self) -> int:
        """How often the connection must be lost."""
        faults = map(parse, self.faults)
        return sum(int(fault["times"]) for fault in faults if fault.name in ("cut", "bye", "half-open"))


CLIENT_FAILED = 1
"""What the clients of a forwarding end with that were not given every byte."""

ENDED = 7
INTERRUPTED = 128 + 2
"""By who was told that nothing more might come, and pressed Ctrl-C."""
CUT_OFF = ("is not whole", "no longer holds", "ended before everything", "ended before the command")
"""What is said of a command's output of which some is missing: of one that the agent has not read to its end, and of
one that has ended while there was no connection, or while the agent had none."""

PAUSING = ("cut", "bye", "half-open", "pause", "pause-client", "agent-cut", "overrun-closes")

SIGNALS = (128 + 1, 128 + 15)
"""What ssh and paramiko end a ProxyCommand with: SIGHUP and SIGTERM."""

ROWS = (
    Row("no fault", ()),
    # The connection.
    Row("cut, 3 times", ("cut:bytes=80000,times=3",)),
    Row("cut with 40 ms of data in flight, 3 times", ("cut:bytes=80000,times=3", "delay:seconds=0.04")),
    Row("cut before the handshake, twice", ("cut:times=2",)),
    Row("closed with 1000 Bye, 3 times", ("bye:bytes=80000,times=3",)),
    Row("closed with 1000 Bye before the handshake", ("bye",)),
    Row("half-open", ("half-open:bytes=250000",)),
    Row("half-open before the handshake", ("half-open",)),
    Row("delay 20 ms and jitter", ("delay:seconds=0.02,jitter=0.02",)),
    Row("bandwidth 300 kB/s", ("bandwidth:rate=300000",)),
    # Messages.
    Row("1 % lost", ("loss:rate=0.01",)),
    Row("10 % of acknowledgements lost", ("ack-loss:rate=0.1",)),
    Row("10 % doubled", ("duplicate:rate=0.1",)),
    Row("10 % reordered", ("reorder:rate=0.1",)),
    Row(
        "cuts, agent away, loss, doubles, reordering and delay at once",
        (
            "cut:bytes=80000,times=3",
            "agent-cut:bytes=100000,away=0.5,orderly=1",
            "loss:rate=0.01",
            "duplicate:rate=0.1",
            "reorder:rate=0.1",
            "delay:seconds=0.02",
        ),
    ),
    Row("garbage messages", ("garbage:bytes=80000,times=3,count=20",)),
    # The agent.
    Row("agent away for 0.5 s, twice", ("agent-cut:bytes=80000,times=2,away=0.5,orderly=1",)),
    Row("the agent's connection is reset", ("agent-cut:bytes=80000,away=0.05,double=0",)),
    Row(
        "the agent's connection is reset, and a message comes to the server twice",
        ("agent-cut:bytes=80000,away=0.05,double=1",),
        (0, 7, *SIGNALS),
        ("may have written a message twice", "before everything had arrived"),
        may_arrive=True,
        forward_words=("the service has ended it",),  # what follows is no frame
    ),
    Row("the agent's races end badly", ("races:early=1,complete=1,terminate=1,disconnect=1",)),
    Row("paused for 1 s, twice", ("pause:bytes=80000,times=2,away=1",)),
    Row("told to pause for 1 s, twice", ("pause-client:bytes=80000,times=2,away=1",)),
    Row("told to pause, and never to go on", ("pause-client:bytes=80000",)),
    Row("told to pause before the handshake, and never to go on", ("pause-client",)),
    Row("the agent hangs for 1 s, twice", ("agent-blocks:bytes=80000,times=2,away=1",)),
    Row("agent starts after 2 s", ("slow-agent-start:seconds=2",)),
    # The API.
    Row("StartSession throttled twice", ("throttle:times=2",)),
    Row("target not connected at first", ("target-not-connected:times=1",)),
    Row("InternalServerError at first", ("internal-error:times=1",)),
    Row("ResumeSession fails twice", ("resume-error:times=2", "cut:bytes=80000")),
    # The service.
    Row("the end is told 2 s later", ("late-end:seconds=2",)),
    Row("the WebSocket stays open behind the end", ("stays-open",)),
    Row("a service that closes on an overrun", ("overrun-closes:limit=65536,rate=500000",)),
    Row("a token counts once, and a cut", ("token-once", "cut:bytes=80000")),
    # The end.
    Row("target not connected", ("target-not-connected",), (4,), ("TargetNotConnected",)),
    Row("not allowed", ("access-denied",), (5,), ("ssm:StartSession",)),
    Row("not allowed, by the action's name", ("deny:ssm:StartSession",), (5,), ("ssm:StartSession",)),
    Row("refused by a policy of the endpoint", ("forbidden",), (5,), ("403",)),
    Row("no such document", ("invalid-document",), (2,), ("InvalidDocument",)),
    Row("credentials have expired", ("expired-credentials",), (3,), ("renew the keys of the profile default",)),
    Row(
        "nothing listens on the port",
        ("port-closed:seconds=1",),
        (4,),
        ("Nothing answers on port 2",),
        forward_words=("cannot connect to",),
        is_of_port=True,
    ),
    Row(
        "nothing listens, told at once",
        ("port-closed:seconds=0",),
        (4,),
        ("Nothing answers on port 2",),
        forward_words=("cannot connect to",),
        is_of_port=True,
    ),
    Row("the SSH server dies", ("sshd-dies:bytes=80000",), (0, 7, *SIGNALS), ("before everything had arrived",)),
    Row("the agent dies", ("agent-dies:bytes=80000,away=1",), (7,), ("failed unexpectedly",)),
    Row(
        "session terminated by somebody else",
        ("session-terminated-elsewhere:bytes=80000",),
        (0, 7, *SIGNALS),
        ("before everything had arrived",),
    ),
    Row("idle time-out", ("idle-timeout:bytes=80000",), (7,), ("idle",)),
    Row("cut, and the session is gone", ("cut:bytes=80000", "resume-expired"), (7,), ("no longer holds",)),
    Row("every message too big for the service", ("oversize-refused:limit=600",), (6,), ("again and again",)),
    Row("nothing but garbage", ("garbage:bytes=80000,count=200",), (8,), ("could not be understood",)),
)

FORWARD_ROWS = (
    Row("connections to the destination are refused", ("connect-fails",), (), ("cannot connect to",)),
    Row("they take 1 s to be made", ("slow-connect:seconds=1",)),
    Row("the agent sends bytes that nobody has said", ("stray-bytes:bytes=80000",), (), ("a frame of smux version",)),
)
"""What only sessions with many connections meet."""


EVERY = {**TRANSFERS, **COMMANDS}


def run_row(row: Row, box: Sandbox, directory: Path, names: Sequence[str] = tuple(EVERY)) -> dict[str, Outcome]:
    """The transfers of these names at the same time, in trouble; `directory` is for their files."""

    def transfer(name: str) -> Outcome:
        (directory / name).mkdir()
        return run(EVERY[name], Place(box, directory / name, SIZE_BYTES))

    with box.faults.during(*row.faults), ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(transfer, names), strict=True))
