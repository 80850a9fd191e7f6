"""Advice fits where the credentials came from: each next step names what has to change, and following it helps."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.ssm import start_session
from ssmssh.errors import AccessDeniedError, CredentialsError, ProtocolError, SsmsshError, UsageError
from tests.aws.api import Answer, Api, refusal

ROLE = "arn:aws:iam::123456789012:role/admin"
START_URL = "https://portal.example/start"
SSO = f"sso_start_url = {START_URL}\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = admin\n"
CONFIG = f"""
[profile portal]
{SSO}
[profile through]
role_arn = {ROLE}
source_profile = portal
[profile twice]
role_arn = {ROLE}
source_profile = through
[profile base]
aws_access_key_id = AKBASE
aws_secret_access_key = s
[profile role]
role_arn = {ROLE}
source_profile = base
[profile web]
role_arn = {ROLE}
web_identity_token_file = /no/such/token
[profile machine]
role_arn = {ROLE}
credential_source = Ec2InstanceMetadata
"""
LONG_AGO, FAR_AHEAD = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"


def failure(profile: str | None, kind: type[SsmsshError] = CredentialsError) -> str:
    """What getting the credentials of `profile` fails with."""
    with pytest.raises(SsmsshError) as caught:
        AwsClient(AwsSettings(profile=profile, region="eu-west-1")).credentials()
    assert type(caught.value) is kind, caught.value
    assert "SECRET" not in str(caught.value).replace("AWS_SECRET_ACCESS_KEY", "")
    return str(caught.value)


@pytest.fixture(autouse=True)
def configured(configure: Callable[[str], None]) -> None:
    configure(CONFIG)


@pytest.fixture
def sts(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)  # of sso as well
    return api


def refused_start(api: Api, chosen: AwsSettings, code: str) -> str:
    """What is said when AWS does not take the credentials any more."""
    api.answers.append(refusal(code, "The security token included in the request is not good"))
    client = AwsClient(chosen._replace(region="eu-west-1", endpoint_url=api.url))
    with pytest.raises(CredentialsError) as caught:
        start_session(client, "i-0123456789abcdef0", document_name=None, parameters={}, reason=None, patience_seconds=1)
    return caught.value.hint


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
def test_stale_keys_of_the_environment(
    api: Api, keys: None, home: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "old")
    names = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN"
    assert refused_start(api, AwsSettings(), code).endswith(f"; or, to use a profile: unset {names}")
    monkeypatch.setenv("AWS_PROFILE", "base")
    hint = refused_start(api, AwsSettings(), code)
    assert hint == f"the keys of the environment come before the profile base; to use that: unset {names}"
    for name in hint.partition("unset ")[2].split():  # as advised
        monkeypatch.delenv(name)
    assert AwsClient(AwsSettings(region="eu-west-1")).credentials().access_key == "AKBASE"


def test_expired_keys_of_a_file(api: Api) -> None:
    hint = refused_start(api, AwsSettings(profile="base"), "ExpiredTokenException")
    assert hint.startswith("renew the keys of the profile base in the AWS ")


@pytest.mark.parametrize("profile", ["portal", "through", "twice"])
def test_the_profile_that_must_log_in_is_named(profile: str) -> None:
    assert failure(profile).endswith("; run: aws sso login --profile portal")


@pytest.mark.parametrize(
    "content", ["", "{", '{"accessToken": "SECRET"}', "[]", '{"accessToken": "S", "expiresAt": "x"}']
)
def test_a_torn_token_of_sso(home: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    keep_token(home, monkeypatch, content)
    assert failure("through").endswith("; run: aws sso login --profile portal")


def keep_token(home: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """As `aws sso login` does; botocore looks for the directory when it is imported."""
    directory = home / ".aws/sso/cache"
    directory.mkdir(parents=True)
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(directory))
    (directory / f"{hashlib.sha1(START_URL.encode()).hexdigest()}.json").write_text(content)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            refusal("ForbiddenException", "No access", 403),
            AccessDeniedError,
            "assigned to you in IAM Identity Center; check",
        ),
        (
            refusal("ResourceNotFoundException", "no", 404),
            UsageError,
            "check sso_account_id, sso_role_name and sso_region",
        ),
        (refusal("UnauthorizedException", "no", 401), CredentialsError, "run: aws sso login --profile portal"),
        (Answer(200, b"<html>Welcome to the hotel</html>"), ProtocolError, "log in to this network if it wants that"),
        (Answer(403, b"<html>Blocked</html>"), AccessDeniedError, "something else than IAM Identity Center"),
    ],
)
@pytest.mark.parametrize("profile", ["portal", "through"])
def test_an_answer_of_the_sso_portal(
    sts: Api,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    kind: type[SsmsshError],
    words: str,
    profile: str,
) -> None:
    token = {"startUrl": START_URL, "region": "eu-west-1", "accessToken": "SECRET", "expiresAt": FAR_AHEAD}
    keep_token(home, monkeypatch, json.dumps(token))
    sts.answers.append(answer)
    said = failure(profile, kind)
    assert words in said
    assert "profile portal" in said.partition("; ")[2]
    assert "ssm:StartSession" not in said


def helper(home: Path, program: str) -> str:
    (home / "helper.py").write_text(program)
    return f"[profile help]\ncredential_process = {sys.executable} -S {home}/helper.py\n"


EXPIRED = json.dumps(
    {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "Expiration": LONG_AGO}
)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (f"print({EXPIRED!r})", "gave credentials that have already expired"),
        ("import sys; sys.exit(3)", "gave none: it ended with status 3 and has not said why"),
        ("import os; os.kill(os.getpid(), 9)", "gave none: it was ended by signal 9 and has not said why"),
        ("import sys; sys.stderr.buffer.write(b'caf\\xe9 is closed'); sys.exit(1)", "is closed"),
        ("print('SECRET')", "gave something that is not JSON"),
        ('print(\'{"Version": 1, "AccessKeyId": "SECRET"}\')', "SecretAccessKey"),
    ],
)
@pytest.mark.parametrize("profile", ["help", "on"])
def test_a_helper(home: Path, configure: Callable[[str], None], program: str, words: str, profile: str) -> None:
    configure(helper(home, program) + f"[profile on]\nrole_arn = {ROLE}\nsource_profile = help\n")
    said = failure(profile)
    assert "the credential_process of the profile help gave" in said
    assert words in said
    assert said.endswith("run that command by hand and see what it prints; it may want a log-in of its own")


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        ("/bin/x 'SECRET", UsageError, "has a quote that is not closed"),
        ('/bin/x "SECRET', UsageError, "has a quote that is not closed"),
        ("/bin/x SECRET\\", UsageError, "ends with a backslash"),
        ("", UsageError, "is empty"),
        ("~/helper SECRET", CredentialsError, "cannot be started: No such file or directory: ~/helper"),
        ("/ SECRET", CredentialsError, "cannot be started: Permission denied: /"),
    ],
)
@pytest.mark.parametrize("profile", ["help", "on"])
def test_a_helper_that_is_not_run(
    configure: Callable[[str], None], command: str, kind: type[SsmsshError], words: str, profile: str
) -> None:
    """There is no output to look at, and run by hand it may work: a shell replaces what botocore does not."""
    configure(
        f"[profile help]\ncredential_process = {command}\n[profile on]\nrole_arn = {ROLE}\nsource_profile = help\n"
    )
    said, _, hint = failure(profile, kind).partition("; ")
    assert said.endswith(f"credential_process of the profile help {words}")
    assert hint.startswith("correct credential_process of the profile help: the program's whole path, quotes in pairs")


@pytest.mark.parametrize(
    ("source", "why", "remedy"),
    [
        ("Environment", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set", "set both of them"),
        ("EcsContainer", "no AWS_CONTAINER_CREDENTIALS_... variable is set", "use it in a container that has a task"),
    ],
)
def test_a_source_of_a_role_that_is_not_there(
    configure: Callable[[str], None], source: str, why: str, remedy: str
) -> None:
    configure(f"[profile on]\nrole_arn = {ROLE}\ncredential_source = {source}\n")
    said, _, hint = failure("on").partition("; ")
    assert said.endswith(f"credential_source of the profile on is {source}, and {why}")
    assert hint.startswith(remedy)


def test_keys_that_a_role_misses_set_as_advised(
    sts: Api, keys: None, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(f"[profile on]\nrole_arn = {ROLE}\ncredential_source = Environment\n")
    sts.answers.append(sts_error("AccessDenied", "the role was asked for"))
    assert "the role was asked for" in failure("on", AccessDeniedError)


@pytest.mark.parametrize("url", ["portal.example/SECRET", "//portal.example", "https:/SECRET", "SECRET@portal", ""])
@pytest.mark.parametrize("place", ["the profile portal", "the sso-session s", "both"])
def test_a_start_url_that_is_none(configure: Callable[[str], None], url: str, place: str) -> None:
    """botocore says that there is no log-in, or that two values differ, and repeats them."""
    role = "sso_account_id = 123456789012\nsso_role_name = admin\n"
    own = "" if place == "the sso-session s" else f"sso_start_url = {url}\nsso_region = eu-west-1\n"
    session = "" if place == "the profile portal" else "sso_session = s\n"
    shared = START_URL if place == "both" else url
    configure(
        f"[profile portal]\n{role}{own}{session}[sso-session s]\nsso_start_url = {shared}\nsso_region = eu-west-1\n"
        f"[profile through]\nrole_arn = {ROLE}\nsource_profile = portal\n"
    )
    for profile in ("portal", "through"):
        said, _, hint = failure(profile, UsageError).partition("; ")
        where = "the profile portal" if place == "both" else place
        assert said.endswith(f"sso_start_url of {where} is not a URL")
        assert (
            hint
            == "write it with https://, as the address of the access portal; then run: aws sso login --profile portal"
        )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(500, b"SECRET"), "500"),
        (Answer(200, b"<html>"), "Unable to parse JSON"),
        (Answer(200, b"{}"), "gave no AccessKeyId"),
        (Answer(hang_up=True), "closed"),
        (Answer(200, EXPIRED.replace("SessionToken", "Token").encode()), "already expired"),
    ],
)
def test_a_container(api: Api, monkeypatch: pytest.MonkeyPatch, answer: Answer, words: str) -> None:
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", api.url + "/creds")
    if b"SECRET" in answer.body:
        answer = Answer(500, b'{"SecretAccessKey": "SECRET"}')
    api.answers.append(answer)
    said = failure(None)
    assert "the container's credentials endpoint" in said
    assert words in said
    assert "; check AWS_CONTAINER_CREDENTIALS_FULL_URI" in said
    assert "credential_process" not in said


def test_a_container_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://elsewhere.example/")
    assert "cannot be asked: Unsupported host. Can only retrieve" in failure(None)


@pytest.mark.parametrize("answer", [Answer(500, b"no"), Answer(hang_up=True), Answer(404, b"")])
def test_no_metadata_for_a_role(api: Api, monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", api.url)
    api.answers.append(answer)
    said = failure("machine")
    assert "credential_source of the profile machine is Ec2InstanceMetadata, and the instance metadata service" in said
    assert "; check that the instance has a role, or give that profile a source_profile instead" in said
    assert "credential_process" not in said


def test_a_web_identity_without_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    said = failure("web")
    assert "No such file or directory: /no/such/token; check web_identity_token_file of the profile web: " in said
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert "No such file or directory: /nowhere; check AWS_WEB_IDENTITY_TOKEN_FILE: " in failure(None)


def sts_error(code: str, message: str) -> Answer:
    error = f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
    return Answer(400, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode())


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("ExpiredTokenException", CredentialsError, "check web_identity_token_file of the profile web"),
        ("InvalidIdentityToken", CredentialsError, "check web_identity_token_file of the profile web"),
        ("IDPRejectedClaim", CredentialsError, "check web_identity_token_file of the profile web"),
        ("AccessDenied", AccessDeniedError, "trust policy"),
        ("ValidationError", UsageError, "check role_arn of the profile web"),
    ],
)
def test_a_web_identity_that_is_refused(
    sts: Api, home: Path, configure: Callable[[str], None], code: str, kind: type[SsmsshError], words: str
) -> None:
    (home / "token").write_text("SECRET")
    configure(CONFIG.replace("/no/such/token", str(home / "token")))
    sts.answers.append(sts_error(code, "no"))
    said = failure("web", kind)
    assert words in said.partition("; ")[2]
    assert "document" not in said


@pytest.mark.parametrize(
    ("code", "message", "kind", "words"),
    [
        ("ValidationError", "1 validation error: roleArn", UsageError, "check role_arn, source_profile, mfa_serial"),
        ("ValidationError", "DurationSeconds exceeds", UsageError, "duration_seconds of the profile role"),
        ("AccessDenied", f"User: x is not authorized to perform: sts:AssumeRole on resource: {ROLE}", AccessDeniedError,
         f"ask for sts:AssumeRole on {ROLE}"),
        ("AccessDenied", "MultiFactorAuthentication failed", AccessDeniedError, "check role_arn of the profile role"),
        ("ExpiredToken", "is expired", CredentialsError, "renew the keys of the profile base"),
    ],
)  # fmt: skip
def test_a_role_that_is_refused(sts: Api, code: str, message: str, kind: type[SsmsshError], words: str) -> None:
    sts.answers.append(sts_error(code, message))
    hint = failure("role", kind).partition("; ")[2]
    assert words in hint
    assert "document" not in hint


@pytest.mark.parametrize("setting", ["duration_seconds = 5", "external_id = x", "role_session_name = !!"])
def test_a_parameter_of_a_role_that_is_refused_here(sts: Api, configure: Callable[[str], None], setting: str) -> None:
    configure(CONFIG.replace("source_profile = base", f"source_profile = base\n{setting}"))
    sts.answers.append(sts_error("ValidationError", "no"))
    assert "check role_arn, source_profile" in failure("role", UsageError)


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("end", ["\n", " ", "\r", "\t", "é", "\u00a0"])
def test_what_no_key_has_behind_a_key(
    api: Api, keys: None, monkeypatch: pytest.MonkeyPatch, variable: str, end: str
) -> None:
    """Nothing is sent; what AWS would say of it is about the clock."""
    monkeypatch.setenv(variable, f"wJalr{end}")
    assert failure(None).endswith(
        f"{variable} of the environment holds a blank, a line feed or a letter that no key has; correct {variable}"
    )
    assert not api.requests


def test_no_credentials_at_all() -> None:
    assert "log in (aws sso login, aws login, aws configure)" in failure(None)


def test_no_credentials_of_a_profile(configure: Callable[[str], None]) -> None:
    configure("[profile a b]\n[profile bare]\nregion = eu-west-1\n")
    assert "aws configure --profile bare" in failure("bare")
    configure("[profile bare]\n")
    with pytest.raises(UsageError, match=r"or run: aws configure --profile bare$"):
        AwsClient(AwsSettings(profile="bare"))


@pytest.mark.parametrize("code", ["BadRequest", "BadRequestException"])
def test_a_hybrid_node_on_the_standard_tier(api: Api, keys: None, code: str) -> None:
    api.answers.append(refusal(code, ""))
    client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=api.url))
    with pytest.raises(
        UsageError, match=r"advanced-instances tier: aws ssm update-service-setting .*advanced --region eu-west-1$"
    ):
        start_session(
            client, "mi-0123456789abcdef0", document_name=None, parameters={}, reason=None, patience_seconds=1
        )


def test_half_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKHALF")
    said = failure(None)
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY again, both of them" in said
    assert "renew" not in said
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert AwsClient(AwsSettings(region="eu-west-1")).credentials().access_key == "AKHALF"
