"""``--user auto``: the table of platforms and images, and entries that have their user from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.nodes.loginuser import login_user
from ssmssh.sandbox import Instance, Sandbox
from tests.acceptance.clients import Client

AMAZON, BITNAMI, WINDOWS, STRANGE, UBUNTU = (f"i-0000000000000000{number}" for number in range(1, 6))
FLEET = [
    Instance(AMAZON, "amazon", platform_name="Amazon Linux", platform_version="2023"),
    Instance(BITNAMI, "blog", image_name="bitnami-wordpress-6.4.3-r16-debian-12-amd64"),
    Instance(WINDOWS, "desk", platform_type="Windows", platform_name="Microsoft Windows Server 2022 Datacenter"),
    Instance(STRANGE, "strange", platform_name="Home Made Linux"),
    Instance(UBUNTU, "ubuntu", platform_name="Ubuntu", platform_version="24.04"),
]


@pytest.mark.parametrize(
    ("name", "kind", "image", "user"),
    [
        ("Amazon Linux", "Linux", "", "ec2-user"),
        ("Amazon Linux AMI", "Linux", "my-own", "ec2-user"),
        ("Ubuntu", "Linux", "", "ubuntu"),
        ("Debian GNU/Linux", "Linux", "debian-12-amd64-20260601-2130", "admin"),
        ("Debian GNU/Linux", "Linux", "bitnami-wordpress-6.4.3-r16-debian-12", "bitnami"),
        ("Rocky Linux", "Linux", "", "rocky"),
        ("AlmaLinux", "Linux", "", "ec2-user"),
        ("Red Hat Enterprise Linux", "Linux", "", "ec2-user"),
        ("Oracle Linux Server", "Linux", "", "ec2-user"),
        ("CentOS Linux", "Linux", "", "centos"),
        ("CentOS Stream", "Linux", "", "ec2-user"),
        ("Fedora Linux", "Linux", "", "fedora"),
        ("Fedora CoreOS", "Linux", "fedora-coreos-40.20240519.3.0-x86_64", "core"),
        ("Flatcar Container Linux by Kinvolk", "Linux", "", "core"),
        ("SLES", "Linux", "", "ec2-user"),
        ("SUSE Linux Enterprise Server", "Linux", "", "ec2-user"),
        ("Bottlerocket", "Linux", "", "ec2-user"),
        ("macOS", "MacOS", "", "ec2-user"),
        ("Microsoft Windows Server 2022 Datacenter", "Windows", "", "Administrator"),
        ("", "Windows", "", "Administrator"),
        ("", "", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20240301", "ubuntu"),
        ("", "", "al2023-ami-2023.4.20240401.1-kernel-6.1-x86_64", "ec2-user"),
        ("", "", "Rocky-9-EC2-Base-9.3-20231113.0.x86_64", "rocky"),
        ("", "", "RHEL-9.3.0_HVM-20240117-x86_64-49-Hourly2-GP3", "ec2-user"),
        ("", "", "CentOS Stream 9 x86_64 20240304", "ec2-user"),
        ("", "", "webshop-on-ubuntu-v7", ""),
        ("Home Made Linux", "Linux", "ubuntu/images/hvm-ssd/ubuntu-jammy", ""),
        ("Linux for debian lovers", "Linux", "", ""),
        ("", "Linux", "", ""),
    ],
)
def test_whom_to_log_in_as(name: str, kind: str, image: str, user: str) -> None:
    assert login_user(name, kind, image) == user


@pytest.fixture(scope="module")
def fleet(temporary_directory: Path) -> Iterator[Sandbox]:
    with Sandbox(instances=FLEET) as box:
        yield box


@pytest.fixture
def client(fleet: Sandbox, tmp_path: Path) -> Iterator[Client]:
    client = Client(fleet.environment | {"SSMSSH_HOME": str(tmp_path / "home")}, tmp_path)
    (tmp_path / "config").touch(0o600)
    yield client
    client.close()


def add(client: Client, *words: str, status: int = 0) -> str:
    done = client.run(
        "ssmssh", "host", "add", "--config-file", client.directory / "config", "--yes", *words, status=status
    )
    return done.stderr.decode()


def user_of(client: Client, host: str) -> str:
    shown = client.run("ssh", "-G", "-F", client.directory / "config", host).stdout.decode().splitlines()
    return next(line.removeprefix("user ") for line in shown if line.startswith("user "))


@pytest.mark.parametrize(
    ("target", "user"), [(AMAZON, "ec2-user"), ("blog", "bitnami"), (WINDOWS, "Administrator"), ("ubuntu", "ubuntu")]
)
def test_an_entry_of_one_instance(client: Client, target: str, user: str) -> None:
    add(client, "mine", target, "--user", "auto")
    assert user_of(client, "mine") == user
    add(client, "mine", target, "--server-alive", "15")
    assert user_of(client, "mine") == user


def test_what_is_not_known_is_told_and_nothing_is_written(client: Client) -> None:
    said = add(client, "mine", STRANGE, "--user", "auto", status=4)
    assert f"whom to log in as on {STRANGE} is not known: its platform is 'Home Made Linux'" in said
    said = add(client, "mine", "i-0aaaaaaaaaaaaaaaa", "--user", "auto", status=4)
    assert "is not known in us-east-1" in said
    said = add(client, "mine", "mi-0123456789abcdef0", "--user", "auto", status=4)
    assert "whom to log in as on mi-0123456789abcdef0 is not known" in said
    said = add(client, "mine", "--target", "ecs:cluster_task_runtime", "--user", "auto", status=2)
    assert "not for --target" in said
    assert (client.directory / "config").read_bytes() == b""


def test_without_the_images_the_platform_decides(client: Client, fleet: Sandbox) -> None:
    with fleet.faults.during("deny:ec2:DescribeImages"):
        said = add(client, "mine", BITNAMI, "--user", "auto")
    assert "Note: images are not known, so their platforms decide" in said
    assert user_of(client, "mine") == "admin"


def test_entries_of_all(client: Client, fleet: Sandbox) -> None:
    config = client.directory / "config"
    before = fleet.count_calls("ec2:DescribeImages")
    done = client.run("ssmssh", "sync", "--config-file", config, "--yes", "--user", "auto")
    assert fleet.count_calls("ec2:DescribeImages") == before + 1
    users = {name: user_of(client, name) for name in ("amazon", "blog", "desk", "ubuntu", "web-1")}
    assert users == {
        "amazon": "ec2-user",
        "blog": "bitnami",
        "desk": "Administrator",
        "ubuntu": "ubuntu",
        "web-1": "admin",
    }
    assert b"whom to log in as on 2 instances is not known; they have no User" in done.stderr
    assert "User" not in config.read_text().partition("Host strange\n")[2].partition("Host ")[0]
    client.run("ssmssh", "sync", "--config-file", config, "--check", "--user", "auto")


def test_a_pattern_has_no_such_user(client: Client) -> None:
    config = client.directory / "config"
    done = client.run("ssmssh", "install-config", "--config-file", config, "--yes", "--user", "auto", status=2)
    assert b"ssh fixes its user before the proxy runs" in done.stderr
    assert config.read_bytes() == b""
