"""VS Code's Remote-SSH: the windows that people open."""

from collections.abc import Sequence

import pytest

from tests.acceptance.clients import EC2_HOST, PATIENCE_SECONDS, Client
from tests.acceptance.editors import connect_install_and_work


@pytest.mark.parametrize(
    ("options", "command"), [([], ["bash"]), (["-v"], [])], ids=["script on stdin", "local server"]
)
def test_connect_install_and_work(client: Client, options: Sequence[str], command: Sequence[str]) -> None:
    connect_install_and_work(client, [*options, EC2_HOST, *command])


def test_a_second_window_while_the_first_is_open(client: Client) -> None:
    """Each window brings a connection to look for the server and one for the tunnel, in a burst."""
    windows = [client.start("ssh", "-T", "-o", "ConnectTimeout=15", EC2_HOST, "bash") for _ in range(4)]
    for number, window in enumerate(windows):
        assert window.stdin is not None
        assert window.stdout is not None
        window.stdin.write(f"echo window {number}\n".encode())
        window.stdin.flush()
        assert window.stdout.readline() == f"window {number}\n".encode()
    for window in windows:
        window.kill()
        window.wait(PATIENCE_SECONDS)
