"""The environment of whoever starts ssh: packages and settings that are meant for other programs."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import ssmssh
from tests.acceptance.clients import EC2_HOST, Client

CLIENTS = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
SOMEBODY_ELSES = "raise SystemExit('somebody else\\'s')\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A directory with a botocore, and with modules that bear the names of Python's own."""
    directory = tmp_path / "packages"
    (directory / "botocore").mkdir(parents=True)
    (directory / "botocore" / "__init__.py").write_text(SOMEBODY_ELSES)
    for name in ("ssl", "pathlib", "argparse", "socket", "websockets", "ssmssh_typing"):
        (directory / f"{name}.py").write_text(SOMEBODY_ELSES)
    return directory


def test_packages_of_another_program(client: Client, packages: Path) -> None:
    done = client.run("ssh", EC2_HOST, "echo hello", variables={"PYTHONPATH": f"{packages}{os.pathsep}"})
    assert done.stdout == b"hello\n"
    assert client.run("ssmssh", "--version", variables={"PYTHONPATH": str(packages)}).stdout


def test_the_home_of_another_python(client: Client, tmp_path: Path) -> None:
    """Python ends before our first line, and what docs/clients.md says of it helps."""
    variables = {"PYTHONHOME": str(tmp_path)}
    assert b"Python" in client.run("ssh", EC2_HOST, "echo hello", status=255, variables=variables).stderr
    (command,) = re.findall(r"begin the `ProxyCommand` with `([^`]+)`", CLIENTS.read_text())
    effective = client.run("ssh", "-G", EC2_HOST).stdout.decode()
    (proxy,) = re.findall(r"^proxycommand (.*)$", effective, re.MULTILINE)
    option = f"ProxyCommand={command} {proxy}"
    assert client.run("ssh", "-o", option, EC2_HOST, "echo hello", variables=variables).stdout == b"hello\n"


def path_of(*entries: str) -> list[str]:
    """What is left of the path when the proxy's door has been opened with these in ``PYTHONPATH``."""
    program = "import sys; from ssmssh import scripts; scripts._forget_foreign_packages(); print(*sys.path, sep='\\n')"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entries)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, cwd="/"
    )
    return done.stdout.splitlines()


def test_what_python_finds_by_itself_stays(packages: Path) -> None:
    usual = path_of()
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), str(Path(os.__file__).parent / "lib-dynload")]
    assert set(own) <= set(usual)
    assert set(path_of(str(packages), *own)) == set(usual)
    assert str(packages) not in path_of(str(packages), f"{packages}/../packages", "packages")


def test_whoever_runs_us_through_it_keeps_it(packages: Path) -> None:
    """As build systems do that keep every package in a directory of its own."""
    (packages / "botocore" / "__init__.py").unlink()
    source = str(Path(ssmssh.__file__).parents[1])
    assert path_of(source, str(packages))[:3] == ["", source, str(packages)]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_METADATA_SERVICE_TIMEOUT", ""),
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2.5"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv7"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "both"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "maybe"),
    ],
)
def test_a_setting_that_cannot_be_used(client: Client, variable: str, value: str) -> None:
    done = client.run("ssmssh-proxy", EC2_HOST, "22", status=2, variables={variable: value})
    assert done.stderr.startswith(f"ssmssh-proxy: {variable} cannot be used: ".encode())


def test_an_aws_file_that_cannot_be_used(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("[default]\nregion = us-east-1\nregion = us-east-1\n")
    done = client.run("ssmssh-proxy", EC2_HOST, "22", status=2, variables={"AWS_CONFIG_FILE": str(path)})
    expected = f"ssmssh-proxy: The AWS file {path} cannot be used: line 3: the section has this key already; "
    assert done.stderr.decode().startswith(expected)


@pytest.mark.parametrize(
    ("variable", "form"),
    [
        ("AWS_CA_BUNDLE", "~/ca.pem"),
        ("AWS_CA_BUNDLE", "here.pem"),
        ("AWS_CA_BUNDLE", "~nobody-by-this-name/ca.pem"),
        ("REQUESTS_CA_BUNDLE", "~/ca.pem"),
        ("ca_bundle", "~/ca.pem"),
        ("ca_bundle", "here.pem"),
    ],
)
def test_a_ca_bundle_as_people_write_it(client: Client, tmp_path: Path, variable: str, form: str) -> None:
    """In the home directory, and relative to where ssh was started, which is where we are."""
    place = tmp_path / ("home/ca.pem" if form.startswith("~/") else form)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(client.environment.pop("AWS_CA_BUNDLE"))
    variables = {"HOME": str(tmp_path / "home"), variable: form}
    if variable == "ca_bundle":
        config = tmp_path / "config"
        config.write_text(f"[default]\nregion = us-east-1\nca_bundle = {form}\n")
        variables["AWS_CONFIG_FILE"] = str(config)
    assert client.run("ssh", EC2_HOST, "echo hello", variables=variables).stdout == b"hello\n"


def test_a_profile_that_is_empty(client: Client) -> None:
    variables = {"AWS_PROFILE": "sandbox", "AWS_DEFAULT_PROFILE": ""}
    assert client.run("ssh", EC2_HOST, "echo hello", variables=variables).stdout == b"hello\n"
    assert client.run("ssh", EC2_HOST, "echo hello", variables={"AWS_PROFILE": ""}).stdout == b"hello\n"


@pytest.mark.parametrize("name", ["o'brien", "münchen"])
def test_a_profile_that_is_no_word(client: Client, tmp_path: Path, name: str) -> None:
    config = tmp_path / "config"
    config.write_text(f'[profile "{name}"]\nregion = us-east-1\n', encoding="utf-8")
    variables = {"AWS_CONFIG_FILE": str(config)}
    done = client.run("ssmssh-proxy", "--profile", name, EC2_HOST, "22", status=3, variables=variables)
    assert f"profile {name}" in done.stderr.decode()
    assert f"aws configure --profile {shlex.quote(name)})" in done.stderr.decode()
