"""The target grammar: an instance id, then perhaps a region and a profile, joined by dots.

``i-040c0af6a7a4ba0a7.eu-west-1.prod`` says all that is needed to reach an instance in one word that ssh,
scp, git and editors carry unchanged. What we are given may come from an ``ssh://`` link on a web page, so
nothing but this grammar passes, and nothing is looked up, started or sent before it has.

Where a block of the ssh config has given names a suffix, what stands before it may be a name, too:
``web-1.eu-west-1.prod.ssm``. Then only the last words before the suffix can be region and profile, and a word that is
neither belongs to the name.

Two rules follow from ssh, which lower-cases ``%h`` and splits names for its known_hosts file: profile words
are compared without regard to (ASCII) case, and a profile whose name holds anything but letters, digits,
``_``, ``+`` and ``-`` cannot be written in a host name.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ssmssh.errors import UsageError

_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})|mi-[0-9a-f]{17}")
"""EC2 ids have 17 digits, those made before 2016 have 8; ids of hybrid nodes have 17 (botocore: ssm model)."""

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]*")

_NAME_WORD = re.compile(r"[A-Za-z0-9_+-]+")
"""A word of a name that ssh can carry; what else a Name has is compared as ``-``."""

_REGION_SHAPE = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]+")
"""What a person would take for a region; decides the wording of an error only."""

_LONGEST = 253
"""Characters of a DNS name (RFC 1035): no ssh client carries a longer host name."""

_EXCERPT = 40
"""Characters of a refused text that an error repeats: enough to recognise it, too few to mislead."""

MAX_LITERAL = 400
"""Characters of a Target (botocore: ssm model, SessionTarget)."""

_LISTED = 8
"""Profile names that a hint shows; more would make it unreadable."""

_GRAMMAR_HINT = (
    "a target is i-... or mi-..., then optionally a region and a profile: i-0123456789abcdef0.eu-west-1.prod"
)
_PIN_HINT = "put --profile in the block instead: ssmssh install-config --profile NAME"


class Target(NamedTuple):
    """A parsed target. `region` and `profile` are None where the text does not name one."""

    instance_id: str
    region: str | None = None
    profile: str | None = None


class Named(NamedTuple):
    """A parsed host that is to be found by something else than an id.

    `by` is what the host is (``--by``), or empty where it may be any of Name, address and DNS name. `region` and
    `profile` are None where the text does not name one.
    """

    text: str
    by: str = ""
    region: str | None = None
    profile: str | None = None


def parse_target(
    text: str,
    *,
    is_region: Callable[[str], bool],
    profile_names: Callable[[], Iterable[str]],
) -> Target:
    """Parse `text`, strictly. Blocks only as long as the two callables do.

    Args:
        text: What the user, or ssh, or a link gave.
        is_region: Whether a word is the name of an AWS region. Called only if there are words.
        profile_names: The names of all profiles. Called only if a word is not a region.

    Returns:
        The target; its profile spelled as in the AWS configuration, not as in `text`.

    Raises:
        UsageError: `text` is not of the grammar, a word is neither a region nor a profile, two profiles
            differ in case only, or a region or a profile is named twice.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"{excerpt(text)} is too long for a target", _GRAMMAR_HINT)
    instance_id, *words = text.split(".")
    if not _INSTANCE_ID.fullmatch(instance_id):
        raise UsageError(f"{excerpt(text)} is not an instance id", _GRAMMAR_HINT)
    if len(words) > 2 or not all(_WORD.fullmatch(word) for word in words):
        raise UsageError(f"{excerpt(text)} is not a target", _GRAMMAR_HINT)
    region: str | None = None
    profile: str | None = None
    for word in words:
        if is_region(word):
            if region is not None:
                raise UsageError(f"{excerpt(text)} names two regions", _GRAMMAR_HINT)
            region = word
        else:
            found = _find_profile(word, list(profile_names()), text)
            if profile is not None:
                raise UsageError(f"{excerpt(text)} names two profiles", _GRAMMAR_HINT)
            profile = found
    return Target(instance_id, region, profile)


def parse_suffixed(
    text: str,
    suffix: str,
    *,
    is_region: Callable[[str], bool],
    profile_names: Callable[[], Iterable[str]],
) -> Target | Named:
    """Parse a host name, in which a name is allowed in front of `suffix`. Blocks only as long as the two callables do.

    Args:
        text: What ssh gave.
        suffix: What the block gives to names, without its dot.
        is_region: As for `parse_target`.
        profile_names: As for `parse_target`.

    Returns:
        What the host is, whatever the case of its letters: an instance, or what must be looked up.

    Raises:
        UsageError: It is neither; two profiles differ in case only.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"{excerpt(text)} is too long for a target", _GRAMMAR_HINT)
    stem, dot, last = text.rpartition(".")
    if not dot or last.lower() != suffix.lower() or is_instance_id(stem.partition(".")[0]):
        stem = stem if dot and last.lower() == suffix.lower() else text
        return parse_target(stem, is_region=is_region, profile_names=profile_names)
    words = stem.split(".")
    if not all(_NAME_WORD.fullmatch(word) for word in words):
        raise UsageError(f"{excerpt(text)} is not a target", f"in front of .{suffix} stands an id or a Name")
    region: str | None = None
    profile: str | None = None
    while len(words) > 1 and (region is None or profile is None):
        word = words[-1].lower()
        if region is None and is_region(word):
            region = word
        elif profile is None and (named := _profiles_like(word, profile_names())):
            profile = _only(named, text)
        else:
            break
        words.pop()
    return Named(".".join(words), "", region, profile)


def check_literal(text: str) -> str:
    """Return a Target that goes to StartSession as it is: ``ecs:...``, ``sagemaker-cluster:...``, whatever AWS takes.

    Such a text comes from whoever writes the ssh config or a command line, never out of a host name.

    Raises:
        UsageError: It is empty, too long, or holds characters that no Target has.
    """
    if not 1 <= len(text) <= MAX_LITERAL:
        raise UsageError(f"--target takes 1 to {MAX_LITERAL} characters, not {len(text)}")
    if not text.isprintable():
        raise UsageError(f"--target {excerpt(text)} holds characters that cannot be printed")
    return text


def is_instance_id(text: str) -> bool:
    """Whether `text` is an instance id and nothing else."""
    return _INSTANCE_ID.fullmatch(text) is not None


def excerpt(text: str, longest: int = _EXCERPT) -> str:
    """At most `longest` characters of a text that is not trusted, quoted, in printable ASCII."""
    return ascii(text if len(text) <= longest else text[:longest] + "...")


def suggest(word: str, names: Iterable[str]) -> str:
    """The hint for a profile that does not exist: the names that come close to `word`, else some of all."""
    import difflib  # noqa: PLC0415 - not needed until somebody mistypes

    by_folded_name = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower()[:_LONGEST], by_folded_name, n=3)
    if close:
        return f"did you mean {' or '.join(excerpt(by_folded_name[name]) for name in close)}?"
    if not by_folded_name:
        return "no profile is configured"
    listed = sorted(by_folded_name.values())[:_LISTED]
    more = ", ..." if len(by_folded_name) > _LISTED else ""
    return f"the profiles are {', '.join(map(excerpt, listed))}{more}"


def _find_profile(word: str, names: list[str], text: str) -> str:
    if matches := _profiles_like(word, names):
        return _only(matches, text)
    kind = "a known AWS region" if _REGION_SHAPE.fullmatch(word) else "an AWS region or a profile"
    # The profile "my.prod" arrives as the words "my" and "prod": say more than "no such profile".
    pieces = {p for n in names if not _WORD.fullmatch(n) for p in re.split(r"[^a-z0-9_+-]+", n.lower())}
    if word.lower() in pieces:
        hint = (
            f"a profile name with other characters than letters, digits, _, + and - fits in no host name; {_PIN_HINT}"
        )
    else:
        hint = suggest(word, names)
    raise UsageError(f"{excerpt(word)} in {excerpt(text)} is not {kind}", hint)


def _profiles_like(word: str, names: Iterable[str]) -> list[str]:
    """The profiles that a word of a host name can mean."""
    return [name for name in names if name.isascii() and name.lower() == word.lower()]


def _only(names: list[str], text: str) -> str:
    """The one of the profiles that there is; UsageError if there are two."""
    if len(names) > 1:
        spelled = " and ".join(excerpt(name) for name in sorted(names))
        raise UsageError(f"{excerpt(text)} could mean the profiles {spelled}, which ssh cannot tell apart", _PIN_HINT)
    return names[0]
