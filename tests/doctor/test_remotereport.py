"""What the script on an instance prints, taken apart."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ssmssh.doctor
from ssmssh.doctor import remotereport
from ssmssh.doctor.remotereport import Diagnostic, Mount, diagnostics, log_meaning, mounts, sections, shown, units

SCRIPT = Path(ssmssh.doctor.__file__).with_name("remotescript.sh")
DIAGNOSTICS = {  # User Guide, "Troubleshooting managed node availability using ssm-cli", shortened
    "DiagnosticsOutput": [
        {
            "Check": "EC2 IMDS",
            "Status": "Success",
            "Note": "IMDS is accessible",
        },
        {
            "Check": "Hybrid instance registration",
            "Status": "Skipped",
            "Note": "No hybrid registration",
        },
        {"Check": "Connectivity to ssmmessages endpoint", "Status": "Failed", "Note": "dial tcp: i/o timeout"},
    ]
}
SNAP = (
    "Id=snap.amazon-ssm-agent.amazon-ssm-agent.service LoadState=loaded ActiveState=active NRestarts=2 "
    "ActiveEnterTimestamp=Thu 2026-11-26 10:00:00 UTC "
)
LOG = {
    "2026-11-26 10:00:00 ERROR [Registrar] write /var/lib/amazon/ssm/x: no space left on device": "full",
    "2026-11-26 ERROR AccessDeniedException: User: arn is not authorized to perform: "
    "ssm:UpdateInstanceInformation": "permissions",
    "2026-11-26 ERROR ExpiredTokenException: The security token is expired": "refused",
    "2026-11-26 ERROR InvalidSignatureException: Signature expired: 20261126T100000Z is now earlier than": "clock",
    "2026-11-26 ERROR EC2RoleRequestError: no EC2 instance role found": "no credentials",
    "2026-11-26 ERROR Post https://ssm.example/: x509: certificate signed by unknown authority": "certificate",
    "2026-11-26 ERROR dial tcp: lookup ssmmessages.eu-west-1.amazonaws.com: no such host": "DNS",
    "2026-11-26 ERROR dial tcp 52.94.1.1:443: i/o timeout": "does not reach",
    "2026-11-26 ERROR machine fingerprint does not match": "registration",
}


def test_the_script_runs_in_a_plain_shell_and_says_what_is_read() -> None:
    text = "user='root'\n" + SCRIPT.read_text("ascii")
    done = subprocess.run(["sh", "-s"], input=text.encode(), capture_output=True, timeout=60, check=True)
    found = sections(done.stdout.decode("utf-8", "replace"))
    assert list(found)[-1] == "end"
    assert found["clock"][0].isdecimal()
    assert any(mount.path == "/" for mount in mounts(found["disk"]))
    assert found["user"][0].startswith("root:")
    assert done.stderr == b""


def test_no_word_of_the_script_is_one_that_changes_anything() -> None:
    words = set(SCRIPT.read_text("ascii").split())
    assert not words & {
        "rm",
        "mv",
        "cp",
        "kill",
        "restart",
        "start",
        "stop",
        "install",
        "tee",
        "touch",
        "chmod",
        "sudo",
    }


def test_sections() -> None:
    assert sections("noise\n@@ a\n1\n\n2\r\n@@ b\n@@ a\n3") == {"a": ["1", "2", "3"], "b": []}


def test_the_agents_own_diagnosis() -> None:
    found = diagnostics(json.dumps(DIAGNOSTICS, indent=2).splitlines())
    assert [each.status for each in found] == ["Success", "Skipped", "Failed"]
    assert found[-1] == Diagnostic("Connectivity to ssmmessages endpoint", "Failed", "dial tcp: i/o timeout")
    assert diagnostics(["unknown command"]) == diagnostics([]) == diagnostics(['{"DiagnosticsOutput": [3]}']) == []


def test_file_systems() -> None:
    lines = [
        "/dev/nvme0n1p1   8123456 8123456        0     100% /",
        "tmpfs              99999       1    99998       1% /tmp",
        "/dev/loop1         56832   56832        0     100% /snap/core18/2846",
        "-                      -       -        -        - /proc",
    ]
    assert mounts(lines) == [Mount("/", 100), Mount("/tmp", 1)]


def test_units_of_systemd() -> None:
    lines = [
        "Id=amazon-ssm-agent.service LoadState=not-found ActiveState=inactive SubState=dead NRestarts=0 ",
        SNAP,
        "812 amazon-ssm-agen",
    ]
    (unit,) = units(lines)
    assert (unit["ActiveState"], unit["NRestarts"]) == ("active", "2")
    assert unit["ActiveEnterTimestamp"] == "Thu 2026-11-26 10:00:00 UTC"


@pytest.mark.parametrize("line", LOG)
def test_lines_of_the_log(line: str) -> None:
    found = log_meaning(["2026-11-26 WARN something else", line, "2026-11-26 ERROR nobody knows"])
    assert found is not None
    assert LOG[line] in found[0]
    assert log_meaning(["2026-11-26 WARN something else"]) is None


def test_each_sign_is_tried() -> None:
    assert len({log_meaning([line]) and log_meaning([line])[0] for line in LOG}) == len(remotereport.LOG_SIGNS)  # type: ignore[index]


@given(st.text(), st.text())
def test_whatever_an_instance_says(text: str, other: str) -> None:
    lines = [line for section in sections(f"@@ x\n{text}\n@@ y\n{other}").values() for line in section]
    for read in (diagnostics, mounts, units, log_meaning):
        read(lines)
    assert all(shown(line).isprintable() for line in lines)
