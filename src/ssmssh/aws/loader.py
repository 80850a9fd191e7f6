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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

from ssmssh import __version__
from ssmssh.keptfiles import read_kept, remove_all_but_newest, write_kept
from ssmssh.ownfiles import CAN_TELL_OWNER

OPERATIONS = ("StartSession", "ResumeSession", "TerminateSession")
"""The operations of the ``ssm`` service that clients with this data have."""

_SERVICE = "ssm"
_MODELS = ("service-2", "endpoint-rule-set-1")
_FILES = ("endpoints", "partitions", "_retry", "sdk-default-configuration")

_CREDENTIAL_SERVICES = {"sts": "sts", "sso": "portal.sso", "sso-oidc": "oidc", "signin": "signin"}
"""Services that botocore asks for credentials, and what ``endpoints.json`` calls them."""

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
        self._kept = _load(directory)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """As botocore's. For services other than ``ssm`` and those for credentials everything is read first."""
        name = f"{service_name}/{type_name}"
        if api_version is None and name in self._kept:
            return self._kept[name]
        if service_name != _SERVICE and service_name not in _CREDENTIAL_SERVICES:
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


def trim_model(model: Mapping[str, Any], operations: Iterable[str]) -> Data:
    """The service model with `operations` only: what they reach, all errors, no documentation."""
    kept = {name: model["operations"][name] for name in operations}
    shapes = model["shapes"]
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
    names = {_SERVICE, *_CREDENTIAL_SERVICES.values()}

    def trim(partition: Mapping[str, Any]) -> Data:
        services = partition["services"]
        return {**partition, "services": {name: services[name] for name in services if name in names}}

    return {**endpoints, "partitions": [trim(partition) for partition in endpoints["partitions"]]}


# -- the file: JSON {"sources": [[path, bytes, mtime]], "data": {...}} --------


def _load(directory: Path) -> Data:
    """The data, from the file if it can be had from there."""
    path = directory / f"botocore-{botocore.__version__}-{_kind():08x}.json"
    data = _read(path)
    if data is None:
        loader = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
        data = _make(loader)
        with contextlib.suppress(OSError):
            _write(path, {"sources": _sources(loader), "data": data})
    return data


def _kind() -> int:
    """What tells apart the files of one version of botocore: where that is installed, and what is kept of it, how."""
    what = (botocore.__file__, __version__, OPERATIONS, _MODELS, _FILES, _CREDENTIAL_SERVICES)
    return zlib.crc32(os.fsencode(repr(what)))


def _names() -> set[str]:
    """The keys of the data."""
    return {*_FILES, *(f"{_SERVICE}/{type_name}" for type_name in _MODELS)}


def _make(loader: Loader) -> Data:
    data: Data = {name: loader.load_data(name) for name in _FILES}
    data["endpoints"] = _trim_endpoints(data["endpoints"])
    for type_name in _MODELS:
        model = loader.load_service_model(_SERVICE, type_name)
        data[f"{_SERVICE}/{type_name}"] = trim_model(model, OPERATIONS) if type_name == "service-2" else model
    return data


def _sources(loader: Loader) -> list[list[str | int]]:
    """The files that data is made from, as they are now; the directory stands for new versions of a model."""
    root = Path(loader.BUILTIN_DATA_PATH)
    version = loader.determine_latest_version(_SERVICE, _MODELS[0])
    folder = root / _SERVICE
    found = [path for name in _FILES for path in root.glob(f"{name}.json*")]
    found += [path for name in _MODELS for path in (folder / version).glob(f"{name}.json*")]
    return [_identity(path) for path in (*found, folder, folder / version)]


def _identity(path: Path) -> list[str | int]:
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _read(path: Path) -> Data | None:
    """What the file holds, if it is ours, whole and still true."""
    try:
        text = read_kept(path, _LONGEST_FILE_BYTES)
        if text is None:
            return None
        content = json.loads(text)
        if not content["sources"] or any(_identity(Path(source[0])) != source for source in content["sources"]):
            return None
        data: Data = content["data"]
        is_whole = data.keys() == _names() and all(part and isinstance(part, dict) for part in data.values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # among them what is JSON, but of another form
    return data if is_whole else None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    if write_kept(path, json.dumps(content, separators=(",", ":")).encode()):
        for pattern in ("botocore-*.json", ".botocore-*.json.*"):
            remove_all_but_newest(path.parent, pattern, _KEPT_FILES)
