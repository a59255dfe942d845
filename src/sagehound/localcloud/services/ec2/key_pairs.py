"""CreateKeyPair, ImportKeyPair, DescribeKeyPairs, DeleteKeyPair: real keys, the private part told once and not kept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, ids, selection
from sagehound.localcloud.services.ec2.tags import TagTable, specified
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

KIND = "ec2-key-pair"
Record = dict[str, Any]
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey
_FILTERS = {"key-name": "KeyName", "key-pair-id": "KeyPairId", "fingerprint": "KeyFingerprint"}
_RSA_BITS = (1024, 2048, 4096)


class KeyPairs:
    """The operations."""

    def __init__(self, store: Store, clock: Clock, tags: TagTable) -> None:
        self._store = store
        self._clock = clock
        self._tags = tags

    def exists(self, region: str, key_pair_id: str) -> bool:
        """Whether there is a key pair of this id."""
        return self.by_id(region, key_pair_id) is not None

    def by_id(self, region: str, key_pair_id: str) -> Record | None:
        """The key pair of an id."""
        return next((record for record in self._store.list(KIND, region) if record["KeyPairId"] == key_pair_id), None)

    def tags_of(self, region: str, name: str) -> dict[str, str]:
        """The tags of a key pair by its name."""
        record = self._store.get(KIND, region, name)
        return self._tags.of(region, record["KeyPairId"]) if record else {}

    def public_key(self, region: str, name: str) -> str:
        """The line for authorized_keys."""
        record = self._store.get(KIND, region, name)
        if record is None:
            raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
        return str(record["PublicKey"])

    async def CreateKeyPair(self, call: Call, request: Request) -> Response:
        """A new key; its private part is in this answer and nowhere else."""
        kind = request.get("KeyType", "rsa")
        if request.get("KeyFormat", "pem") != "pem":
            raise errors.unsupported("keys in PuTTY's format; ask for KeyFormat pem and convert it with puttygen")
        self._check_name(call, request["KeyName"])
        private, public, fingerprint = await asyncio.to_thread(_generate, kind)
        record = self._add(call, request, kind, public, fingerprint)
        return {**self._shown(call.region, record, "Tags"), "KeyMaterial": private}

    def ImportKeyPair(self, call: Call, request: Request) -> Response:
        """A key of the caller's: an OpenSSH public key."""
        public, kind, fingerprint = _read_public(request["PublicKeyMaterial"])
        record = self._add(call, request, kind, public, fingerprint)
        return self._shown(call.region, record, "Tags")

    def DescribeKeyPairs(self, call: Call, request: Request) -> Response:
        """All key pairs, or those that are named."""
        records = self._store.list(KIND, call.region)
        for member, key in (("KeyNames", "KeyName"), ("KeyPairIds", "KeyPairId")):
            if wanted := request.get(member):
                have = {record[key]: record for record in records}
                if absent := [name for name in wanted if name not in have]:
                    kind = "key pair" if key == "KeyName" else "key pair id"
                    raise errors.not_found("InvalidKeyPair.NotFound", kind, absent)
                records = [have[name] for name in wanted]
        members = ["KeyType", "CreateTime", "Tags"] + (["PublicKey"] if request.get("IncludePublicKey") else [])
        shown = [self._shown(call.region, record, *members) for record in records]
        return {"KeyPairs": selection.select(shown, request.get("Filters", ()), _FILTERS)}

    def DeleteKeyPair(self, call: Call, request: Request) -> Response:
        """One that is not there is no error."""
        given = [member for member in ("KeyName", "KeyPairId") if member in request]
        if not given:
            raise errors.missing("KeyName or KeyPairId")
        if len(given) > 1:
            raise errors.combination("The parameter KeyName cannot be used with the parameter KeyPairId")
        if "KeyName" in request:
            record = self._store.get(KIND, call.region, request["KeyName"])
        else:
            record = self.by_id(call.region, request["KeyPairId"])
        if record is None:
            return {"Return": True}
        with self._store.transaction():
            self._store.delete(KIND, call.region, record["KeyName"])
            self._tags.remove(call.region, record["KeyPairId"])
        return {"Return": True, "KeyPairId": record["KeyPairId"]}

    def _check_name(self, call: Call, name: str) -> None:
        # It ends a line of authorized_keys: with a line break in it, it would be another key.
        if not name or len(name) > 255 or not name.isascii() or not name.isprintable() or name != name.strip():
            sentence = "A name has at most 255 printable ASCII characters, without spaces at its ends."
            raise errors.invalid(name, "keyName", sentence)
        if self._store.get(KIND, call.region, name) is not None:
            raise AwsError("InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")

    def _add(self, call: Call, request: Request, kind: str, public: str, fingerprint: str) -> Record:
        name = request["KeyName"]
        self._check_name(call, name)
        tags = specified(request, "key-pair").get("key-pair", {})
        record: Record = {
            "KeyPairId": ids.new("key"),
            "KeyName": name,
            "KeyFingerprint": fingerprint,
            "KeyType": kind,
            "PublicKey": f"{public} {name}",
            "CreateTime": self._clock.now(),
        }
        with self._store.transaction():
            self._store.put(KIND, call.region, name, record)
            self._tags.set(call.region, record["KeyPairId"], tags)
        call.resource = arns.make("ec2", call.region, call.account_id, f"key-pair/{name}")
        return record

    def _shown(self, region: str, record: Record, *members: str) -> Record:
        whole = {**record, **self._tags.shown(region, record["KeyPairId"])}
        shown = ("KeyPairId", "KeyName", "KeyFingerprint", *members)
        return {name: whole[name] for name in shown if name in whole}


def _generate(kind: str) -> tuple[str, str, str]:
    """Private key as ssh reads it, public line, fingerprint."""
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        return private.decode(), _line(key.public_key()), _ed25519_fingerprint(key.public_key())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), _line(key.public_key()), _colons(hashlib.sha1(der, usedforsecurity=False).hexdigest())


def _read_public(material: bytes) -> tuple[str, str, str]:
    """Public line, kind and fingerprint of an imported key."""
    wrong = AwsError("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
    try:
        key = load_ssh_public_key(material.strip())
    except (ValueError, UnsupportedAlgorithm) as reason:
        raise wrong from reason
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _line(key), "ed25519", _ed25519_fingerprint(key)
    if not isinstance(key, rsa.RSAPublicKey):
        raise wrong
    if key.key_size not in _RSA_BITS:
        raise AwsError("InvalidKey.Format", "An RSA key must have 1024, 2048 or 4096 bits.")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _line(key), "rsa", _colons(hashlib.md5(der, usedforsecurity=False).hexdigest())


def _line(key: PublicKey) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _ed25519_fingerprint(key: ed25519.Ed25519PublicKey) -> str:
    """As `ssh-keygen -l` has it: the SHA-256 of the key's wire form."""
    return base64.b64encode(hashlib.sha256(base64.b64decode(_line(key).split()[1])).digest()).decode()


def _colons(digest: str) -> str:
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
