"""Key pairs: real keys, whose private part is told once; imported ones; fingerprints that others compute alike."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def ec2(cloud: CloudProcess) -> Any:
    return cloud.client("ec2", region_name="ap-south-1")


def public_line(ec2: Any, name: str) -> str:
    shown = ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"][0]["PublicKey"]
    return " ".join(shown.split()[:2])


def test_an_rsa_key_is_a_real_one(ec2: Any) -> None:
    made = ec2.create_key_pair(KeyName="rsa")
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    key = load_pem_private_key(made["KeyMaterial"].encode(), None)
    own = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert public_line(ec2, "rsa") == own
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert made["KeyFingerprint"].replace(":", "") == hashlib.sha1(der).hexdigest()
    ec2.get_waiter("key_pair_exists").wait(KeyNames=["rsa"])
    shown = ec2.describe_key_pairs(KeyPairIds=[made["KeyPairId"]])["KeyPairs"][0]
    assert shown["KeyType"] == "rsa"
    assert "KeyMaterial" not in shown


def test_an_ed25519_key_has_the_fingerprint_of_ssh_keygen(ec2: Any, tmp_path: Path) -> None:
    made = ec2.create_key_pair(
        KeyName="ed",
        KeyType="ed25519",
        TagSpecifications=[{"ResourceType": "key-pair", "Tags": [{"Key": "run", "Value": "one"}]}],
    )
    key = load_ssh_private_key(made["KeyMaterial"].encode(), None)
    assert public_line(ec2, "ed") == key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert made["Tags"] == [{"Key": "run", "Value": "one"}]
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    (tmp_path / "key.pub").write_text(public_line(ec2, "ed"))
    said = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True)
    assert f"SHA256:{made['KeyFingerprint'].rstrip('=')}" in said.stdout
    found = ec2.describe_key_pairs(Filters=[{"Name": "tag:run", "Values": ["one"]}])["KeyPairs"]
    assert [pair["KeyName"] for pair in found] == ["ed"]


def test_an_imported_key_is_kept_as_it_is(ec2: Any) -> None:
    material = ec2.create_key_pair(KeyName="source")["KeyMaterial"]
    public = load_pem_private_key(material.encode(), None).public_key()
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    made = ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=line + b" me@home")
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert made["KeyFingerprint"].replace(":", "") == hashlib.md5(der).hexdigest()
    assert public_line(ec2, "mine") == line.decode()
    with pytest.raises(ClientError) as wrong:
        ec2.import_key_pair(KeyName="wrong", PublicKeyMaterial=b"ssh-rsa nonsense")
    assert wrong.value.response["Error"]["Code"] == "InvalidKey.Format"


@pytest.mark.parametrize("name", ["two\nssh-rsa AAAA mine", " space", "ü", ""])
def test_a_name_that_would_be_more_than_a_comment_is_refused(ec2: Any, name: str) -> None:
    with pytest.raises(ClientError) as wrong:
        ec2.create_key_pair(KeyName=name, KeyType="ed25519")
    assert wrong.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_names_are_taken_once_and_free_again(ec2: Any) -> None:
    key_pair_id = ec2.create_key_pair(KeyName="name", KeyType="ed25519")["KeyPairId"]
    with pytest.raises(ClientError) as taken:
        ec2.create_key_pair(KeyName="name", KeyType="ed25519")
    assert taken.value.response["Error"]["Code"] == "InvalidKeyPair.Duplicate"
    with pytest.raises(ClientError) as both:
        ec2.delete_key_pair(KeyPairId=key_pair_id, KeyName="other")
    assert both.value.response["Error"]["Code"] == "InvalidParameterCombination"
    ec2.delete_key_pair(KeyPairId=key_pair_id)
    ec2.delete_key_pair(KeyName="name")  # gone already: no error
    with pytest.raises(ClientError, match="The key pair 'name' does not exist") as gone:
        ec2.describe_key_pairs(KeyNames=["name"])
    assert gone.value.response["Error"]["Code"] == "InvalidKeyPair.NotFound"
