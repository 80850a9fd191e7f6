"""The AWS CLI as the oracle: with the same files and variables, the same call reaches the service, or none does.

Both are run as a user has them, each in a home of its own with the same files in it: ``aws ssm start-session`` and
``ssmssh-proxy``. What is compared is who has signed, with which token, for which region, and where it arrived.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.aws.api import Api, Request, ok, refusal, serve
from tests.session.websocket.server import Pki, make_pki

ROOT = Path(__file__).resolve().parents[2]
CLI = ROOT / ".clients" / "awscli" / "bin" / "aws"
"""Made by ``python3 tasks.py test``, of ``tests/clients/awscli.txt``."""
PROXY = Path(sys.executable).with_name("ssmssh-proxy")
TARGET = "i-0123456789abcdef0"

PATIENCE_SECONDS = 60

HELPER = f"""#!{sys.executable} -IS
import json, sys
keys = {{"AccessKeyId": "AKHELPER" + "".join(sys.argv[1:]), "SecretAccessKey": "s", "SessionToken": "of-the-helper"}}
print(json.dumps({{"Version": 1, "Expiration": "2099-01-01T00:00:00Z", **keys}}))
"""
PORTAL_KEYS = {"accessKeyId": "AKPORTAL", "secretAccessKey": "s", "sessionToken": "of-the-portal"}
FAR_AHEAD_MS = 4070908800000
SSO_TOKEN = {"startUrl": "https://x.example/start", "region": "eu-west-1", "accessToken": "T"}

REGION = "[default]\nregion = eu-west-1\n"
KEYS = "[default]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n"


class Arrived(NamedTuple):
    """What the service sees of a StartSession."""

    url: str
    access_key: str
    region: str
    token: str | None


class Outcome(NamedTuple):
    status: int
    said: str
    arrived: list[Arrived]


def arrived(request: Request) -> Arrived:
    scope = re.search(r"Credential=([^/]+)/\d+/([^/]*)/ssm/", request.headers["authorization"])
    assert scope
    return Arrived(
        request.headers["host"] + request.path, scope[1], scope[2], request.headers.get("x-amz-security-token")
    )


class Programs:
    """Runs both, each in its own copy of the home that is written here."""

    def __init__(self, directory: Path, service: Api, portal: Api, pki: Pki) -> None:
        self._homes = [directory / name for name in ("ours", "theirs")]
        self._service = service
        self._endpoints = {"AWS_ENDPOINT_URL_SSM": service.url, "AWS_ENDPOINT_URL_SSO": portal.url}
        self._cache = pki.ca_file.with_name("cache")  # of what ours makes of botocore's data
        self.write("ca.pem", pki.ca_file.read_text())
        self.write(".aws/credentials", KEYS)
        token = json.dumps({**SSO_TOKEN, "expiresAt": "2099-01-01T00:00:00Z"})
        self.write(f".aws/sso/cache/{hashlib.sha1(b'my sso').hexdigest()}.json", token)
        self.write("my helper", HELPER, mode=0o755)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file of the home; ``@HOME@`` in its text is the home's path."""
        for home in self._homes:
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("@HOME@", str(home)))
            path.chmod(mode)

    def run(self, config: str, variables: Mapping[str, str]) -> tuple[Outcome, Outcome]:
        """What comes of ours, and of theirs; ``URL`` in `config` is the service's."""
        self.write(".aws/config", config.replace("URL", self._service.url))
        commands = [str(PROXY), TARGET, "22"], [str(CLI), "ssm", "start-session", "--target", TARGET]
        running = []
        for command, home in zip(commands, self._homes, strict=True):
            environment = {
                "HOME": str(home),
                "XDG_CACHE_HOME": str(self._cache),
                "PATH": os.defpath,
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_MAX_ATTEMPTS": "1",
                **self._endpoints,
                **{name: value.replace("@HOME@", str(home)) for name, value in variables.items()},
            }
            running.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    cwd=home,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        ours, theirs = [(process.communicate(timeout=PATIENCE_SECONDS)[0], process.returncode) for process in running]
        found: dict[bool, list[Arrived]] = {True: [], False: []}
        for request in self._service.requests:
            found["ssmssh/" in request.headers["user-agent"]].append(arrived(request))
        self._service.requests.clear()
        return Outcome(ours[1], ours[0], found[True]), Outcome(theirs[1], theirs[0], found[False])


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def programs(pki: Pki, tmp_path: Path) -> Iterator[Programs]:
    with serve(pki.server) as service, serve(pki.server) as portal:
        service.answers.append(refusal("AccessDeniedException"))
        portal.answers.append(ok({"roleCredentials": {**PORTAL_KEYS, "expiration": FAR_AHEAD_MS}}))
        yield Programs(tmp_path, service, portal, pki)


def sso(section: str, name: str, more: str = "") -> str:
    """A profile that is logged in to the sso-session `name`."""
    return (
        f"{REGION}{more}sso_session = {name}\nsso_account_id = 123456789012\nsso_role_name = r\n"
        f"[sso-session {section}]\nsso_start_url = {SSO_TOKEN['startUrl']}\nsso_region = eu-west-1\n"
    )


WITH_BUNDLE = REGION + "ca_bundle = ~/ca.pem\n"


@pytest.mark.parametrize(
    ("config", "variables", "who"),
    [
        pytest.param(
            WITH_BUNDLE,
            {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"},
            "AKFILE",
            id="all from the home directory",
        ),
        pytest.param(
            REGION + "ca_bundle = nowhere.pem\n",
            {
                "AWS_CONFIG_FILE": ".aws/config",
                "AWS_SHARED_CREDENTIALS_FILE": "./.aws/credentials",
                "AWS_CA_BUNDLE": "ca.pem",
            },
            "AKFILE",
            id="all from the current directory",
        ),
        pytest.param(
            REGION,
            {
                "AWS_CONFIG_FILE": "$HOME/.aws/config",
                "AWS_SHARED_CREDENTIALS_FILE": "${HOME}/.aws/credentials",
                "REQUESTS_CA_BUNDLE": "~/ca.pem",
            },
            "AKFILE",
            id="variables in names of files",
        ),
        pytest.param(
            REGION + "credential_process = './my helper' \"-a\" b\n",
            {"REQUESTS_CA_BUNDLE": "./ca.pem", "AWS_SHARED_CREDENTIALS_FILE": ""},
            "AKHELPER-ab",
            id="a helper in quotes, from the current directory",
        ),
        pytest.param(
            f"{REGION}[profile 'a b']\nregion = eu-north-1\ncredential_process = @HOME@/my\\ helper\n",
            {"AWS_CA_BUNDLE": "~/ca.pem", "AWS_PROFILE": "a b"},
            "AKHELPER",
            id="a profile with a blank, and a helper with a backslash",
        ),
        pytest.param(
            sso('"my sso"', "my sso", "services = s\n") + "[services s]\nssm =\n  endpoint_url = URL/path\n",
            {"AWS_CA_BUNDLE": "~/ca.pem", "AWS_ENDPOINT_URL_SSM": "", "AWS_SHARED_CREDENTIALS_FILE": ""},
            "AKPORTAL",
            id="an sso-session with a blank, and an endpoint of services",
        ),
    ],
)
def test_the_same_call_arrives(programs: Programs, config: str, variables: dict[str, str], who: str) -> None:
    ours, theirs = programs.run(config, variables)
    assert ours.arrived == theirs.arrived
    assert [call.access_key for call in ours.arrived] == [who], ours.said + theirs.said


@pytest.mark.parametrize(
    ("config", "variables", "status", "words"),
    [
        pytest.param(REGION + 'ca_bundle = "~/ca.pem"\n', {}, 9, 'bundle "~/ca.pem" does not exist', id="bundle"),
        pytest.param(
            REGION, {"AWS_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "ca.pem"}, 2, "AWS_CA_BUNDLE cannot", id="empty"
        ),
        pytest.param(WITH_BUNDLE, {"AWS_CONFIG_FILE": "'~/.aws/config'"}, 2, "No region is set", id="file"),
        pytest.param(
            WITH_BUNDLE + "credential_process = ~/helper\n",
            {"AWS_SHARED_CREDENTIALS_FILE": '"~/.aws/credentials"'},
            3,
            "No such file or directory: ~/helper",
            id="credentials file and helper",
        ),
        pytest.param(sso("my sso", "my sso"), {"AWS_CA_BUNDLE": "~/ca.pem"}, 2, "sso-session does not", id="sso"),
        pytest.param(
            '[default]\nregion = "eu-west-1"\n', {"AWS_CA_BUNDLE": "~/ca.pem"}, 2, "not the name of a", id="region"
        ),
        pytest.param(
            WITH_BUNDLE + 'endpoint_url = "URL"\n', {"AWS_ENDPOINT_URL_SSM": ""}, 2, "not a URL", id="endpoint"
        ),
    ],
)
def test_what_one_cannot_use_neither_can(
    programs: Programs, config: str, variables: dict[str, str], status: int, words: str
) -> None:
    """Quotes are part of a value, and a variable or a ``~`` is only replaced where the AWS CLI does it."""
    ours, theirs = programs.run(config, variables)
    assert (ours.arrived, theirs.arrived) == ([], []), (ours.said, theirs.said)
    assert (ours.status, theirs.status) == (status, 255)
    assert words in ours.said
