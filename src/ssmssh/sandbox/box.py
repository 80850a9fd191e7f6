"""The sandbox as a Python object: starts it, tells about it, breaks it, ends it."""

import contextlib
import fnmatch
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

from ssmssh import settings
from ssmssh.errors import FileError, SsmsshError, UsageError
from ssmssh.sandbox import boxpolicies, environment, node, sshd
from ssmssh.sandbox.accounts import PROFILES, REGION, CallerKind
from ssmssh.sandbox.boxpolicies import Policies
from ssmssh.sandbox.broken.setups import BrokenSetUps
from ssmssh.sandbox.broken.setups import check as check_names
from ssmssh.sandbox.certificates import make_server_certificate, make_ssh_key
from ssmssh.sandbox.character import AGENT_VERSION
from ssmssh.sandbox.control import ControlError, connect
from ssmssh.sandbox.faults import parse
from ssmssh.sandbox.files import forbid_logs, make_directory, write_file
from ssmssh.sandbox.inventory import Instance
from ssmssh.sandbox.inventoryfile import resolve, write_text
from ssmssh.sandbox.keys import AccessKey, make_access_key
from ssmssh.sandbox.mainprocess import STOP_SECONDS, MainProcess
from ssmssh.sandbox.preferences import MINUTE_SECONDS
from ssmssh.sandbox.reports import CallReport, SessionReport

SshServer = Literal["auto", "system", "library"]
_AWKWARD = re.compile(r"""[:"'%\\\x00-\x1f]""")
"""What ends a word in PATH or in an ssh config, or means something else there: behind a colon the wrappers would not be
found, and the user's own ssh and files would be used."""

_SOCKET_PATH_BYTES = 100  # what a Unix socket's path may have on every system, less a little


class Faults:
    """The faults of a running sandbox; `ssmssh.sandbox.faults` tells their names and how they are written."""

    def __init__(self, box: "Sandbox") -> None:
        self._box = box

    def set(self, fault: str, session: str | None = None) -> None:
        """Put a fault in force for all sessions, or for the one with that id.

        Raises:
            UsageError: there is no such fault.
        """
        self._box.call("set_fault", fault=str(parse(fault)), session_id=session)

    def clear(self, name: str | None = None, session: str | None = None) -> None:
        """Lift a fault, or all of them."""
        self._box.call("clear_fault", name=name, session_id=session)

    def list(self, session: str | None = None) -> Sequence[str]:
        """What is in force."""
        return cast("Sequence[str]", self._box.call("faults", session_id=session))

    @contextlib.contextmanager
    def during(self, *faults: str, session: str | None = None) -> Iterator[None]:
        """Have faults in force for a while."""
        for fault in faults:
            self.set(fault, session)
        try:
            yield
        finally:
            for fault in faults:
                self.clear(parse(fault).key, session)


class Sandbox:
    """A stand-in for Session Manager on this machine. Use it as a context manager.

    Args:
        unpaced: Lift the agent's millisecond between messages, which limits a session to less than 1 MB/s, and its
            limit of one resend in 100 ms. Everything else stays as with the real one.
        ssh_server: ``system`` is OpenSSH's, ``library`` asyncssh, ``auto`` the former if it can be used.
        faults: What goes wrong from the start.
        instances: What there is beyond the three that every sandbox has: so many, those of a file, or these.
        region: The region of what names none, and of the environment.
        unsigned_opens: Take WebSockets whose open request is not signed, as clients before 1.2.764.0 send it.
        offers_key: Whether the ssh of the environment has a key that every instance takes, or one must be pushed.
        gateways: How many processes share the sessions.
        agent_version: What the agents say they are, but for instances that say themselves.
        handshake_seconds: How long an agent waits for the client's handshake; 15 for the real one.
        strict: Have agents complain (`SessionReport.complaints`) of what a client should not do and they let pass.
        seed: Makes the chance behind faults repeatable.
        parent_directory: Where to make the directory; the system's place for such by default.
        broken: Set-ups that do not work (`ssmssh.sandbox.broken`), by name; `broken` breaks and mends it while it runs.
        keep: The sandbox outlives this object and process, until `stop_directory`.
        policies: What the holder of the credentials may do: policies of IAM, or files of such; without, everything.
        caller: Whose credentials they are: of a session of the role ``sandbox``, or of a user of IAM.
        preferences: The content of SSM-SessionManagerRunShell, or a file with it; without, it sets nothing.
        minute_seconds: How long a minute of preferences is, for tests that would not wait for one.

    Starting takes a good quarter of a second. Everything is below `directory`, which only its owner can enter.

    One class, because it is all that its users hold of a sandbox: what it was asked for, and what there is of it. What
    runs is a `MainProcess`.
    """

    def __init__(
        self,
        *,
        unpaced: bool = False,
        ssh_server: SshServer = "auto",
        faults: Sequence[str] = (),
        instances: Sequence[Instance] | Path | int = (),
        region: str = REGION,
        gateways: int = 1,
        unsigned_opens: bool = False,
        offers_key: bool = True,
        agent_version: str = AGENT_VERSION,
        handshake_seconds: float = 15.0,
        strict: bool = False,
        seed: int | None = None,
        parent_directory: Path | None = None,
        broken: Sequence[str] = (),
        keep: bool = False,
        policies: Sequence[boxpolicies.Document | Path] = (),
        caller: CallerKind = "role",
        preferences: boxpolicies.Document | Path | None = None,
        minute_seconds: float = MINUTE_SECONDS,
    ) -> None:
        self.instances = resolve(instances, region, agent_version)
        self.region = region
        self.faults = Faults(self)
        self.policies = Policies(self.call)
        self._policies = boxpolicies.resolve(policies)
        self._caller = caller
        self.broken = BrokenSetUps(self)
        self._broken = check_names(broken)
        self._preferences = {"preferences": boxpolicies.preferences(preferences), "minute_seconds": minute_seconds}
        self._gateways = gateways
        self._ssh_server = ssh_server
        self._offers_key = offers_key
        self._fault_texts = [str(parse(fault)) for fault in faults]
        self._character: Mapping[str, object] = {
            "unpaced": unpaced,
            "unsigned_opens": unsigned_opens,
            "handshake_seconds": handshake_seconds,
            "strict": strict,
            "seed": seed,
        }
        self._parent_directory = parent_directory
        self._keep = keep
        self._base = dict(settings.read())
        self._keys = {each: make_access_key(each, caller) for each in dict.fromkeys(PROFILES.values())}
        self._directory: Path | None = None
        self._main: MainProcess | None = None
        self._endpoints = environment.Endpoints("", ())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep or error is not None:
            self.stop()
        elif self._main is not None:
            self._main.let_go()

    # What there is.

    @property
    def directory(self) -> Path:
        """Where everything of the sandbox is."""
        if self._directory is None:
            raise UsageError("the sandbox is not running", "use it in a with statement")
        return self._directory

    @property
    def ssh_config(self) -> Path:
        """The ssh configuration file, for ``ssh -F`` and libraries."""
        return self.directory / "ssh_config"

    @property
    def endpoint_url(self) -> str:
        """The URL of the API."""
        return self._endpoints.endpoint_url

    @property
    def stream_endpoint(self) -> str:
        """The URL of the (first) gateway, without a path."""
        return self._endpoints.stream_endpoints[0]

    @property
    def ca_bundle(self) -> Path:
        """The certificate authority to trust."""
        return self.directory / "ca.pem"

    @property
    def credentials(self) -> AccessKey:
        """The credential of its profiles ``default`` and ``sandbox``; what its STS issues is accepted as well."""
        return self.credentials_of("default")

    def credentials_of(self, profile: str) -> AccessKey:
        """The credential of a profile."""
        return self._keys[PROFILES[profile]]

    @property
    def environment_changes(self) -> dict[str, str | None]:
        """What to set and (None) to remove in an environment to be in the sandbox."""
        changes = environment.changes(self.directory, self._endpoints, self.region, self._base)
        return changes | dict(self.broken.environment_changes)

    @property
    def environment(self) -> dict[str, str]:
        """A complete environment for a child process that shall be in the sandbox."""
        return environment.apply(self._base, self.environment_changes)

    def sessions(self) -> list[SessionReport]:
        """All sessions, oldest first; of those that are over, the last thousand per gateway."""
        names = {field.name for field in fields(SessionReport)}
        rows = cast("list[dict[str, Any]]", self.call("sessions"))
        return [SessionReport(**{name: row[name] for name in names}) for row in rows]

    def calls(self) -> list[CallReport]:
        """Which calls of the API there have been, in the order of the first of each."""
        return [CallReport(**row) for row in cast("list[dict[str, Any]]", self.call("calls"))]

    def count_calls(self, action: str = "*", *, region: str = "*", profile: str = "*") -> int:
        """How many calls there have been, refused or not; in `action`, ``*`` stands for anything (``ec2:*``)."""
        wanted = (action, region, profile)
        return sum(
            each.calls
            for each in self.calls()
            if all(map(fnmatch.fnmatchcase, (each.action, each.region, each.profile), wanted))
        )

    def open_port(self, number: int, own: int, host: str = "") -> None:
        """Let sessions to port `number` reach port `own` of the loopback address; others find nothing there.

        With a `host`, a name or an address, this is a port of that host, for sessions to remote hosts; else it is one
        of each instance.
        """
        self.call("open_port", number=number, own=own, host=host)

    def open_ssh_port(self, instance_id: str = "") -> int:
        """Have every instance's SSH server listen on one more port of the loopback address, too; which one.

        What listens there is what a program on the instance finds there; port 22 is for agents alone. With an
        `instance_id` it is the server of that instance alone, which takes the keys that are pushed to it.
        """
        return cast("int", self.call("open_ssh_port", target=instance_id))

    def expire_pushed_keys(self) -> None:
        """Have the time of every key that was pushed be up."""
        self.call("expire_keys")

    def renew_credentials(self, profile: str = "default") -> None:
        """Let a profile's credential expire, and write another one to the credentials file of the environment.

        A process that read the old one is told that its token has expired, until it reads the file again.
        """
        key = self._keys[PROFILES[profile]] = make_access_key(PROFILES[profile], self._caller)
        self.call("renew_key", key=list(astuple(key)))
        environment.write_credentials(self.directory, self._keys)

    def call(self, name: str, /, **arguments: object) -> object:
        """Make a control call.

        Raises:
            ControlError: the sandbox is gone or refuses.
        """
        if self._main is None:
            raise UsageError("the sandbox is not running", "use it in a with statement")
        return self._main.call(name, **arguments)

    def check(self) -> None:
        """See to it that it has not ended by itself, as it does when one of its processes is lost; does not block.

        Raises:
            ControlError: it has; which process it was, and what that said, as far as it is known.
        """
        if self._main is not None:
            self._main.check()

    # Starting and stopping.

    def start(self) -> None:
        """Start everything; blocks until the stand-in answers.

        Raises:
            SsmsshError: something that it needs is missing; nothing is left behind.
        """
        self._directory = self._make_directory()
        try:
            self._start(self._directory)
        except ControlError as error:
            said = self._end()
            self.stop()
            raise ControlError(error.sentence, said) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything; blocks until it is gone. Safe to call twice."""
        self._end()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _end(self) -> str:
        """End the processes; what the main one said last."""
        main, self._main = self._main, None
        if main is None:
            return ""
        main.end()
        said = main.last_words()
        main.let_go()
        return said

    def _make_directory(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="ssmssh-sandbox-", dir=self._parent_directory))
        path.chmod(0o700)  # which an unusual umask may have made less
        if _AWKWARD.search(str(path)):
            path.rmdir()
            raise FileError(
                f"the sandbox's directory {path} cannot stand in PATH or in an ssh config", "set TMPDIR to another one"
            )
        if len(os.fsencode(path / "control.sock")) > _SOCKET_PATH_BYTES:
            path.rmdir()
            raise FileError(f"the path {path} is too long for a socket", "set TMPDIR to a shorter one")
        return path

    def _start(self, directory: Path) -> None:
        self._main = MainProcess(directory, self._gateways)
        certificate = make_server_certificate()
        write_file(directory / "ca.pem", certificate.authority)
        write_file(directory / "server.pem", certificate.private_key + certificate.certificate)
        keys = make_ssh_key(), make_ssh_key()
        environment.write_ssh_files(directory, *keys, self.instances, self.region, offers_key=self._offers_key)
        environment.write_aws_files(directory, self._keys, self.region)
        write_file(directory / "inventory.json", write_text(self.instances))
        environment.write_programs(directory, self._base)
        node.write_files(directory)
        # What would appear sooner or later is there from the start, so that a watch over leaks sees no change.
        write_file(directory / "sshd.log", b"")
        for name in ("ssmssh", "home", "ssh", "pushed", "connections"):
            make_directory(directory / name)
        program = self._choose_sshd(directory)
        gateway: dict[str, object] = {
            "keys": [list(astuple(key)) for key in self._keys.values()],
            **self._character,
            "sshd": program,
        }
        answer = self._main.call(
            "configure",
            gateway=gateway,
            region=self.region,
            library_sshd=program is None,
            fault_texts=self._fault_texts,
            policies=self._policies,
            **self._preferences,
            is_kept=self._keep,
        )
        (directory / "server.pem").unlink()
        self._endpoints = environment.Endpoints(**cast("Mapping[str, Any]", answer))
        if self._broken:
            self.broken.make(*self._broken)

    def _choose_sshd(self, directory: Path) -> str | None:
        """The path of the system's server, configured, or None for the library's."""
        if self._ssh_server == "library":
            return None
        program = sshd.find_sshd()
        problem = sshd.why_unusable(program)
        if program is not None and problem is None:
            try:
                sshd.configure(directory, program)
            except SsmsshError:
                if self._ssh_server == "system":
                    raise
            else:
                return program
        if self._ssh_server == "system":
            raise UsageError(f"the system's sshd cannot be used: {problem}", "try --ssh-server library")
        return None


def stop_directory(directory: Path) -> None:
    """Stop the sandbox in a directory, whoever started it, and remove the directory.

    Raises:
        ControlError: there is no sandbox.
    """
    caller = connect(directory / "control.sock")
    forbid_logs(directory / "ssmssh")
    try:
        caller.call("stop")
        caller.wait_closed(STOP_SECONDS)
    finally:
        caller.close()
    shutil.rmtree(directory, ignore_errors=True)
