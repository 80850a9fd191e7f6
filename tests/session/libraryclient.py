"""The library in a program with paramiko: ``python libraryclient.py DIRECTORY SSH_CONFIG HOST FILE``.

Writes FILE there, reads it back, and exits with 0 if it is the same. What became of the session is left in DIRECTORY as
`recorder` leaves it of a proxy: its failure's line as ``stderr``, its exit status as ``status``, and the ``log``.
"""

import contextlib
import logging
import sys
from pathlib import Path

import paramiko

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import ssmssh
from tests.session.sftpclient import transfer


def main(directory: Path, config: str, host: str, path: Path) -> int:
    logging.basicConfig(filename=directory / "log", level=logging.DEBUG)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    is_whole = False
    line, status = "", 0
    try:
        with ssmssh.open_session(host) as session:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException, ssmssh.errors.SsmsshError):
                is_whole = transfer(session.socket, config, host, path)
            session.close()
            session.wait()
    except ssmssh.errors.SsmsshError as error:
        line, status = f"{error}\n", int(error.exit_status)
    (directory / "stderr").write_text(line)
    (directory / "status").write_text(str(status))
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])))
