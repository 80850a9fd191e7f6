"""The main process of a sandbox: starts the gateways, then serves the API. Started by `Sandbox`.

The gateways are started before anything slow is imported, so that they and this process get ready side by side.
"""

import os
import sys
from pathlib import Path

from ssmssh.sandbox import processes


def main() -> None:
    """Serve until told to stop, or until whoever started us is gone.

    Arguments: the sandbox's directory, the number of gateways.
    """
    directory, count = Path(sys.argv[1]), int(sys.argv[2])
    umask = os.umask(0o077)
    connection = processes.inherited_socket()
    processes.adopt_orphans()
    gateways = [processes.start("ssmssh.sandbox.gateway", directory / "gateway.err") for _ in range(count)]
    from ssmssh.sandbox.frontserver import serve  # noqa: PLC0415 - see the module

    sys.exit(serve(connection, directory, gateways, umask) or 0)


if __name__ == "__main__":
    main()
