"""The network: whether there is one, what stands in the way, both services, who answers, and the clock."""

import shlex
import sys
from typing import TYPE_CHECKING

from ssmssh import settings
from ssmssh.aws.client import known_partitions
from ssmssh.aws.endpoints import EndpointError
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.facts import caller, network
from ssmssh.doctor.steps import failed_with
from ssmssh.errors import FileError, UsageError
from ssmssh.network.hosts import cut_url

if TYPE_CHECKING:
    from ssmssh.doctor.examination import Examination
    from ssmssh.doctor.facts.network import Probe, Route

_SKEW_SECONDS = 240.0
"""How far a clock may be wrong: AWS refuses signatures that are five minutes old, or from the future."""

_AWS = "Amazon"
"""How those are called who sign the certificates of AWS's endpoints."""

_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
_ENDPOINT_VARIABLES = ("SSMSSH_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL")
"""The first that is set counts."""

_CONNECTION = ("offline", "proxy-settings", "endpoint-settings", "region")


def _offline(examination: "Examination") -> Finding:
    sentence = examination.fact(network.missing_network)
    if sentence:
        return failed(sentence, sentence, "# connect it, log in to the network if that wants it, then try again")
    route = examination.fact(network.ssm_route)
    return ok("no network is needed to get to " + route.first_hop[0] if route.is_local else "there is a network")


def _proxy_settings(examination: "Examination") -> Finding:
    try:
        route = examination.fact(network.ssm_route)
    except EndpointError as error:
        return unknown(error.sentence)
    except UsageError as error:
        return failed_with(error)
    if route.proxy is None:
        return ok("none is set for the endpoint")
    probe = examination.fact(network.ssm_probe)
    if probe.error is not None and _is_of_proxy(probe):
        return failed(
            probe.error.sentence,
            f"The proxy {route.proxy} that {_named_by()} names is in the way: {probe.error.sentence}",
            _without_proxy(),
        )
    return ok(f"{route.proxy}, which lets connections through" if probe.error is None else f"{route.proxy}")


def _is_of_proxy(probe: "Probe") -> bool:
    """Whether a connection has not come further than the proxy."""
    host = probe.route.first_hop[0]
    return "HTTP proxy" in probe.doing or probe.doing.endswith(f"looking up {host}")


def _named_by() -> str:
    names = _set_variables()
    return names[0] if names else "the system"


def _without_proxy() -> str:
    names = _set_variables()
    if not names:
        return "# correct the proxy in the settings of the system"
    return f"unset {' '.join(names)}  # or correct them, if this network needs a proxy"


def _set_variables() -> list[str]:
    environment = settings.read()
    return [name for name in _PROXY_VARIABLES if environment.get(name)]


def _ca_bundle(examination: "Examination") -> Finding:
    try:
        made = examination.fact(caller.configured)
    except FileError as error:
        return failed_with(error)
    bundle = made.client.ca_bundle
    count = made.tls.cert_store_stats()["x509_ca"]
    evidence = f"{bundle or 'the one of the installation'} ({count} authorities)"
    probe = examination.fact(network.ssm_probe)
    if bundle and probe.is_untrusted and _AWS in probe.issuer:
        sentence = f"The CA bundle {bundle} does not have the authority of AWS's certificates ({probe.issuer})"
        return failed(evidence, sentence, _without_bundle(bundle))
    return ok(evidence)


def _without_bundle(bundle: str) -> str:
    names = [name for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if settings.read().get(name)]
    if names:
        return f"unset {' '.join(names)}"
    return f"# take the line ca_bundle = {bundle} out of ~/.aws/config"


def _endpoint_settings(examination: "Examination") -> Finding:
    try:
        url = examination.fact(network.ssm_url)
    except EndpointError as error:
        return failed_with(error)
    made = examination.fact(caller.configured).client
    cut = cut_url(url.lower())
    labels = cut.host.split(".") if cut else []
    other = next((label for label in labels if _is_other_region(label, made.region)), None)
    if other is not None:
        sentence = f"The endpoint {url} is of {other}, and the region is {made.region}"
        return failed(sentence, sentence, f"ssmssh doctor --region {shlex.quote(other)}  # to use that region")
    streams = made.stream_base or "where the API says"
    is_usual = any(url == f"https://ssm.{made.region}.{each}" for each in made.dns_suffixes)
    return ok("AWS's own" if is_usual and not made.stream_base else f"API: {url}, sessions: {streams}")


def _is_other_region(label: str, region: str) -> bool:
    return label != region and known_partitions().is_region(label)


def _ssm_endpoint(examination: "Examination") -> Finding:
    return _reached(examination.fact(network.ssm_probe))


def _stream_endpoint(examination: "Examination") -> Finding:
    probe = examination.fact(network.stream_probe)
    return (
        unknown("the endpoint of the API is not AWS's, and says where sessions lead") if not probe else _reached(probe)
    )


def _reached(probe: "Probe") -> Finding:
    if probe.error is not None:
        names = [name for name in _ENDPOINT_VARIABLES if settings.read().get(name)]
        if names and not probe.is_untrusted:
            where = f"{probe.route.url.authority}, the endpoint that {names[0]} names,"
            sentence = f"{where} cannot be reached: {probe.error.sentence}"
            return failed(sentence, sentence, f"unset {names[0]}  # or correct it")
        sentence = f"{probe.route.url.host} cannot be reached: {probe.error.sentence}"
        return failed(sentence, sentence, f"# {probe.error.hint}")
    return ok(f"{_way(probe.route)}: name, TCP and TLS are fine")


def _way(route: "Route") -> str:
    return f"{route.url.authority}{f' through {route.proxy}' if route.proxy else ''}"


def _interception(examination: "Examination") -> Finding:
    probe = examination.fact(network.ssm_probe)
    if not probe.issuer:
        return unknown("no certificate was seen")
    if _AWS in probe.issuer and not probe.is_untrusted:
        return ok(f"nobody intercepts TLS: signed by {probe.issuer}")
    if not probe.is_untrusted:
        return ok(f"the certificate is signed by {probe.issuer}, whom the CA bundle trusts")
    if _AWS in probe.issuer:
        return unknown(f"the certificate is signed by {probe.issuer}")
    bundle = examination.fact(caller.configured).client.ca_bundle
    sentence = f"TLS to {probe.route.url.host} is answered by a certificate of {probe.issuer}, and "
    if bundle:
        sentence += f"the CA bundle {bundle} does not have that authority"
        step = (
            f"# if this network inspects TLS, add that certificate to {bundle}, which AWS_CA_BUNDLE or ca_bundle names"
        )
        return failed(sentence, sentence, f"{step}; if it does not, unset AWS_CA_BUNDLE")
    sentence += "nothing trusts that here: something on the way inspects TLS, or answers in the place of AWS"
    step = "export AWS_CA_BUNDLE=FILE  # with the certificate of that authority, from whoever runs this network"
    return failed(sentence, sentence, step)


def _clock(examination: "Examination") -> Finding:
    ahead = examination.fact(network.ssm_probe).ahead_seconds
    if ahead is None:
        return unknown("nothing has said what time it is elsewhere")
    told = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the endpoint's"
    if abs(ahead) < _SKEW_SECONDS:
        return ok(f"{told}" if abs(ahead) >= 2 else "as the endpoint's")
    sentence = f"The clock of this computer is {told}, and AWS refuses signatures of another time"
    return failed(told, sentence, _SET_CLOCK.get(sys.platform, "# set the clock"))


_SET_CLOCK = {"linux": "sudo timedatectl set-ntp true", "darwin": "sudo sntp -sS time.apple.com"}

CHECKS = (
    Check("offline", "network", _offline, follows=("aws-config", "region", "endpoint-settings")),
    Check("proxy-settings", "proxy", _proxy_settings, after=("aws-config", "region"), follows=("offline",)),
    Check("endpoint-settings", "endpoints", _endpoint_settings, after=("aws-config",)),
    Check(
        "clock", "clock", _clock, after=("endpoint-settings", "proxy-settings"), follows=("offline", "proxy-settings")
    ),
    Check("ca-bundle", "CA bundle", _ca_bundle, after=("aws-config", "region"), follows=("clock",)),
    Check(
        "interception",
        "certificate",
        _interception,
        after=("ca-bundle", "endpoint-settings"),
        follows=("clock", "ca-bundle"),
    ),
    Check(
        "ssm-endpoint",
        "API (ssm)",
        _ssm_endpoint,
        after=("aws-config", "region", "endpoint-settings", "ca-bundle"),
        follows=(*_CONNECTION, "ca-bundle", "interception", "clock"),
    ),
    Check(
        "ssmmessages-endpoint",
        "sessions (ssmmessages)",
        _stream_endpoint,
        after=("aws-config", "region", "endpoint-settings", "ca-bundle"),
        follows=(*_CONNECTION, "ca-bundle", "interception", "clock", "ssm-endpoint"),
    ),
)
