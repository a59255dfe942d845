"""The policy of a browser's POST: whose signature it carries, until when it holds, and what it lets pass."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.call import Caller, Credential, CredentialSource
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.errors import access_denied, entity_too_large, invalid_argument
from sagehound.localcloud.wire import sigv2, sigv4

_UNCONDITIONAL = {"x-amz-signature", "signature", "policy", "awsaccesskeyid", "file", "bucket"}


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A verified policy."""

    caller: Caller
    region: str
    smallest: int
    largest: int | None

    def check_size(self, size: int) -> None:
        """EntityTooSmall or EntityTooLarge outside the policy's content-length-range."""
        if size < self.smallest:
            members = {"ProposedSize": size, "MinSizeAllowed": self.smallest}
            message = "Your proposed upload is smaller than the minimum allowed size"
            raise AwsError("EntityTooSmall", message, 400, members=members)
        if self.largest is not None and size > self.largest:
            raise entity_too_large(size, self.largest)


def verify(fields: Mapping[str, str], bucket: str, credentials: CredentialSource, now: float) -> PostPolicy:
    """The policy among a form's fields; AccessDenied and its kin when it is missing, forged, over or not met."""
    encoded = fields.get("policy")
    if not encoded:
        raise access_denied()
    credential, region = _signer(fields, encoded, credentials, now)
    try:
        policy = json.loads(base64.b64decode(encoded, validate=True))
        expires = datetime.fromisoformat(policy["expiration"].replace("Z", "+00:00"))
        conditions = list(policy["conditions"])
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        message = "Invalid Policy: the document is not JSON with an expiration and conditions."
        raise AwsError("InvalidPolicyDocument", message, 400) from error
    if (expires if expires.tzinfo else expires.replace(tzinfo=UTC)).timestamp() <= now:
        raise _refused("Policy expired.")
    smallest, largest = _check_conditions(conditions, {**fields, "bucket": bucket})
    return PostPolicy(credential.caller, region, smallest, largest)


def _signer(
    fields: Mapping[str, str], encoded: str, credentials: CredentialSource, now: float
) -> tuple[Credential, str]:
    """Whose key signed the policy; both signature versions are in use."""
    if "x-amz-credential" in fields or "x-amz-algorithm" in fields:
        if fields.get("x-amz-algorithm") != sigv4.ALGORITHM:
            raise invalid_argument(f"Bucket POST must contain a field named 'X-Amz-Algorithm' of {sigv4.ALGORITHM}")
        parts = fields.get("x-amz-credential", "").split("/")
        if len(parts) != 5 or parts[3:] != ["s3", "aws4_request"]:
            message = "the Credential is mal-formed; expecting KEY/YYYYMMDD/REGION/s3/aws4_request"
            raise AwsError("AuthorizationQueryParametersError", message, 400)
        access_key_id, date, region = parts[:3]
        credential = _find(credentials, access_key_id, fields, now)
        key = sigv4.signing_key(credential.secret_access_key, date, region, "s3")
        expected = hmac.new(key, encoded.encode(), hashlib.sha256).hexdigest()
        given = fields.get("x-amz-signature", "")
    else:
        region = "us-east-1"
        credential = _find(credentials, fields.get("awsaccesskeyid", ""), fields, now)
        expected = sigv2.sign(credential.secret_access_key, encoded)
        given = fields.get("signature", "")
    if not hmac.compare_digest(expected.encode(), given.encode()):
        message = (
            "The request signature we calculated does not match the signature you provided. Check your key and "
            "signing method."
        )
        raise AwsError("SignatureDoesNotMatch", message, 403)
    return credential, region


def _find(credentials: CredentialSource, access_key_id: str, fields: Mapping[str, str], now: float) -> Credential:
    credential = credentials.find(access_key_id)
    if credential is None:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise AwsError("InvalidAccessKeyId", message, 403, members={"AWSAccessKeyId": access_key_id})
    token = fields.get("x-amz-security-token", "")
    if not hmac.compare_digest((credential.session_token or "").encode(), token.encode()):
        raise AwsError("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
    if credential.expiration is not None and credential.expiration <= now:
        raise AwsError("ExpiredToken", "The provided token has expired.", 400)
    return credential


def _check_conditions(conditions: list[Any], values: Mapping[str, str]) -> tuple[int, int | None]:
    """Every condition holds and every field is named by one; returns the content-length-range."""
    smallest, largest = 0, None
    named: set[str] = set()
    for condition in conditions:
        if isinstance(condition, dict):
            for name, value in condition.items():
                named.add(name.lower())
                _check_equal(name.lower(), str(value), values)
            continue
        if not isinstance(condition, list) or len(condition) != 3:
            raise AwsError("InvalidPolicyDocument", "Invalid Policy: Invalid Condition.", 400)
        kind, subject, value = str(condition[0]).lower(), condition[1], condition[2]
        if kind == "content-length-range":
            smallest, largest = int(subject), int(value)
            continue
        name = str(subject).removeprefix("$").lower()
        named.add(name)
        if kind == "eq":
            _check_equal(name, str(value), values)
        elif kind == "starts-with":
            if not _starts_with(name, values.get(name, ""), str(value)):
                raise _refused(f'Policy Condition failed: ["starts-with", "${name}", "{value}"]')
        else:
            raise AwsError("InvalidPolicyDocument", f"Invalid Policy: Invalid Condition {kind}.", 400)
    extra = [name for name in values if name not in named | _UNCONDITIONAL and not name.startswith("x-ignore-")]
    if extra:
        raise _refused(f"Extra input fields: {', '.join(extra)}")
    return smallest, largest


def _check_equal(name: str, value: str, values: Mapping[str, str]) -> None:
    if values.get(name, "") != value:
        raise _refused(f'Policy Condition failed: ["eq", "${name}", "{value}"]')


def _starts_with(name: str, text: str, prefix: str) -> bool:
    """A Content-Type may be a list, of which each one must begin so."""
    parts = text.split(",") if name == "content-type" else [text]
    return all(part.strip().startswith(prefix) for part in parts)


def _refused(reason: str) -> AwsError:
    return AwsError("AccessDenied", f"Invalid according to Policy: {reason}", 403)
