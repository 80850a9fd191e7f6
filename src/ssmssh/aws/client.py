"""The botocore session and `ssm` client of one region and one identity.

Everything about *who* calls is botocore's: environment, shared files, roles, SSO, ``credential_process``,
instance metadata. We add what a program behind ssh needs: a prompt that leaves standard input alone, the AWS
CLI's cache, and time-outs of seconds, because the first SSH byte must be out within ten (botocore's own would
wait a minute, five times).
"""

import re
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError
from botocore.session import Session

from ssmssh import __version__
from ssmssh.aws.answers import check_form
from ssmssh.aws.caches import share_with_aws_cli
from ssmssh.aws.endpoints import check_endpoint_url, stream_base
from ssmssh.aws.errors import UNREADABLE, Context, mapped, quote
from ssmssh.aws.handlers import register_handlers
from ssmssh.aws.helpers import watch_helpers
from ssmssh.aws.loader import session_loader
from ssmssh.aws.proxies import judge_metadata_proxy
from ssmssh.aws.regions import Partitions, load_partitions
from ssmssh.aws.terminal import ask_for_mfa_code, mfa_needed
from ssmssh.aws.transport import Sender
from ssmssh.errors import FileError, UsageError
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
            ``ssm`` client is made five times as fast, and has the operations of sessions only.
        role_cache: Directory for temporary credentials, instead of the AWS CLI's.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    stream_endpoint_url: str | None = None
    ca_bundle: str | None = None
    data_cache: Path | None = None
    role_cache: Path | None = None

    def __repr__(self) -> str:
        return f"AwsSettings(profile={self.profile!r}, region={self.region!r})"  # a URL may hold a password


class AwsClient:
    """One identity in one region.

    Making one reads files only; credentials are looked for by the first call that needs them, which may run a
    helper, ask on the terminal, or call STS, IAM Identity Center or the metadata service.

    Attributes:
        settings: As given.
        profile: The profile in use, wherever it was named; None for the default one.
        region: The region in use; once `ssm` was used, without the "fips-" that makes a pseudo region of it.
        ca_bundle: File or directory of CA certificates for API and WebSocket; None for botocore's default.
        stream_base: What replaces scheme, host and port of StreamUrls, or None.

    Raises:
        UsageError: No region, an unknown profile, or a setting that cannot be used.
        FileError: There is no such CA bundle.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self.stream_base = stream_base(settings.stream_endpoint_url) if settings.stream_endpoint_url else None
        self._sender = Sender((CONNECT_SECONDS, READ_SECONDS))
        self._session = new_session(settings.profile, settings.region, self._sender)
        self.profile: str | None = None
        with mapped(Context("read the AWS configuration", profile=settings.profile)):
            self.profile = self._session.profile
            self._check_profile()
            region = self._session.get_config_variable("region")
            self.ca_bundle: str | None = self._session.get_config_variable("ca_bundle") or settings.ca_bundle
            endpoint_url = settings.endpoint_url or _configured_endpoint_url(self._session)
        if endpoint_url:
            check_endpoint_url(endpoint_url)  # `Sender` does it, too, but by then credentials have been got
        if not region:
            raise UsageError(
                f"No region is set{f' for the profile {self.profile}' if self.profile else ''}",
                "add it to the host (i-0123456789abcdef0.eu-west-1), put --region in the block, or run: aws configure",
            )
        if not _REGION.fullmatch(region):
            sentence = f"{excerpt(region)} is not the name of a region"
            raise UsageError(
                sentence, "names are like eu-west-1: correct --region, AWS_REGION or the AWS configuration"
            )
        if self.ca_bundle and not Path(self.ca_bundle).exists():
            raise FileError(
                f"The CA bundle {self.ca_bundle} does not exist",
                "correct AWS_CA_BUNDLE, ca_bundle or REQUESTS_CA_BUNDLE",
            )
        self.region: str = region
        self._sender.verify = self.ca_bundle or True
        self._ssm: Any = None  # botocore makes the class at run time
        with mapped(self.context("read the AWS configuration")):
            self._equip(ask=ask_for_mfa_code)

    def __repr__(self) -> str:
        return f"AwsClient(region={self.region!r}, profile={self.profile!r})"

    def context(self, what: str, target: str | None = None, document_name: str | None = None) -> Context:
        """What an error is to say besides its reason."""
        return Context(what, self.region, self.profile, target, document_name)

    def credentials(self) -> "ReadOnlyCredentials":
        """The caller's credentials, refreshed if they are about to expire.

        Blocks when they must be got first: for seconds at a service, for as long as it takes at a helper or a
        person. A result of STS or IAM Identity Center is taken from the AWS CLI's cache where it is there.

        Raises:
            CredentialsError: None are found, or they cannot be obtained; the hint says how to log in.
            SsmsshError: A service that was asked for them refused, or was not reached.
        """
        with mapped(self.context("get credentials")):
            try:
                credentials = self._session.get_credentials()
                if credentials is None:
                    raise NoCredentialsError
                return credentials.get_frozen_credentials()
            except (BotoCoreError, ClientError):
                raise  # some of these are also of the kinds below
            except OSError as error:  # a helper cannot be run, or a token file read; the text names it
                raise CredentialRetrievalError(provider="a helper or file", error_msg=str(error)) from None
            except UNREADABLE as error:  # its content is not what it should be, and may be repeated in the text
                reason = f"content that cannot be used ({type(error).__name__})"
                raise CredentialRetrievalError(provider="a helper or file", error_msg=reason) from None

    @property
    def ssm(self) -> Any:
        """The ``ssm`` client of botocore, made when it is first needed; it makes one attempt per call.

        Raises:
            UsageError: The configured endpoint cannot be used.
            SsmsshError: As `credentials`.
        """
        if self._ssm is None:
            self.credentials()
            with mapped(self.context("use the ssm API")):
                try:
                    self._ssm = self._session.create_client(
                        "ssm",
                        endpoint_url=self.settings.endpoint_url,
                        verify=self.ca_bundle,
                        config=Config(retries={"total_max_attempts": 1}),
                    )
                except ValueError as error:
                    raise UsageError(quote(str(error)), "check AWS_ENDPOINT_URL and endpoint_url") from None
            self.region = self._ssm.meta.region_name
        return self._ssm

    def share_tls(self, context: ssl.SSLContext) -> None:
        """Use `context`, which trusts `ca_bundle`, for all calls from now on, instead of parsing the bundle again."""
        self._sender.share_tls(context)

    @property
    def endpoint_url(self) -> str:
        """Where `ssm` sends its requests. Raises as `ssm`."""
        url: str = self.ssm.meta.endpoint_url
        return url

    @property
    def dns_suffixes(self) -> tuple[str, str]:
        """What the names of the region's service hosts end with, plain and dual-stack."""
        # This session's loader has read the file already, for the client; `known_partitions` would read it again.
        return load_partitions(self._session.get_component("data_loader")).dns_suffixes(self.region)

    def renew(self) -> None:
        """Forget the credentials, so that the next call looks for them again everywhere.

        For credentials that botocore cannot refresh: those a login in another window has just written to
        ``~/.aws/credentials`` or to a cache. No question is asked any more: by now the terminal is the user's
        session.
        """
        self._session = new_session(self.settings.profile, self.region, self._sender)
        self._ssm = None
        with mapped(self.context("read the AWS configuration")):
            self._check_profile()
            self._equip(ask=_do_not_ask)

    def _check_profile(self) -> None:
        names = self._session.available_profiles
        if self.profile is not None and self.profile not in names:
            sentence = f"The profile {excerpt(self.profile)} is not in the AWS configuration"
            raise UsageError(sentence, suggest(self.profile, names))

    def _equip(self, ask: Callable[[str, str | None], str]) -> None:
        """Complete the session: the data loader, the credentials' shared cache, `ask` as prompt for an MFA code."""
        loader = session_loader(self.settings.data_cache, self._session.get_config_variable("data_path"))
        if loader is not None:
            self._session.register_component("data_loader", loader)
        chain = self._session.get_component("credential_provider")
        share_with_aws_cli(chain, self.settings.role_cache)
        watch_helpers(chain)
        judge_metadata_proxy(chain)
        # botocore has no public way to replace the prompt; its own falls back to standard input.
        chain.get_provider("assume-role")._prompter = lambda question: ask(question, self.profile)  # noqa: SLF001


def new_session(profile: str | None, region: str | None, sender: Sender) -> Session:
    """Make a session that calls AWS, by way of `sender`: the one place where that is done. Reads nothing yet."""
    session = Session(profile=profile, include_builtin_handlers=False)
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


def _do_not_ask(_question: str, profile: str | None) -> str:
    raise mfa_needed(profile, "it cannot be asked for during a session")
