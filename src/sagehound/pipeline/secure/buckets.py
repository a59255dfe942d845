"""Findings of buckets: open to the public, by policy, by list or for want of a block, and not encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.bucket import BLOCKS
from sagehound.pipeline.secure.findings import CRITICAL, HIGH, MEDIUM, Finding
from sagehound.pipeline.secure.statements import Statement, as_document, statements_of
from sagehound.pipeline.secure.trust import condition_keys

_EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")
_NARROWING = {
    *("aws:sourcearn", "aws:sourceaccount", "aws:sourcevpce", "aws:sourcevpc", "aws:sourceip", "aws:principalarn"),
    *("aws:principalorgid", "aws:principalaccount", "aws:userid", "s3:dataaccesspointaccount", "aws:sourceorgid"),
}
_WHY_PUBLIC = (
    "Pictures, models and code lie in it; whoever finds its name has them, and may change them where it allows."
)
_ALL_ON = ",".join(f"{name}=true" for name in BLOCKS)


def check_bucket(s3: Any, bucket: str) -> Iterator[Finding]:
    """What is too open about a bucket of the project; nothing where there is no such bucket."""
    if not _exists(s3, bucket):
        return
    where = f"bucket {bucket}"
    answer = answer_unless(lambda: s3.get_public_access_block(Bucket=bucket), "NoSuchPublicAccessBlockConfiguration")
    blocks = (answer or {}).get("PublicAccessBlockConfiguration", {})
    off = [name for name in BLOCKS if not blocks.get(name)]
    if off:
        command = f"aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration {_ALL_ON}"
        yield Finding(
            MEDIUM,
            "public-access-not-blocked",
            where,
            f"Block Public Access is off: {', '.join(off)}",
            "One policy or list written in haste makes everything in it public; the block refuses that.",
            f"Switch it on: `{command}`.",
            evidence=({"PublicAccessBlockConfiguration": blocks},),
        )
    yield from _by_policy(s3, bucket, where, restricted=bool(blocks.get("RestrictPublicBuckets")))
    yield from _by_list(s3, bucket, where, ignored=bool(blocks.get("IgnorePublicAcls")))
    encryption = answer_unless(
        lambda: s3.get_bucket_encryption(Bucket=bucket), "ServerSideEncryptionConfigurationNotFoundError"
    )
    if encryption is None:
        rule = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
        yield Finding(
            MEDIUM,
            "unencrypted-bucket",
            where,
            "new objects are not encrypted unless each upload asks for it",
            "A disk that leaves the data centre, or a copy of it, is readable.",
            f"Set a default: `aws s3api put-bucket-encryption --bucket {bucket} "
            f"--server-side-encryption-configuration '{rule}'`.",
        )


def open_to_everybody(statement: Statement) -> bool:
    """Whether a resource policy's statement lets everybody in, or all but some, without a condition on the caller."""
    if not statement.is_allow or condition_keys(statement) & _NARROWING:
        return False
    return "NotPrincipal" in statement.raw or "*" in statement.principals("AWS")


def _by_policy(s3: Any, bucket: str, where: str, *, restricted: bool) -> Iterator[Finding]:
    answer = answer_unless(lambda: s3.get_bucket_policy(Bucket=bucket), "NoSuchBucketPolicy")
    statements = statements_of(as_document(answer["Policy"])) if answer else []
    public = [statement for statement in statements if open_to_everybody(statement)]
    if public:
        actions = sorted({action for statement in public for action in statement.actions or statement.not_actions})
        still = "; Block Public Access holds it back for now" if restricted else ""
        yield Finding(
            HIGH if restricted else CRITICAL,
            "public-bucket-policy",
            where,
            f"the bucket policy allows everybody {', '.join(actions)}{still}",
            _WHY_PUBLIC,
            "Name the principals, or the condition that they share (aws:PrincipalOrgID, aws:SourceArn).",
            "bucket policy",
            tuple({"statement": one.name, "document": dict(one.raw)} for one in public),
        )


def _by_list(s3: Any, bucket: str, where: str, *, ignored: bool) -> Iterator[Finding]:
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    public = [grant for grant in grants if str(grant.get("Grantee", {}).get("URI", "")).endswith(_EVERYBODY)]
    if public and not ignored:
        yield Finding(
            CRITICAL,
            "public-bucket-acl",
            where,
            f"its access control list gives everybody {', '.join(sorted({grant['Permission'] for grant in public}))}",
            _WHY_PUBLIC,
            f"Take it back: `aws s3api put-bucket-acl --bucket {bucket} --acl private`.",
            evidence=tuple(public),
        )


def _exists(s3: Any, bucket: str) -> bool:
    return answer_unless(lambda: s3.head_bucket(Bucket=bucket), "404", "NoSuchBucket") is not None
