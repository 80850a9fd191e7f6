"""Download a file by SFTP and show how far it is.

python library_download.py --user ec2-user --key ~/.ssh/id_ed25519 i-0123456789abcdef0 /var/log/messages messages
"""

import argparse
from pathlib import Path

import paramiko

import ssmssh


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("host")
    parser.add_argument("source", help="there")
    parser.add_argument("destination", help="here")
    parser.add_argument("--user", required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--known-hosts", type=Path, default=Path.home() / ".ssh" / "known_hosts")
    asked = parser.parse_args()

    def show(done: int, size: int) -> None:
        print(f"\r{100 * done // size} %", end="" if done < size else "\n", flush=True)

    with ssmssh.open_session(asked.host, timeout=60) as session, paramiko.SSHClient() as client:
        client.load_host_keys(str(asked.known_hosts))
        client.connect(asked.host, username=asked.user, key_filename=str(asked.key), sock=session.socket)
        with client.open_sftp() as sftp:
            sftp.get(asked.source, asked.destination, callback=show)  # compares the sizes afterwards


if __name__ == "__main__":
    main()
