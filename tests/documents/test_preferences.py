"""The account's preferences in sentences."""

import pytest

from ssmssh.documents.preferences import command_to_change, explain


def test_what_holds_where_nothing_is_set() -> None:
    text = "\n".join(explain({}))
    assert "for 20 minutes (not set: the default)" in text
    assert "sessions last until somebody ends them" in text
    assert "as ssm-user" in text
    assert "Logs: none" in text
    assert "no key of KMS" in text


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"idleSessionTimeout": "5"}, "for 5 minutes is ended"),
        ({"idleSessionTimeout": ""}, "for 20 minutes (not set"),
        ({"maxSessionDuration": "60"}, "ended after 60 minutes, whatever it carries"),
        ({"runAsEnabled": True}, "run as whom the tag SSMSessionRunAs"),
        ({"runAsEnabled": True, "runAsDefaultUser": "ops"}, "run as ops, or as whom"),
        ({"runAsEnabled": False, "runAsDefaultUser": "ops"}, "as ssm-user"),
        ({"s3BucketName": "b", "s3KeyPrefix": "p"}, "goes to b/p when they end."),
        ({"s3BucketName": "b", "s3EncryptionEnabled": True}, "Where it is not encrypted, sessions are refused"),
        ({"s3BucketName": "b"}, "ssmssh policy instance --s3-bucket b"),
        ({"cloudWatchLogGroupName": "/g", "cloudWatchStreamingEnabled": True}, "goes to /g while they run."),
        ({"kmsKeyId": "alias/k"}, "encrypted with alias/k"),
        ({"shellProfile": {"linux": "bash"}}, "Shell profile (linux): every shell begins with: bash"),
    ],
)
def test_a_preference_has_its_sentence(inputs: dict[str, object], sentence: str) -> None:
    assert sentence in "\n".join(explain(inputs))


def test_the_command_that_changes_them() -> None:
    assert command_to_change("eu-west-1", "my profile", is_there=True) == (
        "aws ssm update-document --name SSM-SessionManagerRunShell --document-version '$LATEST' "
        "--content file://preferences.json --region eu-west-1 --profile 'my profile'"
    )
    assert "create-document" in command_to_change("eu-west-1", None, is_there=False)
