"""Every sample of docs/library.md runs as it stands there, and its names are the public ones."""

import re
from pathlib import Path

import pytest

import ssmssh
from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, Client
from tests.acceptance.openssh import effective, identity_file
from tests.library.programs import Program

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

SAID = [
    "Linux\n\n",
    "4 check that sshd runs and listens there; to wait longer, set wait (--wait SECONDS)\n",
    "b'SSH'\n",
]


@pytest.mark.parametrize(("sample", "said"), [*zip(SAMPLES, SAID, strict=True)], ids=["paramiko", "errors", "forward"])
def test_samples(sample: str, said: str, program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    client = Client(sandbox.environment, tmp_path)
    names = f"USER, KEY = {effective(client, 'User')!r}, {str(identity_file(client))!r}\n"
    assert program.run(names + sample) == said


def test_names() -> None:
    public = set(re.findall(r"^\| `ssmssh\.(\w+)", TEXT, re.MULTILINE))
    assert public == set(ssmssh.__all__) - {"Forward", "OpenSession", "__version__"}
    assert "`OpenSession`" in TEXT
    members = re.search(r"an `OpenSession`: (.*?) \|", TEXT)
    assert members is not None
    said = set(re.findall(r"`(\w+)`", members[1]))
    assert said == {name for name in dir(ssmssh.OpenSession) if not name.startswith("_")} | {"socket"}


def test_the_sample_of_the_readme(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """With an instance that is there, and a client that knows who logs in."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (sample,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    client = Client(sandbox.environment, tmp_path)
    before = f"""
import functools, paramiko, ssmssh
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect = functools.partial(
    client.connect, username={effective(client, "User")!r}, key_filename={str(identity_file(client))!r}
)
"""
    after = "    print(client.exec_command('uname -s')[1].read().decode())\n    client.close()\n"
    assert program.run(before + sample.replace("i-040c0af6a7a4ba0a7", EC2_HOST) + after) == "Linux\n\n"
