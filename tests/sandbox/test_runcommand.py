"""Run Command, by botocore: what runs, where, what is told of it and what is refused."""

import asyncio
import os
import pwd
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ssmssh.sandbox import Instance, Sandbox
from ssmssh.sandbox.commands import Commands, Invocation
from ssmssh.sandbox.faults import FaultSet
from tests.acceptance.clients import wait_until
from tests.sandbox.client import TARGET, aws_client, code_of

HYBRID = "mi-0123456789abcdef0"
WINDOWS = "i-00000000000000001"
STOPPED = "i-00000000000000002"
LOST = "i-00000000000000003"


@pytest.fixture(scope="module")
def box(temporary_directory: Path) -> Iterator[Sandbox]:
    instances = [
        Instance(WINDOWS, platform_type="Windows"),
        Instance(STOPPED, state="stopped"),
        Instance(LOST, ping_status="ConnectionLost"),
    ]
    with Sandbox(unpaced=True, gateways=2, instances=instances) as box:
        yield box


@pytest.fixture
def ssm(box: Sandbox) -> Any:
    return aws_client(box, "ssm")


def send(ssm: Any, *lines: str, instance_id: str = TARGET, **parameters: list[str]) -> str:
    sent = ssm.send_command(
        InstanceIds=[instance_id],
        DocumentName="AWS-RunShellScript",
        Parameters={"commands": list(lines)} | parameters,
        Comment="a test",
    )["Command"]
    assert (sent["Status"], sent["InstanceIds"], sent["TargetCount"]) == ("Pending", [instance_id], 1)
    return str(sent["CommandId"])


def invocation(ssm: Any, command_id: str, instance_id: str = TARGET) -> dict[str, Any]:
    """What is told of it now; an empty one while it does not exist."""
    try:
        answer = ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvocationDoesNotExist":
            raise
        return {"Status": ""}
    return dict(answer)


def wait_for(ssm: Any, command_id: str, instance_id: str, is_so: Callable[[str], bool]) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    def look() -> bool:
        seen.append(invocation(ssm, command_id, instance_id))
        return is_so(seen[-1]["Status"])

    wait_until(look, "the command")
    return seen[-1]


def run(ssm: Any, *lines: str, instance_id: str = TARGET, **parameters: list[str]) -> dict[str, Any]:
    command_id = send(ssm, *lines, instance_id=instance_id, **parameters)
    return wait_for(ssm, command_id, instance_id, lambda status: status not in ("", "Pending", "InProgress"))


@pytest.mark.parametrize("instance_id", [TARGET, HYBRID])
def test_a_script_really_runs_as_who_runs_the_sandbox(ssm: Any, box: Sandbox, instance_id: str) -> None:
    done = run(ssm, "x=two", 'echo "one $x"; id -un; echo $AWS_SSM_INSTANCE_ID; pwd', instance_id=instance_id)
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert done["StandardOutputContent"].splitlines() == ["one two", user, instance_id, str(box.directory / "home")]
    assert (done["Status"], done["StatusDetails"], done["ResponseCode"]) == ("Success", "Success", 0)
    assert (done["DocumentName"], done["PluginName"], done["Comment"]) == (
        "AWS-RunShellScript",
        "aws:runShellScript",
        "a test",
    )
    assert done["ExecutionStartDateTime"] <= done["ExecutionEndDateTime"]
    assert done["ExecutionElapsedTime"].startswith("PT")


def test_a_status_is_told_with_the_errors(ssm: Any, tmp_path: Path) -> None:
    done = run(ssm, "echo out; echo problem >&2; pwd; exit 3", workingDirectory=[str(tmp_path)])
    assert (done["Status"], done["ResponseCode"]) == ("Failed", 3)
    assert done["StandardOutputContent"] == f"out\n{tmp_path}\n"
    assert done["StandardErrorContent"] == "problem\nfailed to run commands: exit status 3"
    done = run(ssm, "true", workingDirectory=["/nowhere"])
    assert (done["Status"], done["StandardOutputContent"]) == ("Failed", "")


def test_an_invocation_is_in_progress_and_tells_nothing_until_it_has_ended(ssm: Any, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    command_id = send(ssm, f"while ! [ -e '{go_on}' ]; do sleep 0.05; done; echo done")
    running = wait_for(ssm, command_id, TARGET, lambda status: status == "InProgress")
    assert (running["ResponseCode"], running["StandardOutputContent"]) == (-1, "")
    (listed,) = ssm.list_command_invocations(CommandId=command_id, Details=True)["CommandInvocations"]
    assert (listed["Status"], listed["CommandPlugins"][0]["Status"]) == ("InProgress", "InProgress")
    go_on.touch()
    assert wait_for(ssm, command_id, TARGET, lambda status: status == "Success")["StandardOutputContent"] == "done\n"
    (listed,) = ssm.list_command_invocations(CommandId=command_id, Details=True)["CommandInvocations"]
    assert listed["CommandPlugins"][0]["Output"] == "done\n"


def test_an_invocation_does_not_exist_at_once(tmp_path: Path) -> None:
    async def begin_and_look(sent_ago: float) -> bool:
        commands = Commands(tmp_path, 0o077, FaultSet())
        order = Invocation("true", str(tmp_path), 10.0, time.time() - sent_ago)
        commands.begin("one", TARGET, "us-east-1", order)
        found = commands.find("one", TARGET) is not None
        assert order.task is not None
        await order.task
        return found

    assert not asyncio.run(begin_and_look(-60.0))
    assert asyncio.run(begin_and_look(60.0))


def test_a_long_output_is_cut(ssm: Any) -> None:
    done = run(ssm, "head -c 100000 /dev/zero | tr '\\0' x; head -c 20000 /dev/zero | tr '\\0' y >&2")
    output, errors = done["StandardOutputContent"], done["StandardErrorContent"]
    assert (len(output), len(errors)) == (24_000, 8_000)
    assert output.endswith("x--output truncated--")
    assert errors.endswith("y--output truncated--")


def test_what_takes_too_long_or_is_cancelled_is_ended_with_all_it_started(ssm: Any, tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > '{tmp_path}/pid'; wait"
    done = run(ssm, script, executionTimeout=["1"])
    assert (done["Status"], done["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
    assert is_gone(tmp_path / "pid")
    (tmp_path / "pid").unlink()
    command_id = send(ssm, script)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the command runs")
    ssm.cancel_command(CommandId=command_id)
    assert wait_for(ssm, command_id, TARGET, lambda status: status == "Cancelled")["ResponseCode"] == -1
    assert is_gone(tmp_path / "pid")


def is_gone(path: Path) -> bool:
    stat = Path(f"/proc/{path.read_text().strip()}")
    wait_until(lambda: not stat.exists(), "the process has ended")
    return True


def test_the_servers_keys_and_the_users_home_are_the_sandboxs(ssm: Any, box: Sandbox) -> None:
    key = (box.directory / "host_key.pub").read_text()
    name = pwd.getpwuid(os.geteuid()).pw_name
    done = run(ssm, "cat /etc/ssh/ssh_host_*_key.pub", f"getent passwd {name} | cut -d: -f6", "echo $HOME; sshd -T")
    assert done["Status"] == "Success", done
    lines = done["StandardOutputContent"].splitlines()
    home = str(box.directory / "home")
    assert lines[:3] == [key.strip(), home, home]
    shown = dict(line.split(" ", 1) for line in lines[3:])
    assert Path(f"{shown['hostkey']}.pub").read_text() == key
    assert shown["authorizedkeysfile"] == ".ssh/authorized_keys .ssh/authorized_keys2"
    done = run(ssm, "getent passwd daemon | cut -d: -f1; sshd -V 2>&1 | head -n 1")
    assert done["StandardOutputContent"].startswith("daemon\n")
    assert "OpenSSH" in done["StandardOutputContent"]


def test_what_is_refused(ssm: Any, box: Sandbox) -> None:
    unchecked = aws_client(box, "ssm", validates=False)

    def code(**changes: object) -> str:
        usual = {
            "InstanceIds": [TARGET],
            "DocumentName": "AWS-RunShellScript",
            "Parameters": {"commands": ["true"]},
        }
        return code_of(unchecked.send_command, **(usual | changes))

    for node in (LOST, STOPPED, "i-0aaaaaaaaaaaaaaaa"):
        assert code(InstanceIds=[TARGET, node]) == "InvalidInstanceId"
    with pytest.raises(ClientError, match=rf"Instances \[\[{LOST}\]\] not in a valid state for account 123456789012"):
        send(ssm, "true", instance_id=LOST)
    with box.faults.during("target-not-connected"):
        assert code() == "InvalidInstanceId"
    assert code(InstanceIds=[WINDOWS]) == "UnsupportedPlatformType"
    assert code(DocumentName="AWS-RunPowerShellScript") == "UnsupportedPlatformType"
    assert code(DocumentName="AWS-RunPatchBaseline") == "InvalidDocument"
    assert code(InstanceIds=[TARGET, TARGET]) == "DuplicateInstanceId"
    assert code(InstanceIds=[]) == "ValidationException"
    assert code(TimeoutSeconds=29) == "ValidationException"
    assert code(Parameters={}) == "InvalidParameters"
    assert code(Parameters={"commands": []}) == "InvalidParameters"
    assert code(Parameters={"commands": ["true"], "colour": ["red"]}) == "InvalidParameters"
    assert code(Parameters={"commands": ["true"], "executionTimeout": ["0"]}) == "InvalidParameters"
    assert code(Parameters={"commands": ["x" * 70_000]}) == "MaxDocumentSizeExceeded"
    words = f"perform: ssm:SendCommand on resource: .*:instance/{TARGET} because"
    with box.faults.during("deny:ssm:SendCommand"), pytest.raises(ClientError, match=words):
        send(ssm, "true")
    other = aws_client(box, "ssm", box.credentials_of("other"))
    assert code_of(other.send_command, InstanceIds=[TARGET], DocumentName="AWS-RunShellScript") == "InvalidInstanceId"
    command_id = send(ssm, "true")
    wait_for(ssm, command_id, TARGET, lambda status: status == "Success")
    assert code_of(other.get_command_invocation, CommandId=command_id, InstanceId=TARGET) == "InvocationDoesNotExist"
    assert code_of(ssm.get_command_invocation, CommandId=command_id, InstanceId=HYBRID) == "InvocationDoesNotExist"
    assert (
        code_of(ssm.get_command_invocation, CommandId=command_id, InstanceId=TARGET, PluginName="aws:x")
        == "InvalidPluginName"
    )
    assert code_of(other.cancel_command, CommandId=command_id) == "InvalidCommandId"


def test_a_command_may_be_slow_hang_and_answer_badly(ssm: Any, box: Sandbox) -> None:
    with box.faults.during("command-slow:0.3"):
        assert run(ssm, "echo late")["StandardOutputContent"] == "late\n"
    with box.faults.during("command-hangs"):
        done = run(ssm, "echo never", executionTimeout=["1"])
        assert (done["Status"], done["StandardOutputContent"]) == ("TimedOut", "")
    with box.faults.during("command-garbage"):
        assert "echoed" not in run(ssm, "echo echoed")["StandardOutputContent"]
    with box.faults.during("command-truncated:31"):
        done = run(ssm, "echo 0123456789012345678901234567890123456789")
        assert done["StandardOutputContent"] == "01234567890--output truncated--"
