"""Where control sockets may be, and that ssh shares a session there for as long as was asked for."""

import subprocess
from pathlib import Path

import pytest

from ssmssh.errors import UsageError
from ssmssh.sshconfig.sharing import MAX_SOCKET_PATH, SOCKET_NAME, check_place

LONGEST = MAX_SOCKET_PATH - len("/") - 40 - 17


def test_a_place_whose_path_is_long() -> None:
    check_place(Path("/".ljust(LONGEST, "x")), "posix")
    with pytest.raises(UsageError, match=r"paths of 104 bytes, and systems take 103; give --option"):
        check_place(Path("/".ljust(LONGEST + 1, "x")), "posix")
    with pytest.raises(UsageError, match=r"paths of 10[45] bytes"):
        check_place(Path("/".ljust(LONGEST - 1, "x") + "é"), "posix")


def test_windows_has_none() -> None:
    with pytest.raises(UsageError, match=r"cannot be used on Windows; its ssh has no ControlMaster"):
        check_place(Path("/short"), "nt")


def test_what_is_counted_is_what_ssh_makes_of_it() -> None:
    """The longest path that is accepted is one that ssh, too, does not call too long."""
    directory = "/".ljust(LONGEST, "x")
    words = ["ssh", "-F", "none", "-G", "-o", f"ControlPath={directory}/{SOCKET_NAME}", "i-0"]
    (path,) = [
        line.partition(" ")[2]
        for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        if line.startswith("controlpath ")
    ]
    assert len(path) + 17 == MAX_SOCKET_PATH
