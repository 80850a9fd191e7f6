"""Run a command with netmiko: ``python library_netmiko.py HOST USER KEY COMMAND``."""

import sys

import netmiko

import ssmssh


def main(host: str, user: str, key: str, command: str) -> None:
    with ssmssh.connect(host) as sock:
        settings = {"device_type": "linux", "host": host, "username": user, "use_keys": True, "key_file": key}
        with netmiko.ConnectHandler(sock=sock, **settings) as connection:
            print(connection.send_command(command))


if __name__ == "__main__":
    main(*sys.argv[1:])
