"""config: the CPU time that the maintainer of the ssh config takes for files small and large.

``install-config --yes`` writes its block into a config of so many hosts; a second run finds nothing to change, which
ssh has to prove all the same. All that they start counts, ssh as well, which parses the file at each question. The
hosts are in the file itself or in one that it includes. ``empty lines`` is a million of them.

``ssmssh sync`` writes an entry for each instance of two regions and accounts into an empty config, finds nothing to
change in a second run, and changes a setting of every entry in a third; it lists them in a sandbox, whose own work does
not count. ``ssh -G`` is what each ssh then pays. "known_hosts" is a first run where ssh knows a thousand hosts whose
names are hashed: each new name is tried with each of them.
"""

import base64
import functools
import hmac
import os
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.bed import Running
from ssmssh.sandbox import Sandbox
from ssmssh.sandbox.environment import installed_script

_HOST = b"Host h%d g%d*\n    HostName 10.0.0.1\n    User me\n\n"


def run(plan: report.Plan) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        many = plan.count(10_000)
        included = directory / "included"
        included.write_bytes(_hosts(many))
        texts = {
            "10 hosts": _hosts(10),
            f"{many} hosts": _hosts(many),
            f"{many} hosts, included": f"Include {included}\n".encode(),
            "empty lines": b"\n" * plan.count(1_000_000),
        }
        runs = {
            (what, outcome): functools.partial(_install, directory, written)
            for what, text in texts.items()
            for outcome, written in (("written", text), ("nothing to change", None))
        }
        entries = plan.count(2000)
        with Sandbox(unpaced=True, instances=entries) as box:
            runs |= {
                (f"sync of {entries}", "written"): functools.partial(_sync, directory, box, b""),
                (f"sync of {entries}", "nothing to change"): functools.partial(_sync, directory, box, None),
                (f"sync of {entries}", "all changed"): functools.partial(_sync, directory, box, None, "ubuntu"),
                (f"sync of {entries}", "ssh -G"): functools.partial(_ask_ssh, directory),
                (f"sync of {entries}", "known_hosts"): functools.partial(_sync, directory, box, _knowing(directory)),
            }
            samples = report.take_turns(plan, runs)
    report.show_table(
        "config",
        ("", "CPU ms", "/ 10 hosts"),
        [
            (
                f"{what}, {outcome}",
                report.median(values, 0, 1e-3),
                report.ratio(values, samples["10 hosts", outcome if ("10 hosts", outcome) in samples else "written"]),
            )
            for (what, outcome), values in samples.items()
        ],
    )


def _hosts(count: int) -> bytes:
    return b"".join(_HOST % (number, number) for number in range(count))


def _install(directory: Path, text: bytes | None) -> float:
    """CPU seconds of one run of install-config on a file of `text`, or on the file of the run before."""
    config = _given(directory / "config", text)
    words = [str(installed_script("ssmssh")), "install-config", "--yes", "--config-file", str(config)]
    with Running([*words, "--user", "ec2-user"], os.environ, directory) as running:
        return running.end().cpu_seconds


def _knowing(directory: Path) -> bytes:
    """A config that names a known_hosts file of a thousand hosts."""
    lines = []
    for number in range(1000):
        salt = number.to_bytes(20, "big")
        digest = hmac.digest(salt, b"host-%d.lab" % number, "sha1")
        words = b"|".join(base64.b64encode(part) for part in (salt, digest))
        lines.append(b"|1|%s ssh-ed25519 %s\n" % (words, base64.b64encode(bytes(51))))
    (directory / "known_hosts").write_bytes(b"".join(lines))
    return f"UserKnownHostsFile {directory}/known_hosts\n".encode()


def _sync(directory: Path, box: Sandbox, text: bytes | None, user: str = "ec2-user") -> float:
    """CPU seconds of one run of sync, as `_install`."""
    config = _given(directory / "entries", text)
    everywhere = ["--profile", "sandbox", "--profile", "other", "--region", "us-east-1,eu-west-1"]
    words = [str(installed_script("ssmssh")), "sync", "--yes", "--config-file", str(config), *everywhere]
    with Running([*words, "--user", user], box.environment, directory) as running:
        return running.end().cpu_seconds


def _ask_ssh(directory: Path) -> float:
    """CPU seconds of ssh, with the entries of the run before."""
    with Running(["ssh", "-G", "-F", str(directory / "entries"), "nobody"], os.environ, directory) as running:
        return running.end().cpu_seconds


def _given(config: Path, text: bytes | None) -> Path:
    """The config, with that text if there is one."""
    if text is not None:
        config.write_bytes(text)
        config.chmod(0o600)
    return config
