"""Host words, options and environment become one request: who calls, for which target, what to ask for.

The order of precedence is told in `ssmssh.settings`. It is the same for every program and for the library, so it is
applied here for all of them. Reads the AWS configuration if the host has words; no network, no helper, no prompt yet.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmssh import settings
from ssmssh.aws.client import AwsSettings, known_partitions, profile_names
from ssmssh.errors import UsageError
from ssmssh.protocol.limits import DEFAULT_LIMITS, Limits
from ssmssh.session.patience import PATIENCE_SECONDS
from ssmssh.session.remote import SessionRequest
from ssmssh.target import Named, Target, check_literal, parse_suffixed, parse_target

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


def prepare(
    host: str | Target | Named,
    port: int,
    *,
    profile: str | None = None,
    region: str | None = None,
    document_name: str | None = None,
    parameters: Mapping[str, list[str]] | None = None,
    reason: str | None = None,
    endpoint_url: str | None = None,
    stream_endpoint_url: str | None = None,
    wait: float | str | None = None,
    window: float | str | None = None,
    rate: float | str | None = None,
) -> Request:
    """Join what the caller says and what the environment says; blocks for reading files at most.

    Args:
        host: As `understand` takes it, or what that has made of it. Its words come before what is given here.
        port: TCP port on the instance, from 1 to 65535.
        profile: Name of an AWS profile.
        region: Name of an AWS region.
        document_name: Session document; `ssmssh.settings.DEFAULT_DOCUMENT` if nobody names one.
        parameters: The document's, besides its ``portNumber``, which they may replace.
        reason: Noted in the account's session history.
        endpoint_url: Of the ``ssm`` API.
        stream_endpoint_url: Of the ``ssmmessages`` service.
        wait: Seconds to wait for an instance that is starting, up to `MAX_WAIT_SECONDS`. Like the next two a number, or
            what a person has written for one.
        window: The most of an upload that is on its way, in KiB, within `WINDOW_KIB`.
        rate: The rate of an upload at most, in 1000 bytes a second, within `RATE_KB`.

    Raises:
        UsageError: A host that is no target, a number out of its range, no home directory.
    """
    if not 0 < port < 65536:
        raise UsageError(f"{port} is not a port number from 1 to 65535")
    environment = settings.from_environment()
    wait_seconds = _number(_first(wait, environment.wait), "seconds to wait", 1, MAX_WAIT_SECONDS)
    limits = _limits(_first(window, environment.window), _first(rate, environment.rate))
    typed = understand(host) if isinstance(host, str) else host
    request = SessionRequest(
        target=typed.text if isinstance(typed, Named) else typed.instance_id,
        document_name=document_name or environment.document_name or settings.DEFAULT_DOCUMENT,
        parameters={"portNumber": [str(port)]} | dict(parameters or {}),
        reason=reason or environment.reason,
        patience_seconds=wait_seconds or PATIENCE_SECONDS,
        waits_for_target=wait_seconds is not None,
        limits=limits,
    )
    aws_settings = AwsSettings(
        profile=typed.profile or profile or environment.profile,
        region=typed.region or region or environment.region or settings.aws_region(),
        endpoint_url=endpoint_url or environment.endpoint_url,
        stream_endpoint_url=stream_endpoint_url or environment.stream_endpoint_url,
        ca_bundle=settings.requests_ca_bundle(),
    )
    return _with_directories(aws_settings, request, typed)


def parse_parameters(pairs: Sequence[str]) -> dict[str, list[str]]:
    """``name=value`` words as StartSession wants them: a repeated name makes a longer list. Raises UsageError."""
    parameters: dict[str, list[str]] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name or not value:
            raise UsageError(f"--parameter {pair[:80]!r} is not of the form NAME=VALUE")
        parameters.setdefault(name, []).append(value)
    return parameters


def _with_directories(aws_settings: AwsSettings, request: SessionRequest, typed: Target | Named) -> Request:
    """The request with the directories of this user; raises UsageError where there are none."""
    try:
        cache_directory, state_directory = settings.cache_directory(), settings.state_directory()
    except RuntimeError:  # of platformdirs: HOME is not set, and the user is not in the password database
        raise UsageError("This user has no home directory, and HOME is not set", "set HOME or SSMSSH_HOME") from None
    if isinstance(typed, Named):
        from ssmssh.nodes.finder import finder_of  # noqa: PLC0415 - what a connection by id does not need

        request = request._replace(finder=finder_of(typed, cache_directory))
    sandbox = settings.sandbox_directory()
    role_cache = sandbox / "ssmssh" / "cache" / "roles" if sandbox else None
    aws_settings = aws_settings._replace(data_cache=cache_directory, role_cache=role_cache)
    return Request(aws_settings, request, state_directory / "sessions")


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
