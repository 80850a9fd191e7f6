"""What EC2 and Systems Manager say of the target."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from ssmssh.aws.ec2 import describe_instances
from ssmssh.aws.managed import connection_status, instance_information, instance_properties
from ssmssh.aws.pages import Item
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.asking import pager
from ssmssh.doctor.facts.caller import client, request, typed
from ssmssh.errors import AccessDeniedError, SsmsshError
from ssmssh.target import Target

T = TypeVar("T")


def node_id(examination: Examination) -> str:
    """The id that TARGET is, or leads to. Blocks for calls where it is a name, and raises as `Finder.find`."""
    found = examination.fact(typed)
    if isinstance(found, Target):
        return found.instance_id
    finder = examination.fact(request).session.finder
    if finder is None:
        raise AssertionError("a name comes with what finds it")
    return finder.find(examination.fact(client), again=True)


def is_hybrid(examination: Examination) -> bool:
    """Whether it is a machine that EC2 does not know; raises as `node_id`."""
    return examination.fact(node_id).startswith("mi-")


def machine(examination: Examination) -> Item:
    """EC2's ``Instance``; empty where EC2 knows none of that id. Blocks for a call. Raises SsmsshError."""
    if is_hybrid(examination):
        return {}
    pages = describe_instances(pager(examination), {"instance-id": [examination.fact(node_id)]})
    return next((item for page in pages for item in page), {})


def information(examination: Examination) -> Item:
    """``InstanceInformation``, or as much of it as ``InstanceProperty`` has; empty where Systems Manager has neither.

    Blocks for a call or two. Raises SsmsshError.
    """
    instance_id = examination.fact(node_id)
    try:
        pages = instance_information(pager(examination), instance_ids=[instance_id])
        return next((item for page in pages for item in page), {})
    except AccessDeniedError as denied:
        try:
            properties = instance_properties(pager(examination), [instance_id])
            return next((item for page in properties for item in page), {})
        except SsmsshError:
            raise denied from None


def channel(examination: Examination) -> str:
    """``connected`` or ``notconnected``. Blocks for a call. Raises SsmsshError."""
    return connection_status(pager(examination), examination.fact(node_id))


def known(examination: Examination, fact: Callable[[Examination], T]) -> T | None:
    """A fact, or None where it could not be found out."""
    try:
        return examination.fact(fact)
    except SsmsshError:
        return None


def is_online(examination: Examination) -> bool:
    """Whether Systems Manager is known to be in touch with it: what is odd about it then does not matter."""
    ping = (known(examination, information) or {}).get("PingStatus")
    return known(examination, channel) == "connected" or (ping == "Online" and known(examination, channel) is None)


def is_heard(examination: Examination) -> bool:
    """Whether its agent is known to have come through with credentials lately, if for ``ssm`` alone."""
    ping = (known(examination, information) or {}).get("PingStatus")
    return ping == "Online" or is_online(examination)


def state(examination: Examination) -> str:
    """EC2's: ``running``, ``stopped`` ...; empty where it is not known."""
    return str((known(examination, machine) or {}).get("State", {}).get("Name", ""))


def ago(moment: object) -> str:
    """How long ago a time of an answer's was, as people say it; empty for what is none."""
    if not isinstance(moment, datetime):
        return ""
    seconds = max(0.0, time.time() - moment.timestamp())
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {word}{'' if number == 1 else 's'} ago"
    return "a moment ago"
