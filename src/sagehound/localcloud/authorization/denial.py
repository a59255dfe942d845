"""A denial in AWS's words: who may not do what on which resource, and which kind of policy says so."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.policy.decision import Decision

_ARTICLES = {"identity-based policy": "an"}
_QUERY = frozenset({"iam", "sts", "cloudwatch"})
"""Services whose denials are called AccessDenied with status 403, whatever protocol a client speaks to them."""
_REST = frozenset({"lambda", "sagemaker-runtime"})
_S3_PUBLIC = "Access Denied"


def sentence(service: str, arn: str, check: Check, decision: Decision) -> str:
    """`User: ARN is not authorized to perform: ACTION on resource: ARN because ...`."""
    resource = f'"{check.resource}"' if service == "s3" else check.resource
    place = "" if service == "s3" and check.resource == "*" else f" on resource: {resource}"
    said = f"User: {arn} is not authorized to perform: {check.action}{place}"
    if decision.verdict == "explicitDeny":
        return f"{said} with an explicit deny in {_ARTICLES.get(decision.by, 'a')} {decision.by}"
    return f"{said} because no {decision.by} allows the {check.action} action"


def refusal(service: str, arn: str, check: Check, decision: Decision) -> AwsError:
    """The error of the service that was called. Nobody's name is told to somebody who has none."""
    if service == "s3":
        return AwsError("AccessDenied", sentence(service, arn, check, decision) if arn else _S3_PUBLIC, 403)
    message = sentence(service, arn or "anonymous", check, decision)
    if service in _QUERY:
        return AwsError("AccessDenied", message, 403)
    if service == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {message}", 403)
    return AwsError("AccessDeniedException", message, 403 if service in _REST else 400)
