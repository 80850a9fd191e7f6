"""What can go wrong in a sandbox, by name.

A fault is written ``NAME``, ``NAME:VALUE`` or ``NAME:key=value,key=value`` (``loss:0.01``,
``cut:bytes=4000000,times=3``). It holds for every session or for one; any number hold together, one of each name.
One is of something, and is written ``deny:ACTION`` or ``deny:ACTION,key=value``; there may be one for each action.
There are three kinds, by how they act:

    CALL       an API call is answered with an error; `times` calls, 0 = all of them while it is set, and of those
               that are made each `every`-th
    CONDITION  something is bad all the time: the network, the order of messages, the agent
    EVENT      something happens to a session: at once when its data channel is open (else as soon as it is),
               or after so many `bytes` of payload, `messages` or `seconds`; `times` times, as far apart

Events count from the moment they are set or, where that is later, from the start of the session.
"""

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ssmssh.errors import UsageError
from ssmssh.sandbox.character import Races


class Kind(enum.Enum):
    """How a fault acts; see the module."""

    CALL = "call"
    CONDITION = "condition"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class FaultType:
    """A name that can be used.

    `parameters` are the numbers it takes, with defaults; `main` is the one that needs no name. `subject` says, in one
    word, what it is of, for those that are of something.
    """

    name: str
    kind: Kind
    meaning: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    main: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault with its numbers filled in; `str` gives the text that `parse` reads."""

    name: str
    arguments: Mapping[str, float] = field(default_factory=dict)
    subject: str = ""

    @property
    def key(self) -> str:
        """What there is only one of at a time."""
        return f"{self.name}:{self.subject}" if self.subject else self.name

    def __getitem__(self, parameter: str) -> float:
        return self.arguments[parameter]

    def __str__(self) -> str:
        text = ",".join(f"{key}={value:g}" for key, value in self.arguments.items())
        if not text:
            return self.key
        return f"{self.key}{',' if self.subject else ':'}{text}"


def _call(name: str, meaning: str, subject: str = "") -> FaultType:
    return FaultType(name, Kind.CALL, meaning, {"times": 0, "every": 1}, "times", subject)


def _condition(name: str, meaning: str, main: str = "", subject: str = "", **parameters: float) -> FaultType:
    return FaultType(name, Kind.CONDITION, meaning, parameters, main, subject)


def _event(name: str, meaning: str, main: str = "bytes", **parameters: float) -> FaultType:
    numbers = parameters | {"bytes": 0, "messages": 0, "seconds": 0, "times": 1}
    return FaultType(name, Kind.EVENT, meaning, numbers, main)


FAULT_TYPES: Mapping[str, FaultType] = {
    fault.name: fault
    for fault in (
        _call("target-not-connected", "StartSession says that the agent is not connected"),
        _call("throttle", "every call is answered as its service does when there are too many"),
        _call("access-denied", "StartSession and ResumeSession are not allowed"),
        _call("deny", "the policy does not allow ACTION, as in ssm:DescribeInstanceProperties or ec2:*", "ACTION"),
        _call("error", "a call is answered with an error: ec2-instance-connect:*/ThrottlingException", "ACTION/CODE"),
        _condition("slow", "the answer to ACTION comes `seconds` later", "seconds", subject="ACTION", seconds=3),
        _condition("clock", "the service's clock is `seconds` ahead of this computer's", "seconds", seconds=1200),
        _call("denied-by", "WHAT (endpoint-policy, scp, boundary, session-policy) denies ACTION", "ACTION/WHAT"),
        _condition("activation-expired", "the activation of the hybrid nodes has expired"),
        _condition("standard-tier", "the account has the standard tier, whose hybrid nodes have no sessions"),
        _condition("key-late", "a pushed key appears `seconds` after the push", "seconds", seconds=3),
        _condition("key-lasts", "a pushed key is good for `seconds`", "seconds", seconds=60),
        _condition("no-instance-connect", "a push succeeds and opens nothing: no image has the far side of it"),
        _condition("command-slow", "an agent begins with a command `seconds` later", "seconds", seconds=3),
        _condition("command-hangs", "commands begin and never end"),
        _condition("command-garbage", "the output of a command is nothing that it could have written"),
        _condition(
            "command-truncated", "of the output of a command `characters` are kept", "characters", characters=60
        ),
        _condition("console-empty", "GetConsoleOutput has nothing to give, as in the minutes after a boot"),
        _condition("host-key-swapped", "the SSH servers have a host key that AWS knows nothing of"),
        _condition(
            "slow-boot",
            "an instance that is started is pending for `seconds`, and its agent connects `agent` seconds later",
            "seconds",
            seconds=3,
            agent=3,
        ),
        _call("nameless-denied", "StartSession may not be asked for without the name of a document"),
        _call("forbidden", "StartSession is refused with HTTP 403 and XML instead of JSON"),
        _call("invalid-document", "StartSession says that the document does not exist"),
        _call("internal-error", "every call is answered with InternalServerError"),
        _call("expired-credentials", "every call says that the session token has expired"),
        _call("resume-expired", "ResumeSession gives no token"),
        _call("resume-error", "ResumeSession is answered with InternalServerError"),
        _condition(
            "session-limit",
            "StartSession is refused while its caller has `sessions` open",
            "sessions",
            sessions=3,
        ),
        _condition(
            "ends-oldest",
            "a policy ends the oldest session of a caller who has more than `sessions`",
            "sessions",
            sessions=3,
        ),
        _condition("one-port", "documents let sessions of ports through to `port` alone", "port", port=22),
        _condition("empty-pages", "each `every`-th page of a list is empty, and names a next one", "every", every=2),
        _condition(
            "delay",
            "everything takes `seconds` more, one way, and up to `jitter` on top",
            "seconds",
            seconds=0.02,
            jitter=0,
        ),
        _condition("bandwidth", "`rate` bytes per second, each way", "rate", rate=1_000_000),
        _condition("loss", "a message is lost with this `rate`, either way", "rate", rate=0.01),
        _condition("ack-loss", "an acknowledgement is lost with this `rate`, either way", "rate", rate=0.01),
        _condition("duplicate", "a message comes twice with this `rate`, either way", "rate", rate=0.1),
        _condition(
            "reorder",
            "a message is held back behind up to `distance` later ones, with this `rate`",
            "rate",
            rate=0.1,
            distance=8,
        ),
        _condition(
            "oversize-refused", "a message of more than `limit` bytes closes with code 1009", "limit", limit=4096
        ),
        _condition(
            "overrun-closes",
            "the agent takes `rate` bytes per second, and when more than `limit` wait for it, they are lost, and the "
            "WebSocket is closed with code 1008",
            "limit",
            limit=131_072,
            rate=2_000_000,
        ),
        _condition("slow-agent-start", "the agent appears `seconds` after StartSession", "seconds", seconds=3),
        _condition(
            "port-closed",
            "nothing listens: the agent dies without a word, and the service says so `seconds` later",
            "seconds",
            seconds=60,
        ),
        _condition(
            "connect-fails",
            "a connection to the destination is refused with this `rate`: of many in one session, that one alone",
            "rate",
            rate=1,
        ),
        _condition("slow-connect", "a connection to the destination takes `seconds` to be made", "seconds", seconds=1),
        _condition(
            "session-key",
            "the account's preferences have shells and commands encrypted with KEY, an id, an ARN or an alias of KMS",
            subject="KEY",
        ),
        _condition("run-as-missing", "the user whom the preferences have shells and commands run as does not exist"),
        _condition("wrong-session-key", "the agent decrypts with another key than KMS has given"),
        _condition("late-end", "channel_closed comes `seconds` after the end of the agent", "seconds", seconds=3),
        _condition("stays-open", "the WebSocket is not closed behind channel_closed"),
        _condition("token-once", "a token opens one connection only"),
        _condition(
            "races",
            "how often the agent's races end badly: `early` data is lost, handshakes are `complete` before they are "
            "acknowledged, `terminate` and `disconnect` are not acknowledged",
            "early",
            **asdict(Races()),
        ),
        _event("cut", "the client's TCP connection is reset"),
        _event("bye", "the service closes with code 1000, as it does each hour"),
        _event("half-open", "the client's connection goes silent for good"),
        _event(
            "agent-cut",
            "the agent's connection is reset and away for `away` seconds, and one message comes to the port twice with "
            "the rate `double`; closed in good order with `orderly=1`",
            away=0.5,
            double=0.8,
            orderly=0,
        ),
        _event("pause", "the agent is told to pause, and after `away` seconds to go on", away=0.5),
        _event("pause-client", "the client is told to pause, and after `away` seconds to go on; with 0 never", away=0),
        _event("garbage", "`count` messages that are none are sent to the client", count=1),
        _event(
            "agent-blocks",
            "the agent hangs in a write for `away` seconds, as when a target does not read: it takes nothing then, not "
            "even flags and acknowledgements",
            away=1,
        ),
        _event("stray-bytes", "the agent sends `count` bytes that no target has said", count=16),
        _event("sshd-dies", "the SSH server of the session is killed, or each of its connections is broken"),
        _event("agent-dies", "the agent's process dies, and the service says so `away` seconds later", away=60),
        _event("session-terminated-elsewhere", "someone else calls TerminateSession"),
        _event("idle-timeout", "the service ends the session as idle"),
        _event("max-duration", "the service ends the session because it has lasted long enough"),
    )
}
"""All of them."""


def parse(text: str) -> Fault:
    """Read a fault.

    Raises:
        UsageError: the name, a parameter or a number is not known.
    """
    name, _, arguments = text.partition(":")
    fault_type = FAULT_TYPES.get(name)
    if fault_type is None:
        raise UsageError(f"there is no fault named {name!r}", f"there are {', '.join(sorted(FAULT_TYPES))}")
    subject = ""
    if fault_type.subject:
        subject, _, arguments = arguments.partition(",")
        if not subject or "=" in subject or subject.count("/") < fault_type.subject.count("/"):
            raise UsageError(f"the fault {name} needs its {fault_type.subject}", f"write {name}:{fault_type.subject}")
    values = dict(fault_type.parameters)
    for part in filter(None, arguments.split(",")):
        key, equals, value = part.rpartition("=")
        key = key if equals else fault_type.main
        if key not in values:
            known = ", ".join(values) or "none"
            raise UsageError(f"the fault {name} has no parameter {key or value!r}", f"it has {known}")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise UsageError(f"{value!r} is no number for {key} of the fault {name}")
        values[key] = number
    return Fault(name, values, subject)


class FaultSet:
    """The faults that are set, for all sessions and for single ones.

    A session's own fault takes the place of the general one of the same name.
    """

    def __init__(self) -> None:
        self._faults: dict[str | None, dict[str, Fault]] = {None: {}}
        self._asked: dict[tuple[str | None, str], int] = {}
        self._left: dict[tuple[str | None, str], int] = {}
        self._merged: dict[str | None, Mapping[str, Fault]] = {}

    def set(self, fault: Fault, session_id: str | None = None) -> None:
        """Put a fault in force, in place of one of the same name."""
        self._faults.setdefault(session_id, {})[fault.key] = fault
        self._left[session_id, fault.key] = int(fault.arguments.get("times", 0))
        self._asked[session_id, fault.key] = 0
        self._merged.clear()

    def clear(self, name: str | None = None, session_id: str | None = None) -> None:
        """Lift a fault, or all of a name, or all of them; that it was not set is no error."""
        faults = self._faults.get(session_id, {})
        for key in [key for key, fault in faults.items() if name in (None, key, fault.name)]:
            self._remove(key, session_id)
        self._merged.clear()

    def get(self, name: str, session_id: str | None = None) -> Fault | None:
        """The fault in force, or None."""
        return self._faults.get(session_id, {}).get(name) or self._faults[None].get(name)

    def all(self, session_id: str | None = None) -> Mapping[str, Fault]:
        """The faults in force, by `Fault.key`; quick enough to be asked for each message."""
        merged = self._merged.get(session_id)
        if merged is None:
            merged = self._merged[session_id] = self._faults[None] | self._faults.get(session_id, {})
        return merged

    def forget(self, session_id: str) -> None:
        """Drop what was set for a session that is over."""
        self.clear(None, session_id)
        self._faults.pop(session_id, None)

    def take_call(self, key: str, session_id: str | None = None) -> bool:
        """Whether this API call is to fail so; counts it."""
        for owner in dict.fromkeys((session_id, None)):
            fault = self._faults.get(owner, {}).get(key)
            if fault is None:
                continue
            self._asked[owner, key] += 1
            if self._asked[owner, key] % max(1, int(fault["every"])):
                return False
            left = self._left[owner, key]
            self._left[owner, key] = left - 1
            if left == 1:
                self._remove(key, owner)
                self._merged.clear()
            return True
        return False

    def _remove(self, key: str, owner: str | None) -> None:
        del self._faults[owner][key]
        del self._left[owner, key]
        del self._asked[owner, key]
