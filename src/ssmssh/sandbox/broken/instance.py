"""Set-ups that are broken on the instance, or around it."""

from ssmssh.sandbox.broken.setup import HYBRID_TARGET, TARGET, Broken, Kind, Mending
from ssmssh.sandbox.broken.world import World
from ssmssh.sandbox.inventory import DAY_SECONDS
from ssmssh.sandbox.network import INTERNET

_PANIC = """\
[    3.817264] VFS: Cannot open root device "UUID=1f2e3d4c" or unknown-block(0,0): error -6
[    3.817301] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
[    3.817344] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---
"""
_EMERGENCY = """\
[FAILED] Failed to mount data.mount - /data.
[DEPEND] Dependency failed for local-fs.target - Local File Systems.
You are in emergency mode. After logging in, type "journalctl -xb" to view
system logs, "systemctl reboot" to reboot, "systemctl default" or "exit"
to boot into default mode.
Give root password for maintenance
(or press Control-D to continue):
"""
_FULL = """\
[   12.004512] systemd[1]: Failed to start amazon-ssm-agent.service.
[   12.118204] rsyslogd[702]: file '/var/log/syslog': write error: No space left on device
[   12.220933] cloud-init[612]: OSError: [Errno 28] No space left on device
"""
_CLOUD_INIT = """\
[   14.203311] cloud-init[612]: Cloud-init v. 22.4.2 running 'modules:final'
[   21.790144] cloud-init[612]: util.py[WARNING]: Failed running /var/lib/cloud/instance/scripts/part-001 [1]
[   21.802310] cloud-init[612]: cc_scripts_user.py[WARNING]: Failed to run module scripts-user
"""


def _lost(world: World, console: str = "", **changes: object) -> None:
    """The agent has not been heard for two days; on the console is why."""
    age = 2 * DAY_SECONDS
    world.instance(TARGET, ping_status="ConnectionLost", ping_age_seconds=age, console=console, **changes)


def _cut_off(world: World, **network: object) -> None:
    """The agent has never come through to Systems Manager."""
    world.instance(TARGET, managed=False)
    world.network(**network)


def _without_rights(world: World) -> None:
    world.instance_policies()
    world.instance(TARGET, managed=False)


def _unreachable(world: World, *endpoints: str, **network: object) -> None:
    _cut_off(world, gateway="", endpoints=endpoints, **network)


def _refuse_key(world: World) -> None:
    world.write("authorized_keys", "")


def _unregister(world: World) -> None:
    world.fault("activation-expired")
    world.instance(HYBRID_TARGET, managed=False)


INSTANCE = (
    Broken(
        "stopped",
        Kind.INSTANCE,
        "the instance is stopped",
        lambda world: world.instance(TARGET, state="stopped", ping_status="ConnectionLost"),
        cause=r"stopped",
        next_step=r"start-instances|--start",
        mending=Mending.COMMAND,
    ),
    Broken(
        "terminated",
        Kind.INSTANCE,
        "the instance was terminated",
        lambda world: world.instance(TARGET, state="terminated", ping_status="ConnectionLost"),
        cause=r"terminated",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "host-impaired",
        Kind.INSTANCE,
        "EC2's check of the host on which the instance runs has failed",
        lambda world: _lost(world, system_status="impaired"),
        cause=r"system status check",
        next_step=r".",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "machine-impaired",
        Kind.INSTANCE,
        "EC2's check of the instance itself has failed, and its console does not say why",
        lambda world: _lost(world, instance_status="impaired"),
        cause=r"instance status check",
        next_step=r".",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "kernel-panic",
        Kind.INSTANCE,
        "the kernel finds no root file system, and panics",
        lambda world: _lost(world, _PANIC, instance_status="impaired"),
        cause=r"kernel",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "emergency-mode",
        Kind.INSTANCE,
        "a file system of /etc/fstab cannot be mounted, so that systemd waits in emergency mode",
        lambda world: _lost(world, _EMERGENCY, instance_status="impaired"),
        cause=r"emergency mode",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "disk-full",
        Kind.INSTANCE,
        "no space is left on the instance's disk, so that the agent does not start",
        lambda world: _lost(world, _FULL),
        cause=r"file system of it is full",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "cloud-init-failed",
        Kind.INSTANCE,
        "the script of the user data that installs the agent has failed",
        lambda world: world.instance(TARGET, managed=False, console=_CLOUD_INIT),
        cause=r"cloud-init",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "connection-lost",
        Kind.INSTANCE,
        "the agent has not been heard for two days, and nothing says why",
        _lost,
        cause=r"ConnectionLost|lost|not been heard|agent",
        next_step=r".",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "never-registered",
        Kind.INSTANCE,
        "the instance runs and has all that it needs, but no agent has registered",
        lambda world: world.instance(TARGET, managed=False),
        cause=r"agent",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "no-instance-profile",
        Kind.INSTANCE,
        "the instance has no instance profile, and so its agent no credentials",
        lambda world: world.instance(TARGET, managed=False, instance_profile=False),
        cause=r"no instance profile",
        next_step=r"instance-permissions|associate-iam-instance-profile",
        mending=Mending.PAGE,
    ),
    Broken(
        "profile-without-policies",
        Kind.INSTANCE,
        "the role of the instance profile has no policy, so Systems Manager does not take its agent",
        _without_rights,
        cause=r"role .*ssm:|may not|does not allow|policies",
        next_step=r"attach-role-policy|ssmssh policy",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "agent-too-old",
        Kind.INSTANCE,
        "the agent is from before Session Manager",
        lambda world: world.instance(TARGET, agent_version="2.2.392.0"),
        cause=r"2\.2\.392\.0",
        next_step=r"AWS-UpdateSSMAgent|update",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "no-route",
        Kind.INSTANCE,
        "the subnet has no way out, and the VPC no endpoints",
        _unreachable,
        cause=r"route|way (out|to)|VPC endpoint",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "nat-gone",
        Kind.INSTANCE,
        "the NAT gateway of the subnet's default route was deleted",
        lambda world: _cut_off(world, is_gateway_gone=True),
        cause=r"blackhole|black hole|nat-0123456789abcdef0",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "no-public-address",
        Kind.INSTANCE,
        "the subnet's default route leads to an internet gateway, and the instance has no public address",
        lambda world: _cut_off(world, gateway=INTERNET),
        cause=r"public (IP|address)",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "egress-blocked",
        Kind.INSTANCE,
        "the instance's security group lets out HTTP, but not HTTPS",
        lambda world: _cut_off(world, egress="80"),
        cause=r"sg-0123456789abcdef0|security group",
        next_step=r"authorize-security-group-egress|security group",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "acl-blocks",
        Kind.INSTANCE,
        "the subnet's network ACL denies HTTPS",
        lambda world: _cut_off(world, acl_allows=False),
        cause=r"network ACL|acl-0123456789abcdef0",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "endpoint-missing",
        Kind.INSTANCE,
        "the subnet has no way out, and the VPC has an endpoint of ssm, but none of ssmmessages",
        lambda world: _unreachable(world, "ssm", "ec2messages"),
        cause=r"ssmmessages",
        next_step=r".",
        mending=Mending.PAGE,
    ),
    Broken(
        "endpoint-shut",
        Kind.INSTANCE,
        "the VPC's endpoints have a security group that lets nothing in",
        lambda world: _unreachable(world, "ssm", "ec2messages", "ssmmessages", endpoint_ingress=""),
        cause=r"security group|sg-0fedcba9876543210",
        next_step=r".",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "sshd-down",
        Kind.INSTANCE,
        "the agent is there, but no SSH server listens on port 22",
        lambda world: world.fault("connect-fails"),
        cause=r"port 22|SSH server|sshd",
        next_step=r".",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "host-key-changed",
        Kind.INSTANCE,
        "the SSH server has another host key than the one that known_hosts has",
        lambda world: world.fault("host-key-swapped"),
        cause=r"host key",
        next_step=r".",
        mending=Mending.ELSEWHERE,
    ),
    Broken(
        "key-refused",
        Kind.INSTANCE,
        "none of the keys that ssh offers is among the instance's authorized keys",
        _refuse_key,
        cause=r"key",
        next_step=r"push-key",
        mending=Mending.COMMAND,
    ),
    Broken(
        "activation-expired",
        Kind.INSTANCE,
        "a machine outside EC2 was set up anew, and cannot register: its activation has expired",
        _unregister,
        cause=r"activation",
        next_step=r"aws ssm create-activation",
        mending=Mending.ELSEWHERE,
        target=HYBRID_TARGET,
    ),
)
