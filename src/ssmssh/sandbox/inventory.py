"""The machines of the sandbox: one list, from which every service's view of them is made.

The ids of three are fixed, so that documentation can name them; everything else is plausible and never used to
reach anything: all of them are the one SSH server of the sandbox.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ssmssh.sandbox.accounts import PROFILES, Place

Source = Literal["ec2", "on-premises", "azure", "gcp"]

EC2_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
HYBRID_ID = re.compile(r"mi-[0-9a-f]{17}")
DAY_SECONDS = 86_400.0
SESSION_AGENT = (2, 3, 68, 0)
"""The first agent that has sessions (Systems Manager User Guide, "Session Manager prerequisites")."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine, or something else that sessions lead to.

    One class, because it is a row: what a file of instances says of one.

    Attributes:
        instance_id: An EC2 id (``i-…``), that of a hybrid node (``mi-…``), which EC2 does not know, or any other target
            of a session (``ecs:…``), which no call lists.
        name: Its tag ``Name`` and, for a hybrid node, the name it was activated with. Empty: it has none.
        address: The private address; empty: one that is made of the id.
        agent_version: Of three or four numbers; empty: that of the sandbox's agents.
        tags: But for ``Name`` and what the group adds.
        region: Empty: the sandbox's own.
        profile: Whose it is: ``sandbox`` or ``other``.
        public_address: Empty: it has none.
        private_dns_name, dns_name: EC2's names for the two addresses; empty: those that EC2 makes of them.
        computer_name: The host name it reports to Systems Manager; empty: the private DNS name.
        source: Empty: by the id, EC2 or on-premises.
        managed: Whether Systems Manager knows it.
        ping_status: ``Online``, ``ConnectionLost`` or ``Inactive``.
        ping_age_seconds: How long before the question its agent last spoke.
        state: EC2's.
        age_seconds: How long before the question it was launched, or registered.
        group: The name of its auto scaling group; empty: none.
        image_name: The name of its AMI; empty: one of Debian's.
        instance_connect: Whether its image has the far side of EC2 Instance Connect.
        system_status, instance_status: What EC2's status checks say of the host and of the machine: ``ok``,
            ``impaired`` or ``initializing``.
        console: What its console has said last, instead of a prompt for a log-in.
        instance_profile: Whether EC2 shows an instance profile of it.
    """

    instance_id: str
    name: str = ""
    address: str = ""
    platform_type: str = "Linux"
    platform_name: str = "Debian GNU/Linux"
    platform_version: str = "12"
    agent_version: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    profile: str = "sandbox"
    public_address: str = ""
    private_dns_name: str = ""
    dns_name: str = ""
    computer_name: str = ""
    source: Source | Literal[""] = ""
    managed: bool = True
    ping_status: str = "Online"
    ping_age_seconds: float = 30.0
    state: str = "running"
    age_seconds: float = DAY_SECONDS
    group: str = ""
    image_name: str = ""
    instance_connect: bool = True
    system_status: str = "ok"
    instance_status: str = "ok"
    console: str = ""
    instance_profile: bool = True

    @property
    def is_ec2(self) -> bool:
        """Whether EC2 knows it."""
        return EC2_ID.fullmatch(self.instance_id) is not None

    @property
    def is_hybrid(self) -> bool:
        """Whether it is a machine outside EC2."""
        return HYBRID_ID.fullmatch(self.instance_id) is not None

    @property
    def is_node(self) -> bool:
        """Whether Systems Manager lists it: a machine with an agent, and not gone."""
        return (self.is_ec2 or self.is_hybrid) and self.managed and self.state != "terminated"

    @property
    def is_reachable(self) -> bool:
        """Whether a session can be started with it: its agent is connected, and not from before Session Manager."""
        version = tuple(int(part) for part in self.agent_version.split("."))
        return self.managed and self.state == "running" and self.ping_status == "Online" and version >= SESSION_AGENT

    @property
    def place(self) -> Place:
        """The account and region in which it is found."""
        return Place(PROFILES[self.profile], self.region)

    @property
    def all_tags(self) -> dict[str, str]:
        """With ``Name``, and the one that auto scaling puts on its instances."""
        name = {"Name": self.name} if self.name else {}
        group = {"aws:autoscaling:groupName": self.group} if self.group else {}
        return name | dict(self.tags) | group

    @property
    def private_address(self) -> str:
        """The private address."""
        if self.address:
            return self.address
        number = zlib.crc32(self.instance_id.encode())
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    @property
    def private_host_name(self) -> str:
        """EC2's name for the private address, or what the machine's owner calls it."""
        if self.private_dns_name:
            return self.private_dns_name
        if self.is_hybrid:
            return f"{self.name}.example.internal" if self.name else "localhost"
        domain = "ec2.internal" if self.region == "us-east-1" else f"{self.region}.compute.internal"
        return f"ip-{self.private_address.replace('.', '-')}.{domain}"

    @property
    def public_host_name(self) -> str:
        """EC2's name for the public address; empty without one."""
        if self.dns_name or not self.public_address:
            return self.dns_name
        domain = "compute-1" if self.region == "us-east-1" else f"{self.region}.compute"
        return f"ec2-{self.public_address.replace('.', '-')}.{domain}.amazonaws.com"

    @property
    def image_id(self) -> str:
        """The id of its AMI, one for each name."""
        return f"ami-{zlib.crc32(self.image.encode()):017x}"

    @property
    def image(self) -> str:
        """The name of its AMI."""
        return self.image_name or "debian-12-amd64-20260601-2130"

    @property
    def reported_name(self) -> str:
        """The host name it reports to Systems Manager."""
        return self.computer_name or self.private_host_name

    @property
    def where_from(self) -> Source:
        """Its source, by the id where none is given."""
        return self.source or ("on-premises" if self.is_hybrid else "ec2")


INSTANCES = (
    Instance("i-0123456789abcdef0", "web-1", "172.31.10.11", tags={"Environment": "sandbox"}),
    Instance("i-0fedcba9876543210", "db-1", "172.31.10.12", tags={"Environment": "sandbox"}),
    Instance("mi-0123456789abcdef0", "on-prem-1", "192.0.2.10", tags={"Environment": "office"}),
)
"""What every sandbox has."""


class Inventory:
    """All machines, to be found by id, and by the account and region in which they are."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._by_id: dict[str, Instance] = {}
        self._by_place: dict[Place, list[Instance]] = {}
        for instance in instances:
            self._by_id[instance.instance_id] = instance
            self._by_place.setdefault(instance.place, []).append(instance)

    def find(self, instance_id: str, place: Place) -> Instance | None:
        """The one of this id, if it is there."""
        instance = self._by_id.get(instance_id)
        return instance if instance is not None and instance.place == place else None

    def get(self, instance_id: str) -> Instance | None:
        """The one of this id, wherever it is."""
        return self._by_id.get(instance_id)

    def replace(self, instance: Instance) -> None:
        """Have an instance be otherwise, under its id."""
        before = self._by_id[instance.instance_id]
        here = self._by_place[before.place]
        if instance.place == before.place:
            here[here.index(before)] = instance
        else:
            here.remove(before)
            self._by_place.setdefault(instance.place, []).append(instance)
        self._by_id[instance.instance_id] = instance

    def at(self, place: Place) -> Sequence[Instance]:
        """All that are there, in the order of the inventory."""
        return self._by_place.get(place, ())
