"""Everything of AWS but sessions: moto, with the sandbox's inventory in it.

Moto is imported when the first such call comes, because that takes longer than all the rest of a sandbox. It draws
ids at random, so the instances get theirs by hand, in `seed`, which is the only place that touches moto's insides.
"""

import importlib
import io
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from ssmssh.sandbox.api import ACCOUNT_ID, ApiError
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.inventory import Instance
from ssmssh.sandbox.sigv4 import SignedRequest

_IMAGE = "ami-03cf127a"
"""One of those that moto knows without being told."""

MISSING = "this call is answered by moto, which is not installed; pip install 'ssmssh[sandbox]'"


class MotoBackend:
    """Answers requests; blocks, so call it from a thread. Moto's state is its process's, so make one only."""

    def __init__(self, region: str, instances: Sequence[Instance]) -> None:
        self._region = region
        self._instances = instances
        self._lock = threading.Lock()
        self._application: Callable[..., Iterable[bytes]] | None = None

    def answer(self, request: SignedRequest, service: str) -> Response:
        """Have moto answer; `service` is the one the request is signed for.

        Raises:
            ApiError: moto is not installed.
        """
        with self._lock:
            if self._application is None:
                try:
                    server = importlib.import_module("moto.server")
                except ImportError:
                    raise ApiError("NotImplementedException", MISSING) from None
                seed(self._region, self._instances)
                self._application = server.DomainDispatcherApplication(server.create_backend_app)
            return _through_wsgi(self._application, request, f"{service}.{self._region}.amazonaws.com")


def seed(region: str, instances: Sequence[Instance]) -> None:
    """Put the EC2 instances of the inventory into moto, under their own ids and addresses."""
    backends: Any = importlib.import_module("moto.ec2.models").ec2_backends
    backend = backends[ACCOUNT_ID][region]
    for instance in instances:
        if instance.is_hybrid:
            continue
        tags = {"Name": instance.name} | instance.tags
        reservation = backend.run_instances(
            _IMAGE,
            1,
            "",
            [],
            instance_type="t3.micro",
            region_name=region,
            is_instance_type_default=False,
            tags={"instance": tags},
        )
        machine = reservation.instances[0]
        backend.tags[instance.instance_id] = backend.tags.pop(machine.id, {})
        machine.id = instance.instance_id
        interface = machine.nics[0]
        interface.private_ip_address = instance.address
        interface.private_ip_addresses = [{"PrivateIpAddress": instance.address, "Primary": True}]


def _through_wsgi(application: Callable[..., Iterable[bytes]], request: SignedRequest, host: str) -> Response:
    path, _, query = request.target.partition("?")
    environ: dict[str, object] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    environ["HTTP_HOST"] = host
    status: list[str] = []
    headers: dict[str, str] = {}

    def start_response(line: str, pairs: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
        status.append(line)
        headers.update(pairs)
        return lambda _: None

    body = b"".join(application(environ, cast("object", start_response)))
    kept = {name: value for name, value in headers.items() if name.lower() not in ("content-length", "connection")}
    return Response(int(status[0].split()[0]), body, kept)
