"""Whom TLS trusts, and what is said about the others."""

import datetime as dt
import hashlib
import re
import socket
import ssl
from pathlib import Path

import pytest
from botocore.httpsession import create_urllib3_context, get_cert_path
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ssmssh.errors import FileError, NetworkError
from ssmssh.network.tls import tls_context
from tests.session.websocket.conftest import Serve, open_url
from tests.session.websocket.server import Peer, Pki, answer, collect, wait_for_hang_up


def echo(sock: socket.socket) -> None:
    peer = Peer(sock)
    peer.accept()
    peer.echo()


def test_the_policy_is_botocores() -> None:
    ours, theirs = tls_context(None), create_urllib3_context()
    assert ours.verify_mode == theirs.verify_mode == ssl.CERT_REQUIRED
    assert ours.verify_flags == theirs.verify_flags
    assert ours.minimum_version == theirs.minimum_version == ssl.TLSVersion.TLSv1_2
    assert ours.maximum_version == theirs.maximum_version
    assert ours.check_hostname
    bundle = Path(str(get_cert_path(True))).read_text(encoding="utf-8")
    assert ours.cert_store_stats()["x509_ca"] == bundle.count("BEGIN CERTIFICATE")


def test_a_bundle_in_a_file(serve: Serve, pki: Pki) -> None:
    websocket = open_url(f"wss://localhost:{serve(echo, pki.server).port}/", tls_context(str(pki.ca_file)))
    websocket.send([b"x"])
    assert collect(websocket, 1) == [b"x"]
    websocket.close()


def test_a_bundle_in_a_directory(serve: Serve, pki: Pki, tmp_path: Path) -> None:
    # The name that `openssl rehash` gives: SHA-1 of the canonical subject, CN "test ca".
    subject = b"\x31\x10\x30\x0e\x06\x03\x55\x04\x03\x0c\x07test ca"
    name = int.from_bytes(hashlib.sha1(subject).digest()[:4], "little")
    (tmp_path / f"{name:08x}.0").write_bytes(pki.ca_file.read_bytes())
    websocket = open_url(f"wss://localhost:{serve(echo, pki.server).port}/", tls_context(str(tmp_path)))
    websocket.close()


def test_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        FileError, match=r"Cannot read the CA bundle .*/none\.pem: No such file.*; correct AWS_CA_BUNDLE"
    ):
        tls_context(str(tmp_path / "none.pem"))


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_without_certificates(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.pem").write_text(text)
    with pytest.raises(FileError, match=r"bad\.pem contains no certificate .*; correct AWS_CA_BUNDLE"):
        tls_context(str(tmp_path / "bad.pem"))


def test_a_bundle_of_nothing_but_a_revocation_list(tmp_path: Path) -> None:
    """OpenSSL takes it, and trusts nobody."""
    now = dt.datetime.now(dt.UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    builder = x509.CertificateRevocationListBuilder(issuer, now, now + dt.timedelta(days=1))
    crl = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)
    (tmp_path / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
    with pytest.raises(FileError, match=r"crl\.pem contains no certificate"):
        tls_context(str(tmp_path / "crl.pem"))


@pytest.mark.parametrize(
    ("server", "bundle", "sentence", "hint"),
    [
        ("server", None, "unable to get local issuer certificate", "set AWS_CA_BUNDLE to a file with its CA"),
        ("expired", "ca", "certificate has expired", "check the clock of this machine; .* AWS_CA_BUNDLE"),
        ("elsewhere", "ca", "Hostname mismatch.*localhost", "set AWS_CA_BUNDLE"),
    ],
)
def test_certificates_that_are_refused(
    serve: Serve, pki: Pki, server: str, bundle: str | None, sentence: str, hint: str
) -> None:
    port = serve(echo, getattr(pki, server)).port
    with pytest.raises(NetworkError) as caught:
        open_url(f"wss://localhost:{port}/", tls_context(str(pki.ca_file)) if bundle else None)
    assert re.match(f"The TLS certificate of localhost is not trusted: .*{sentence}", caught.value.sentence)
    assert re.search(hint, caught.value.hint)


def test_an_address_is_checked_too(serve: Serve, pki: Pki, trust: ssl.SSLContext) -> None:
    with pytest.raises(NetworkError, match="IP address mismatch"):
        open_url(f"wss://127.0.0.1:{serve(echo, pki.elsewhere).port}/", trust)


def test_a_far_side_without_tls(serve: Serve, trust: ssl.SSLContext) -> None:
    def behave(sock: socket.socket) -> None:
        sock.recv(1)
        sock.sendall(b"HTTP/1.1 400 This is not for TLS\r\n\r\n")
        wait_for_hang_up(sock)

    with pytest.raises(NetworkError, match="The TLS handshake with localhost failed: TLS error: "):
        open_url(f"wss://localhost:{serve(behave).port}/", trust)


def test_a_far_side_that_hangs_up_in_the_handshake(serve: Serve, trust: ssl.SSLContext) -> None:
    def behave(sock: socket.socket) -> None:
        sock.recv(65536)  # all of it: with bytes left unread the kernel would reset

    with pytest.raises(NetworkError, match="No TLS handshake with localhost: the far side closed the connection"):
        open_url(f"wss://localhost:{serve(behave).port}/", trust)


def test_a_context_that_does_not_verify_is_refused(serve: Serve, pki: Pki) -> None:
    server = serve(answer(b""), pki.server)
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    with pytest.raises(ValueError, match="does not verify"):
        open_url(f"wss://localhost:{server.port}/", careless)
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="does not verify"):
        open_url(f"wss://localhost:{server.port}/", careless)
    assert server.connections == 0
