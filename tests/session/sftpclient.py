"""paramiko in a process of its own: ``python sftpclient.py SSH_CONFIG HOST PROXY_COMMAND FILE``.

Writes FILE there, reads it back, and exits with 0 if it is the same. A process, because paramiko's threads outlive a
connection that breaks: it does not see that its ProxyCommand has ended, and spins until a time-out.
"""

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

if TYPE_CHECKING:
    import socket


def leave_after(pid: int) -> None:
    """When the ProxyCommand has ended, so has this program, a little later: perhaps it was at its end anyway."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    timer = threading.Timer(1.0, os._exit, (1,))
    timer.daemon = True
    timer.start()


def transfer(end: "socket.socket | paramiko.ProxyCommand", config: str, host: str, path: Path) -> bool:
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


def main(config: str, host: str, command: str, path: Path) -> int:
    proxy = paramiko.ProxyCommand(command)
    threading.Thread(target=leave_after, args=(proxy.process.pid,), daemon=True).start()
    is_whole = transfer(proxy, config, host, path)
    proxy.process.wait()
    return 0 if is_whole else 1


if __name__ == "__main__":
    os._exit(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
