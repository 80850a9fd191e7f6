"""The instance as AWS sees it: whether it runs, is well, and is in touch with Systems Manager.

``TargetNotConnected`` has one text for everything. So what is said here of an agent that is not connected is the cause
only if nothing that is mended before it is wrong: `WHY_SILENT`.
"""

import functools
import time
from collections.abc import Callable

from ssmssh.aws.ec2 import instance_status
from ssmssh.aws.pages import Item
from ssmssh.doctor.check import Check, Finding, failed, ok, unknown, warning
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import options, pager
from ssmssh.doctor.facts.instance import (
    ago,
    channel,
    information,
    is_heard,
    is_hybrid,
    is_online,
    known,
    machine,
    node_id,
    state,
)
from ssmssh.nodes.features import lacking

ASKABLE = ("credentials", "clock", "identity", "ssm-endpoint", "target-text", "target-found")
"""Without these nothing is to be heard of an instance."""

WHY_SILENT = (
    "instance-state", "instance-status-checks", "serial-console", "instance-metadata", "instance-profile",
    "instance-policies", "network-way", "hybrid", "agent-state", "agent-diagnostics", "remote-disk", "remote-clock",
)  # fmt: skip
"""What explains that an agent is not in touch."""

AGENT_PAGE = "https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-status-and-restart.html"
INSTALL_PAGE = "https://docs.aws.amazon.com/systems-manager/latest/userguide/manually-install-ssm-agent-linux.html"
TROUBLE_PAGE = "https://docs.aws.amazon.com/systems-manager/latest/userguide/troubleshooting-managed-nodes.html"

BOOT_SECONDS = 300.0
"""After a launch, for an agent to register; Windows takes the longest."""


def of_ec2(look: Callable[[Examination], Finding]) -> Callable[[Examination], Finding]:
    """A look at what EC2 alone knows of; a machine that is not EC2's passes."""

    @functools.wraps(look)
    def look_if_ec2(examination: Examination) -> Finding:
        return ok("not an EC2 instance") if is_hybrid(examination) else look(examination)

    return look_if_ec2


@of_ec2
def _look_at_state(examination: Examination) -> Finding:
    instance_id, found = examination.fact(node_id), examination.fact(machine)
    if not found:
        return unknown("EC2 does not know it")
    name = state(examination)
    if name == "running":
        return ok(f"running, launched {ago(found.get('LaunchTime'))}")
    why = found.get("StateReason", {}).get("Message", "") or found.get("StateTransitionReason", "")
    to = f"--instance-ids {instance_id}{options(examination)}"
    start, stopped = f"aws ec2 start-instances {to}", f"aws ec2 wait instance-stopped {to}"
    meaning, step = {
        "stopped": ("is stopped", start),
        "stopping": ("is about to stop", f"{stopped} && {start}"),
        "pending": ("is still starting", f"aws ec2 wait instance-running {to}"),
    }.get(name, (f"is {name}: it does not come back", f"ssmssh list{options(examination)}"))
    return failed(f"{name}{f' ({why})' if why else ''}", f"{_named(found)} {meaning}", step)


@of_ec2
def _look_at_status(examination: Examination) -> Finding:
    instance_id = examination.fact(node_id)
    found = instance_status(pager(examination), instance_id)
    if not found:
        return unknown("EC2 tells nothing of it")
    system, own = (found.get(part, {}).get("Status", "") for part in ("SystemStatus", "InstanceStatus"))
    events = [
        str(event.get("Code", ""))
        for event in found.get("Events", [])
        if "[Completed]" not in event.get("Description", "")
    ]
    evidence = f"system {system or 'unknown'}, instance {own or 'unknown'}"
    evidence += f"; scheduled: {', '.join(events)}" if events else ""
    to = f"--instance-ids {instance_id}{options(examination)}"
    if system == "impaired":
        return failed(
            evidence,
            f"The hardware under {instance_id} is impaired (system status check); a stop and a start move it",
            f"aws ec2 stop-instances {to} && aws ec2 wait instance-stopped {to} && aws ec2 start-instances {to}",
        )
    if own == "impaired" and not is_online(examination):
        return failed(
            evidence,
            f"{instance_id} runs, but its operating system does not answer the network (instance status check)",
            f"aws ec2 reboot-instances {to}",
        )
    if own == "impaired":
        return warning(
            evidence, f"The instance status check of {instance_id} fails, though its agent is in touch",
            f"aws ec2 describe-instance-status {to}",
        )  # fmt: skip
    return ok(evidence)


@of_ec2
def _look_at_metadata(examination: Examination) -> Finding:
    """The agent of an EC2 instance gets its credentials there."""
    found = examination.fact(machine).get("MetadataOptions", {})
    if found.get("HttpEndpoint") != "disabled":
        return ok(f"on, tokens {found.get('HttpTokens', 'unknown')}" if found else "nothing is said of it")
    if is_heard(examination):
        return ok("off, yet the agent is in touch")
    instance_id = examination.fact(node_id)
    return failed(
        "off",
        f"The metadata service of {instance_id} is switched off, so its agent has no credentials",
        f"aws ec2 modify-instance-metadata-options --instance-id {instance_id} --http-endpoint enabled"
        f"{options(examination)}",
    )


def _look_at_managed(examination: Examination) -> Finding:
    instance_id = examination.fact(node_id)
    found = examination.fact(information)
    if found:
        return ok(
            f"{found.get('PlatformName', '')} {found.get('PlatformVersion', '')}".strip() or "Systems Manager knows it"
        )
    name = state(examination)
    if name and name != "running":
        return unknown(f"not listed while it is {name}")
    launched = examination.fact(machine).get("LaunchTime") if name else None
    if launched is not None and time.time() - launched.timestamp() < BOOT_SECONDS:
        return failed(
            f"Systems Manager does not list it; launched {ago(launched)}",
            f"{instance_id} was launched {ago(launched)}, and its agent has not registered yet: it takes a minute",
            f"ssmssh run --wait 300 {examination.asked.target} -- true",
        )
    return failed(
        "Systems Manager does not list it",
        f"{instance_id} runs, but no SSM Agent of it has ever registered in this account and region: none is installed "
        "or it does not run, or it has no credentials or no way to the service",
        f"{INSTALL_PAGE} (log in in another way and install or start the agent; its log is "
        "/var/log/amazon/ssm/amazon-ssm-agent.log)",
    )


def _look_at_ping(examination: Examination) -> Finding:
    instance_id, found = examination.fact(node_id), examination.fact(information)
    if not found:
        return unknown("Systems Manager does not list it")
    status, when = str(found.get("PingStatus", "")), ago(found.get("LastPingDateTime"))
    evidence = f"{status}, last heard of {when}" if when else status
    if status == "Online":
        return ok(evidence)
    restart = f"aws ec2 reboot-instances --instance-ids {instance_id}{options(examination)}"
    if is_hybrid(examination):
        restart = f"{AGENT_PAGE} (on the machine, restart the agent)"
    return failed(
        evidence,
        f"The agent of {instance_id} was last heard of {when or 'some time ago'} ({status}): the machine hangs or is "
        "out of memory or disk, the agent has died, or it is cut off from the service",
        restart,
    )


def _look_at_channel(examination: Examination) -> Finding:
    status = examination.fact(channel)
    if status != "notconnected":
        return ok(status or "no status")
    instance_id = examination.fact(node_id)
    if not known(examination, information):
        return failed(
            status,
            f"Session Manager says that {instance_id} is not connected, and nobody here may see why: it may be "
            "stopped, without an agent or a role, in another region or account, or mistyped",
            "# ask for ssm:DescribeInstanceInformation and ec2:DescribeInstances, then: ssmssh doctor "
            f"{examination.asked.target}",
        )
    return failed(
        status,
        f"The agent of {instance_id} reports to Systems Manager, but holds no channel for sessions: it does not reach "
        "ssmmessages (an endpoint, a firewall or a proxy that lets only ssm through), or may not "
        "(ssmmessages:CreateControlChannel, OpenControlChannel); its log tells which",
        f"{TROUBLE_PAGE} (look at what the instance needs, then restart the agent)",
    )


def _look_at_version(examination: Examination) -> Finding:
    found = examination.fact(information)
    version = str(found.get("AgentVersion", ""))
    if not version:
        return unknown("nobody says which version it is")
    missing = lacking(version)
    evidence = version if found.get("IsLatestVersion", True) else f"{version}, not the latest"
    instance_id = examination.fact(node_id)
    update = (
        f"aws ssm send-command --document-name AWS-UpdateSSMAgent --instance-ids {instance_id}{options(examination)}"
    )
    if "ssh" in missing:
        return failed(evidence, f"The agent of {instance_id} ({version}) is too old for ssh", update)
    if missing:
        return warning(evidence, f"The agent of {instance_id} ({version}) is too old for: {', '.join(missing)}", update)
    return ok(evidence)


def _named(found: Item) -> str:
    tags = {tag.get("Key"): tag.get("Value") for tag in found.get("Tags", [])}
    name = "".join(c for c in str(tags.get("Name", ""))[:60] if c.isprintable())
    return f"{found['InstanceId']} ({name})" if name else str(found["InstanceId"])


CHECKS = (
    Check("instance-state", "state of the instance", _look_at_state, ASKABLE, needs_target=True),
    Check(
        "instance-status-checks", "EC2's status checks", _look_at_status, ASKABLE, ("instance-state", "serial-console"),
        needs_target=True,
    ),
    Check("instance-metadata", "metadata service", _look_at_metadata, ASKABLE, ("instance-state",), needs_target=True),
)  # fmt: skip

AGENT_CHECKS = (
    Check("managed", "known to Systems Manager", _look_at_managed, ASKABLE, WHY_SILENT, needs_target=True),
    Check("ping", "agent", _look_at_ping, (*ASKABLE, "managed"), WHY_SILENT, needs_target=True),
    Check("agent-version", "version of the agent", _look_at_version, (*ASKABLE, "managed"), needs_target=True),
    Check(
        "control-channel", "channel for sessions", _look_at_channel, (*ASKABLE, "managed", "ping"),
        (*WHY_SILENT, "agent-version"), needs_target=True,
    ),
)  # fmt: skip
