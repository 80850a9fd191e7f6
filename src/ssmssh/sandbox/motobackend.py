"""Everything of AWS that the sandbox does not answer itself: moto, with the inventory's instances in it.

Moto is imported when the first such call comes, because that takes longer than all the rest of a sandbox. It draws
ids at random, so the instances get theirs by hand, in `seed`, which is the only place that touches moto's insides.

It takes the longer over an instance the more it has (five thousand take four minutes), so it gets to know them as
they are spoken of: a call that names an id finds that one there, and the three that every sandbox has. IAM knows no
instances, so its calls do not wait for all that, which takes longer than doctor waits for an answer.
"""

import importlib
import io
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from ssmssh.installation import command_for
from ssmssh.sandbox import motoiam
from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.control import ControlError
from ssmssh.sandbox.httpio import Response
from ssmssh.sandbox.inventory import INSTANCES, Instance, Inventory
from ssmssh.sandbox.refusals import ApiError
from ssmssh.sandbox.sigv4 import SignedRequest

T = TypeVar("T")

_IMAGE = "ami-03cf127a"
"""One of those that moto knows without being told."""

_NAMED = re.compile(rb"i-[0-9a-f]{8,17}")
_NAMED_IDS = 100
"""How many ids of a request are looked up."""
_ALWAYS = tuple(instance.instance_id for instance in INSTANCES)

_MISSING = "this call is answered by moto, which is not installed; run: {}"


class MotoBackend:
    """Answers requests; blocks, so call it from a thread. Moto's state is its process's, so make one only."""

    def __init__(self, inventory: Inventory, own_callers: Mapping[str, Caller]) -> None:
        self._inventory = inventory
        self._own_callers = own_callers
        self._seeded: set[str] = set()
        self._lock = threading.Lock()
        self._application: Callable[..., Iterable[bytes]] | None = None

    def answer(self, request: SignedRequest, service: str, place: Place) -> Response:
        """Have moto answer; `service` is the one the request is signed for, `place` where it goes.

        Raises:
            ApiError: moto is not installed.
        """
        with self._lock:
            application = self._load()
            if service == "iam":
                motoiam.seed(self._own_callers[place.account_id])
            else:
                self._seed(place, request.body)
            host = f"{service}.{place.region}.amazonaws.com"
            return _through_wsgi(application, request, host, place.account_id)

    def locked(self, call: Callable[[], T]) -> T:
        """Do something with moto's state that no request does meanwhile.

        Raises:
            ApiError: moto is not installed.
        """
        with self._lock:
            self._load()
            return call()

    def decrypt(self, place: Place, blob: bytes, context: Mapping[str, str]) -> tuple[bytes, str]:
        """What KMS's Decrypt gives for `blob`, which it has encrypted itself, and the key's ARN; blocks.

        Raises:
            ControlError: It refuses.
        """
        with self._lock:
            backends: Any = importlib.import_module("moto.kms.models").kms_backends
            backend = backends[place.account_id][place.region]
            try:
                plain, arn = backend.decrypt(blob, dict(context))
            except Exception as error:  # noqa: BLE001 - all that it raises are answers of KMS
                raise ControlError(f"{type(error).__name__.removesuffix('Exception')}Exception: {error}") from None
            if not backend.describe_key(arn).enabled:  # moto does not look
                raise ControlError(f"DisabledException: {arn} is disabled.")
            return bytes(plain), str(arn)

    def _load(self) -> Callable[..., Iterable[bytes]]:
        if self._application is None:
            try:
                server = importlib.import_module("moto.server")
            except ImportError:
                raise ApiError("NotImplementedException", _MISSING.format(command_for("sandbox"))) from None
            self._application = cast(
                "Callable[..., Iterable[bytes]]", server.DomainDispatcherApplication(server.create_backend_app)
            )
        return self._application

    def _seed(self, place: Place, body: bytes) -> None:
        named = [each.decode() for each in _NAMED.findall(body)[:_NAMED_IDS]]
        new = dict.fromkeys(each for each in (*_ALWAYS, *named) if each not in self._seeded)
        found = [instance for each in new if (instance := self._inventory.find(each, place)) is not None]
        seed(place, [instance for instance in found if instance.is_ec2])
        self._seeded.update(instance.instance_id for instance in found)


def seed(place: Place, instances: Sequence[Instance]) -> None:
    """Put EC2 instances into moto, under their own ids and addresses, in the state in which they are."""
    backends: Any = importlib.import_module("moto.ec2.models").ec2_backends
    backend = backends[place.account_id][place.region]
    for instance in instances:
        reservation = backend.run_instances(
            _IMAGE,
            1,
            "",
            [],
            instance_type="t3.micro",
            region_name=place.region,
            is_instance_type_default=False,
            tags={"instance": instance.all_tags},
        )
        machine = reservation.instances[0]
        backend.tags[instance.instance_id] = backend.tags.pop(machine.id, {})
        machine.id = instance.instance_id
        interface = machine.nics[0]
        interface.private_ip_address = instance.private_address
        interface.private_ip_addresses = [{"PrivateIpAddress": instance.private_address, "Primary": True}]
        if instance.state in ("stopped", "stopping"):
            machine.stop()
        elif instance.state in ("terminated", "shutting-down"):
            machine.terminate()


def _through_wsgi(
    application: Callable[..., Iterable[bytes]], request: SignedRequest, host: str, account_id: str
) -> Response:
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
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account_id
    status: list[str] = []
    headers: dict[str, str] = {}

    def start_response(line: str, pairs: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
        status.append(line)
        headers.update(pairs)
        return lambda _: None

    body = b"".join(application(environ, cast("object", start_response)))
    kept = {name: value for name, value in headers.items() if name.lower() not in ("content-length", "connection")}
    return Response(int(status[0].split()[0]), body, kept)
