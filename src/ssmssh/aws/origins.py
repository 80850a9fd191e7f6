"""Where credentials come from: which of botocore's providers gave them, or failed to, and for which profile.

A profile may get its credentials through others (``source_profile``), so what fails is often not the profile in use,
and advice about that one does not help. botocore tells neither. Here every provider that it asks, those for source
profiles too, is watched while it loads credentials and while these are refreshed: what fails in one is explained with
that one's name at once, the innermost first, and what is found remembers it.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from ssmssh.errors import SsmsshError

if TYPE_CHECKING:
    from botocore.credentials import CredentialResolver

_ROLE = "assume-role"


class Trouble(Enum):
    """What has become of credentials, or of getting them."""

    EXPIRED = auto()
    """They are over, or a log-in is."""
    REFUSED = auto()
    """AWS does not know them."""
    DENIED = auto()
    """AWS knows who asks and does not give them."""
    REJECTED = auto()
    """A parameter of the request for them is wrong."""
    UNREACHABLE = auto()
    """Who should give them did not answer."""
    FOREIGN = auto()
    """Something else has answered instead."""
    UNUSABLE = auto()
    """What should hold them is missing, incomplete or of another form."""


class Origin(NamedTuple):
    """A source of credentials.

    `method` is botocore's name of the provider, as in ``Credentials.method``. `profile` is the one whose section made
    botocore ask it, whatever profile is in use; for sources outside the files it says nothing. `source` is where the
    credentials come from that a role is assumed with.
    """

    method: str
    profile: str
    source: "Origin | None" = None


Explain = Callable[[Exception, Origin], SsmsshError]
"""Makes an error of ours of what has failed there."""


def watch_origins(chain: "CredentialResolver", profile: str | None, explain: Explain) -> None:
    """Have what fails in a provider of `chain`, or in one that it makes for a source profile, raised as `explain` says.

    Args:
        chain: Of a session that has not looked for credentials yet.
        profile: The one in use.
        explain: Called for every exception that is not one of ours yet.
    """
    # botocore has no public way to the providers that it makes later.
    role: Any = chain.get_provider(_ROLE)
    builder, named = role._profile_provider_builder, role._credential_sourcer._providers  # noqa: SLF001
    watch = _Watch(explain)
    for provider in {id(provider): provider for provider in (*chain.providers, *named)}.values():
        watch.add(provider, profile or "default")
    make = builder.providers

    def make_watched(profile_name: str, **options: Any) -> Any:
        providers = make(profile_name=profile_name, **options)
        for provider in providers:
            watch.add(provider, profile_name)
        return providers

    builder.providers = make_watched


def origin_of(credentials: Any) -> Origin | None:
    """Where credentials of a watched chain come from."""
    return getattr(credentials, "origin", None)


class _Watch:
    def __init__(self, explain: Explain) -> None:
        self._explain = explain
        self._last: Origin | None = None

    def add(self, provider: Any, profile: str) -> None:
        if provider.METHOD == _ROLE:  # goes along a chain of roles by itself, with one call for each profile
            of_role = provider._load_creds_via_assume_role  # noqa: SLF001
            provider._load_creds_via_assume_role = lambda name: self._load(lambda: of_role(name), Origin(_ROLE, name))  # noqa: SLF001
        else:
            load = provider.load
            provider.load = lambda: self._load(load, Origin(provider.METHOD, profile))

    def _load(self, load: Callable[[], Any], origin: Origin) -> Any:
        credentials = self._told(load, origin)
        if credentials is None:
            return None
        if origin.method == _ROLE:
            origin = origin._replace(source=self._last)
        self._last = credentials.origin = origin
        refresh = credentials.get_frozen_credentials
        credentials.get_frozen_credentials = lambda: self._told(refresh, origin)
        return credentials

    def _told(self, call: Callable[[], Any], origin: Origin) -> Any:
        try:
            return call()
        except SsmsshError:
            raise
        except Exception as error:  # noqa: BLE001 - the text may hold credentials: it goes no further unlooked at
            raise self._explain(error, origin) from None
