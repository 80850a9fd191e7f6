"""The library in a program with paramiko: ``python libraryclient.py DIRECTORY SSH_CONFIG HOST FILE``.

Writes FILE there, reads it back, and exits with 0 if it is the same. What became of the session is left in DIRECTORY as
`recorder` leaves it of a proxy: its failure's line as ``stderr``, its exit status as ``status``, and the ``log``.
"""

import contextlib
import logging
import sys
from pathlib import Path

import paramiko

import ssmssh


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


def transfer(end: ssmssh.SessionSocket, config: str, host: str, path: Path) -> bool:
    """Whether every byte came back."""
    data = path.read_bytes()
    there = f"{path}.there"
    settings = paramiko.SSHConfig.from_path(config).lookup(host)
    with paramiko.SSHClient() as ssh:
        ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        ssh.connect(
            host, username=settings["user"], key_filename=settings["identityfile"], sock=end,
            allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        with ssh.open_sftp() as client:
            with client.open(there, "wb") as file:
                file.set_pipelined(True)
                file.write(data)
            with client.open(there, "rb") as file:
                file.prefetch(len(data))
                return file.read() == data


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])))
