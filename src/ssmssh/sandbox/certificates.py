"""The sandbox's certificate authority and SSH keys.

TLS is on in the sandbox so that the code under test is the code that runs against AWS. The authority lives
for one sandbox: its key is never written anywhere and is forgotten as soon as the one certificate is signed.
"""

import datetime as dt
import ipaddress
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = dt.timedelta(days=30)
"""Longer than any sandbox is kept, short enough for a bundle that was left in an environment to be harmless."""


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """PEM texts: what clients must trust, and what the servers present."""

    authority: bytes
    certificate: bytes
    private_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SshKey:
    """An Ed25519 key pair: OpenSSH's private key file, and its public line without a comment."""

    private_key: bytes = field(repr=False)
    public_key: str


def make_server_certificate(organization: str = "") -> ServerCertificate:
    """Make an authority, of an organization if one is given, and a certificate of it for the loopback addresses.

    Both carry what ``ssl.VERIFY_X509_STRICT`` (the default of Python 3.13) insists on: critical basic
    constraints and key usage, subject and authority key identifiers.
    """
    authority_key = generate_private_key(SECP256R1())
    server_key = generate_private_key(SECP256R1())
    now = dt.datetime.now(dt.UTC)
    names_of_authority = {NameOID.COMMON_NAME: f"{organization or 'ssmssh sandbox'} authority"}
    if organization:
        names_of_authority[NameOID.ORGANIZATION_NAME] = organization
    authority_name = x509.Name([x509.NameAttribute(*each) for each in names_of_authority.items()])
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        x509.CertificateBuilder(authority_name, authority_name, authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(authority_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    server = (
        x509.CertificateBuilder(authority_name, x509.Name([]), server_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(server_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return ServerCertificate(
        authority=authority.public_bytes(Encoding.PEM),
        certificate=server.public_bytes(Encoding.PEM),
        private_key=server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def make_ssh_key() -> SshKey:
    """Make a key pair without the help of ``ssh-keygen``."""
    key = Ed25519PrivateKey.generate()
    return SshKey(
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        public_key=key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii"),
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
