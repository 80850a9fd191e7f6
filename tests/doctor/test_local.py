"""What doctor says of this computer, with each thing that it looks at broken for real."""

import json
import socket
import stat
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.certificates import make_server_certificate
from tests.acceptance.clients import PATIENCE_SECONDS, Client, Terminal
from tests.doctor.patient import examined, told, told_in_time

NO_PROXY = {"NO_PROXY": "", "no_proxy": ""}


def test_a_healthy_set_up(client: Client) -> None:
    found, causes = examined(client)
    assert causes == []
    unknown = {name for name, row in found.items() if row["outcome"] == "could not tell"}
    assert unknown == {"ssmmessages-endpoint"}
    assert {name for name, row in found.items() if row["outcome"] not in {"ok", "could not tell"}} == set()


def test_a_dead_proxy(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found, causes = examined(client, variables={"HTTPS_PROXY": f"http://127.0.0.1:{port}", **NO_PROXY})
    assert causes == ["proxy-settings"]
    assert f"127.0.0.1:{port}" in found["proxy-settings"]["cause"]
    assert found["proxy-settings"]["next_step"].startswith("unset HTTPS_PROXY")
    assert found["ssm-endpoint"]["is_symptom"]


def test_a_proxy_that_is_none(client: Client) -> None:
    _, causes = examined(client, variables={"HTTPS_PROXY": "socks5://127.0.0.1:1080", **NO_PROXY})
    assert causes == ["proxy-settings"]


def test_a_wrong_ca(client: Client, tmp_path: Path) -> None:
    bundle = tmp_path / "other.pem"
    bundle.write_bytes(make_server_certificate().authority)
    found, causes = examined(client, variables={"AWS_CA_BUNDLE": str(bundle)})
    assert causes == ["interception"]
    assert "ssmssh sandbox authority" in found["interception"]["cause"]
    assert found["ssm-endpoint"]["is_symptom"]


def test_a_ca_bundle_that_is_not_there(client: Client) -> None:
    found, causes = examined(client, variables={"AWS_CA_BUNDLE": "/no/such/file.pem"})
    assert causes == ["ca-bundle"]
    assert found["credentials"]["skipped_for"] == "ca-bundle"


def test_a_closed_port(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found, causes = examined(client, variables={"AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}"})
    assert causes == ["ssm-endpoint"]
    assert "refused" in found["ssm-endpoint"]["cause"]
    assert found["identity"]["outcome"] == "could not tell"


def test_no_region_and_no_such_profile(client: Client, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile empty]\n")
    nothing = {"AWS_CONFIG_FILE": str(config), "AWS_REGION": "", "AWS_DEFAULT_REGION": ""}
    found, causes = examined(client, variables=nothing)
    assert causes == ["region"]
    assert found["region"]["next_step"].startswith("ssmssh install-config --region ")
    found, causes = examined(client, variables=nothing, profile="emty", region="us-east-1")
    assert causes == ["aws-config"]
    assert "'emty' is not in the AWS configuration" in found["aws-config"]["cause"]
    assert found["aws-config"]["next_step"] == "# did you mean 'empty'?"


def test_a_region_with_a_letter_too_many(client: Client) -> None:
    found, causes = examined(client, region="eu-west-11")
    assert causes == ["region"]
    assert "eu-west-1" in found["region"]["cause"]


def test_an_endpoint_of_another_region(client: Client) -> None:
    variables = {"AWS_ENDPOINT_URL_SSM": "https://ssm.eu-west-1.amazonaws.com", "AWS_REGION": "us-east-1"}
    found, causes = examined(client, variables=variables)
    assert causes == ["endpoint-settings"]
    assert "eu-west-1" in found["endpoint-settings"]["cause"]


def test_no_credentials(client: Client, tmp_path: Path) -> None:
    nowhere = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"), "AWS_CONFIG_FILE": str(tmp_path / "none")}
    found, causes = examined(client, variables=nowhere)
    assert causes == ["credentials"]
    assert found["identity"]["skipped_for"] == "credentials"


def test_keys_that_aws_does_not_know(client: Client) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40, "AWS_SESSION_TOKEN": ""}
    found, causes = examined(client, variables=keys)
    assert causes == ["identity"]
    assert (
        found["identity"]["next_step"] == "# renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; or, to use a profile: "
        "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY"
    )


def test_a_wrong_clock(client: Client) -> None:
    library = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))
    variables = {
        "LD_PRELOAD": str(library),
        "FAKETIME": "+1h",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    done = told_in_time(client, "--json", variables=variables, status=1)
    found, causes = told(json.loads(done.stdout))
    assert causes == ["clock"]
    assert "ahead of the endpoint's" in found["clock"]["cause"]


def test_the_command(client: Client) -> None:
    """All of it comes within the bounds, or is said not to; the last line says what is to be done."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    variables = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", **NO_PROXY}
    done = told_in_time(client, status=1, variables=variables)
    lines = done.stdout.decode().splitlines()
    assert lines[-1].startswith("Cause: The proxy 127.0.0.1:")
    assert "; run: unset HTTPS_PROXY" in lines[-1]
    assert done.stderr == b""


def test_one_object(client: Client) -> None:
    summary = json.loads(told_in_time(client, "--json", status=0).stdout)
    assert set(summary) == {"version", "target", "checks", "causes"}
    keys = {"name", "title", "outcome", "evidence", "cause", "next_step", "skipped_for", "is_symptom", "seconds"}
    assert all(set(row) == keys for row in summary["checks"])
    assert summary["causes"] == []


def test_a_report(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "ticket.txt"
    client.run("ssmssh", "doctor", "--report", path, status=2)
    assert not path.exists()
    process = client.start("ssmssh", "doctor", "--report", path, "--yes")
    _, shown = process.communicate(timeout=PATIENCE_SECONDS)
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(line in shown.decode() for line in text.splitlines())
    for private in ("127.0.0.1", "123456789012", str(sandbox.directory), "arn:", "/", "user@"):
        assert private not in text
    assert "is there already" in client.run("ssmssh", "doctor", "--report", path, "--yes", status=9).stderr.decode()
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("answer", "said", "is_there"), [("n", b"Nothing was written.", False), ("", b"Written", True)]
)
def test_a_report_is_shown_and_asked_about(
    client: Client, tmp_path: Path, answer: str, said: bytes, *, is_there: bool
) -> None:
    path = tmp_path / "ticket.txt"
    with Terminal(client, "ssmssh", "doctor", "--report", str(path), columns=200) as terminal:
        shown = terminal.expect(b"Write it? [Y/n]: ", PATIENCE_SECONDS)
        assert b"causes: " in shown
        assert not path.exists()
        terminal.type(f"{answer}\r".encode())
        terminal.expect(said, PATIENCE_SECONDS)
        assert terminal.wait() in (0, 1)  # on a busy machine one thing may be too late
    assert path.exists() == is_there
