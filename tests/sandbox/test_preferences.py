"""The account's preferences, and what of them holds for sessions; a role of instances that lets them do less."""

import getpass
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from ssmssh.errors import UsageError
from ssmssh.protocol.message import MessageType
from ssmssh.protocol.payloads import parse_channel_closed
from ssmssh.sandbox import Sandbox
from tests.sandbox.client import TARGET, DataChannel, aws_client, code_of

NAME = "SSM-SessionManagerRunShell"


def document(**inputs: object) -> dict[str, object]:
    return {"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A sandbox whose minutes are short, and whose preferences the tests change."""
    with Sandbox(unpaced=True, minute_seconds=0.5) as box:
        yield box


def prefer(box: Sandbox, **inputs: object) -> None:
    """Have other preferences; the content is never twice the same."""
    ssm = aws_client(box, "ssm")
    version = ssm.describe_document(Name=NAME)["Document"]["LatestVersion"]
    content = json.dumps(document(**inputs) | {"description": f"after {version}"})
    ssm.update_document(Name=NAME, Content=content, DocumentVersion="$LATEST")


def run(box: Sandbox, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["ssmssh", "run", TARGET, "--", *words],
        env=box.environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("inputs", "reason"), [({"idleSessionTimeout": "1"}, "idle"), ({"maxSessionDuration": "1"}, "too old")]
)
def test_sessions_end_at_their_times(box: Sandbox, inputs: dict[str, object], reason: str) -> None:
    """Those of AWS's documents, too, which have no preferences of their own."""
    prefer(box, **inputs)
    with DataChannel(box, 22) as channel:
        channel.open()
        channel.shake_hands(connected=False)
        with pytest.raises(ConnectionClosed):  # noqa: PT012 - whatever comes before
            while True:
                message = channel.receive()
                if message.message_type == MessageType.OUTPUT_STREAM_DATA:
                    channel.acknowledge(message)
        assert channel.report().end_reason == reason


def test_a_session_with_traffic_is_not_idle(box: Sandbox) -> None:
    prefer(box, idleSessionTimeout="60", maxSessionDuration="1440")
    with DataChannel(box, None, document=None) as channel:
        channel.open()
        channel.send(b"echo $((6 * 7))\n")
        assert b"42" in read_until(channel, b"42")
        assert channel.report().is_open


def read_until(channel: DataChannel, words: bytes) -> bytes:
    said = b""
    while words not in said:
        said += channel.read(1)
    return said


def test_a_shell_begins_with_its_profile(box: Sandbox) -> None:
    prefer(box, shellProfile={"linux": "echo profile $((6 * 7))", "windows": "exit"})
    with DataChannel(box, None, document=None) as channel:
        channel.open()
        assert b"profile 42" in read_until(channel, b"profile 42")


def test_shells_and_commands_run_as_who_is_there(box: Sandbox) -> None:
    prefer(box, runAsEnabled=True, runAsDefaultUser=getpass.getuser())
    ended = run(box, "id", "-un")
    assert (ended.returncode, ended.stdout) == (0, f"{getpass.getuser()}\n"), ended.stderr
    prefer(box, runAsEnabled=True, runAsDefaultUser="nobody-here")
    ended = run(box, "id", "-un")
    assert ended.returncode != 0
    assert "RunAs user nobody-here does not exist" in ended.stderr
    prefer(box, runAsEnabled=True, runAsDefaultUser="")
    assert "please set the RunAs default user" in run(box, "id", "-un").stderr
    prefer(box, runAsEnabled=False, runAsDefaultUser="nobody-here")
    assert run(box, "true").returncode == 0


def test_shells_and_commands_are_encrypted_with_the_key(box: Sandbox) -> None:
    key = aws_client(box, "kms").create_key()["KeyMetadata"]["Arn"]
    prefer(box, kmsKeyId=key)
    before = box.count_calls("kms:GenerateDataKey")
    ended = run(box, "echo", "sealed")
    assert (ended.returncode, ended.stdout) == (0, "sealed\n"), ended.stderr
    assert box.count_calls("kms:GenerateDataKey") == before + 1
    agent = ["ssm:UpdateInstanceInformation", "ssmmessages:*"]
    decrypts = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}
    try:
        box.policies.attach_to_instances(policy(*agent))
        ended = run(box, "echo", "sealed")
        assert ended.returncode != 0
        assert "Fetching data key failed: AccessDeniedException" in ended.stderr
        box.policies.attach_to_instances(policy(*agent), {"Version": "2012-10-17", "Statement": [decrypts]})
        assert run(box, "echo", "sealed").stdout == "sealed\n"
    finally:
        box.policies.attach_to_instances("AmazonSSMManagedInstanceCore")
    assert run(box, "echo", "sealed").stdout == "sealed\n"
    prefer(box)


def test_a_documents_own_preferences_come_first(box: Sandbox) -> None:
    prefer(box, shellProfile={"linux": "echo account"})
    ssm = aws_client(box, "ssm")
    own = json.dumps(document(shellProfile={"linux": "echo own $((6 * 7))"}))
    ssm.create_document(Name="Own", DocumentType="Session", Content=own)
    with DataChannel(box, None, document="Own") as channel:
        channel.open()
        assert b"account" not in read_until(channel, b"own 42")
    ssm.delete_document(Name="Own")


def test_preferences_from_the_start_and_none_at_all(tmp_path: Path) -> None:
    file = tmp_path / "preferences.json"
    file.write_text(json.dumps(document(s3BucketName="logs", idleSessionTimeout="20")))
    with Sandbox(preferences=file) as box:
        ssm = aws_client(box, "ssm")
        assert json.loads(ssm.get_document(Name=NAME)["Content"])["inputs"]["s3BucketName"] == "logs"
        ssm.delete_document(Name=NAME)
        assert code_of(ssm.get_document, Name=NAME) == "InvalidDocument"
        ssm.terminate_session(SessionId=ssm.start_session(Target=TARGET)["SessionId"])
    with pytest.raises(UsageError, match=r"inputs\.idleSessionTimeout must be from 1 to 60 minutes"):
        Sandbox(preferences=document(idleSessionTimeout="120"))


def policy(*actions: str) -> dict[str, object]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_instances_need_their_role(box: Sandbox) -> None:
    """Without control channels nothing connects, without data channels sessions end, without pings they are lost."""
    ssm = aws_client(box, "ssm")
    control = ("ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel")
    data = ("ssmmessages:CreateDataChannel", "ssmmessages:OpenDataChannel")

    def status() -> set[str]:
        rows = ssm.describe_instance_information()["InstanceInformationList"]
        return {row["PingStatus"] for row in rows if row["InstanceId"].startswith("i-")}

    try:
        box.policies.attach_to_instances(policy("ssm:UpdateInstanceInformation", *data))
        assert ssm.get_connection_status(Target=TARGET)["Status"] == "notconnected"
        assert code_of(ssm.start_session, Target=TARGET) == "TargetNotConnected"
        assert ssm.get_connection_status(Target="mi-0123456789abcdef0")["Status"] == "connected"
        box.policies.attach_to_instances(policy("ssm:UpdateInstanceInformation", *control))
        assert status() == {"Online"}
        with DataChannel(box, 22) as channel:
            channel.open()
            said = parse_channel_closed(channel.receive().payload)
            assert f"Setting up data channel with id {channel.session_id} failed" in said
            assert "not authorized to perform: ssmmessages:CreateDataChannel" in said
        box.policies.attach_to_instances(policy(*control, *data))
        assert status() == {"ConnectionLost"}
    finally:
        box.policies.attach_to_instances("AmazonSSMManagedInstanceCore")
    assert status() == {"Online"}


def test_settings_of_the_service(box: Sandbox) -> None:
    ssm = aws_client(box, "ssm")
    name = "/ssm/managed-instance/default-ec2-instance-management-role"
    setting = ssm.get_service_setting(SettingId=name)["ServiceSetting"]
    assert (setting["SettingValue"], setting["Status"]) == ("$None", "Default")
    ssm.update_service_setting(SettingId=setting["ARN"], SettingValue="service-role/Managed")
    setting = ssm.get_service_setting(SettingId=name)["ServiceSetting"]
    assert (setting["SettingValue"], setting["Status"]) == ("service-role/Managed", "Customized")
    assert ssm.reset_service_setting(SettingId=name)["ServiceSetting"]["Status"] == "Default"
    assert code_of(ssm.get_service_setting, SettingId="/ssm/nothing") == "ServiceSettingNotFound"


def test_instances_show_their_profile(box: Sandbox) -> None:
    machine = aws_client(box, "ec2").describe_instances(InstanceIds=[TARGET])["Reservations"][0]["Instances"][0]
    shown = aws_client(box, "iam").get_instance_profile(InstanceProfileName="ssmssh-sandbox-instance")
    profile = shown["InstanceProfile"]
    assert machine["IamInstanceProfile"] == {"Arn": profile["Arn"], "Id": profile["InstanceProfileId"]}
