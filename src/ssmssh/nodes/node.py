"""A managed node: what Systems Manager and EC2 say of one machine, under one roof.

Two services know something of it, and neither all: Systems Manager whether it can be reached, EC2 its tags and its
addresses. What nobody has said is "" or None, so that a node can be had from either, and completed from the other.

What stands in here was written by others, most of it by whoever may tag an instance. Nothing of it is fit to be shown
on a terminal, or to become a part of a file or a command, before it has been looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NAME_TAG = "Name"
GROUP_TAG = "aws:autoscaling:groupName"
"""The tag that EC2 Auto Scaling puts on the instances of a group; nobody else can (``aws:`` is reserved)."""

EC2 = "EC2"
ON_PREMISES = "on-premises"

SOURCES = {
    "AWS::EC2::Instance": EC2,
    "AWS::SSM::ManagedInstance": ON_PREMISES,
    "AWS::IoT::Thing": "IoT",
    "Microsoft.Compute/virtualMachines": "Azure",
    "compute.googleapis.com/Instance": "GCP",
}
"""How a node's ``SourceType`` (botocore: ssm model) is called here."""

GONE = frozenset({"shutting-down", "terminated"})
"""States out of which no instance comes back; it is listed for an hour, and its name may have an heir by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine. Texts are "" where nobody has said; times are seconds since 1970.

    One class, because it is a row: what is known of one machine, and nothing is done with it here.

    Attributes:
        instance_id: ``i-...`` or, for what is not an EC2 instance, ``mi-...``.
        name: The tag ``Name``; of a hybrid node the name it was activated with. As written, or "".
        tags: All tags of an EC2 instance; of a hybrid node those alone that were asked about. None if nobody has
            asked, or may not.
        ping_status: ``Online``, ``ConnectionLost`` or ``Inactive``, in AWS's words; "" if Systems Manager was not
            asked.
        last_ping: When the agent was last heard of.
        agent_version: Four numbers with dots.
        platform_type: ``Linux``, ``Windows`` or ``MacOS``.
        platform_name: "Amazon Linux", "Ubuntu", "Microsoft Windows Server 2022 Datacenter".
        platform_version: Of the platform.
        source: Where the machine is: a value of `SOURCES`, or AWS's own word for another kind.
        is_managed: Whether Systems Manager knows it; False also where it may not be asked, and EC2 alone was.
        private_address: The first one of an EC2 instance, as EC2 says. Of others what the agent reports, which counts
            only where EC2 knows no machine of that address. IPv4 or IPv6.
        public_address: One that everybody can reach.
        private_dns_name: EC2's name for it inside the VPC.
        public_dns_name: Outside.
        computer_name: What the machine says it is called: to be shown, and never to be found by, because who is root on
            one machine can call it by the name of another.
        other_addresses: Further addresses of its interfaces, IPv6 among them.
        image_id: Of the AMI that it was launched from.
        state: EC2's: ``running``, ``stopped`` ...
        launched: When it was started; for a hybrid node, registered.
        autoscaling_group: The group it belongs to.
        region: Where it is managed.
        profile: Whose credentials have found it; None for the default ones.
        account_id: 12 digits, if known.
    """

    instance_id: str
    region: str
    profile: str | None = None
    account_id: str = ""
    name: str = ""
    tags: Mapping[str, str] | None = None
    ping_status: str = ""
    last_ping: float | None = None
    agent_version: str = ""
    platform_type: str = ""
    platform_name: str = ""
    platform_version: str = ""
    source: str = ""
    is_managed: bool = True
    private_address: str = ""
    public_address: str = ""
    private_dns_name: str = ""
    public_dns_name: str = ""
    computer_name: str = ""
    other_addresses: tuple[str, ...] = ()
    image_id: str = ""
    state: str = ""
    launched: float | None = None
    autoscaling_group: str = ""

    @property
    def is_hybrid(self) -> bool:
        """Whether it is a machine that EC2 does not know."""
        return self.instance_id.startswith("mi-")

    @property
    def is_online(self) -> bool:
        """Whether Systems Manager says that its agent is connected."""
        return self.ping_status == "Online"

    @property
    def is_gone(self) -> bool:
        """Whether it is an instance that has been terminated."""
        return self.state in GONE

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that are known."""
        return tuple(a for a in (self.private_address, self.public_address, *self.other_addresses) if a)

    @property
    def dns_names(self) -> tuple[str, ...]:
        """All DNS names that are known."""
        return tuple(name for name in (self.private_dns_name, self.public_dns_name) if name)


def alphabetical(nodes: Iterable[Node]) -> list[Node]:
    """By name, whatever its case, then by id: for a person to look through."""
    return sorted(nodes, key=lambda node: (node.name.casefold(), node.instance_id))
