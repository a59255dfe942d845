"""The private CA: made at the first start, able to certify AWS's hosts only, its key readable by its owner only."""

from __future__ import annotations

import ipaddress
import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sagehound.localcloud.interception.hosts import WEIGHTS_HOSTS, aws_suffixes

logger = logging.getLogger(__name__)

_VALID = timedelta(days=3650)
_LEAF_VALID = timedelta(days=820)
"""Some clients trust no certificate of a longer life (825 days), whoever signed it."""
_LEFT = timedelta(days=30)
"""A CA that ends sooner is replaced at the start of the server."""
_EARLIER = timedelta(days=1)
"""Clocks of clients may be behind."""


@dataclass(frozen=True)
class Authority:
    """The CA's key and certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate as clients trust it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def certify(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        """The key and the certificate of a server with these names, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            # The names are too long for a common name; whoever looks at one looks at the alternative names first.
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sagehound local cloud")]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(min(now + _LEAF_VALID, self.certificate.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(_key_identifier(self.certificate), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _private(key), certificate.public_bytes(serialization.Encoding.PEM)


def load_or_make(folder: Path) -> Authority:
    """The CA in `folder` (ca.key, ca.pem); made anew where it is missing, damaged, ending, or was open to others."""
    folder.mkdir(exist_ok=True, mode=0o755)
    for left in folder.glob("*.new"):
        left.unlink()
    key_path, certificate_path = folder / "ca.key", folder / "ca.pem"
    if key_path.exists() or certificate_path.exists():
        try:
            return _load(key_path, certificate_path)
        except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as reason:  # TypeError: the key has a password
            logger.warning("the CA in %s is made anew: %s; clients that run now trust the old one", folder, reason)
    made = _make()
    # The key first: a certificate without its key is made anew at the next start, as a key without certificate is.
    write(key_path, _private(made.key), 0o600)
    write(certificate_path, made.pem.encode(), 0o644)
    return made


def write(path: Path, content: bytes, mode: int) -> None:
    """A file that is there whole or not at all, with this mode from its first moment."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _load(key_path: Path, certificate_path: Path) -> Authority:
    facts = key_path.stat()
    if stat.S_IMODE(facts.st_mode) & 0o077:
        raise ValueError(f"{key_path} could be read by others")
    key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("key and certificate do not belong together")
    if certificate.not_valid_after_utc < datetime.now(UTC) + _LEFT:
        raise ValueError(f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound as reason:
        raise ValueError("it may certify any name") from reason
    if constraints != _constraints():
        raise ValueError("it certifies other names than are needed")
    return Authority(key, certificate)


def _make() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    # A name of its own for each: two data directories have two CAs, and some clients look an issuer up by its name.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sagehound"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"sagehound local cloud CA {os.urandom(4).hex()}"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_constraints(), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def _constraints() -> x509.NameConstraints:
    """Whoever gets hold of the key can play AWS to who trusts it, and nobody else."""
    names = [x509.DNSName(name) for name in (*aws_suffixes(), *WEIGHTS_HOSTS)]
    addresses = [x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=addresses)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key_identifier(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
