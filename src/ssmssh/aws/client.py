"""The botocore session and clients of one region and one identity.

Everything about *who* calls is botocore's: environment, shared files, roles, SSO, ``credential_process``,
instance metadata. We add what a program behind ssh needs: a prompt that leaves standard input alone, the AWS
CLI's cache, and time-outs of seconds, because the first SSH byte must be out within ten (botocore's own would
wait a minute, five times).

Any number of sessions may share one, from any thread: then they cost one look for credentials, one helper, one
question. What changes when credentials are looked for again is in a `Generation`. A new one takes the old one's
place when its credentials are there; until then, and if they cannot be had, calls go on with the old one's, which may
still be good enough for them.
"""

import re
import ssl
from collections.abc import Collection
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.session import Session

from ssmssh import __version__
from ssmssh.aws import endpoints
from ssmssh.aws.answers import check_form
from ssmssh.aws.credentials import Ask, equip, explain
from ssmssh.aws.errors import CONFIGURATION_ERRORS, Context, mapped, quote
from ssmssh.aws.generation import Generation, SharedSession
from ssmssh.aws.handlers import register_handlers
from ssmssh.aws.loader import session_loader
from ssmssh.aws.login import allow_library
from ssmssh.aws.origins import Origin
from ssmssh.aws.regions import Partitions, load_partitions
from ssmssh.aws.terminal import ask_for_mfa_code, mfa_needed
from ssmssh.aws.together import Together
from ssmssh.aws.transport import Sender
from ssmssh.aws.variables import check_single_values, configuring, take_empty_profile_as_unset, unusable_setting
from ssmssh.errors import FileError, SsmsshError, UsageError
from ssmssh.network.tls import user_path
from ssmssh.target import excerpt, suggest

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

CONNECT_SECONDS = 3
READ_SECONDS = 5
"""Per attempt and address: a healthy StartSession answers within a second."""

_REGION = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
"""What can be a label of a host name, as in botocore, whose own check lets a line feed at the end through."""


class AwsSettings(NamedTuple):
    """What overrides AWS's own configuration; None leaves it to decide.

    Args:
        profile: Name of a profile, spelled as it is configured.
        region: Name of a region. The caller puts ``AWS_REGION`` here, which botocore does not read.
        endpoint_url: Of the ``ssm`` API: ``https``, or ``http`` on loopback.
        stream_endpoint_url: Of ``ssmmessages``, instead of the one the service names (VPC endpoints).
        ca_bundle: ``REQUESTS_CA_BUNDLE``, which botocore falls back to, for the WebSocket to do the same.
        data_cache: Directory for the part of botocore's data that sessions need (`ssmssh.aws.loader`). With it the
            ``ssm`` client is made five times as fast. It has the operations that are called here only, and so have
            clients of EC2 and Auto Scaling; other services do not notice.
        role_cache: Directory for temporary credentials, instead of the AWS CLI's.
        asks: Whether a person may be asked for an MFA code.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    stream_endpoint_url: str | None = None
    ca_bundle: str | None = None
    data_cache: Path | None = None
    role_cache: Path | None = None
    asks: bool = True

    def __repr__(self) -> str:
        return f"AwsSettings(profile={self.profile!r}, region={self.region!r})"  # a URL may hold a password


class RegionError(UsageError):
    """No region is set, or what is set is the name of none."""


class AwsClient:
    """One identity in one region. For any thread.

    Making one reads files only; credentials are looked for by the first call that needs them, which may run a
    helper, ask on the terminal, or call STS, IAM Identity Center or the metadata service.

    Attributes:
        settings: As given.
        profile: The profile in use, wherever it was named; None for the default one.
        region: The region in use; once `ssm` was used, without the "fips-" that makes a pseudo region of it.
        ca_bundle: File or directory of CA certificates for API and WebSocket; None for botocore's default.
        stream_base: What replaces scheme, host and port of StreamUrls, or None.

    Raises:
        RegionError: No region.
        EndpointError: An endpoint that cannot be used.
        UsageError: An unknown profile, or a setting that cannot be used.
        FileError: There is no such CA bundle.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self.stream_base = endpoints.stream_base(settings.stream_endpoint_url) if settings.stream_endpoint_url else None
        self._sender = Sender((CONNECT_SECONDS, READ_SECONDS))
        session = self._new_session()
        self.profile: str | None = None
        context = Context("read the AWS configuration", profile=settings.profile)
        with configuring(context, self._new_session):
            self.profile = session.profile
            names = session.available_profiles
        self._check_profile(session, names)
        with configuring(context, self._new_session):
            check_single_values(session)
            region = session.get_config_variable("region")
            bundle = session.get_config_variable("ca_bundle")
            bundle = settings.ca_bundle if bundle is None else bundle  # one that is empty, botocore refuses
            self.ca_bundle: str | None = str(user_path(bundle)) if bundle else None
            endpoint_url = settings.endpoint_url or _configured_endpoint_url(session)
        if endpoint_url:
            endpoints.check_endpoint_url(endpoint_url)  # `Sender` does it, too, but by then credentials have been got
        if not region:
            from ssmssh.aws.files import reason_in_files

            profile = f" for the profile {self.profile}" if self.profile else ""
            raise RegionError(
                f"No region is set{profile}{reason_in_files(session)}",
                "add it to the host (i-0123456789abcdef0.eu-west-1), set region (--region), or run: aws configure"
                f"{Context('', profile=self.profile).profile_option}",
            )
        if not _REGION.fullmatch(region):
            sentence = f"{excerpt(region)} is not the name of a region"
            raise RegionError(
                sentence, "names are like eu-west-1: correct the region (--region), AWS_REGION or the AWS configuration"
            )
        if self.ca_bundle and not Path(self.ca_bundle).exists():
            raise FileError(
                f"The CA bundle {self.ca_bundle} does not exist",
                "correct AWS_CA_BUNDLE, ca_bundle or REQUESTS_CA_BUNDLE",
            )
        self.region: str = region
        self._sender.verify = self.ca_bundle or True
        self._configured_region = region
        self._renewal = Together[None]()
        self._current = self._new_generation(0, session, ask_for_mfa_code if settings.asks else _do_not_ask)

    def __repr__(self) -> str:
        return f"AwsClient(region={self.region!r}, profile={self.profile!r})"

    def context(self, what: str, target: str | None = None, document_name: str | None = None) -> Context:
        """What an error is to say besides its reason."""
        return Context(what, self.region, self.profile, target, document_name, self._current.origin)

    def credentials(self) -> "ReadOnlyCredentials":
        """The caller's credentials, refreshed if they are about to expire.

        Blocks when they must be got first: for seconds at a service, for as long as it takes at a helper or a
        person. Of several threads one gets them, and all are told what became of it (`ssmssh.aws.generation`). A
        result of STS or IAM Identity Center is taken from the AWS CLI's cache where it is there.

        Raises:
            CredentialsError: None are found, or they cannot be obtained; the hint says how to log in.
            SsmsshError: A service that was asked for them refused, or was not reached.
        """
        return self._current.credentials()

    @property
    def ssm(self) -> Any:
        """The ``ssm`` client of botocore; as `service`."""
        return self.service("ssm")

    def service(self, name: str, region: str | None = None) -> Any:
        """The client of botocore for a service (``ec2``, ``kms``), made when it is first needed. For any thread.

        It makes one attempt per call, with the time-outs, the judgement of endpoints and the TLS of all of them.

        Args:
            name: As botocore calls it.
            region: Another than that of this client, of the same partition.

        Raises:
            UsageError: The configured endpoint cannot be used.
            SsmsshError: As `credentials`.
        """
        return self._current.client(name, None if region == self.region else region)

    def share_tls(self, context: ssl.SSLContext) -> None:
        """Use `context`, which trusts `ca_bundle`, for all calls from now on, instead of parsing the bundle again."""
        self._sender.share_tls(context)

    @property
    def endpoint_url(self) -> str:
        """Where `ssm` sends its requests. Raises as `ssm`."""
        url: str = self.ssm.meta.endpoint_url
        return url

    def find_endpoint_url(self) -> str:
        """The same without looking for credentials; blocks for reading files. Raises UsageError."""
        url: str = self._make_client(self._current.session, "ssm", None, has_keys=False).meta.endpoint_url
        return url

    @property
    def dns_suffixes(self) -> tuple[str, str]:
        """What the names of the region's service hosts end with, plain and dual-stack."""
        # This session's loader has read the file already, for the client; `known_partitions` would read it again.
        return load_partitions(self._current.session.get_component("data_loader")).dns_suffixes(self.region)

    def check_stream_url(self, url: str) -> str:
        """The URL to connect to for the StreamUrl `url` of a session of this client: see `endpoints.stream_url`."""
        return endpoints.stream_url(
            url,
            region=self.region,
            dns_suffixes=self.dns_suffixes,
            api_endpoint_url=self.endpoint_url,
            base=self.stream_base,
        )

    def likely_stream_url(self, api_endpoint_url: str | None = None) -> str | None:
        """Scheme and host to which the StreamUrls of sessions will probably lead; None if nobody can tell.

        Raises as `endpoint_url` unless that is given.
        """
        return self.stream_base or endpoints.likely_stream_url(
            region=self.region, dns_suffixes=self.dns_suffixes, api_endpoint_url=api_endpoint_url or self.endpoint_url
        )

    @property
    def origin(self) -> Origin | None:
        """Where the credentials come from; None as long as they have not been got."""
        return self._current.origin

    @property
    def expires_at(self) -> datetime | None:
        """When the credentials end, or are got anew; None where nobody has said, and before they have been got."""
        return self._current.expires_at

    @property
    def generation(self) -> int:
        """How often the credentials have been looked for again; for `renew`, to be asked for before a call."""
        return self._current.number

    def renew(self, generation: int) -> None:
        """Look for credentials again, everywhere, because those of `generation` were refused. Blocks.

        For credentials that botocore cannot refresh: those a login in another window has just written to
        ``~/.aws/credentials`` or to a cache. No question is asked any more: by now the terminal is the user's
        session. Returns at once if that has been done since; of several threads one does it.

        Raises:
            SsmsshError: As `credentials`; the old ones stay in use.
        """
        while generation == self._current.number:
            self._renewal.do(lambda: self._renew(generation))

    def _renew(self, generation: int) -> None:
        if generation != self._current.number:
            return  # somebody else's renewal has ended since this thread has looked
        session = new_session(self.settings.profile, self._configured_region, self._sender)
        with mapped(self.context("read the AWS configuration")):
            names = session.available_profiles
        self._check_profile(session, names)
        renewed = self._new_generation(generation + 1, session, _do_not_interrupt)
        renewed.credentials()
        self._current = renewed

    def _make_client(self, session: Session, name: str, region: str | None, *, has_keys: bool = True) -> Any:
        is_ssm = name == "ssm"
        # Of a client that sends nothing: without any, botocore would look for some.
        keys: dict[str, Any] = {} if has_keys else {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        with configuring(self.context(f"use the {name} API"), self._new_session):
            try:
                made: Any = session.create_client(
                    name,
                    region_name=region,
                    endpoint_url=self.settings.endpoint_url if is_ssm else None,
                    verify=self.ca_bundle,
                    config=Config(retries={"total_max_attempts": 1}),
                    **keys,
                )
            except ValueError as error:
                is_of_the_endpoint = UsageError(quote(str(error)), "check AWS_ENDPOINT_URL and endpoint_url")
                raise (unusable_setting(self._new_session) or is_of_the_endpoint) from None
        if is_ssm and region is None:
            self.region = made.meta.region_name
        return made

    def _new_session(self) -> SharedSession:
        return new_session(self.settings.profile, self.settings.region, self._sender)

    def _check_profile(self, session: Session, names: Collection[str]) -> None:
        if self.profile is not None and self.profile not in names:
            from ssmssh.aws.files import lost_profile, reason_in_files

            sentence = f"The profile {excerpt(self.profile)} is not in the AWS configuration"
            raise lost_profile(session, self.profile) or UsageError(
                f"{sentence}{reason_in_files(session)}", suggest(self.profile, names)
            )

    def _new_generation(self, number: int, session: SharedSession, ask: Ask) -> Generation:
        """Complete the session: the data loader, and the providers of credentials."""
        context = Context("get credentials", self.region, self.profile)

        def explained(error: Exception, origin: Origin) -> SsmsshError:
            is_of_a_setting = isinstance(error, CONFIGURATION_ERRORS)
            fault = unusable_setting(self._new_session) if is_of_a_setting else None
            return fault or explain(error, origin, context, session.full_config)

        with configuring(context, self._new_session):
            loader = session_loader(self.settings.data_cache, session.get_config_variable("data_path"))
            if loader is not None:
                session.register_component("data_loader", loader)
            allow_library(session.full_config["profiles"], self.profile)
            equip(session, self.profile, self.settings.role_cache, ask, explained)
        return Generation(number, session, context, self._make_client)


def new_session(profile: str | None, region: str | None, sender: Sender) -> SharedSession:
    """Make a session that calls AWS, by way of `sender`: the one place where that is done. Reads nothing yet."""
    session = SharedSession(profile=profile, include_builtin_handlers=False)
    take_empty_profile_as_unset(session)
    register_handlers(session)
    if region:
        session.set_config_variable("region", region)  # of the session, for the services asked for credentials too
    session.user_agent_extra = f"ssmssh/{__version__}"
    session.register("before-send", sender.send)  # type: ignore[arg-type]  # the stubs know of no answers
    session.register("after-call.ssm", check_form)
    session.set_default_client_config(Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS))
    return session


def _configured_endpoint_url(session: Session) -> str | None:
    """The endpoint of ``ssm`` that AWS's own configuration names: what botocore will find when it makes the client."""
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    provider = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "ssm")
    url: str | None = provider.provide()
    return url


def _reading_session() -> Session:
    """A session that only reads files. It lacks the handlers for requests, which take 8 ms to register."""
    return Session(include_builtin_handlers=False)


@cache
def known_partitions() -> Partitions:
    """The partitions of the installed botocore."""
    return load_partitions(_reading_session().get_component("data_loader"))


def profile_names() -> list[str]:
    """The names of all profiles in AWS's configuration and credentials files.

    Raises:
        UsageError: A file cannot be parsed.
    """
    with mapped(Context("read the AWS configuration")):
        return list(_reading_session().available_profiles)


def _do_not_interrupt(_question: str, profile: str | None) -> str:
    raise mfa_needed(profile, "it cannot be asked for during a session")


def _do_not_ask(_question: str, profile: str | None) -> str:
    raise mfa_needed(profile, "it is not asked for here")
