"""The token that stands for a session of a role: made by who holds the root keys, changed into keys by the local cloud.

A client of the AWS SDKs that is given AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN fetches
its keys by itself, and new ones before those end. The token holds the role's ARN, the name of the session and a MAC of
both under a key that comes from the root secret: the server keeps no list of tokens, so a token is good as long as its
role and the root keys are, over every restart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

CREDENTIALS_PATH = "/_sagehound/credentials"
"""Where the local cloud answers AWS_CONTAINER_CREDENTIALS_FULL_URI."""
_PURPOSE = b"sagehound container credentials 1"


def make_token(root_secret: str, role_arn: str, session_name: str) -> str:
    """A token for sessions of this role under this name."""
    claim = base64.urlsafe_b64encode(f"{role_arn} {session_name}".encode()).decode().rstrip("=")
    return f"{claim}.{_mac(root_secret, claim)}"


def read_token(root_secret: str, token: str) -> tuple[str, str] | None:
    """The role's ARN and the session's name; None where the token was not made with this secret."""
    claim, _, mac = token.partition(".")
    if not hmac.compare_digest(_mac(root_secret, claim).encode(), mac.encode()):
        return None
    try:
        role_arn, _, session_name = base64.urlsafe_b64decode(claim + "=" * (-len(claim) % 4)).decode().partition(" ")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return role_arn, session_name


def _mac(root_secret: str, claim: str) -> str:
    key = hmac.digest(root_secret.encode(), _PURPOSE, hashlib.sha256)
    return hmac.new(key, claim.encode(), hashlib.sha256).hexdigest()
