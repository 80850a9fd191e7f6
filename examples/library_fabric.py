"""Run a command with fabric: ``python library_fabric.py HOST USER KEY COMMAND``."""

import sys

import fabric

import ssmssh


def main(host: str, user: str, key: str, command: str) -> None:
    with ssmssh.connect(host) as sock:
        options = {"sock": sock, "key_filename": key}
        with fabric.Connection(host, user=user, connect_kwargs=options) as connection:
            connection.run(command)


if __name__ == "__main__":
    main(*sys.argv[1:])
