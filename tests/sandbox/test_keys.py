"""The credentials of a sandbox, and those that its STS gives out."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.accounts import ACCOUNT_ID, own_caller
from ssmssh.sandbox.keys import AccessKey, KeyRing, make_access_key, reissue
from tests.sandbox.client import TARGET, aws_client, open_websocket, stream_headers

ROLE = "arn:aws:iam::123456789012:role/deployer"


def issued(sts: Any, operation: str) -> AccessKey:
    """The credential in the answer to a call."""
    if operation == "assume_role":
        given = sts.assume_role(RoleArn=ROLE, RoleSessionName="me")["Credentials"]
    elif operation == "get_federation_token":
        given = sts.get_federation_token(Name="me")["Credentials"]
    else:
        given = sts.get_session_token()["Credentials"]
    return AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


@pytest.mark.parametrize("operation", ["assume_role", "get_session_token", "get_federation_token"])
def test_what_its_sts_issues_is_good_for_a_whole_session(sandbox: Sandbox, operation: str) -> None:
    key = issued(aws_client(sandbox, "sts"), operation)
    ssm = aws_client(sandbox, "ssm", key)
    answer = ssm.start_session(Target=TARGET, DocumentName="AWS-StartSSHSession", Parameters={"portNumber": ["22"]})
    open_websocket(sandbox, answer["StreamUrl"], stream_headers(sandbox, answer["StreamUrl"], key)).close()
    ssm.terminate_session(SessionId=answer["SessionId"])


def test_a_role_is_who_it_says_it_is(sandbox: Sandbox) -> None:
    key = issued(aws_client(sandbox, "sts"), "assume_role")
    assert aws_client(sandbox, "sts", key).get_caller_identity()["Arn"].endswith("assumed-role/deployer/me")


@pytest.mark.parametrize("operation", ["get_session_token", "get_federation_token"])
def test_nothing_that_is_published_is_given_out(sandbox: Sandbox, operation: str) -> None:
    """Moto's answer is the example of AWS's documentation, which any other user of this computer could use as well."""
    sts = aws_client(sandbox, "sts")
    one, other = issued(sts, operation), issued(sts, operation)
    for mine, next_one in zip(
        (one.access_key_id, one.secret_access_key, one.session_token),
        (other.access_key_id, other.secret_access_key, other.session_token),
        strict=True,
    ):
        assert "EXAMPLE" not in mine
        assert mine != next_one
    published = AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY", one.session_token)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        aws_client(sandbox, "ssm", published).describe_instance_information()


def test_the_secret_of_a_role_is_not_motos(sandbox: Sandbox) -> None:
    """Moto draws it from a generator whose state can be guessed: the length tells them apart."""
    key = issued(aws_client(sandbox, "sts"), "assume_role")
    assert len(key.session_token) == len(make_access_key().session_token)
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        aws_client(sandbox, "ssm", AccessKey(key.access_key_id, "x" * 40, key.session_token)).start_session(
            Target=TARGET
        )


def test_an_answer_without_a_credential_stays_as_it_is() -> None:
    body = b"<Arn>arn:aws:sts::1:user/me</Arn>"
    assert reissue(body, own_caller(ACCOUNT_ID)) == (body, None)


def test_issued_credentials_outlive_the_first_and_are_limited_in_number() -> None:
    ring = KeyRing([first := make_access_key()])
    keys = [make_access_key() for _ in range(1001)]
    for key in keys:
        ring.add(key)
    ring.renew(make_access_key())
    assert ring.find(first.access_key_id) is None
    assert ring.is_expired(first.access_key_id)
    assert ring.find(keys[0].access_key_id) is None
    assert [ring.find(key.access_key_id) for key in keys[1:]] == keys[1:]
