"""What a target may be besides an id, and what is asked for it; in one caller with one look for credentials."""

from typing import Any

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST
from tests.library.farside import FarSide

PROPERTIES = "ssm:DescribeInstanceProperties"


def forget(box: Sandbox) -> None:
    """What earlier tests have found."""
    for path in (box.directory / "ssmssh" / "cache" / "nodes").glob("*.json"):
        path.unlink()


@pytest.mark.parametrize(
    ("target", "instance_id"),
    [
        ("web-1", EC2_HOST),
        ("WEB-1", EC2_HOST),
        ("172.31.10.11", EC2_HOST),
        ("tag:Name=web-1", EC2_HOST),
        ("ip-172-31-10-11.ec2.internal", EC2_HOST),
        ("on-prem-1", HYBRID_HOST),
        ("tag:Environment=office", HYBRID_HOST),
        (f"{EC2_HOST}.us-east-1.sandbox", EC2_HOST),
    ],
)
def test_targets(here: Sandbox, far_side: FarSide, target: str, instance_id: str) -> None:
    with ssmssh.open_session(target, far_side.number, region=here.region) as session:
        assert session.target.startswith(instance_id)
        far_side.accept().sendall(b"hello")
        assert session.socket.recv(100) == b"hello"


def test_a_name_is_asked_for_once(here: Sandbox, far_side: FarSide) -> None:
    forget(here)
    before = here.count_calls(PROPERTIES)
    for _ in range(3):
        with ssmssh.connect("web-1", far_side.number):
            far_side.accept()
    assert here.count_calls(PROPERTIES) == before + 1


@pytest.mark.parametrize(
    ("target", "more", "status", "said"),
    [
        ("nobody", {}, 4, "No managed instance has the Name 'nobody' (us-east-1"),
        ("tag:Environment=sandbox", {}, 4, "2 instances have the tag 'Environment=sandbox'"),
        ("tag:Environment", {}, 2, "write tag:KEY=VALUE"),
        ("", {}, 2, "A target is empty"),
        ("i-0123456789abcdef0.nowhere", {}, 2, "'nowhere'"),
        ("a\nb", {}, 2, "control character"),
    ],
)
def test_what_is_none(here: Sandbox, target: str, more: dict[str, Any], status: int, said: str) -> None:
    with pytest.raises(ssmssh.errors.SsmsshError) as caught:
        ssmssh.connect(target, **more)
    assert caught.value.exit_status == status
    assert said in str(caught.value)


def test_one_of_a_group(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.open_session("tag:Environment=sandbox", far_side.number, choose="oldest") as session:
        far_side.accept()
        first = session.target
    with ssmssh.open_session("tag:Environment=sandbox", far_side.number, choose="oldest") as session:
        far_side.accept()
        assert session.target == first


def test_one_that_is_not_connected_any_more_is_looked_for_again(here: Sandbox, far_side: FarSide) -> None:
    with ssmssh.connect("web-1", far_side.number):
        far_side.accept()
    before = here.count_calls(PROPERTIES)
    with here.faults.during("target-not-connected"), pytest.raises(ssmssh.errors.TargetError, match="not connected"):
        ssmssh.connect("web-1", far_side.number)
    assert here.count_calls(PROPERTIES) == before + 1
