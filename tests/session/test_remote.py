"""The start of a session: what goes on while StartSession is in flight, and what is left of it if that fails."""

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ssmssh.aws.client import AwsSettings
from ssmssh.errors import NetworkError, ProtocolError, SsmsshError, TargetError
from ssmssh.nodes import finder as finder_module
from ssmssh.nodes.cache import Cache
from ssmssh.nodes.expressions import parse_expression
from ssmssh.nodes.finder import Finder
from ssmssh.session.caller import Caller
from ssmssh.session.patience import OPEN_ATTEMPTS
from ssmssh.session.remote import Connection, RemoteSession, SessionRequest
from tests.aws.api import ACCESS_KEY, SECRET_KEY, STARTED, Answer, Api, ok, refusal, serve
from tests.session.websocket.server import PATIENCE_SECONDS, Peer, Pki, Server, make_pki, read_request
from tests.session.websocket.test_proxy import pump

REQUEST = SessionRequest("i-0123456789abcdef0", "AWS-StartSSHSession", {"portNumber": ["22"]}, None, 0.0)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pki.ca_file))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def api(pki: Pki) -> Iterator[Api]:
    with serve(pki.server) as running:
        yield running


class Stream(Server):
    """A message gateway that accepts a WebSocket and says nothing; knows when somebody connects.

    The first `impatient` connections it closes, before anything is asked of it.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.somebody = threading.Event()
        self.impatient = 0
        super().__init__(self._accept_one, tls)

    def _accept_one(self, sock: socket.socket) -> None:
        if self.connections <= self.impatient:
            sock.close()
            self.somebody.set()
            return
        self.somebody.set()
        peer = Peer(sock)
        peer.accept()
        peer.wait_for_end()


@pytest.fixture
def stream(pki: Pki) -> Iterator[Stream]:
    with Stream(pki.server) as running:
        yield running


def service(
    api: Api,
    stream: Stream | None,
    tmp_path: Path,
    on_open: Callable[[], None] = lambda: None,
    request: SessionRequest = REQUEST,
) -> RemoteSession:
    stream_url = f"https://localhost:{stream.port}" if stream else None
    settings = AwsSettings(region="eu-west-1", endpoint_url=api.url, stream_endpoint_url=stream_url)
    return RemoteSession(Caller(settings, tmp_path / "sessions"), request, on_open)


def once_somebody_is_there(stream: "Stream | Unwanted", answer: Answer) -> Answer:
    """`answer`, given when the connection has come that is begun early."""

    def wait() -> None:
        assert stream.somebody.wait(PATIENCE_SECONDS)

    return replace(answer, after=wait)


def test_the_connection_is_begun_before_start_session_has_answered(api: Api, stream: Stream, tmp_path: Path) -> None:
    api.answers.append(once_somebody_is_there(stream, ok(STARTED)))
    opened: list[None] = []
    connection = service(api, stream, tmp_path, lambda: opened.append(None)).start()
    assert isinstance(connection, Connection)
    assert "t0ken" not in repr(connection)
    connection.websocket.close()
    assert stream.connections == 1
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal("TargetNotConnected"), TargetError),
        (ok({**STARTED, "StreamUrl": "https://localhost/"}), ProtocolError),
        (ok({}), ProtocolError),
    ],
)
def test_it_is_closed_if_the_session_cannot_be_started(
    api: Api, stream: Stream, tmp_path: Path, answer: Answer, kind: type[SsmsshError]
) -> None:
    api.answers.append(once_somebody_is_there(stream, answer))
    opened: list[None] = []
    with pytest.raises(kind):
        service(api, stream, tmp_path, lambda: opened.append(None)).start()
    stream.join()
    assert stream.connections == 1
    assert opened == []


def test_nothing_is_begun_where_the_host_cannot_be_guessed(api: Api, stream: Stream, tmp_path: Path) -> None:
    api.answers.append(ok({**STARTED, "StreamUrl": f"wss://localhost:{stream.port}/v1/data-channel/x"}))
    service(api, None, tmp_path).start().websocket.close()
    assert stream.connections == 1


# -- by name ----------------------------------------------------------------------------------------------------------


def listing(*ids: str) -> Answer:
    return ok({"InstanceProperties": [{"InstanceId": each, "Name": "web-1"} for each in ids]})


@pytest.fixture
def by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionRequest:
    """What somebody asks for who knows a name, and that the machine is on its way."""
    monkeypatch.setattr(finder_module, "LOOK_AGAIN_SECONDS", (0.01, 0.01))
    finder = Finder(parse_expression("web-1"), Cache(tmp_path / "nodes"))
    return REQUEST._replace(target="web-1", finder=finder, patience_seconds=PATIENCE_SECONDS, waits_for_target=True)


def test_a_name_that_nobody_has_yet_is_waited_for(
    api: Api, stream: Stream, tmp_path: Path, by_name: SessionRequest
) -> None:
    api.answers += [listing(), listing(), listing(REQUEST.target), ok(STARTED)]
    ours = service(api, stream, tmp_path, request=by_name)
    ours.start().websocket.close()
    assert ours.description.startswith(f"{REQUEST.target} (web-1)")
    assert [request.target.rpartition(".")[2] for request in api.requests][-2:] == [
        "DescribeInstanceProperties",
        "StartSession",
    ]


def test_waiting_for_a_name_ends_when_nobody_waits(
    api: Api, stream: Stream, tmp_path: Path, by_name: SessionRequest
) -> None:
    ours = service(api, stream, tmp_path, request=by_name)
    api.answers += [listing(), replace(listing(), after=ours.abandon)]
    with pytest.raises(InterruptedError):
        ours.start()


# -- when the early connection comes to nothing ------------------------------------------------------------------------


def test_one_that_is_closed_costs_no_attempt(api: Api, stream: Stream, tmp_path: Path) -> None:
    """There is no patience for a second attempt here, and the next connection is the first."""
    stream.impatient = 1
    api.answers.append(once_somebody_is_there(stream, ok(STARTED)))
    service(api, stream, tmp_path).start().websocket.close()
    assert stream.connections == 2


def test_after_it_there_are_all_attempts(
    api: Api, stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.impatient = 1 + OPEN_ATTEMPTS
    api.answers.append(once_somebody_is_there(stream, ok(STARTED)))
    ours = service(api, stream, tmp_path, request=REQUEST._replace(patience_seconds=PATIENCE_SECONDS))
    waits: list[float] = []
    monkeypatch.setattr(ours, "_wait", waits.append)
    with pytest.raises(NetworkError):
        ours.start()
    assert stream.connections == 1 + OPEN_ATTEMPTS
    assert len(waits) == OPEN_ATTEMPTS - 1  # none of them for the early one


HOSTS = [f"{name}.eu-west-1.amazonaws.com" for name in ("ssm", "ssmmessages", "ssmmessages-fips")]


@pytest.fixture(scope="module")
def amazon(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate for all of `HOSTS`, and the file to trust it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "amazon")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )
    trusted = tmp_path_factory.mktemp("amazon") / "certificate.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both = trusted.with_name("both.pem")
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    both.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain) + trusted.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, trusted


class Hosts:
    """The behaviour of a proxy for which the names of `HOSTS` are on this computer."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports = ports
        self.asked: list[str] = []

    def __call__(self, sock: socket.socket) -> None:
        host, _, port = read_request(sock).split(b" ")[1].decode("ascii").rpartition(":")
        assert port == "443"
        self.asked.append(host)
        with socket.create_connection(("127.0.0.1", self._ports[host])) as far:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            forth = threading.Thread(target=pump, args=(sock, far))
            forth.start()
            pump(far, sock)
            forth.join()


class Unwanted(Server):
    """A gateway to which a connection is begun that nobody will use; keeps what it was sent."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.somebody = threading.Event()
        self.received: list[bytes] = []
        super().__init__(self._listen, tls)

    def _listen(self, sock: socket.socket) -> None:
        self.somebody.set()
        self.received.append(sock.recv(65536))


def test_another_host_than_the_likely_one(
    amazon: tuple[ssl.SSLContext, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service answers with a host of its own choice; all names are reached through a proxy on this computer."""
    tls, trusted = amazon
    with serve(tls) as api, Unwanted(tls) as likely, Stream(tls) as actual:
        ports = [int(api.url.rpartition(":")[2]), likely.port, actual.port]
        hosts = Hosts(dict(zip(HOSTS, ports, strict=True)))
        with Server(hosts) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted))
            answer = ok({**STARTED, "StreamUrl": f"wss://{HOSTS[2]}/v1/data-channel/x?role=publish_subscribe"})
            api.answers.append(once_somebody_is_there(likely, answer))
            connection = RemoteSession(Caller(AwsSettings(region="eu-west-1"), tmp_path / "sessions"), REQUEST).start()
            likely.join()  # it sees its end while the session goes on
            assert likely.received == [b""]  # and has got a TLS handshake, nothing more
            assert actual.connections == 1
            connection.websocket.close()
        assert sorted(hosts.asked) == sorted(HOSTS)
