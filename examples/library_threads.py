"""Run a command on many instances at the same time, with paramiko and a thread each.

python library_threads.py --user ec2-user --key ~/.ssh/id_ed25519 "uname -r" i-0123456789abcdef0 i-0fedcba9876543210
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko

import ssmssh


def run(host: str, user: str, key: Path, known_hosts: Path, command: str) -> str:
    """What `command` prints on `host`, or why it could not be run."""
    try:
        with ssmssh.connect(host) as sock, paramiko.SSHClient() as client:
            client.load_host_keys(str(known_hosts))  # a host that is not known is refused
            client.connect(host, username=user, key_filename=str(key), sock=sock)
            return client.exec_command(command)[1].read().decode().strip()
    except ssmssh.errors.SsmsshError as error:
        return str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command")
    parser.add_argument("hosts", nargs="+", metavar="host")
    parser.add_argument("--user", required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--known-hosts", type=Path, default=Path.home() / ".ssh" / "known_hosts")
    asked = parser.parse_args()
    with ThreadPoolExecutor(len(asked.hosts)) as pool:
        answers = pool.map(lambda host: run(host, asked.user, asked.key, asked.known_hosts, asked.command), asked.hosts)
        for host, answer in zip(asked.hosts, answers, strict=True):
            print(f"{host}: {answer}")


if __name__ == "__main__":
    main()
