"""What preferences mean."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmssh.doctor.preferences import remarks


def told(**inputs: Any) -> tuple[str, list[str]]:
    found = list(remarks(inputs))
    return "; ".join(each.evidence for each in found), [each.cause for each in found if each.cause]


def test_what_the_console_writes_unasked_is_in_nobodys_way() -> None:
    evidence, causes = told(
        s3BucketName="", s3EncryptionEnabled=True, cloudWatchLogGroupName="", kmsKeyId="", runAsEnabled=False,
        runAsDefaultUser="", idleSessionTimeout="20", maxSessionDuration="",
    )  # fmt: skip
    assert (evidence, causes) == ("a session without use ends after 20 minutes; ssh's keep-alives count as use", [])


@pytest.mark.parametrize(
    ("minutes", "said"), [("60", "60 minutes"), ("90", "90 minutes"), ("480", "8 hours"), (1440, "24 hours")]
)
def test_a_longest_duration_is_a_warning(minutes: object, said: str) -> None:
    evidence, causes = told(maxSessionDuration=minutes)
    assert f"every session ends after {said}" in evidence
    assert len(causes) == 1
    assert said in causes[0]
    assert "editor" in causes[0]


def test_what_is_for_shells_alone() -> None:
    evidence, causes = told(
        kmsKeyId="arn:aws:kms:eu-west-1:123456789012:key/1234", runAsEnabled=True, runAsDefaultUser="dev",
        s3BucketName="logs", cloudWatchLogGroupName="/sessions",
    )  # fmt: skip
    assert "encrypted with 1234" in evidence
    assert "run as dev" in evidence
    assert "logged to S3 and CloudWatch" in evidence
    assert causes == []


@pytest.mark.parametrize("user", ["no body", "-x", "a:b", "x" * 40, "0day"])
def test_a_user_that_cannot_be(user: str) -> None:
    causes = told(runAsEnabled="true", runAsDefaultUser=user)[1]
    assert len(causes) == 1
    assert "runAsDefaultUser" in causes[0]


def test_a_user_by_tag() -> None:
    assert "SSMSessionRunAs" in told(runAsEnabled=True, runAsDefaultUser="")[0]
    assert "run as" not in told(runAsEnabled=False, runAsDefaultUser="dev")[0]


values = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()))
names = st.sampled_from(
    ["idleSessionTimeout", "maxSessionDuration", "kmsKeyId", "runAsEnabled", "runAsDefaultUser", "s3BucketName"]
)


@given(st.dictionaries(names, values))
def test_whatever_stands_there(inputs: dict[str, Any]) -> None:
    assert all(each.evidence for each in remarks(inputs))
