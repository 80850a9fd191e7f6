"""``ssmssh-proxy --target``: a Target that is no instance id, behind whatever host name somebody has given it."""

import pytest

from tests.acceptance.clients import EC2_HOST, Client

CLUSTER_NODE = "sagemaker-cluster:abcd1234_workers-i-0123456789abcdef0"
LONGEST = "sagemaker-training-job:" + "x" * 377


def command(target: str) -> tuple[str, ...]:
    return "-o", f"ProxyCommand=ssmssh-proxy --target {target} %h %p", "-o", f"HostKeyAlias={EC2_HOST}", "-l", "root"


def test_the_host_is_whatever_it_is_called(client: Client) -> None:
    assert client.run("ssh", *command(EC2_HOST), "gpu.eu-west-9.nobody", "echo hello").stdout == b"hello\n"


@pytest.mark.parametrize("target", [CLUSTER_NODE, "ecs:cluster_task_runtime", LONGEST])
def test_it_reaches_the_service_as_it_is(client: Client, target: str) -> None:
    done = client.run("ssh", *command(target), "gpu", status=255)
    assert f"TargetNotConnected: {target} is not connected" in done.stderr.decode()


@pytest.mark.parametrize("host", [CLUSTER_NODE.replace(":", "-"), "ecs:c_t_r", "gpu"])
def test_none_comes_out_of_a_host_name(client: Client, host: str) -> None:
    done = client.run("ssmssh-proxy", host, "22", status=2)
    assert "is not an instance id" in done.stderr.decode()


def test_one_that_is_too_long(client: Client) -> None:
    done = client.run("ssmssh-proxy", "--target", LONGEST + "x", "gpu", "22", status=2)
    assert "--target takes 1 to 400 characters, not 401" in done.stderr.decode()
