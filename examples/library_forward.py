"""A web page of a server that only an instance can reach: ``python library_forward.py TARGET HOST PORT``.

Any program can use the port meanwhile, with any number of connections: database drivers, browsers.
"""

import sys
import urllib.request

import ssmssh


def main(target: str, host: str, port: int) -> None:
    with (
        ssmssh.forward(target, port, host=host) as forward,
        urllib.request.urlopen(f"http://localhost:{forward.port}/") as page,
    ):
        print(page.read().decode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
