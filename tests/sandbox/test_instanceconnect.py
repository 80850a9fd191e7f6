"""A pushed key, by botocore and ssh: whose it is, how long it is good, and what is refused."""

import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ssmssh.sandbox import Instance, Sandbox
from ssmssh.sandbox.certificates import make_ssh_key
from ssmssh.sandbox.files import write_file
from tests.acceptance.clients import PATIENCE_SECONDS, Client, wait_until
from tests.sandbox.client import TARGET, aws_client, code_of

OTHER = "i-0fedcba9876543210"
PLAIN = "i-00000000000000001"
STOPPED = "i-00000000000000002"
GONE = "i-00000000000000003"
USER = pwd.getpwuid(os.geteuid()).pw_name
ED25519 = make_ssh_key().public_key


@pytest.fixture(scope="module", params=["system", "library"])
def box(request: pytest.FixtureRequest, temporary_directory: Path) -> Iterator[Sandbox]:
    """A sandbox with one of the servers, whose directory has a blank in its path."""
    parent = temporary_directory / f"keys of {request.param}"
    parent.mkdir()
    instances = [
        Instance(PLAIN, instance_connect=False),
        Instance(STOPPED, state="stopped"),
        Instance(GONE, state="terminated"),
    ]
    with Sandbox(unpaced=True, ssh_server=request.param, parent_directory=parent, instances=instances) as box:
        yield box
    parent.rmdir()


@pytest.fixture
def client(box: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(box.environment, tmp_path)
    yield client
    box.expire_pushed_keys()
    client.close()


@pytest.fixture
def key(client: Client) -> Path:
    """A private key that nobody knows, with its public one beside it."""
    made, path = make_ssh_key(), client.directory / "key"
    write_file(path, made.private_key)
    write_file(path.with_suffix(".pub"), f"{made.public_key} somebody's\n")
    return path


def push(box: Sandbox, key: Path, instance_id: str = TARGET, user: str = USER) -> Any:
    return aws_client(box, "ec2-instance-connect").send_ssh_public_key(
        InstanceId=instance_id, InstanceOSUser=user, SSHPublicKey=key.with_suffix(".pub").read_text()
    )


def opens(client: Client, key: Path, instance_id: str = TARGET) -> bool:
    """Whether the key, and no other, lets its owner in."""
    known_hosts = Path(client.environment["SSMSSH_SANDBOX"]) / "known_hosts"
    options = {"IdentitiesOnly": "yes", "UserKnownHostsFile": f'"{known_hosts}"', "BatchMode": "yes"}
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    proxy = f'"{client.environment["SSMSSH_SANDBOX"]}/bin/ssmssh-proxy" %h %p'
    words += ["-o", f"ProxyCommand={proxy}", "-i", str(key), instance_id, "true"]
    process = client.start("ssh", "-F", "none", *words)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0 or b"Permission denied (publickey)" in errors, errors
    return process.returncode == 0


def test_a_key_opens_its_instance_for_its_user_and_for_a_minute(client: Client, box: Sandbox, key: Path) -> None:
    assert not opens(client, key)
    assert push(box, key)["Success"] is True
    assert opens(client, key)
    assert opens(client, key)
    assert not opens(client, key, OTHER)
    box.expire_pushed_keys()
    assert not opens(client, key)


def test_a_key_for_another_user_opens_nothing(client: Client, box: Sandbox, key: Path) -> None:
    push(box, key, user="ec2-user")
    assert not opens(client, key)


def test_of_an_image_without_it_a_push_succeeds_and_opens_nothing(client: Client, box: Sandbox, key: Path) -> None:
    assert push(box, key, PLAIN)["Success"] is True
    assert not opens(client, key, PLAIN)
    with box.faults.during("no-instance-connect"):
        assert push(box, key)["Success"] is True
    assert not opens(client, key)


def test_a_key_may_appear_late_and_goes_when_its_time_is_up(client: Client, box: Sandbox, key: Path) -> None:
    path = box.directory / "pushed" / TARGET / USER
    with box.faults.during("key-late:0.5", "key-lasts:0.5"):
        push(box, key)
    assert not path.exists()
    wait_until(path.exists, "the key has appeared")
    wait_until(lambda: not path.exists(), "the key has gone")
    assert not opens(client, key)


def test_several_keys_are_good_at_once_and_end_one_by_one(box: Sandbox, tmp_path: Path) -> None:
    path, lines = box.directory / "pushed" / TARGET / USER, []
    for number, seconds in enumerate((60, 1)):
        public = make_ssh_key().public_key
        lines.append(f"{public}\n")
        (tmp_path / f"{number}.pub").write_text(public)
        with box.faults.during(f"key-lasts:{seconds}"):
            push(box, tmp_path / str(number))
    wait_until(lambda: path.read_text() == lines[0], "the second key has gone")
    box.expire_pushed_keys()
    assert not path.exists()


def rsa_key(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def refusal(box: Sandbox, **changes: str) -> str:
    """The code with which a push is refused; "" if it is not. Not looked at by botocore first."""
    arguments = {"InstanceId": TARGET, "InstanceOSUser": "ec2-user", "SSHPublicKey": ED25519} | changes
    client = aws_client(box, "ec2-instance-connect", validates=False)
    return code_of(client.send_ssh_public_key, **arguments) if changes else ""


def test_what_is_refused(box: Sandbox) -> None:
    for name, value, code in (
        ("InstanceId", "mi-0123456789abcdef0", "InvalidArgsException"),
        ("InstanceId", "i-0aaaaaaaaaaaaaaaa", "EC2InstanceNotFoundException"),
        ("InstanceId", GONE, "EC2InstanceNotFoundException"),
        ("InstanceId", STOPPED, "EC2InstanceStateInvalidException"),
        ("AvailabilityZone", "us-east-1c", "EC2InstanceNotFoundException"),
        ("AvailabilityZone", "here", "InvalidArgsException"),
        *(
            ("InstanceOSUser", user, "InvalidArgsException")
            for user in ("", "../x", "a b", ".x", "12", "x" * 33, "a\n")
        ),
        ("SSHPublicKey", ED25519[:70], "InvalidArgsException"),
        ("SSHPublicKey", ED25519[:-9] + "=" * 9, "InvalidArgsException"),
        ("SSHPublicKey", f"{ED25519}\n{ED25519}", "InvalidArgsException"),
        ("SSHPublicKey", rsa_key(3072), "InvalidArgsException"),
        ("SSHPublicKey", ecdsa_key(), "InvalidArgsException"),
        ("SSHPublicKey", "sk-" + ED25519, "InvalidArgsException"),
    ):
        assert refusal(box, **{name: value}) == code, (name, value)
    assert not list((box.directory / "pushed").rglob("*/*"))


def ecdsa_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_an_rsa_key_is_taken(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{rsa_key(2048)} me@here\n")
    assert push(box, tmp_path / "key")["Success"] is True
    box.expire_pushed_keys()


def test_a_push_is_denied_throttled_and_slow_by_name(box: Sandbox) -> None:
    action = "ec2-instance-connect:SendSSHPublicKey"
    push_once = aws_client(box, "ec2-instance-connect").send_ssh_public_key
    arguments = {"InstanceId": TARGET, "InstanceOSUser": USER, "SSHPublicKey": ED25519}
    with box.faults.during(f"deny:{action}"):
        with pytest.raises(Exception, match=f"perform: {action} on resource: .*:instance/{TARGET} because no identity"):
            push_once(**arguments)
        assert code_of(push_once, **arguments) == "AccessDeniedException"
    with box.faults.during(f"error:{action}/ThrottlingException,times=2"):
        assert [code_of(push_once, **arguments) for _ in range(2)] == ["ThrottlingException"] * 2
        push_once(**arguments)
    with box.faults.during(f"error:{action}/EC2InstanceUnavailableException"):
        assert code_of(push_once, **arguments) == "EC2InstanceUnavailableException"
    with box.faults.during(f"slow:{action},0.2"):
        began = time.monotonic()
        push_once(**arguments)
        assert time.monotonic() - began >= 0.2
    box.expire_pushed_keys()
    assert box.count_calls(action) >= 7
