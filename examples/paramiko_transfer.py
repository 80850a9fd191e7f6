"""Run a command on an instance, and copy a file there and back, with paramiko.

    python paramiko_transfer.py i-0123456789abcdef0 report.pdf /tmp/report.pdf

paramiko reads ~/.ssh/config if it is asked to, but ignores Include in it: the block must be in the file itself,
which is where ``ssmssh install-config`` writes it unless it is given --include.
"""

import argparse
from pathlib import Path

import paramiko


def connect(host: str, config_file: Path, known_hosts: Path) -> paramiko.SSHClient:
    """Log in to `host` as the ssh config says; the caller closes the client."""
    settings = paramiko.SSHConfig.from_path(str(config_file)).lookup(host)
    client = paramiko.SSHClient()
    client.load_host_keys(str(known_hosts))  # a host that is not known is refused: ssh to it once
    client.connect(
        settings["hostname"],
        username=settings.get("user"),
        key_filename=settings.get("identityfile"),
        sock=paramiko.ProxyCommand(settings["proxycommand"]),
    )
    return client


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("host", help="i-… or mi-…, with region and profile words as in: ssh HOST")
    parser.add_argument("file", type=Path, help="what to copy")
    parser.add_argument("destination", help="where to, on the instance")
    parser.add_argument("--config", type=Path, default=Path.home() / ".ssh" / "config")
    parser.add_argument("--known-hosts", type=Path, default=Path.home() / ".ssh" / "known_hosts")
    arguments = parser.parse_args()

    with connect(arguments.host, arguments.config, arguments.known_hosts) as client:
        _, output, _ = client.exec_command("uname -sr")
        print(output.read().decode().strip())

        with client.open_sftp() as sftp:
            sftp.put(str(arguments.file), arguments.destination)  # compares the sizes afterwards
            sftp.get(arguments.destination, f"{arguments.file}.copy")
        print(f"{arguments.file.stat().st_size} bytes there and back")


if __name__ == "__main__":
    main()
