"""Ansible, whose environment is made from a lock file, as a command line."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.clients import Client, wait_until
from tests.acceptance.openssh import effective

PROGRAM = Path(__file__).parents[2] / ".clients" / "ansible" / "bin" / "ansible"


@contextlib.contextmanager
def ansible(client: Client, inventory: str | Path, host: str, sockets: Path) -> Iterator[list[str]]:
    """The beginning of a command line; Ansible's own files are the test's, and no shared connection outlives it.

    `host` is one whose settings in the ssh config are everyone's, `sockets` a directory that is not there yet.
    """
    assert PROGRAM.exists(), "python3 tasks.py test installs Ansible there"
    client.environment |= {
        "ANSIBLE_HOME": str(client.directory / "ansible"),
        "ANSIBLE_REMOTE_TEMP": str(client.directory / "far"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",  # Ansible insists on UTF-8
    }
    here = f"ansible_user={effective(client, 'User', host)} ansible_python_interpreter={sys.executable}"
    yield [str(PROGRAM), "-i", str(inventory), "-e", here]
    for path in sockets.iterdir():
        client.run("ssh", "-S", path, "-O", "exit", host)
    wait_until(lambda: not list(sockets.iterdir()), "the end of the shared connections")
