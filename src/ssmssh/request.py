"""Host words, options and environment become one request: who calls, for which target, what to ask for.

The order of precedence is told in `ssmssh.settings`. It is the same for every program and for the library, so it is
applied here for all of them. Reads the AWS configuration if the host has words; no network, no helper, no prompt yet.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssmssh import settings
from ssmssh.aws.client import AwsSettings, known_partitions, profile_names
from ssmssh.errors import UsageError
from ssmssh.protocol.limits import DEFAULT_LIMITS, Limits
from ssmssh.session.patience import PATIENCE_SECONDS
from ssmssh.session.remote import SessionRequest
from ssmssh.target import Named, Target, check_literal, is_instance_id, parse_suffixed, parse_target

if TYPE_CHECKING:
    from ssmssh.nodes.choice import Choose
    from ssmssh.nodes.finder import Finder

DEFAULT_PORT = 22
"""Of an SSH server."""

MAX_WAIT_SECONDS = 3600.0
"""What ``--wait`` takes: a machine that has not started after an hour will not."""

WINDOW_KIB = (16, 4096)
"""What ``--window`` takes: ten messages, and the window's own ceiling (`ssmssh.protocol.limits`)."""

RATE_KB = (50, 1_000_000)
"""What ``--rate`` takes: a screen in a blink, and more than any machine encrypts."""


class Request(NamedTuple):
    """Who calls and where (`aws`), what to ask StartSession for (`session`), and where open sessions are noted."""

    aws: AwsSettings
    session: SessionRequest
    journal_directory: Path


def understand(
    host: str, *, target: str | None = None, suffix: str | None = None, by: str | None = None
) -> Target | Named:
    """What a host name stands for; blocks for reading files at most.

    Args:
        host: ``i-...`` or ``mi-...``, then optionally a region and a profile, unless one of the following is given.
        target: A Target of 1 to 400 characters that StartSession gets as it is, whatever `host` says, which is not
            looked at then. Nothing in it is looked up.
        suffix: What may stand behind a name in `host`.
        by: What `host` is: ``name``, ``private-ip``, ``public-ip``, ``dns`` or ``tag:KEY``.

    Raises:
        UsageError: It is nothing of the kind, or two of these are given.
    """
    if len([each for each in (target, suffix, by) if each is not None]) > 1:
        raise UsageError("--target, --suffix and --by cannot be given together", "give one of them")
    if target is not None:
        return Target(check_literal(target))
    if by is not None:
        return Named(host, by)

    def is_region(word: str) -> bool:
        return known_partitions().is_region(word)

    if suffix is not None:
        return parse_suffixed(host, suffix, is_region=is_region, profile_names=profile_names)
    return parse_target(host, is_region=is_region, profile_names=profile_names)


def without_word(host: str, word: str, suffix: str | None) -> str:
    """A host name without its last word where that is `word`: it tells a block from another, and nothing of a target.

    Args:
        host: As ssh gives it, in small letters mostly.
        word: Compared without regard to case.
        suffix: What may stand behind it, and stays.
    """
    ending = f".{suffix}" if suffix and host.lower().endswith(f".{suffix}".lower()) else ""
    stem = host[: len(host) - len(ending)]
    return stem[: -len(word) - 1] + ending if stem.lower().endswith(f".{word}".lower()) else host


def understand_any(text: str) -> Target | Named:
    """What a target stands for where there is room for more than ssh's host names carry; blocks as `understand`.

    Args:
        text: An id, which may have a region and a profile behind it; or a Name, ``tag:Key=Value``, an address, a DNS
            name or ``asg:NAME``.

    Raises:
        UsageError: It begins as an id, and does not go on as one.
    """
    return understand(text) if is_instance_id(text.partition(".")[0]) else Named(text)


def prepare(
    host: str | Target | Named,
    port: int | None,
    *,
    profile: str | None = None,
    region: str | None = None,
    document_name: str | None = None,
    parameters: Mapping[str, list[str]] | None = None,
    reason: str | None = None,
    endpoint_url: str | None = None,
    stream_endpoint_url: str | None = None,
    wait: float | str | None = None,
    retry_access: float | str | None = None,
    window: float | str | None = None,
    rate: float | str | None = None,
    choose: "Choose | None" = None,
) -> Request:
    """Join what the caller says and what the environment says; blocks for reading files at most.

    Args:
        host: As `understand` takes it, or what that or `understand_any` has made of it. Its words come before what is
            given here.
        port: TCP port on the instance, from 1 to 65535; None for a session that is not for one.
        profile: Name of an AWS profile.
        region: Name of an AWS region.
        document_name: Session document. If nobody names one, `ssmssh.settings.DEFAULT_DOCUMENT`, or without a port the
            account's shell; what the environment says is for sessions with a port.
        parameters: The document's, besides its ``portNumber``, which they may replace.
        reason: Noted in the account's session history.
        endpoint_url: Of the ``ssm`` API.
        stream_endpoint_url: Of the ``ssmmessages`` service.
        wait: Seconds to wait for an instance that is starting, up to `MAX_WAIT_SECONDS`. Like the next two a number, or
            what a person has written for one.
        retry_access: Seconds for which an access that is denied is tried again; the patience comes on top.
        window: The most of an upload that is on its way, in KiB, within `WINDOW_KIB`.
        rate: The rate of an upload at most, in 1000 bytes a second, within `RATE_KB`.
        choose: Which one of a group of instances that `host` may name.

    Raises:
        UsageError: A host that is no target, a number out of its range, no home directory.
    """
    environment = settings.from_environment()
    wait_seconds = _number(_first(wait, environment.wait), "seconds to wait", 1, MAX_WAIT_SECONDS)
    access_seconds = parse_retry_access(retry_access)
    typed = understand(host) if isinstance(host, str) else host
    request = SessionRequest(
        target=typed.text if isinstance(typed, Named) else typed.instance_id,
        document_name=document_name or (_document(environment) if port is not None else None),
        parameters=_port(port) | dict(parameters or {}),
        reason=reason or environment.reason,
        patience_seconds=access_seconds + (wait_seconds or PATIENCE_SECONDS),
        access_seconds=access_seconds,
        waits_for_target=wait_seconds is not None,
        limits=_limits(_first(window, environment.window), _first(rate, environment.rate)),
        finder=_finder(typed, choose),
    )
    endpoints = {"endpoint_url": endpoint_url, "stream_endpoint_url": stream_endpoint_url}
    aws_settings = caller_settings(profile=typed.profile or profile, region=typed.region or region, **endpoints)
    return Request(aws_settings, request, _directories()[1] / "sessions")


def examination_of(typed: Target | Named, port: int, options: Mapping[str, str | None]) -> str:
    """The command that finds out why it does not work, for a shell.

    Args:
        typed: As `understand` has made it of a host; no literal Target.
        port: On the machine.
        options: Those of the program, by name: profile, region, endpoint_url, stream_endpoint_url. Words of the host
            come first.
    """
    tag = typed.by if isinstance(typed, Named) and typed.by.startswith("tag:") else ""
    text = typed.text if isinstance(typed, Named) else typed.instance_id
    chosen = {**options, "profile": typed.profile or options["profile"], "region": typed.region or options["region"]}
    words = ["ssmssh", "doctor", f"{tag}={text}" if tag else text]
    for name, value in {**chosen, "port": None if port == DEFAULT_PORT else str(port)}.items():
        words += [f"--{name.replace('_', '-')}", value] if value else []
    return shlex.join(words)


def parse_retry_access(value: float | str | None) -> float:
    """For how many seconds a denied access is tried again; 0 for None. Raises UsageError."""
    return _number(value or None, "seconds to retry", 1, MAX_WAIT_SECONDS) or 0.0


def caller_settings(
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    stream_endpoint_url: str | None = None,
) -> AwsSettings:
    """Who calls, and where: what is given, before what the environment says.

    Raises:
        UsageError: There is no home directory.
    """
    environment = settings.from_environment()
    sandbox = settings.sandbox_directory()
    return AwsSettings(
        profile=profile or environment.profile,
        region=region or environment.region or settings.aws_region(),
        endpoint_url=endpoint_url or environment.endpoint_url,
        stream_endpoint_url=stream_endpoint_url or environment.stream_endpoint_url,
        ca_bundle=settings.requests_ca_bundle(),
        data_cache=_directories()[0],
        role_cache=sandbox / "ssmssh" / "cache" / "roles" if sandbox else None,
    )


def parse_parameters(pairs: Sequence[str]) -> dict[str, list[str]]:
    """``name=value`` words as StartSession wants them: a repeated name makes a longer list. Raises UsageError."""
    parameters: dict[str, list[str]] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name or not value:
            raise UsageError(f"--parameter {pair[:80]!r} is not of the form NAME=VALUE")
        parameters.setdefault(name, []).append(value)
    return parameters


def _document(environment: settings.Settings) -> str:
    """The session document for ports that nobody has named."""
    return environment.document_name or settings.DEFAULT_DOCUMENT


def _port(port: int | None) -> dict[str, list[str]]:
    """The parameter of a document that says it; raises UsageError."""
    if port is None:
        return {}
    if not 0 < port < 65536:
        raise UsageError(f"{port} is not a port number from 1 to 65535")
    return {"portNumber": [str(port)]}


def _finder(typed: Target | Named, choose: "Choose | None") -> "Finder | None":
    if not isinstance(typed, Named):
        return None
    from ssmssh.nodes.finder import finder_of  # noqa: PLC0415 - what a connection by id does not need

    return finder_of(typed, _directories()[0], choose)


def _directories() -> tuple[Path, Path]:
    """This user's for caches and for state; raises UsageError where there are none."""
    try:
        return settings.cache_directory(), settings.state_directory()
    except RuntimeError:  # of platformdirs: HOME is not set, and the user is not in the password database
        raise UsageError("This user has no home directory, and HOME is not set", "set HOME or SSMSSH_HOME") from None


def _limits(window: float | str | None, rate: float | str | None) -> Limits:
    limits = DEFAULT_LIMITS
    if (kib := _number(window, "KiB for the window", *WINDOW_KIB)) is not None:
        limits = limits._replace(max_window_bytes=int(kib * 1024))
    if (kilobytes := _number(rate, "kB per second", *RATE_KB)) is not None:
        limits = limits._replace(max_rate=kilobytes * 1000)
    return limits


def _first(value: float | str | None, otherwise: str | None) -> float | str | None:
    """What is given, before what the environment says; an empty text gives nothing, a zero is a number."""
    return otherwise if value is None or value == "" else value


def _number(value: float | str | None, meaning: str, least: float, most: float) -> float | None:
    """A number of something, or the text of one; raises UsageError."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        said = repr(value[:20]) if isinstance(value, str) else value
        raise UsageError(f"{said} is not a number of {meaning}, from {least:.0f} to {most:.0f}")
    return number
