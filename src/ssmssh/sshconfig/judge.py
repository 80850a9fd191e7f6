"""What ssh will really hand to the proxy, judged by what it says of a host.

The proxy gets ``%h``. That is what was typed, unless ``HostName`` makes another name of it, or ssh makes it canonical.
With ``CanonicalizeHostname always`` it appends each of the ``CanonicalDomains`` and takes the first name that can be
looked up, or gives up if none can (``CanonicalizeFallbackLocal no``). What DNS answers depends on the network, so such
settings are judged by themselves: a proof at home must be good in the office, too. Nor may ssh expect a descriptor
from the proxy (``ProxyUseFdpass``).

Each objection names the setting that is the cause and, where there is one, the setting of ours that should help.
Whether it does is for `install` to try.
"""

import itertools
import shlex
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ssmssh.errors import UsageError
from ssmssh.target import parse_target

IsTarget = Callable[[str], bool]
"""Whether a host name is a target: an instance id, perhaps with a region and a profile that exist."""

KEEP_NAME = "HostName %h"
NOT_CANONICAL = "CanonicalizeHostname no"
NO_DESCRIPTOR = "ProxyUseFdpass no"


class Objection(NamedTuple):
    """Why the proxy would get something it cannot use: a sentence, the keyword to blame, and what may help.

    `remedy` is a setting for the block, `hint` is what to do where none helps.
    """

    sentence: str
    keyword: str
    remedy: str
    hint: str = ""


def objection(host: str, answer: Mapping[str, list[str]], is_target: IsTarget, *, judge_name: bool) -> Objection | None:
    """What stands in the way of a host whose ProxyCommand is ours; None: nothing.

    Args:
        host: The host, as typed.
        answer: What ``ssh -G`` says of it.
        is_target: Asked only about names that ssh makes of others.
        judge_name: Whether the name is to be that of an instance; False for a sample of a pattern like ``web-*``.
    """
    if answer.get("proxyusefdpass") == ["yes"]:
        sentence = "your ssh config sets ProxyUseFdpass for our hosts, and the proxy does not pass descriptors"
        return Objection(sentence, "proxyusefdpass", NO_DESCRIPTOR)
    name = answer.get("hostname", [host])[0]
    is_kept = name == host.lower()
    fits = is_target(name) or (is_kept and is_instance(name.partition(".")[0]))
    if _is_made_canonical(name, answer, fits=fits):
        sentence = f"your ssh config makes ssh look for a canonical name of {host} (CanonicalizeHostname always)"
        return Objection(f"{sentence}, which would name no instance", "canonicalizehostname", NOT_CANONICAL)
    if fits or not judge_name:
        return None
    if is_kept:
        hint = f"put 'HostName i-...' below 'Host {host}' in your ssh config, or give --option 'HostName i-...'"
        return Objection(f"ssh would hand {name} to the proxy as it is, which names no instance", "", "", hint)
    return Objection(f"your ssh config turns {host} into {name}, which names no instance", "hostname", KEEP_NAME)


def unresolved(host: str, complaint: str) -> Objection | None:
    """The objection where ssh finds no canonical name for a host of ours and gives up, known by its words."""
    if "ould not resolve host" not in complaint:
        return None
    sentence = f"your ssh config makes ssh give up because it finds no canonical name of {host}"
    return Objection(f"{sentence} (CanonicalizeHostname always)", "canonicalizehostname", NOT_CANONICAL)


def is_looked_up(host: str, answer: Mapping[str, list[str]]) -> bool:
    """Whether the proxy finds out by itself what a host is, by what its ProxyCommand says, or is told it there."""
    try:
        words = shlex.split(answer.get("proxycommand", [""])[0])
    except ValueError:
        return False
    options = dict(itertools.pairwise(words))
    return "--target" in options or "--by" in options or host.lower().endswith(f".{options.get('--suffix', '.')}")


def is_instance(name: str) -> bool:
    """Whether a name is an instance id and nothing else."""
    try:
        return parse_target(name, is_region=lambda _: False, profile_names=tuple).region is None
    except UsageError:
        return False


def _is_made_canonical(name: str, answer: Mapping[str, list[str]], *, fits: bool) -> bool:
    if answer.get("canonicalizehostname") != ["always"]:
        return False  # "yes" leaves hosts with a ProxyCommand alone
    domains = answer.get("canonicaldomains", [""])[0] not in ("", "none")  # 8.4 says nothing, later ones say "none"
    must_be_found = answer.get("canonicalizefallbacklocal") == ["no"]
    is_short = name.count(".") <= int(answer.get("canonicalizemaxdots", ["1"])[0])
    return (domains or must_be_found) and (is_short or not fits)
