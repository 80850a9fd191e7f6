"""The kept part of botocore's data: that it says the same as all of it."""

import copy
import gzip
import json
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
from ssmssh.aws.loader import EC2_MEMBERS, OPERATIONS, OTHER_OPERATIONS, SessionLoader, session_loader, trim_model
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
    """A client with the data of a loader, its requests kept and its answers given."""

    def __init__(self, loader: Loader, service: str = "ssm") -> None:
        session = Session()
        session.register_component("data_loader", loader)
        config = Config(retries={"total_max_attempts": 1})
        self.client: Any = session.create_client(
            service, "eu-west-1", aws_access_key_id="AKID", aws_secret_access_key="x", config=config
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
filters = st.lists(st.fixed_dictionaries({"Key": text, "Values": texts}, optional={"Operator": text}), max_size=2)
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
    "DescribeInstanceProperties": st.fixed_dictionaries(
        {}, optional={"MaxResults": st.integers(0, 1100), "NextToken": text, "FiltersWithOperator": filters}
    ),
    "DescribeInstanceInformation": st.fixed_dictionaries(
        {}, optional={"MaxResults": st.integers(0, 60) | anything, "NextToken": text, "Filters": filters}
    ),
    "DescribeSessions": st.fixed_dictionaries(
        {"State": text}, optional={"MaxResults": st.integers(0, 300), "NextToken": text, "Filters": filters}
    ),
    "SendCommand": st.fixed_dictionaries(
        {"DocumentName": text},
        optional={"InstanceIds": texts, "Parameters": st.dictionaries(text, texts, max_size=2), "Comment": anything},
    ),
    "GetCommandInvocation": st.fixed_dictionaries({}, optional={"CommandId": text, "InstanceId": anything}),
}
nodes = st.lists(
    st.dictionaries(st.sampled_from(["InstanceId", "Name", "PingStatus", "LastPingDateTime", "SourceType"]), anything),
    max_size=3,
)
answers = st.dictionaries(
    st.sampled_from(
        ["SessionId", "TokenValue", "StreamUrl", "Other", "InstanceProperties", "InstanceInformationList", "NextToken"]
    ),
    anything | nodes,
).map(lambda content: json.dumps(content).encode())


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
    needed = {
        "StartSession": {"Target": "i-0123456789abcdef0"},
        "ResumeSession": {"SessionId": "s-1"},
        "TerminateSession": {"SessionId": "s-1"},
        "DescribeSessions": {"State": "Active"},
        "SendCommand": {"DocumentName": "d"},
        "GetCommandInvocation": {"CommandId": "0" * 36, "InstanceId": "i-0123456789abcdef0"},
    }
    arguments = needed.get(operation, {})
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


@pytest.mark.parametrize("service", ["ssm", "sts", "portal.sso", "oidc", "signin", "ec2", "autoscaling"])
def test_endpoints_of_every_region(stock: Loader, cache: Path, service: str) -> None:
    ours, theirs = variants(SessionLoader(cache)), variants(stock)
    regions = load_partitions(stock).regions()
    assert len(regions) > 30
    for region in [*regions, "aws-global", "eu-nowhere-9", "cn-new-7", "moon"]:
        for fips in (False, True):
            for dual in (False, True):
                flags = {"use_fips_endpoint": fips, "use_dualstack_endpoint": dual}
                assert ours(service, region, **flags) == theirs(service, region, **flags)


@pytest.mark.parametrize("service", ["ssm", "sts", "sso", "sso-oidc", "signin", "ec2", "autoscaling", "iam"])
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
        has_all = "create_activation" in dir(client) or service != "ssm"
        assert has_all == (loader is stock or service != "ssm")
    assert found[0] == found[1]


EC2_ANSWER = """<?xml version="1.0"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet>
<item><reservationId>r-1</reservationId><ownerId>123456789012</ownerId><instancesSet><item>
<instanceId>i-0123456789abcdef0</instanceId><imageId>ami-1</imageId>
<instanceState><code>16</code><name>running</name></instanceState>
<privateDnsName>ip-10-0-0-7.ec2.internal</privateDnsName><dnsName/><launchTime>2026-01-02T03:04:05.000Z</launchTime>
<platform>windows</platform><privateIpAddress>10.0.0.7</privateIpAddress><ipAddress>198.51.100.7</ipAddress>
<tagSet><item><key>Name</key><value>&lt;web&gt; &#10; 1</value></item><item><key>Env</key><value/></item></tagSet>
<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><ipv6AddressesSet><item>
<ipv6Address>2001:db8::7</ipv6Address></item></ipv6AddressesSet><privateIpAddressesSet>
<item><privateIpAddress>10.0.0.7</privateIpAddress><primary>true</primary></item>
<item><privateIpAddress>10.0.1.7</privateIpAddress><primary>false</primary></item></privateIpAddressesSet></item>
</networkInterfaceSet></item></instancesSet></item></reservationSet><nextToken>more</nextToken>
</DescribeInstancesResponse>"""


def kept_part(shape: Any, answer: Any) -> Any:
    """An answer without what the kept shapes leave out."""
    if shape.type_name == "structure" and shape.name in EC2_MEMBERS:
        answer = {name: value for name, value in answer.items() if name in EC2_MEMBERS[shape.name]}
    if shape.type_name == "structure":
        return {name: kept_part(shape.members[name], value) for name, value in answer.items() if name in shape.members}
    return [kept_part(shape.member, each) for each in answer] if shape.type_name == "list" else answer


def ec2_wire(loader: Loader) -> Wire:
    wire = Wire(loader, "ec2")
    wire.answer = (200, {}, EC2_ANSWER.encode())
    return wire


def test_instances_of_ec2(stock: Loader, cache: Path) -> None:
    """All that is kept of them is as botocore has it, and the request is the same."""
    ours, theirs = ec2_wire(SessionLoader(cache)), ec2_wire(stock)
    arguments = {"MaxResults": 1000, "Filters": [{"Name": "tag:a b", "Values": ["x*", "y"]}], "NextToken": "t"}
    all_of_it, kept = theirs.call("DescribeInstances", arguments), ours.call("DescribeInstances", arguments)
    assert ours.requests == theirs.requests
    shape = theirs.client.meta.service_model.operation_model("DescribeInstances").output_shape
    expected = kept_part(shape, all_of_it)
    assert isinstance(kept, dict)
    assert {name: value for name, value in kept.items() if name != "ResponseMetadata"} == expected
    (reservation,) = kept["Reservations"]
    assert reservation["Instances"][0].keys() == set(EC2_MEMBERS["Instance"])  # none of them is misspelled


@pytest.mark.parametrize(("service", "operations"), OTHER_OPERATIONS.items())
def test_other_services_are_kept_apart(cache: Path, service: str, operations: tuple[str, ...]) -> None:
    SessionLoader(cache)
    before = set(cache.iterdir())
    model = SessionLoader(cache).load_service_model(service, "service-2")
    assert model["operations"].keys() == set(operations)
    (added,) = set(cache.iterdir()) - before
    assert added.name.startswith(f"model-{service}-")
    stamp = added.stat().st_mtime_ns
    assert SessionLoader(cache).load_service_model(service, "service-2") == model
    assert added.stat().st_mtime_ns == stamp
    added.write_bytes(b"0badc0de\n{}")
    assert SessionLoader(cache).load_service_model(service, "service-2") == model
    assert added.stat().st_size > 1000


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


def test_data_of_another_botocore(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressed or not, a newer version of the API, fields that are not known: what is there is what is kept."""
    data = tmp_path / "data"
    shapes = {"In": {"type": "structure", "members": {}, "new": [1]}, "Gone": {"type": "string"}}
    operations = {name: {"name": name, "input": {"shape": "In"}, "documentation": "x"} for name in OPERATIONS}
    model = {"version": "3.0", "metadata": {}, "shapes": shapes}
    wanted = {**model, "operations": {**operations, "Other": {"input": {"shape": "Gone"}}}}
    put(data / "ssm/2014-11-06/service-2.json", {**model, "operations": {}})
    put(data / "ssm/2030-01-01/service-2.json.gz", wanted)
    put(data / "ssm/2030-01-01/endpoint-rule-set-1.json", {"version": "1.1", "rules": [{"documentation": "kept"}]})
    services = {"ssm": {"endpoints": {}, "documentation": "kept"}, "other": {"endpoints": {}}}
    put(data / "endpoints.json.gz", {"partitions": [{"partition": "new", "services": services}], "version": 4})
    for name in ("partitions", "_retry", "sdk-default-configuration"):
        put(data / f"{name}.json", {"name": name})
    monkeypatch.setattr(Loader, "BUILTIN_DATA_PATH", str(data))

    def check(loader: SessionLoader) -> None:
        service = loader.load_service_model("ssm", "service-2")
        expected = {name: {"name": name, "input": {"shape": "In"}} for name in OPERATIONS}
        assert service == {**model, "shapes": {"In": shapes["In"]}, "operations": expected}
        rules = loader.load_service_model("ssm", "endpoint-rule-set-1")
        assert rules == {"version": "1.1", "rules": [{"documentation": "kept"}]}
        (partition,) = loader.load_data("endpoints")["partitions"]
        assert partition == {"partition": "new", "services": {"ssm": services["ssm"]}}
        assert loader.load_data("partitions") == {"name": "partitions"}

    check(SessionLoader(cache))
    (file,) = cache.iterdir()
    made = file.stat()
    check(SessionLoader(cache))
    assert file.stat().st_mtime_ns == made.st_mtime_ns
    put(data / "ssm/2031-01-01/service-2.json", {**wanted, "version": "4.0"})
    put(data / "ssm/2031-01-01/endpoint-rule-set-1.json.gz", {"rules": []})
    assert SessionLoader(cache).load_service_model("ssm", "service-2")["version"] == "4.0"


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


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
    assert not isinstance(client._current.session.get_component("data_loader"), SessionLoader)
    (tmp_path / "models").mkdir()
    assert session_loader(cache, None) is None


def test_only_who_asks_for_it_gets_it(cache: Path, keys: None) -> None:
    sets = [dir(AwsClient(AwsSettings(region="eu-west-1", data_cache=chosen)).ssm) for chosen in (None, cache)]
    assert ["create_activation" in names for names in sets] == [True, False]


def test_renewed_clients_have_it_too(cache: Path, keys: None) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1", data_cache=cache))
    client.renew(client.generation)
    assert "create_activation" not in dir(client.ssm)
