"""The role that the agent of an EC2 instance acts in."""

from typing import NamedTuple

from ssmssh.aws import iam
from ssmssh.aws.managed import service_setting
from ssmssh.aws.pages import Item
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import pager
from ssmssh.doctor.facts.instance import machine

DEFAULT_MANAGEMENT = "/ssm/managed-instance/default-ec2-instance-management-role"
"""The setting of Default Host Management Configuration: a role's name, perhaps with its path (User Guide)."""

_OFF = ("", "$None")


class Profile(NamedTuple):
    """The instance profile of an instance, and the role in it; empty where there is none."""

    name: str
    is_there: bool
    role: Item


def profile(examination: Examination) -> Profile:
    """What is attached, for where `profile_name` has one. Blocks for a call. Raises SsmsshError."""
    name = profile_name(examination)
    found = iam.instance_profile(pager(examination), name)
    roles = found.get("Roles", [])
    return Profile(name, bool(found), roles[0] if roles else {})


def profile_name(examination: Examination) -> str:
    """The name of what is attached; empty for nothing. Raises as `machine`."""
    return str(examination.fact(machine).get("IamInstanceProfile", {}).get("Arn", "")).rpartition("/")[2]


def default_role(examination: Examination) -> str:
    """The role of default host management in this region; empty where that is off. Raises SsmsshError."""
    found = service_setting(pager(examination), DEFAULT_MANAGEMENT)
    return "" if found in _OFF else found.rpartition("/")[2]
