"""The inventory as users give it: a number, a file, or objects, always on top of the three that docs name.

A file is a JSON array of objects with the fields of `Instance`. EC2 answers in XML, which has no way to write most
control characters, so its tags cannot hold them either; the host name that a machine gives itself can.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ssmssh.errors import FileError, UsageError
from ssmssh.sandbox.accounts import PROFILES, REGIONS
from ssmssh.sandbox.generated import generate
from ssmssh.sandbox.inventory import EC2_ID, HYBRID_ID, INSTANCES, Instance

_FILE_BYTES = 64 << 20
"""Ten times what five thousand instances take with the longest tags that there can be."""
_TARGET_CHARACTERS = 400
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){2,3}")
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "tags": (dict,),
    "managed": (bool,),
    "instance_connect": (bool,),
    "instance_profile": (bool,),
    "ping_age_seconds": (int, float),
    "age_seconds": (int, float),
}
"""What the fields are that are no strings."""
_CHOICES: Mapping[str, Sequence[str]] = {
    "profile": tuple(name for name in PROFILES if name != "default"),
    "source": ("", "ec2", "on-premises", "azure", "gcp"),
    "ping_status": ("Online", "ConnectionLost", "Inactive"),
    "platform_type": ("Linux", "Windows", "MacOS"),
    "system_status": ("ok", "impaired", "initializing"),
    "instance_status": ("ok", "impaired", "initializing"),
    "state": ("pending", "running", "shutting-down", "terminated", "stopping", "stopped"),
}


def resolve(given: Sequence[Instance] | Path | int, region: str, agent_version: str) -> tuple[Instance, ...]:
    """All instances of a sandbox: the three, and what was asked for; `region` and `agent_version` are of those without.

    Raises:
        FileError: the file cannot be read.
        UsageError: what is in it is no inventory; or an id is there twice, a region is none of the sandbox's.
    """
    if isinstance(given, int):
        if given < 0:
            raise UsageError(f"{given} instances cannot be made", "give a number from 0, or a file")
        more: Sequence[Instance] = generate(given)
    else:
        more = read_file(given) if isinstance(given, Path) else tuple(given)
    named: dict[str, Instance] = {}
    for instance in more:
        if named.setdefault(instance.instance_id, instance) is not instance:
            raise UsageError(f"the instance {instance.instance_id} is there twice", "an id belongs to one instance")
    always = [named.pop(each.instance_id, each) for each in INSTANCES]
    filled = [
        replace(each, region=each.region or region, agent_version=each.agent_version or agent_version)
        for each in (*always, *named.values())
    ]
    return tuple(_check(each, (region, *REGIONS)) for each in filled)


def read_file(path: Path) -> list[Instance]:
    """The instances of a file; a field of one of the three that is not given is as it always is.

    Raises:
        FileError: it cannot be read.
        UsageError: what is in it is no inventory.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise FileError(f"the inventory {path} cannot be read: {error.strerror}") from None
    if len(content) > _FILE_BYTES:
        raise UsageError(f"the inventory {path} is larger than {_FILE_BYTES >> 20} MiB")
    try:
        rows = json.loads(content)
    except ValueError as error:
        raise UsageError(f"the inventory {path} is no JSON: {error}") from None
    if not isinstance(rows, list):
        raise UsageError(f"the inventory {path} is no JSON array", "write [{...}, ...], one object for each instance")
    known = {instance.instance_id: asdict(instance) for instance in INSTANCES}
    return [_instance(row, number, known) for number, row in enumerate(rows, 1)]


def write_text(instances: Sequence[Instance]) -> str:
    """The text of a file with these instances, which `read_text` reads."""
    return json.dumps([asdict(instance) for instance in instances])


def read_text(text: str) -> list[Instance]:
    """The instances of `write_text`."""
    return [Instance(**row) for row in json.loads(text)]


def _instance(row: object, number: int, known: Mapping[str, Mapping[str, Any]]) -> Instance:
    where = f"object {number} of the inventory"
    if not isinstance(row, dict):
        raise UsageError(f"{where} is no JSON object")
    names = [each.name for each in fields(Instance)]
    if unknown := sorted(set(row) - set(names)):
        raise UsageError(f"{where} has a field {unknown[0]!r}", f"there are {', '.join(names)}")
    if not isinstance(row.get("instance_id"), str):
        raise UsageError(f"{where} has no instance_id")
    for name, value in row.items():
        kinds = _KINDS.get(name, (str,))
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            words = " or ".join(kind.__name__ for kind in kinds)
            raise UsageError(f"{name} of {where} is of the wrong kind", f"it is {words}")
    return Instance(**(dict(known.get(row["instance_id"], {})) | row))


def _check(instance: Instance, regions: Sequence[str]) -> Instance:
    """See to it that the services could have it."""
    instance_id = instance.instance_id
    is_other = ":" in instance_id and len(instance_id) <= _TARGET_CHARACTERS
    if not (EC2_ID.fullmatch(instance_id) or HYBRID_ID.fullmatch(instance_id) or is_other):
        raise UsageError(f"{instance_id!r} is no target", "write i-... or mi-... with hexadecimal digits, or KIND:...")
    if instance.region not in regions:
        raise UsageError(
            f"{instance_id} is in {instance.region}, which the sandbox does not have", f"it has {', '.join(regions)}"
        )
    if not _VERSION.fullmatch(instance.agent_version):
        raise UsageError(f"the agent of {instance_id} has version {instance.agent_version!r}", "write 3.3.987.0")
    for name, choices in _CHOICES.items():
        if getattr(instance, name) not in choices:
            raise UsageError(f"{name} of {instance_id} is {getattr(instance, name)!r}", f"it is one of {choices}")
    if not all(isinstance(text, str) for pair in instance.tags.items() for text in pair):
        raise UsageError(f"the tags of {instance_id} are no strings")
    for what, texts in (
        ("the name", [instance.name]),
        ("a tag", [text for pair in instance.all_tags.items() for text in pair]),
    ):
        if instance.is_ec2 and any(map(_NOT_XML.search, texts)):
            raise UsageError(f"{what} of {instance_id} has a character that XML cannot hold", "EC2 could not give it")
    return instance
