"""Clients of any service, made once and shared, by the rules of all calls."""

import logging
import threading
from pathlib import Path

import pytest
from botocore.session import Session

from ssmssh.aws import client as client_module
from ssmssh.aws.client import AwsClient, AwsSettings
from ssmssh.aws.loader import OTHER_OPERATIONS
from ssmssh.aws.ssm import terminate_session
from ssmssh.aws.transport import POOLED_CONNECTIONS
from tests.acceptance.clients import wait_until
from tests.aws.api import Answer, Api, ok, serve
from tests.aws.crowd import Crowd

SERVICES = ("ec2", "autoscaling", "kms", "rds", "iam", "sts")

DESCRIBED = b"""<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet/>
</DescribeInstancesResponse>"""


@pytest.mark.parametrize("has_cache", [True, False], ids=["with kept data", "without"])
@pytest.mark.parametrize("name", SERVICES)
def test_it_is_as_botocores_own(keys: None, tmp_path: Path, name: str, has_cache: bool) -> None:
    """Whatever is kept of the data for a quick start of sessions."""
    client = AwsClient(AwsSettings(region="eu-west-1", data_cache=tmp_path / "cache" if has_cache else None))
    _ = client.ssm  # of a session that has begun with the kept data
    ours, own = client.service(name), Session().create_client(name, "eu-west-1")
    assert ours.meta.endpoint_url == own.meta.endpoint_url
    offered = own.meta.method_to_api_mapping
    if has_cache and (kept := OTHER_OPERATIONS.get(name)):
        offered = {method: operation for method, operation in offered.items() if operation in kept}
    assert ours.meta.method_to_api_mapping == offered
    assert (ours.meta.config.connect_timeout, ours.meta.config.read_timeout) == (3, 5)
    assert client.region == "eu-west-1"


def test_it_makes_one_attempt(keys: None, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
    api.answers += [Answer(body=DESCRIBED), Answer(500, b"")]
    ec2 = AwsClient(AwsSettings(region="eu-west-1")).service("ec2")
    assert ec2.describe_instances()["Reservations"] == []
    with pytest.raises(ec2.exceptions.ClientError):
        ec2.describe_instances()
    assert len(api.requests) == 2


def test_the_endpoint_of_ssm_is_not_that_of_others(keys: None, api: Api) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=api.url))
    assert client.ssm.meta.endpoint_url == api.url
    assert client.service("kms").meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("name", ["ssm", "kms"])
def test_it_is_made_once(keys: None, name: str) -> None:
    client = AwsClient(AwsSettings(region="eu-west-1"))
    together = threading.Barrier(8)

    def get() -> int:
        together.wait()
        return id(client.service(name))

    assert len(set(Crowd.of(8, get).join())) == 1


def test_many_calls_at_once(keys: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """None waits for another, and urllib3 has nothing to complain of."""
    monkeypatch.setattr(client_module, "READ_SECONDS", 60)
    gate = threading.Event()
    with serve() as api, caplog.at_level(logging.WARNING):
        api.answers.append(Answer(body=ok({}).body, after=gate.wait))
        client = AwsClient(AwsSettings(region="eu-west-1", endpoint_url=api.url))
        crowd = Crowd.of(POOLED_CONNECTIONS, lambda: terminate_session(client, "me-1"))
        wait_until(lambda: len(api.requests) == POOLED_CONNECTIONS, "all of them at once")
        gate.set()
        crowd.join()
    assert crowd.errors == []
    assert caplog.records == []
