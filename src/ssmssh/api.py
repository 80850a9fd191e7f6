"""What other programs import: a session as a socket.

Nothing here prints, catches a signal, changes the environment, or leaves anything to clean up, and all of it may be
called from any thread. docs/library.md tells how sessions end, and what is promised from one version to the next. Who
calls AWS is found out once for all sessions that are asked for in the same way (`ssmssh.session.sharedcallers`).
"""

import logging
import socket
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Self

from ssmssh.errors import NetworkError, UsageError
from ssmssh.forwarding.hosted import HostedForwarder
from ssmssh.forwarding.routes import session_to
from ssmssh.forwarding.specs import ITSELF, Destination, Forwarding, TcpBind, destination
from ssmssh.request import Request, prepare, understand_any
from ssmssh.session.host import HostedSession
from ssmssh.session.remote import RemoteSession
from ssmssh.session.sessionsocket import CLOSE_SECONDS, SessionSocket
from ssmssh.session.sharedcallers import shared_caller
from ssmssh.session.sides.pair import PairSide

if TYPE_CHECKING:
    import subprocess


__all__ = ["Forward", "OpenSession", "SessionSocket", "connect", "forward", "open_session", "run"]

MAX_SECONDS = 1_000_000
"""Of a time-out: more than a week, and less than any system's clock can count."""

logging.getLogger("ssmssh").addHandler(logging.NullHandler())  # a library's: else warnings would go to stderr


def connect(
    target: str,
    port: int = 22,
    *,
    profile: str | None = None,
    region: str | None = None,
    document_name: str | None = None,
    parameters: Mapping[str, str | Sequence[str]] | None = None,
    reason: str | None = None,
    endpoint_url: str | None = None,
    stream_endpoint_url: str | None = None,
    wait: float | None = None,
    choose: Literal["newest", "oldest"] | None = None,
    timeout: float | None = None,
) -> SessionSocket:
    """Connect to a TCP port of an instance through Session Manager; a connected socket.

    Blocks until the session is open, which is when the agent on the instance is ready to connect to the port. Whether
    anything listens there is known only from what follows: reading raises `TargetError` if not.

    Args:
        target: An instance, as in ``ssh i-0123456789abcdef0``; a region and a profile may follow behind dots. Or its
            Name, ``tag:Key=Value``, an address, a DNS name, ``asg:NAME``, which are looked up (docs/list.md).
        port: On the instance, from 1 to 65535.
        profile: Name of an AWS profile; what `target` says comes first, ``SSMSSH_PROFILE`` and AWS's own configuration
            come behind. It is the same with all that follows.
        region: Name of an AWS region.
        document_name: A session document of type Port; "AWS-StartSSHSession" if nobody names one.
        parameters: The document's, besides its ``portNumber``.
        reason: Noted in the account's session history.
        endpoint_url: Of the ``ssm`` API.
        stream_endpoint_url: Of the ``ssmmessages`` service.
        wait: Seconds to wait for an instance that is starting: to be found by its name, to connect, to take a session,
            to open its port. Up to 3600. Without it a session has 10 s to come about.
        choose: Which one of a group of instances; without it, several are an error that names them.
        timeout: Seconds that this may take at most. As with `socket.create_connection` it is the socket's time-out,
            too, from then on.

    Raises:
        UsageError: An argument or a setting is wrong.
        CredentialsError: No credentials are found, or they are refused.
        TargetError: The instance is not connected, there is none, or there are several.
        AccessDeniedError: AWS knows the caller and refuses the session.
        NetworkError: The service was not reached, or the session did not come about in time.
        SsmsshError: Whatever else of `ssmssh.errors` kept the session from being opened. Nothing of it is left then.
    """
    return open_session(
        target,
        port,
        profile=profile,
        region=region,
        document_name=document_name,
        parameters=parameters,
        reason=reason,
        endpoint_url=endpoint_url,
        stream_endpoint_url=stream_endpoint_url,
        wait=wait,
        choose=choose,
        timeout=timeout,
    ).socket


def open_session(
    target: str,
    port: int = 22,
    *,
    profile: str | None = None,
    region: str | None = None,
    document_name: str | None = None,
    parameters: Mapping[str, str | Sequence[str]] | None = None,
    reason: str | None = None,
    endpoint_url: str | None = None,
    stream_endpoint_url: str | None = None,
    wait: float | None = None,
    choose: Literal["newest", "oldest"] | None = None,
    timeout: float | None = None,
) -> "OpenSession":
    """Open a session to a TCP port of an instance: what `connect` does, for who wants to know more of it.

    Arguments, errors and blocking are those of `connect`.
    """
    _check_kinds(
        {"target": target},
        {
            "profile": profile,
            "region": region,
            "document_name": document_name,
            "reason": reason,
            "endpoint_url": endpoint_url,
            "stream_endpoint_url": stream_endpoint_url,
        },
        port=port,
        parameters=parameters,
        choose=choose,
        seconds={"wait": wait, "timeout": timeout},
    )
    lists = {name: [value] if isinstance(value, str) else [*value] for name, value in (parameters or {}).items()}
    request = prepare(
        understand_any(target),
        port,
        profile=profile,
        region=region,
        document_name=document_name,
        parameters=lists,
        reason=reason,
        endpoint_url=endpoint_url,
        stream_endpoint_url=stream_endpoint_url,
        wait=wait,
        choose=choose,
    )
    with shared_caller(request.aws, request.journal_directory) as caller:
        return _open(RemoteSession(caller, request.session), timeout)


def run(
    target: str,
    argv: Sequence[str],
    *,
    shell: bool = False,
    binary: bool = False,
    profile: str | None = None,
    region: str | None = None,
    document_name: str | None = None,
    reason: str | None = None,
    endpoint_url: str | None = None,
    stream_endpoint_url: str | None = None,
    wait: float | None = None,
    choose: Literal["newest", "oldest"] | None = None,
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command on an instance, without ssh, and wait for its end. docs/shell-and-run.md tells what it cannot do.

    The words of `argv`, the program first, arrive as they are; with `shell` they are joined by blanks, and ``sh`` looks
    at them. There is no standard input. With `binary` standard output is any bytes, and what is missing is noticed.
    `document_name` is one of type NonInteractiveCommands, `timeout` is for all of it: the session is ended then. All
    other arguments are those of `connect`.

    Returns the outputs as bytes, of at most 64 MiB each, and the status: 254 if nobody knows it.

    Raises:
        NetworkError: It took more than `timeout`, or the service was not reached.
        SessionEndedError: Some of the output is known to be missing, or there was more than is kept.
        SsmsshError: As `connect`.
    """
    texts = {"profile": profile, "region": region, "document_name": document_name, "reason": reason}
    urls = {"endpoint_url": endpoint_url, "stream_endpoint_url": stream_endpoint_url}
    seconds = {"wait": wait, "timeout": timeout}
    _check_kinds({"target": target}, {**texts, **urls}, port=0, parameters=None, choose=choose, seconds=seconds)
    if isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv):
        raise UsageError("argv has to be a sequence of str, and not empty")
    from ssmssh.session.remotecommand import DOCUMENT, Command, capture  # noqa: PLC0415 - `connect` does without

    command = Command(argv, has_shell=shell, is_binary=binary)
    request = prepare(
        understand_any(target),
        None,
        profile=profile,
        region=region,
        document_name=document_name or DOCUMENT,
        parameters=command.parameters,
        reason=reason,
        endpoint_url=endpoint_url,
        stream_endpoint_url=stream_endpoint_url,
        wait=wait,
        choose=choose,
    )
    with shared_caller(request.aws, request.journal_directory) as caller:
        return capture(command, RemoteSession(caller, request.session), timeout)


def _open(remote: RemoteSession, timeout: float | None) -> "OpenSession":
    ours, theirs = socket.socketpair()
    try:
        hosted = HostedSession(remote, PairSide(ours))
    except BaseException:
        ours.close()
        theirs.close()
        raise
    end = SessionSocket.of(hosted, theirs)
    try:
        if not hosted.wait_settled(timeout):
            raise NetworkError(f"Opening a session with {remote.description} took more than {timeout:g} s")
        if hosted.failure is not None:
            hosted.wait_ended(CLOSE_SECONDS)
        hosted.raise_failure()
    except BaseException:
        end.let_go()
        hosted.stop()
        raise
    end.settimeout(timeout)
    return OpenSession(hosted, end)


def forward(
    target: str,
    port: int,
    *,
    host: str = ITSELF,
    local_port: int = 0,
    profile: str | None = None,
    region: str | None = None,
    reason: str | None = None,
    endpoint_url: str | None = None,
    stream_endpoint_url: str | None = None,
    wait: float | None = None,
    choose: Literal["newest", "oldest"] | None = None,
    timeout: float | None = None,
) -> "Forward":
    """Forward a port of this computer to one that an instance can reach; any number of connections at a time.

    Blocks until the session is open, which is when the agent on the instance is ready to connect. Whether anything
    listens there is known only from what follows: a connection to the port is reset if not.

    Args:
        target: As for `connect`.
        port: Of `host`, from 1 to 65535.
        host: A name or an address as the instance knows it; the instance itself if nobody says another.
        local_port: What to listen at, on loopback (``127.0.0.1`` and ``::1``); 0 for any.
        profile: As for `connect`, and so are all of these.
        region: Name of an AWS region.
        reason: Noted in the account's session history.
        endpoint_url: Of the ``ssm`` API.
        stream_endpoint_url: Of the ``ssmmessages`` service.
        wait: Seconds to wait for an instance that is starting.
        choose: Which one of a group of instances.
        timeout: Seconds that this may take at most.

    Raises:
        UsageError: An argument or a setting is wrong, or the local port is taken.
        SsmsshError: As for `connect`. Nothing of it is left then.
    """
    texts = {"profile": profile, "region": region, "reason": reason}
    urls = {"endpoint_url": endpoint_url, "stream_endpoint_url": stream_endpoint_url}
    seconds = {"wait": wait, "timeout": timeout}
    needed = {"target": target, "host": host}
    _check_kinds(needed, texts | urls, port=port, parameters=None, choose=choose, seconds=seconds)
    to = _checked_destination(host, port, local_port)
    request = prepare(
        understand_any(target), port, profile=profile, region=region, reason=reason, wait=wait, choose=choose,
        endpoint_url=endpoint_url, stream_endpoint_url=stream_endpoint_url,
    )  # fmt: skip
    return _begin_forward(request, Forwarding(TcpBind(None, local_port), to), timeout)


def _checked_destination(host: str, port: int, local_port: int) -> Destination:
    to = destination(host, port)
    if to is None or not 0 <= local_port < 65536:
        raise UsageError("host and port have to be those of a server, local_port a number from 0 to 65535")
    return to


def _begin_forward(request: Request, forwarding: Forwarding, timeout: float | None) -> "Forward":
    with shared_caller(request.aws, request.journal_directory) as caller:
        hosted = HostedForwarder([forwarding], lambda to: RemoteSession(caller, session_to(request.session, to)))
        try:
            if not hosted.wait_settled(timeout):
                raise NetworkError(f"Opening a session took more than {timeout:g} s")
            hosted.raise_failure()
        except BaseException:
            hosted.stop()
            raise
    return Forward(hosted)


class Forward:
    """A port that is forwarded; `forward` makes one. As a context manager it is closed behind the block.

    It goes on for as long as this is referred to: connections come and go, a lost connection to the service is resumed
    for up to 15 minutes, and a session that was ended is begun anew with the next connection.
    """

    def __init__(self, hosted: HostedForwarder) -> None:
        self._hosted = hosted
        self._end = weakref.finalize(self, hosted.stop)
        self.port: int = hosted.ports[0]
        """What to connect to, at ``127.0.0.1``, ``::1`` or ``localhost``."""

    def __repr__(self) -> str:
        return f"<Forward at port {self.port}>"

    def close(self) -> None:
        """Listen no more, and end what is there. Blocks as `SessionSocket.close` does, and raises nothing."""
        self._end()
        self._hosted.wait_ended(CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OpenSession:
    """A session that was opened; `open_session` makes one. As a context manager it is closed behind the block."""

    def __init__(self, hosted: HostedSession, end: SessionSocket) -> None:
        self._hosted = hosted
        self.socket = end
        """What leads to the port."""

    def __repr__(self) -> str:
        return f"<OpenSession {self.session_id} with {self.target}>"

    @property
    def session_id(self) -> str:
        """As the service knows it; with ``wait`` it may change until the first byte has come."""
        return self._hosted.remote.session_id or ""

    @property
    def target(self) -> str:
        """The target as errors name it: with its region and profile."""
        return self._hosted.remote.description

    @property
    def agent_version(self) -> str:
        """The version of the SSM Agent on the instance, such as "3.3.4851.0"."""
        handshake = self._hosted.handshake
        return handshake.agent_version if handshake is not None else ""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the session has ended, here and at the service; whether it has within `timeout` seconds.

        It ends with the far side's connection, with `close`, or by a failure.

        Raises:
            SsmsshError: What it failed with.
        """
        has_ended = self._hosted.wait_ended(timeout)
        if has_ended:
            self._hosted.raise_failure()
        return has_ended

    def close(self) -> None:
        """End the session: `SessionSocket.close`."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_kinds(
    needed: Mapping[str, object],
    texts: Mapping[str, object],
    *,
    port: object,
    parameters: object,
    choose: object,
    seconds: Mapping[str, object],
) -> None:
    """Refuse with UsageError what would be a defect further on; values are looked at there."""
    for name, value in {**needed, **texts}.items():
        if not (isinstance(value, str) or (value is None and name in texts)):
            raise UsageError(f"{name} has to be a str, not {type(value).__name__}")
    if not isinstance(port, int) or isinstance(port, bool):
        raise UsageError(f"port has to be an int, not {type(port).__name__}")
    if choose not in (None, "newest", "oldest"):
        raise UsageError('choose has to be "newest" or "oldest"')
    for name, number in seconds.items():
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= MAX_SECONDS:
            raise UsageError(f"{name} has to be a number of seconds, from 0 to {MAX_SECONDS}")
    if parameters is None:
        return
    if not isinstance(parameters, Mapping):
        raise UsageError(f"parameters has to be a mapping, not {type(parameters).__name__}")
    for name, value in parameters.items():
        values = value if isinstance(value, Sequence) else [value]
        if not (isinstance(name, str) and all(isinstance(each, str) for each in values)):
            raise UsageError("parameters have to have a str, or several, under each name")
