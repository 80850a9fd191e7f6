"""Connections that ssh shares: the socket of ``ControlMaster``, without which it ends before it has asked anybody."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ssmssh.doctor.check import Check, Finding, failed, ok, unknown
from ssmssh.doctor.facts import sshconfig
from ssmssh.errors import SsmsshError

if TYPE_CHECKING:
    from ssmssh.doctor.examination import Examination

MAX_BYTES = 103 if sys.platform == "darwin" else 107
"""Of a socket's path: what sockaddr_un holds, less the zero at its end (unix(4), unix(7))."""

SUFFIX_BYTES = 17
"""ssh makes the socket under another name first, with a dot and sixteen letters more (OpenSSH, mux.c)."""


def _look(examination: "Examination") -> Finding:
    try:
        settings = examination.fact(sshconfig.settings)
    except SsmsshError as error:
        return unknown(str(error))
    path = settings.get("controlpath", ["none"])[0]
    if path == "none" or settings.get("controlmaster", ["no"])[0] in ("no", "false"):
        return ok("ssh shares none")
    size = len(os.fsencode(path)) + SUFFIX_BYTES
    if size > MAX_BYTES:
        sentence = f"ssh cannot share connections as it is told to: the ControlPath {path} is too long for a socket"
        return failed(f"{path}: {size} bytes, of {MAX_BYTES}", sentence, "# have it be ControlPath ~/.ssh/%C")
    directory = Path(path).parent
    if directory != Path.home() / ".ssh" and not directory.is_dir():  # ssh makes ~/.ssh itself
        sentence = (
            f"ssh cannot share connections as it is told to: the directory of ControlPath, {directory}, is not there"
        )
        return failed(f"{directory} is not there", sentence, f"mkdir -p -m 700 {shlex.quote(str(directory))}")
    return ok(f"by {path}")


CHECKS = (Check("shared-connections", "connections that ssh shares", _look, ("ssh",), ("ssh-directory",)),)
