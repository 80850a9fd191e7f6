"""The TLS context that is begun early: right when it is for the bundle that is asked for, and else not there."""

import ssl
from pathlib import Path

import pytest
from botocore.httpsession import get_cert_path

from ssmssh.errors import FileError
from ssmssh.network.tls import EarlyContext, likely_bundle, tls_context

USUAL = Path(str(get_cert_path(True)))


def test_the_likely_bundle_is_botocores() -> None:
    assert likely_bundle(None) == USUAL
    assert likely_bundle("~/ca.pem") == Path("~/ca.pem").expanduser()


def test_the_context_that_was_begun_is_the_one_that_is_used() -> None:
    early = EarlyContext(USUAL)
    context = tls_context(None, early)
    assert context is early.take(USUAL)
    plain = tls_context(None)
    assert context.cert_store_stats() == plain.cert_store_stats()
    assert context.verify_mode == plain.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert (context.verify_flags, context.options) == (plain.verify_flags, plain.options)
    assert context.minimum_version == plain.minimum_version


def test_another_bundle_is_not_trusted(tmp_path: Path) -> None:
    begun, asked = tmp_path / "begun.pem", tmp_path / "asked.pem"
    certificates = USUAL.read_text(encoding="utf-8").split("-----END CERTIFICATE-----")
    begun.write_text(certificates[0] + "-----END CERTIFICATE-----\n")
    asked.write_text(certificates[1] + "-----END CERTIFICATE-----\n")
    early = EarlyContext(begun)
    assert early.take(asked) is None
    context = tls_context(str(asked), early)
    assert context.get_ca_certs() == tls_context(str(asked)).get_ca_certs() != tls_context(str(begun)).get_ca_certs()


@pytest.mark.parametrize("text", [None, "", "nonsense"])
def test_a_bundle_that_cannot_be_used_is_told_by_who_asks_for_it(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    early = EarlyContext(path)
    assert early.take(path) is None
    with pytest.raises(FileError, match=r"ca\.pem"):
        tls_context(str(path), early)
