"""Which profiles may be tried unasked."""

import pytest

from ssmssh.aws.plainprofiles import is_plain

KEYS = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "x"}
PROFILES = {
    "keys": KEYS,
    "empty": {"region": "eu-west-1"},
    "helper": {"credential_process": "helper"},
    "helper-beside-keys": {**KEYS, "credential_process": "helper"},
    "sso": {"sso_session": "company", "sso_account_id": "1", "sso_role_name": "r"},
    "old-sso": {"sso_start_url": "https://example.awsapps.com/start"},
    "login": {"login_session": "arn"},
    "role": {"role_arn": "arn:aws:iam::1:role/r", "source_profile": "keys"},
    "role-of-role": {"role_arn": "arn:aws:iam::1:role/r", "source_profile": "role"},
    "role-of-itself": {**KEYS, "role_arn": "arn:aws:iam::1:role/r", "source_profile": "role-of-itself"},
    "role-with-code": {"role_arn": "arn:aws:iam::1:role/r", "source_profile": "keys", "mfa_serial": "arn"},
    "role-of-helper": {"role_arn": "arn:aws:iam::1:role/r", "source_profile": "helper"},
    "role-of-nobody": {"role_arn": "arn:aws:iam::1:role/r", "source_profile": "gone"},
    "role-of-metadata": {"role_arn": "arn:aws:iam::1:role/r", "credential_source": "Ec2InstanceMetadata"},
    "a": {"role_arn": "arn:aws:iam::1:role/r", "source_profile": "b"},
    "b": {"role_arn": "arn:aws:iam::1:role/r", "source_profile": "a"},
}


@pytest.mark.parametrize("name", PROFILES)
def test_only_what_asks_nobody(name: str) -> None:
    assert is_plain(PROFILES, name) is (name in {"keys", "role", "role-of-role", "role-of-itself"})
