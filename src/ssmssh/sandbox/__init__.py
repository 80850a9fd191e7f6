"""A local stand-in for AWS Session Manager, to try ssmssh without AWS and to test what uses it.

>>> with Sandbox(unpaced=True) as box:                                            # doctest: +SKIP
...     subprocess.run(["ssh", "i-0123456789abcdef0", "uname"], env=box.environment)

Processes: `front` is the API (HTTPS, SigV4) and starts the rest; `gateway` is the WebSocket service with its agents, in
a process of its own because all data passes through it; each connection's ``sshd -i`` is a child of the gateway.
"""

from ssmssh.sandbox.box import Sandbox
from ssmssh.sandbox.generated import generate
from ssmssh.sandbox.inventory import INSTANCES, Instance
from ssmssh.sandbox.reports import CallReport, SessionReport

__all__ = ["INSTANCES", "CallReport", "Instance", "Sandbox", "SessionReport", "generate"]
