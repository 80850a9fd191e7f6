"""What is tried under a policy: the calls that our programs make, each by the function that makes it."""

import contextlib
import time
from collections.abc import Callable, Mapping

import ssmssh
from ssmssh.aws import ec2, rds, ssm
from ssmssh.aws.autoscaling import instances_of_group
from ssmssh.aws.client import AwsClient
from ssmssh.aws.documents import document_content
from ssmssh.aws.instanceconnect import send_ssh_public_key
from ssmssh.aws.kms import data_key
from ssmssh.aws.managed import instance_information, instance_properties
from ssmssh.aws.pages import Pager
from ssmssh.aws.runcommand import run_script
from ssmssh.errors import AccessDeniedError, ProtocolError, TargetError
from ssmssh.protocol.events import KeyRequested
from tests.acceptance.clients import EC2_HOST

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5CvJFsbRxnXmDdFLKLnrmQrlhM2hBLPnlhKgQNgJ1u"

STARTED = {
    "start ssh": "AWS-StartSSHSession",
    "start shell": None,
    "start run": "AWS-StartNonInteractiveCommand",
    "start run --tty": "AWS-StartInteractiveCommand",
    "start forward": "AWS-StartPortForwardingSession",
    "start forward-remote": "AWS-StartPortForwardingSessionToRemoteHost",
}
"""Sessions, and the documents that they are started with."""

OF_FEATURE: Mapping[str, frozenset[str]] = {
    "ssh": frozenset({"start ssh", "connect", "resume", "end"}),
    "shell": frozenset({"start shell", "resume", "end", "session key"}),
    "run": frozenset({"start run", "start run --tty", "resume", "end", "session key"}),
    "forward": frozenset({"start forward", "resume", "end"}),
    "forward-remote": frozenset({"start forward-remote", "resume", "end", "databases"}),
    "push-key": frozenset({"push a key"}),
    "run-command-key": frozenset({"run a script"}),
    "host-keys": frozenset({"run a script", "read the console"}),
    "list": frozenset({"properties", "information", "instances", "images", "regions", "groups"}),
    "doctor": frozenset(
        {
            *("properties", "information", "instances", "images", "regions", "read the console"),
            *("connection status", "instance profile", "role", "simulation"),
            *("health", "endpoints", "activations", "setting", "a document"),
        }
    ),
}
"""What works under the policy for each feature alone, and nothing else."""

OF_STATEMENT: Mapping[str, frozenset[str]] = {
    "StartSessions": frozenset({*STARTED, "connect"}),
    "UseAWSStartSSHSession": frozenset({"start ssh", "connect"}),
    "UseSSMSessionManagerRunShell": frozenset({"start shell"}),
    "UseAWSStartNonInteractiveCommand": frozenset({"start run"}),
    "UseAWSStartInteractiveCommand": frozenset({"start run --tty"}),
    "UseAWSStartPortForwardingSession": frozenset({"start forward"}),
    "UseAWSStartPortForwardingSessionToRemoteHost": frozenset({"start forward-remote"}),
    "OpenOwnSessions": frozenset({"connect"}),
    "ResumeOwnSessions": frozenset({"resume"}),
    "EndOwnSessions": frozenset({"end"}),
    "MakeSessionKeys": frozenset({"session key"}),
    "FindDatabases": frozenset({"databases"}),
    "PushKeys": frozenset({"push a key"}),
    "SendCommands": frozenset({"run a script"}),
    "UseAWSRunShellScript": frozenset({"run a script"}),
    "ReadCommands": frozenset({"run a script"}),
    "ReadConsoles": frozenset({"read the console"}),
    "ListInstances": frozenset({"properties", "information"}),
    "DescribeInstances": frozenset({"instances", "images"}),
    "DescribeRegions": frozenset({"regions"}),
    "DescribeGroups": frozenset({"groups"}),
    "AskForConnections": frozenset({"connection status"}),
    "LookAtNetworks": frozenset({"health", "endpoints"}),
    "LookAtActivations": frozenset({"activations"}),
    "ReadSettings": frozenset({"setting"}),
    "ReadDocuments": frozenset({"a document"}),
    "ReadInstanceProfiles": frozenset({"instance profile"}),
    "ReadRoles": frozenset({"role"}),
    "SimulatePolicies": frozenset({"simulation"}),
}
"""What a statement's sentence says does not work without it."""


def _shortly(_seconds: float) -> None:
    """Between two looks at a command: nothing of it is on its way for long here."""
    time.sleep(0.02)


class Tries:
    """What is tried, by name. Each fails with AccessDeniedError where it may not be done.

    Args:
        client: Who tries.
        key_id: Of a key of KMS.
        target: Which machine.
    """

    def __init__(self, client: AwsClient, key_id: str, target: str = EC2_HOST) -> None:
        self._client = client
        self._target = target
        self._key_id = key_id
        self._own = ""
        pager = Pager(client)
        self.all: Mapping[str, Callable[[], object]] = {
            **{name: lambda name=name: self._start(STARTED[name]) for name in STARTED},  # type: ignore[misc]
            "connect": self._connect,
            "resume": lambda: ssm.resume_session(client, self._own),
            "end": lambda: ssm.terminate_session(client, self._own),
            "session key": lambda: data_key(client, KeyRequested(key_id, ""), self._own, target),
            "databases": lambda: rds.endpoint_of(pager, "none"),
            "push a key": lambda: send_ssh_public_key(client, target, "ec2-user", PUBLIC_KEY, patience_seconds=5),
            "run a script": lambda: run_script(client, target, "true", "try", patience_seconds=20, wait=_shortly),
            "read the console": lambda: ec2.console_output(pager, target),
            "properties": lambda: list(instance_properties(pager)),
            "information": lambda: list(instance_information(pager)),
            "instances": lambda: list(ec2.describe_instances(pager)),
            "images": lambda: ec2.image_names(pager, ["ami-00000000000000000"]),
            "regions": lambda: ec2.enabled_regions(pager),
            "groups": lambda: instances_of_group(pager, "none"),
            "connection status": lambda: pager.call("ssm", "get_connection_status", "ask", Target=target),
            "health": lambda: ec2.instance_status(pager, target),
            "endpoints": lambda: pager.call("ec2", "describe_vpc_endpoints", "ask"),
            "activations": lambda: pager.call("ssm", "describe_activations", "ask"),
            "setting": lambda: pager.call(
                "ssm", "get_service_setting", "ask", SettingId="/ssm/managed-instance/activation-tier"
            ),
            "a document": lambda: document_content(pager, "AWS-StartSSHSession"),
            "instance profile": lambda: pager.call(
                "iam", "get_instance_profile", "ask", InstanceProfileName="ssmssh-sandbox-instance"
            ),
            "role": lambda: pager.call("iam", "get_role", "ask", RoleName="ssmssh-sandbox-instance"),
            "simulation": lambda: pager.call(
                "iam", "simulate_principal_policy", "ask", ActionNames=["ssm:StartSession"],
                PolicySourceArn="arn:aws:iam::123456789012:role/ssmssh-sandbox-instance",
            ),
        }  # fmt: skip

    def prepare(self) -> None:
        """Have a session of one's own: to be called before a policy is in force."""
        self._own = self._start("AWS-StartSSHSession")

    def working(self) -> set[str]:
        """What may be done."""
        return {name for name in self.all if self.may(name)}

    def may(self, name: str) -> bool:
        """Whether this may be done; what is not there, or answered as nobody knows, may be asked for all the same."""
        with contextlib.suppress(TargetError, ProtocolError):
            try:
                self.all[name]()
            except AccessDeniedError:
                return False
        return True

    def _start(self, document_name: str | None) -> str:
        parameters: dict[str, list[str]] = {}
        if document_name in ("AWS-StartNonInteractiveCommand", "AWS-StartInteractiveCommand"):
            parameters["command"] = ["true"]
        started = ssm.start_session(
            self._client, self._target,
            document_name=document_name, parameters=parameters, reason=None, patience_seconds=5,
        )  # fmt: skip
        return started.session_id

    def _connect(self) -> None:
        with ssmssh.connect(self._target, 22, profile=self._client.profile) as sock:
            assert sock.recv(4) == b"SSH-"
