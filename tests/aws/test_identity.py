"""The key of an identity: what tells two apart, what does not, and that nobody is asked for it."""

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.identity import Identity, identity_of
from tests.aws.api import ACCESS_KEY, SECRET_KEY, Api
from tests.aws.test_credentials import CONFIG, assumed

KEYS = "aws_access_key_id = {}\naws_secret_access_key = s\n"


def key_of(account: int, kind: str, rest: bytes) -> str:
    """The id of an access key of `account`."""
    return kind + base64.b32encode((1 << 47 | account << 7).to_bytes(6) + rest).decode()


def identity(profile: str | None = None, region: str = "eu-west-1", endpoint_url: str | None = None) -> Identity:
    return identity_of(AwsClient(AwsSettings(profile, region, endpoint_url)))


@pytest.mark.parametrize(
    "setting", [KEYS.format("AKONE") + "aws_account_id = 123456789012", "credential_process = {helper}"]
)
def test_the_account_where_the_credentials_say_it(home: Path, configure: Callable[[str], None], setting: str) -> None:
    found = {"Version": 1, "AccessKeyId": "AKTWO", "SecretAccessKey": "s", "AccountId": "123456789012"}
    (home / "helper.py").write_text(f"print({json.dumps(found)!r})")
    configure(f"[profile p]\n{setting.format(helper=f'{sys.executable} {home}/helper.py')}\n")
    assert identity("p") == ("123456789012", "aws", "eu-west-1", "https://ssm.eu-west-1.amazonaws.com")
    assert str(identity("p")) == "123456789012/aws/eu-west-1/https://ssm.eu-west-1.amazonaws.com"


def test_that_of_a_role(api: Api, configure: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Through all of its temporary credentials. It costs no call but the one that has got these."""
    configure(CONFIG)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", api.url)
    api.answers += [assumed("ASONE", 60), assumed("ASTWO")]
    client = AwsClient(AwsSettings("role", "eu-west-1"))
    assert client.credentials().access_key == "ASONE"
    assert identity_of(client).who == identity_of(client).who == "123456789012"
    assert client.credentials().access_key == "ASTWO"
    assert len(api.requests) == 2


@pytest.mark.parametrize("said", ["", "12345678901", "1234567890123", "12345678901x", "../../../etc"])
def test_what_is_no_account_id(configure: Callable[[str], None], said: str) -> None:
    configure(f"[profile p]\n{KEYS.format('AKONE')}aws_account_id = {said}\n")
    assert len(identity("p").who) == 32


def test_without_it_key_profile_and_endpoint_tell_apart(configure: Callable[[str], None]) -> None:
    profiles = [
        f"[profile {name}]\n{KEYS.format(key)}" for name, key in (("a", "AKONE"), ("b", "AKONE"), ("c", "AKTWO"))
    ]
    configure("".join(profiles))
    local = "http://127.0.0.1:1"
    found = [
        identity("a"),
        identity("b"),
        identity("c"),
        identity("a", endpoint_url=local),
        identity("a", "cn-north-1"),
    ]
    assert len(set(map(str, found))) == len(found)
    assert identity("a") == found[0]
    assert found[-1].partition == "aws-cn"


def test_keys_of_one_account(configure: Callable[[str], None]) -> None:
    """AKIA is a user's, ASIA a role's; the published one is of account 029608264753, and so is what is made here."""
    keys = ["ASIAQNZGKIQY56JQ7WML", key_of(29608264753, "AKIA", b"abcd"), key_of(29608264753, "ASIA", b"efgh")]
    others = [key_of(29608264754, "ASIA", b"abcd"), "AKIAold", "AKIAQNZGKIQY56JQ7WM1"]
    found = []
    for key in keys + others:
        configure(f"[profile p]\n{KEYS.format(key)}")
        found.append(identity("p").who)
        assert "29608264753" not in found[-1]
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 1 + len(others)


def test_a_helper_that_gives_another_key_each_time(home: Path, configure: Callable[[str], None]) -> None:
    """As those do that assume a role: what one process has found out, the next one knows."""
    keys = [key_of(123456789012, "ASIA", letter * 4) for letter in (b"a", b"b", b"c")]
    (home / "helper.py").write_text(
        f"import json, pathlib\nkeys = {keys!r}\nused = pathlib.Path({str(home / 'used')!r})\n"
        "number = used.stat().st_size if used.exists() else 0\nused.open('a').write('x')\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': keys[number], 'SecretAccessKey': 's'}))\n"
    )
    configure(f"[profile p]\ncredential_process = {sys.executable} {home}/helper.py\n")
    found = [identity("p") for _ in keys]
    assert (home / "used").stat().st_size == len(keys)
    assert found[0] == found[1] == found[2]


def test_it_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    for key in (ACCESS_KEY, SECRET_KEY):
        assert key not in repr(identity()) + str(identity())
