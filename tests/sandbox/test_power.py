"""Starting instances, and machines that take long for it."""

from ssmssh.sandbox import Instance, Sandbox
from tests.acceptance.clients import wait_until
from tests.sandbox.client import aws_client, code_of

STOPPED = "i-0123456789abcdef7"


def test_slow_boot() -> None:
    """It is pending for as long as is said, and its agent connects when that is said; other ones are quicker."""
    instances = [Instance(STOPPED, state="stopped"), Instance(f"{STOPPED[:-1]}8", state="stopped")]
    with Sandbox(instances=instances, faults=["slow-boot:seconds=0,agent=3600"]) as box:
        ec2, ssm = aws_client(box, "ec2"), aws_client(box, "ssm")

        def state_of(instance_id: str) -> str:
            (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
            return str(reservation["Instances"][0]["State"]["Name"])

        first, second = (each.instance_id for each in instances)
        (change,) = ec2.start_instances(InstanceIds=[first])["StartingInstances"]
        assert change["CurrentState"]["Name"] == "pending"
        wait_until(lambda: state_of(first) == "running", "the machine to run")
        box.faults.set("slow-boot:seconds=3600")
        ec2.start_instances(InstanceIds=[second])
        box.faults.clear("slow-boot")
        assert code_of(ssm.start_session, Target=first, DocumentName="AWS-StartSSHSession") == "TargetNotConnected"
        assert state_of(second) == "pending"
