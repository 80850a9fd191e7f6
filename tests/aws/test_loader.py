"""The kept part of botocore's data: that it says the same as all of it, and that its file is never trusted blindly."""

import copy
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader
from botocore.regions import EndpointResolver
from botocore.session import Session
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.loader import OPERATIONS, SessionLoader, session_loader, trim_model
from ssmssh.aws.regions import load_partitions

Answer = tuple[int, Mapping[str, str], bytes]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "ssmssh"


@pytest.fixture(scope="module")
def stock() -> Loader:
    return Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])


class Raw:
    """A response body as botocore reads it from urllib3."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.body


class Wire:
    """An ``ssm`` client with the data of a loader, its requests kept and its answers given."""

    def __init__(self, loader: Loader) -> None:
        session = Session()
        session.register_component("data_loader", loader)
        config = Config(retries={"total_max_attempts": 1})
        self.client: Any = session.create_client(
            "ssm", "eu-west-1", aws_access_key_id="AKID", aws_secret_access_key="x", config=config
        )
        self.client.meta.events.register("before-send", self._answer)
        self.answer: Answer = (200, {}, b"{}")
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    def call(self, operation: str, arguments: Mapping[str, Any]) -> object:
        """What comes out of a call, in a form that can be compared."""
        (method,) = (name for name, api in self.client.meta.method_to_api_mapping.items() if api == operation)
        try:
            return getattr(self.client, method)(**arguments)
        except ClientError as error:
            return type(error).__name__, str(error), error.response
        except Exception as error:  # noqa: BLE001 - botocore lets all kinds through
            return type(error).__name__, str(error)

    def _answer(self, request: Any, **_: object) -> Any:
        changing = {"authorization", "x-amz-date", "amz-sdk-invocation-id"}
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        kept = {name: value for name, value in headers.items() if name not in changing}
        assert changing <= headers.keys()
        self.requests.append((request.method, request.url, kept, request.body))
        status, answer_headers, body = self.answer
        return AWSResponse(request.url, status, cast("Any", dict(answer_headers)), Raw(body))


@pytest.fixture(scope="module")
def wires(stock: Loader, tmp_path_factory: pytest.TempPathFactory) -> tuple[Wire, Wire]:
    return Wire(stock), Wire(SessionLoader(tmp_path_factory.mktemp("cache") / "ssmssh"))


def same_on_both(wires: tuple[Wire, Wire], operation: str, arguments: Mapping[str, Any], answer: Answer) -> object:
    outcomes = []
    for wire in wires:
        wire.answer = answer
        wire.requests.clear()
        outcomes.append((wire.call(operation, arguments), list(wire.requests)))
    assert outcomes[0] == outcomes[1]
    return outcomes[0][0]


# -- what it says ------------------------------------------------------------------------------------------------------

text = st.text(max_size=40)
texts = st.lists(text, max_size=3)
anything = st.one_of(text, texts, st.integers(), st.none(), st.dictionaries(text, text, max_size=2))
arguments_of = {
    "StartSession": st.fixed_dictionaries(
        {"Target": text},
        optional={
            "DocumentName": text,
            "Reason": text,
            "Parameters": st.dictionaries(text, texts, max_size=3) | anything,
            "Nonsense": anything,
        },
    ),
    "ResumeSession": st.fixed_dictionaries({}, optional={"SessionId": anything}),
    "TerminateSession": st.fixed_dictionaries({}, optional={"SessionId": anything, "Target": text}),
}
answers = st.dictionaries(st.sampled_from(["SessionId", "TokenValue", "StreamUrl", "Other"]), anything).map(
    lambda content: json.dumps(content).encode()
)


def test_every_operation_is_tried() -> None:
    assert set(arguments_of) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_requests_and_answers(wires: tuple[Wire, Wire], operation: str, data: st.DataObject) -> None:
    arguments: Any = data.draw(arguments_of[operation])
    body = data.draw(answers | st.binary(max_size=60))
    same_on_both(wires, operation, arguments, (200, {"x-amzn-requestid": "r"}, body))


def test_requests_are_made(wires: tuple[Wire, Wire]) -> None:
    arguments = {"Target": "i-0123456789abcdef0", "Parameters": {"portNumber": ["22"]}}
    same_on_both(wires, "StartSession", arguments, (200, {}, b'{"SessionId":"x"}'))
    for wire in wires:
        assert json.loads(wire.requests[0][3]) == arguments


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_error_of_the_service(wires: tuple[Wire, Wire], stock: Loader, operation: str) -> None:
    model = stock.load_service_model("ssm", "service-2")
    modelled = [name for name, shape in model["shapes"].items() if shape.get("exception")]
    assert len(modelled) > 100
    arguments = {"Target": "i-0123456789abcdef0"} if operation == "StartSession" else {"SessionId": "s-1"}
    for code in [*modelled, "AccessDeniedException", "ThrottlingException", "ExpiredTokenException", "Nonsense"]:
        content = {"__type": f"com.amazonaws.ssm#{code}", "message": "no", "Message": "No", "Reason": "r", "x": 1}
        outcome = same_on_both(wires, operation, arguments, (400, {}, json.dumps(content).encode()))
        assert isinstance(outcome, tuple)
        assert outcome[0] == (code if code in modelled else "ClientError")


@given(st.integers(400, 599), st.binary(max_size=80), st.dictionaries(st.just("x-amzn-errortype"), text))
@example(500, b"", {})
@example(403, b"<html>", {})
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_of_others(wires: tuple[Wire, Wire], status: int, body: bytes, headers: dict[str, str]) -> None:
    same_on_both(wires, "TerminateSession", {"SessionId": "s-1"}, (status, headers, body))


def variants(loader: Loader) -> Callable[..., object]:
    resolver = EndpointResolver(copy.deepcopy(loader.load_data("endpoints")), uses_builtin_data=True)

    def resolve(service: str, region: str, **flags: Any) -> object:
        try:
            return resolver.construct_endpoint(service, region, **flags)
        except BotoCoreError as error:
            return type(error).__name__, str(error)

    return resolve


@pytest.mark.parametrize("service", ["ssm", "sts", "portal.sso", "oidc", "signin"])
def test_endpoints_of_every_region(stock: Loader, cache: Path, service: str) -> None:
    ours, theirs = variants(SessionLoader(cache)), variants(stock)
    regions = load_partitions(stock).regions()
    assert len(regions) > 30
    for region in [*regions, "aws-global", "eu-nowhere-9", "cn-new-7", "moon"]:
        for fips in (False, True):
            for dual in (False, True):
                flags = {"use_fips_endpoint": fips, "use_dualstack_endpoint": dual}
                assert ours(service, region, **flags) == theirs(service, region, **flags)


@pytest.mark.parametrize("service", ["ssm", "sts", "sso", "sso-oidc", "signin", "ec2", "iam"])
@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1"])
def test_clients_of_any_service(stock: Loader, cache: Path, service: str, region: str) -> None:
    found = []
    for loader in (stock, SessionLoader(cache)):
        session = Session()
        session.register_component("data_loader", loader)
        session.create_client("ssm", region, aws_access_key_id="AKID", aws_secret_access_key="x")
        client: Any = session.create_client(service, region, aws_access_key_id="AKID", aws_secret_access_key="x")
        signer = client._request_signer
        found.append((client.meta.endpoint_url, signer.region_name, signer.signing_name))
        has_all = "send_command" in dir(client) or service != "ssm"
        assert has_all == (loader is stock or service != "ssm")
    assert found[0] == found[1]


def test_other_data_is_botocores(stock: Loader, cache: Path) -> None:
    loader = SessionLoader(cache)
    for name in ("partitions", "_retry", "sdk-default-configuration"):
        assert loader.load_data_with_path(name) == stock.load_data_with_path(name)
        assert loader.is_builtin_path(loader.load_data_with_path(name)[1])
    assert loader.load_service_model("ssm", "paginators-1") == stock.load_service_model("ssm", "paginators-1")
    assert loader.load_service_model("ssm", "service-2", "2014-11-06")["documentation"]


def test_trimming_follows_references_and_drops_documentation() -> None:
    model = {
        "metadata": {"documentation": "dropped"},
        "operations": {
            "A": {"input": {"shape": "In"}, "errors": [{"shape": "E1"}], "documentation": "dropped"},
            "B": {"input": {"shape": "Gone"}},
        },
        "shapes": {
            "Gone": {"type": "string"},
            "In": {"type": "structure", "members": {"documentation": {"shape": "Loop"}}},
            "Loop": {"type": "list", "member": {"shape": "Loop"}},
            "E1": {"type": "structure", "exception": True, "members": {"m": {"shape": "Text"}}},
            "E2": {"type": "structure", "exception": True},
            "Text": {"type": "string", "documentation": "dropped"},
        },
    }
    trimmed = trim_model(model, ["A"])
    assert trimmed["metadata"] == {}
    assert trimmed["operations"] == {"A": {"input": {"shape": "In"}, "errors": [{"shape": "E1"}]}}
    assert list(trimmed["shapes"]) == ["In", "Loop", "E1", "E2", "Text"]
    assert trimmed["shapes"]["In"]["members"] == {"documentation": {"shape": "Loop"}}
    assert trimmed["shapes"]["Text"] == {"type": "string"}


# -- when it is used ---------------------------------------------------------------------------------------------------


def test_data_of_the_users_own_comes_first(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configure: Callable[[str], None]
) -> None:
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(tmp_path / "models"))
    assert isinstance(session_loader(cache, None), SessionLoader)
    assert session_loader(None, None) is None
    assert session_loader(cache, str(tmp_path)) is None
    configure(f"[default]\nregion=eu-west-1\ndata_path={tmp_path}\n")
    client = AwsClient(AwsSettings(data_cache=cache))
    assert not isinstance(client._session.get_component("data_loader"), SessionLoader)
    (tmp_path / "models").mkdir()
    assert session_loader(cache, None) is None


def test_only_who_asks_for_it_gets_it(cache: Path, keys: None) -> None:
    sets = [dir(AwsClient(AwsSettings(region="eu-west-1", data_cache=chosen)).ssm) for chosen in (None, cache)]
    assert ["send_command" in names for names in sets] == [True, False]


def test_renewed_clients_have_it_too(cache: Path, keys: None) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1", data_cache=cache))
    client.renew()
    assert "send_command" not in dir(client.ssm)


# -- the file ----------------------------------------------------------------------------------------------------------


def only_file(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


def with_mark(path: Path, change: Callable[[Any], None] = lambda content: None) -> None:
    """Put something into the file that is not botocore's, rightly, so that it is seen whether the file is read."""
    content = json.loads(path.read_bytes().partition(b"\n")[2])
    content["data"]["_retry"]["mark"] = True
    change(content)
    body = json.dumps(content).encode()
    path.write_bytes(b"%08x\n%s" % (zlib.crc32(body), body))


def was_read(cache: Path) -> bool:
    return "mark" in SessionLoader(cache).load_data("_retry")


def test_the_file_is_made_once_and_for_its_owner(cache: Path) -> None:
    SessionLoader(cache)
    path = only_file(cache)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size < 200_000
    with_mark(path)
    before = path.stat()
    assert was_read(cache)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720])
def test_a_directory_that_others_can_write(cache: Path, mode: int) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache))
    cache.chmod(mode)
    assert not was_read(cache)
    only_file(cache).unlink()
    SessionLoader(cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("mode", [0o660, 0o602])
def test_a_file_that_others_can_write(cache: Path, mode: int) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache))
    only_file(cache).chmod(mode)
    assert not was_read(cache)
    assert only_file(cache).stat().st_mode & 0o777 == 0o600  # replaced


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("of_whom", ["file", "directory"])
def test_what_belongs_to_somebody_else(cache: Path, of_whom: str) -> None:
    SessionLoader(cache)
    path = only_file(cache)
    with_mark(path)
    os.chown(path if of_whom == "file" else cache, 12345, -1)
    assert not was_read(cache)


@pytest.mark.parametrize("of_what", ["file", "directory"])
def test_symbolic_links(cache: Path, tmp_path: Path, of_what: str) -> None:
    SessionLoader(cache)
    with_mark(only_file(cache))
    linked = only_file(cache) if of_what == "file" else cache
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    assert not was_read(cache)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    loader = SessionLoader(tmp_path / "file" / "cache")
    assert loader.load_service_model("ssm", "service-2")["operations"].keys() == set(OPERATIONS)


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_damage(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    cache = tmp_path_factory.mktemp("cache") / "ssmssh"
    good = SessionLoader(cache)._kept
    path = only_file(cache)
    content = bytearray(path.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[where] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[where:]
    path.write_bytes(content)
    assert SessionLoader(cache)._kept == good
    with_mark(path)  # it has been made again, and can be read
    assert was_read(cache)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"sources":[]}', b'{"sources":1,"data":{}}', b"\xff"])
def test_a_whole_file_of_something_else(cache: Path, body: bytes) -> None:
    SessionLoader(cache)
    only_file(cache).write_bytes(b"%08x\n%s" % (zlib.crc32(body), body))
    assert SessionLoader(cache).load_data("partitions")


@pytest.mark.parametrize("changed", [1, 2])
@pytest.mark.parametrize("source", range(8))
def test_when_a_source_has_changed(cache: Path, source: int, changed: int) -> None:
    SessionLoader(cache)

    def other(content: Any) -> None:
        assert len(content["sources"]) == 8  # six files, two directories
        content["sources"][source][changed] += 1

    with_mark(only_file(cache), other)
    assert not was_read(cache)


def test_when_a_source_has_gone(cache: Path) -> None:
    SessionLoader(cache)

    def elsewhere(content: Any) -> None:
        content["sources"][0][0] += ".gone"

    with_mark(only_file(cache), elsewhere)
    assert not was_read(cache)


def test_old_files_go(cache: Path) -> None:
    cache.mkdir(parents=True, mode=0o700)
    for n in range(6):
        old = cache / f"botocore-1.0.{n}-00000000.json"
        old.write_text("")
        os.utime(old, (n, n))
    (cache / "something-else.json").write_text("")
    SessionLoader(cache)
    left = sorted(path.name for path in cache.iterdir())
    assert left[:3] == [f"botocore-1.0.{n}-00000000.json" for n in (3, 4, 5)]
    assert len(left) == 5
    assert left[4] == "something-else.json"


def test_many_processes_at_once(cache: Path) -> None:
    code = "import sys,pathlib; from ssmssh.aws.loader import *; sys.stdin.read(1)\n"
    code += "assert SessionLoader(pathlib.Path(sys.argv[1])).load_service_model('ssm', 'service-2')['operations']"
    command = [sys.executable, "-c", code, str(cache)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(5)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait() for process in processes] == [0] * 5
    with_mark(only_file(cache))
    assert was_read(cache)
