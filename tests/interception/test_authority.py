"""The private CA: whose names it certifies, who may read its key, and what a damaged folder comes to."""

from __future__ import annotations

import datetime
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sagehound.localcloud.interception.authority import Authority, load_or_make
from sagehound.localcloud.interception.bundle import write_bundle
from sagehound.localcloud.interception.leaves import MOST, Leaves
from tests.cloud_process import CloudProcess
from tests.interception.support import ask, client, open_tls


def _fingerprint(authority: Authority) -> bytes:
    return authority.certificate.fingerprint(hashes.SHA256())


def _agree(authority: Authority, folder: Path, host: str, sni: str | None = None) -> str | None:
    """TLS in memory: what a client that trusts the CA says to the certificate of `host`; None where it is content."""
    trusting = ssl.create_default_context(cadata=authority.pem)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=sni or host)
    server = Leaves(authority, folder).context(host).wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as refused:
                if side is client:
                    return str(refused)
    return None


def test_it_is_made_once(tmp_path: Path) -> None:
    first = load_or_make(tmp_path)
    assert _fingerprint(load_or_make(tmp_path)) == _fingerprint(first)
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "ca.pem"]


def test_a_loose_umask_opens_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_make(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600


def test_it_lasts_ten_years_and_its_servers_no_longer_than_clients_take(tmp_path: Path) -> None:
    authority = load_or_make(tmp_path)
    ends = authority.certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert 3640 < ends.days < 3660
    leaf = x509.load_pem_x509_certificate(authority.certify(["sts.amazonaws.com"])[1])
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days <= 825


def test_clients_take_its_certificates_for_aws_and_for_nobody_else(tmp_path: Path) -> None:
    authority = load_or_make(tmp_path)
    for host in ("sts.us-east-1.amazonaws.com", "b.s3.amazonaws.com", "x.lambda-url.us-east-1.on.aws"):
        assert _agree(authority, tmp_path, host) is None
    for host in ("example.com", "pypi.org", "amazonaws.com.example.com"):
        assert "permitted subtree violation" in str(_agree(authority, tmp_path, host))


def test_a_bucket_with_dots_is_not_covered(tmp_path: Path) -> None:
    assert "Hostname mismatch" in str(_agree(load_or_make(tmp_path), tmp_path, "a.b.s3.amazonaws.com"))


def test_another_name_inside_the_tunnel_than_outside_is_not_certified(tmp_path: Path) -> None:
    authority = load_or_make(tmp_path)
    refused = _agree(authority, tmp_path, "sts.amazonaws.com", sni="iam.amazonaws.com")
    assert "Hostname mismatch" in str(refused)
    assert _agree(authority, tmp_path, "one.s3.amazonaws.com", sni="another.s3.amazonaws.com") is None


def test_a_bounded_number_of_certificates_is_kept(tmp_path: Path) -> None:
    leaves = Leaves(load_or_make(tmp_path), tmp_path)
    first = leaves.context("h0.amazonaws.com")
    assert leaves.context("h0.amazonaws.com") is first
    buckets = {id(leaves.context(f"bucket-{number}.s3.us-east-1.amazonaws.com")) for number in range(1000)}
    assert len(buckets) == 1
    for number in range(1, MOST + 10):
        leaves.context(f"h{number}.amazonaws.com")
    assert len(leaves._contexts) == MOST
    assert leaves.context("h0.amazonaws.com") is not first
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.parametrize(
    "damage",
    [
        "no key",
        "no certificate",
        "empty key",
        "empty certificate",
        "half a key",
        "another's key",
        "open to others",
        "ends soon",
        "any name",
        "rsa",
    ],
)
def test_a_folder_that_cannot_be_used_is_made_anew(tmp_path: Path, damage: str) -> None:
    old = load_or_make(tmp_path)
    key, certificate = tmp_path / "ca.key", tmp_path / "ca.pem"
    match damage:
        case "no key":
            key.unlink()
        case "no certificate":
            certificate.unlink()
        case "empty key":
            key.write_text("")
        case "empty certificate":
            certificate.write_text("")
        case "half a key":
            key.write_bytes(key.read_bytes()[:100])
        case "another's key":
            key.write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))
        case "open to others":
            key.chmod(0o640)
        case "ends soon" | "any name":
            certificate.write_bytes(_certificate(old, constrained=damage == "ends soon"))
        case "rsa":
            key.write_bytes(_pem(rsa.generate_private_key(65537, 2048)))
    made = load_or_make(tmp_path)
    assert _fingerprint(made) != _fingerprint(old)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert _agree(made, tmp_path, "sts.amazonaws.com") is None
    assert _fingerprint(load_or_make(tmp_path)) == _fingerprint(made)


def _pem(key: object) -> bytes:
    assert hasattr(key, "private_bytes")
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _certificate(old: Authority, *, constrained: bool) -> bytes:
    """One of the same key that ends in ten days, or that may certify anybody."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.certificate.subject)
        .issuer_name(old.certificate.subject)
        .public_key(old.key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=10 if constrained else 3000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if constrained:
        names = old.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        builder = builder.add_extension(names, critical=True)
    return builder.sign(old.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_the_bundle_has_the_machines_cas_once_and_the_clouds_own(tmp_path: Path) -> None:
    authority = load_or_make(tmp_path)
    other = load_or_make(tmp_path / "corporate")
    extra = tmp_path / "extra.pem"
    extra.write_text(other.pem)
    path = tmp_path / "bundle.pem"
    write_bundle(path, authority.pem, [extra, tmp_path / "not there", path])
    first = path.read_bytes()
    found = x509.load_pem_x509_certificates(first)
    assert len({one.fingerprint(hashes.SHA256()) for one in found}) == len(found)
    assert authority.certificate in found
    assert other.certificate in found
    assert len(found) > 50  # certifi's
    write_bundle(path, authority.pem, [extra, path])
    assert path.read_bytes() == first
    ssl.create_default_context(cafile=str(path))


def test_a_server_under_its_own_environment_does_not_lose_the_machines_cas(tmp_path: Path) -> None:
    bundle = tmp_path / "authority" / "bundle.pem"
    sizes: list[int] = []
    for _ in range(2):
        environment = {**os.environ, **({"SSL_CERT_FILE": str(bundle)} if sizes else {})}
        process = subprocess.Popen(
            [sys.executable, "-m", "sagehound.localcloud.server", "--data-dir", str(tmp_path), "--port", "0"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert any("listening on" in line for line in process.stderr)
        process.terminate()
        process.communicate(timeout=60)
        sizes.append(bundle.stat().st_size)
    assert sizes[0] == sizes[1]


def test_a_kill_at_any_moment_of_the_first_start_leaves_a_folder_that_serves(tmp_path: Path) -> None:
    """The moments are whatever the machine makes of them; each start must come to a CA that can be used."""
    folder = tmp_path / "authority"
    text = "import sys, pathlib; from sagehound.localcloud.interception.authority import load_or_make; "
    text += "print('go', flush=True); load_or_make(pathlib.Path(sys.argv[1])); print('made', flush=True)"
    for moment in range(8):
        for path in folder.glob("*") if folder.exists() else ():
            path.unlink()
        process = subprocess.Popen([sys.executable, "-c", text, str(folder)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        time.sleep(moment * 0.0005)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        authority = load_or_make(folder)
        assert not list(folder.glob("*.new"))
        assert _agree(authority, folder, "sts.amazonaws.com") is None


def test_a_restart_keeps_the_ca_and_its_clients(own_cloud: CloudProcess) -> None:
    before = (own_cloud.data_dir / "authority" / "ca.pem").read_bytes()
    sts = client(own_cloud, "sts")
    assert sts.get_caller_identity()["Account"] == own_cloud.account_id
    own_cloud.restart(kill=True)
    assert (own_cloud.data_dir / "authority" / "ca.pem").read_bytes() == before
    assert sts.get_caller_identity()["Account"] == own_cloud.account_id


def test_a_host_that_cannot_be_certified_is_told(own_cloud: CloudProcess) -> None:
    folder = own_cloud.data_dir / "authority"
    away = folder.rename(own_cloud.data_dir / "away")
    answer = ask(own_cloud, b"CONNECT sts.eu-west-3.amazonaws.com:443 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"no certificate can be made for sts.eu-west-3.amazonaws.com: No such file" in answer
    assert "no certificate can be made" in own_cloud.log()
    away.rename(folder)
    open_tls(own_cloud, "sts.eu-west-3.amazonaws.com").close()
