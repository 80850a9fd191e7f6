"""botocore's data, without what the calls of a session do not need.

Half of the time that a plain ``ssm`` client takes to make goes into reading its model (1300 shapes, 150
operations, documentation), the endpoints of 400 services, and into looking which services there are. Three
operations are called here. So the parts of botocore's *installed* data that they need are kept, once per botocore
and release of ours, in one small file in the user's cache directory, and given to botocore by a data loader of ours,
through ``Session.register_component``, which is public.

What is kept is the truth about the installation, nothing that we know better: the operations of `OPERATIONS` and
every shape they reach, *all* error shapes of the service (a call may be answered with any of them), the rules of
its endpoint, its entries in ``endpoints.json`` together with those of the services that are asked for credentials,
and the small files as they are. Only documentation is dropped. For any other service botocore's own loader
answers, and the endpoints are completed the moment one is asked for.

The file is believed only if this user alone can have written it, if it has what this release keeps, and if the
files it was made from have not changed. A cache that is missing, damaged or cannot be written costs time, nothing
else. Several processes may make it at once: each writes a file of its own and renames it.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

from ssmssh import __version__
from ssmssh.keptfiles import read_kept, remove_all_but_newest, write_kept
from ssmssh.ownfiles import CAN_TELL_OWNER

OPERATIONS = (
    *("StartSession", "ResumeSession", "TerminateSession", "DescribeSessions"),
    *("DescribeInstanceProperties", "DescribeInstanceInformation"),
    *("SendCommand", "GetCommandInvocation"),
)
"""The operations of the ``ssm`` service that clients with this data have."""

OTHER_OPERATIONS = {
    "ec2": ("DescribeImages", "DescribeInstances", "DescribeRegions", "GetConsoleOutput", "StartInstances"),
    "autoscaling": ("DescribeAutoScalingGroups",),
    "ec2-instance-connect": ("SendSSHPublicKey",),
}
"""The same of services whose models are kept too, each in a file of its own that a session does not need."""

EC2_MEMBERS = {
    "Reservation": ("Instances", "OwnerId"),
    "Instance": (
        *("InstanceId", "ImageId", "State", "LaunchTime", "Platform", "Tags"),
        *("PrivateIpAddress", "PublicIpAddress", "PrivateDnsName", "PublicDnsName", "NetworkInterfaces"),
    ),
    "Image": ("ImageId", "Name"),
    "InstanceNetworkInterface": ("PrivateIpAddresses", "Ipv6Addresses"),
    "InstancePrivateIpAddress": ("PrivateIpAddress",),
}
"""What is kept of large shapes of EC2's: a thousand instances with all that EC2 says of them take five times the memory
and time to be parsed."""

_SERVICE = "ssm"
_MODELS = ("service-2", "endpoint-rule-set-1")
_FILES = ("endpoints", "partitions", "_retry", "sdk-default-configuration")

_CREDENTIAL_SERVICES = {"sts": "sts", "sso": "portal.sso", "sso-oidc": "oidc", "signin": "signin"}
"""Services that botocore asks for credentials, and what ``endpoints.json`` calls them."""

_SERVICES = {_SERVICE: _SERVICE, **_CREDENTIAL_SERVICES, **{name: name for name in OTHER_OPERATIONS}}
"""Services whose endpoints are kept, and what ``endpoints.json`` calls them."""

_LONGEST_FILE_BYTES = 1024 * 1024
"""Of the cache file, which has 55 KB: nothing larger is read."""

_KEPT_FILES = 4
"""Cache files: one for each botocore in use on this account (pipx, uv, a virtual environment or two). As many
unfinished ones are spared: they may be being written; the others were left by processes that were killed."""

Data = dict[str, Any]


class SessionLoader(Loader):
    """Botocore's data loader, quick for the calls of a session.

    Args:
        directory: Where to keep the file; made if it is not there.

    Making one reads the file, or (70 ms longer) botocore's data, and writes the file. Raises what botocore's own
    loader raises for an installation that is incomplete, but nothing for the state of the cache.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._kept = _load(directory, _SESSIONS)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """As botocore's. For a service of which nothing is kept all endpoints are read first."""
        name = f"{service_name}/{type_name}"
        is_kept = type_name == "service-2" and service_name in OTHER_OPERATIONS
        if api_version is None and is_kept and name not in self._kept:
            self._kept |= _load(self._directory, _Model(service_name))
        if api_version is None and name in self._kept:
            return self._kept[name]
        if service_name not in _SERVICES:
            self._complete_endpoints()
        return super().load_service_model(service_name, type_name, api_version)

    def load_data_with_path(self, name: str) -> Any:
        """As botocore's; the data is mutable and shared, as botocore's own cached data is."""
        if name in self._kept:
            return self._kept[name], str(Path(self.BUILTIN_DATA_PATH) / name)
        return super().load_data_with_path(name)

    def _complete_endpoints(self) -> None:
        """In place, because botocore's resolver keeps what it was given."""
        self._kept["endpoints"].update(super().load_data_with_path("endpoints")[0])


def session_loader(directory: Path | None, data_path: str | None) -> SessionLoader | None:
    """A loader for a client that is used for sessions only; None if botocore's own is to be used.

    Args:
        directory: Where to keep the file; None for nowhere.
        data_path: Directories that the user has configured for botocore to look for data first (``AWS_DATA_PATH``).

    Data of the user's own, there or in ``~/.aws/models``, is not looked through here: botocore's loader knows how.
    Where a file's permissions do not say who can write it, nothing is kept.
    """
    if directory is None or not CAN_TELL_OWNER or data_path or Path(Loader.CUSTOMER_DATA_PATH).exists():
        return None
    return SessionLoader(directory)


def trim_model(
    model: Mapping[str, Any], operations: Iterable[str], members: Mapping[str, Collection[str]] | None = None
) -> Data:
    """The service model with `operations` only: what they reach, all errors, no documentation.

    Of the shapes in `members` only these.
    """
    kept = {name: model["operations"][name] for name in operations}
    shapes = {name: _trim_shape(shape, (members or {}).get(name)) for name, shape in model["shapes"].items()}
    wanted = [name for name, shape in shapes.items() if shape.get("exception")]
    for operation in kept.values():
        wanted += _shapes_named_in(operation)
    reached: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in reached:
            reached[name] = shapes[name]
            wanted += _shapes_named_in(shapes[name])
    trimmed = {**model, "operations": kept, "shapes": {name: shapes[name] for name in shapes if name in reached}}
    result: Data = _without_documentation(trimmed)
    return result


def _trim_shape(shape: Mapping[str, Any], members: Collection[str] | None) -> Mapping[str, Any]:
    if members is None:
        return shape
    return {**shape, "members": {name: member for name, member in shape["members"].items() if name in members}}


def _shapes_named_in(node: Any) -> list[str]:
    """Every value of a key ``shape``, which is how models refer to shapes, at any depth."""
    if isinstance(node, Mapping):
        names = [node["shape"]] if isinstance(node.get("shape"), str) else []
        return names + [name for value in node.values() for name in _shapes_named_in(value)]
    if isinstance(node, list):
        return [name for value in node for name in _shapes_named_in(value)]
    return []


def _without_documentation(node: Any) -> Any:
    if isinstance(node, Mapping):
        # A member may be called so, too: then its value is a mapping.
        return {
            key: _without_documentation(value)
            for key, value in node.items()
            if key != "documentation" or not isinstance(value, str)
        }
    return [_without_documentation(value) for value in node] if isinstance(node, list) else node


def _trim_endpoints(endpoints: Mapping[str, Any]) -> Data:
    names = set(_SERVICES.values())

    def trim(partition: Mapping[str, Any]) -> Data:
        services = partition["services"]
        return {**partition, "services": {name: services[name] for name in services if name in names}}

    return {**endpoints, "partitions": [trim(partition) for partition in endpoints["partitions"]]}


# -- the files: JSON {"sources": [[path, bytes, mtime]], "data": {...}} ------------------------------------------------


class _Sessions:
    """What every session needs: the data of ``ssm``, and what is common."""

    prefix = "botocore"

    @property
    def kind(self) -> object:
        """All that decides what is kept, and how."""
        return OPERATIONS, _MODELS, _FILES, _CREDENTIAL_SERVICES

    @property
    def names(self) -> set[str]:
        """The keys of the data."""
        return {*_FILES, *(f"{_SERVICE}/{type_name}" for type_name in _MODELS)}

    def make(self, loader: Loader) -> Data:
        """The data."""
        data: Data = {name: loader.load_data(name) for name in _FILES}
        data["endpoints"] = _trim_endpoints(data["endpoints"])
        for type_name in _MODELS:
            model = loader.load_service_model(_SERVICE, type_name)
            data[f"{_SERVICE}/{type_name}"] = trim_model(model, OPERATIONS) if type_name == "service-2" else model
        return data

    def sources(self, loader: Loader) -> list[Path]:
        """The files that data is made from; the directory stands for new versions of a model."""
        root = Path(loader.BUILTIN_DATA_PATH)
        return [path for name in _FILES for path in root.glob(f"{name}.json*")] + _model_files(
            loader, _SERVICE, _MODELS
        )


class _Model:
    """The model of another service."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.prefix = f"model-{service}"
        self._members = EC2_MEMBERS if service == "ec2" else None
        self.kind: object = (OTHER_OPERATIONS[service], self._members)
        self.names = {f"{service}/service-2"}

    def make(self, loader: Loader) -> Data:
        """The data."""
        model = loader.load_service_model(self._service, "service-2")
        return {f"{self._service}/service-2": trim_model(model, OTHER_OPERATIONS[self._service], self._members)}

    def sources(self, loader: Loader) -> list[Path]:
        """As of `_Sessions`."""
        return _model_files(loader, self._service, ("service-2",))


_SESSIONS = _Sessions()


def _load(directory: Path, part: _Sessions | _Model) -> Data:
    """The data, from the file if it can be had from there."""
    # What tells apart the files of one version of botocore: where that is installed, and what is kept of it, how.
    kind = zlib.crc32(os.fsencode(repr((botocore.__file__, __version__, part.kind))))
    path = directory / f"{part.prefix}-{botocore.__version__}-{kind:08x}.json"
    data = _read(path, part.names)
    if data is None:
        loader = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
        data = part.make(loader)
        with contextlib.suppress(OSError):
            sources = [_identity(source) for source in part.sources(loader)]
            _write(path, part.prefix, {"sources": sources, "data": data})
    return data


def _model_files(loader: Loader, service: str, type_names: Iterable[str]) -> list[Path]:
    folder = Path(loader.BUILTIN_DATA_PATH) / service
    version = folder / loader.determine_latest_version(service, "service-2")
    return [*(path for name in type_names for path in version.glob(f"{name}.json*")), folder, version]


def _identity(path: Path) -> list[str | int]:
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _read(path: Path, names: set[str]) -> Data | None:
    """What the file holds, if it is ours, whole and still true."""
    try:
        text = read_kept(path, _LONGEST_FILE_BYTES)
        if text is None:
            return None
        content = json.loads(text)
        if not content["sources"] or any(_identity(Path(source[0])) != source for source in content["sources"]):
            return None
        data: Data = content["data"]
        is_whole = data.keys() == names and all(part and isinstance(part, dict) for part in data.values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # among them what is JSON, but of another form
    return data if is_whole else None


def _write(path: Path, prefix: str, content: Mapping[str, Any]) -> None:
    if write_kept(path, json.dumps(content, separators=(",", ":")).encode()):
        for pattern in (f"{prefix}-*.json", f".{prefix}-*.json.*"):
            remove_all_but_newest(path.parent, pattern, _KEPT_FILES)
