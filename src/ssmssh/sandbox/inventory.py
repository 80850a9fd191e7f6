"""The machines of the sandbox: one list, from which every service's view of them is made.

The ids are fixed, so that documentation can name them; everything else is plausible and never used to
reach anything: all of them are the one SSH server of the sandbox.
"""

import datetime as dt
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Instance:
    """A managed node.

    `instance_id` is an EC2 id (``i-…``) or that of a hybrid node (``mi-…``), which EC2 does not know;
    `name` is its tag ``Name`` and, for a hybrid node, the name it was activated with.
    """

    instance_id: str
    name: str
    address: str
    platform_type: str = "Linux"
    platform_name: str = "Debian GNU/Linux"
    platform_version: str = "12"
    agent_version: str = "3.3.987.0"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_hybrid(self) -> bool:
        """Whether it is a machine outside EC2."""
        return self.instance_id.startswith("mi-")

    @property
    def computer_name(self) -> str:
        """The host name it reports to Systems Manager."""
        if self.is_hybrid:
            return f"{self.name}.example.internal"
        return f"ip-{self.address.replace('.', '-')}.ec2.internal"


INSTANCES = (
    Instance("i-0123456789abcdef0", "web-1", "172.31.10.11", tags={"Environment": "sandbox"}),
    Instance("i-0fedcba9876543210", "db-1", "172.31.10.12", tags={"Environment": "sandbox"}),
    Instance("mi-0123456789abcdef0", "on-prem-1", "192.0.2.10", tags={"Environment": "office"}),
)
"""What a sandbox has when nothing else is asked for."""


def instance_information(instance: Instance, now: dt.datetime, ping_status: str) -> dict[str, object]:
    """An element of ``InstanceInformationList``, as DescribeInstanceInformation gives it.

    `ping_status` is ``Online`` or ``ConnectionLost``.
    """
    information: dict[str, object] = {
        "InstanceId": instance.instance_id,
        "PingStatus": ping_status,
        "LastPingDateTime": now.timestamp(),
        "AgentVersion": instance.agent_version,
        "IsLatestVersion": True,
        "PlatformType": instance.platform_type,
        "PlatformName": instance.platform_name,
        "PlatformVersion": instance.platform_version,
        "ResourceType": "ManagedInstance" if instance.is_hybrid else "EC2Instance",
        "IPAddress": instance.address,
        "ComputerName": instance.computer_name,
        "SourceId": instance.instance_id,
        "SourceType": "AWS::SSM::ManagedInstance" if instance.is_hybrid else "AWS::EC2::Instance",
    }
    if instance.is_hybrid:
        information["Name"] = instance.name
        information["ActivationId"] = "01234567-89ab-cdef-0123-456789abcdef"
        information["IamRole"] = "service-role/AmazonEC2RunCommandRoleForManagedInstances"
        information["RegistrationDate"] = now.timestamp()
    return information
