"""How values of SecureString lie in the store: encrypted with a key of the data directory, bound to their parameter."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from sagehound.localcloud.errors import AwsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_ID = "alias/aws/ssm"
"""The one key there is: AWS's own for Systems Manager."""
_KEY_BYTES, _NONCE_BYTES = 32, 12


class Cipher:
    """AES-256-GCM; the ARN of the parameter is authenticated with the value, as KMS's encryption context is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: AESGCM | None = None

    def encrypt(self, value: str, arn: str) -> str:
        """The value as GetParameter tells it without decryption."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher().encrypt(nonce, value.encode(), arn.encode())).decode()

    def decrypt(self, text: str, arn: str) -> str:
        """The inverse; AwsError when the key is not the one that it was encrypted with."""
        from cryptography.exceptions import InvalidTag

        data = base64.b64decode(text)
        try:
            return self._cipher().decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], arn.encode()).decode()
        except InvalidTag as error:
            message = f"{arn} cannot be decrypted: {self._path} is not the key that it was encrypted with."
            raise AwsError("InternalServerError", message, 500) from error

    def _cipher(self) -> AESGCM:
        if self._key is None:
            # Takes a tenth of a second, for which no start of a server needs to wait.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._key = AESGCM(load_or_make_key(self._path))
        return self._key


def load_or_make_key(path: Path) -> bytes:
    """The key in `path`, a file that only its owner can read; made at its first use, and on the disk when returned."""
    if not path.exists():
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} must have {_KEY_BYTES} bytes and has {len(key)}: SecureStrings cannot be read")
    return key
