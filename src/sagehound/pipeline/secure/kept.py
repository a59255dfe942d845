"""Permissions that the pipeline grants though a run may never use them, each with the reason for which it stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.patterns import covers_action, is_pattern
from sagehound.pipeline.secure.statements import Policy, Statement
from sagehound.pipeline.secure.used import Usage


class Kept(NamedTuple):
    """A permission that is not unused merely because it was not called."""

    action: str
    reason: str


_IMAGES = "SageMaker pulls the container's image with the role on AWS; the local cloud starts the script without one."
_FIRST = "The first job or function of an account makes the log group; later ones find it there."

SOMETIMES = (
    Kept("ecr:GetAuthorizationToken", _IMAGES),
    Kept("ecr:BatchCheckLayerAvailability", _IMAGES),
    Kept("ecr:GetDownloadUrlForLayer", _IMAGES),
    Kept("ecr:BatchGetImage", _IMAGES),
    Kept(
        "s3:AbortMultipartUpload",
        "Only an upload that breaks off half-way is taken back: a large artefact, a full disk.",
    ),
    Kept("s3:GetObject", "Read when a job has a channel or a checkpoint, and when an endpoint fetches its model."),
    Kept("s3:PutObject", "Written when a job leaves a model, an output or a checkpoint."),
    Kept("s3:ListBucket", "Listed when a channel is a folder, or when a job looks for its checkpoints."),
    Kept("logs:CreateLogGroup", _FIRST),
    Kept("logs:CreateLogStream", "A new environment, job or instance opens a stream; one that is reused does not."),
    Kept("logs:DescribeLogStreams", "SageMaker's agent on AWS looks for the stream before it writes."),
    Kept("logs:PutLogEvents", "Written as soon as a job or a function prints a line."),
    Kept("cloudwatch:PutMetricData", "A job sends metrics where its log has lines that a metric definition reads."),
    Kept("sagemaker:InvokeEndpoint", "What the function is for; called with its first event."),
)
"""For the inline policies that the pipeline itself writes: it excuses nothing in a policy that somebody else wrote."""


def reason_for(action: str) -> str | None:
    """Why the pipeline's own policy keeps an action that was not called; None where there is no such reason."""
    return next((kept.reason for kept in SOMETIMES if covers_action(kept.action, action)), None)


def kept_grants(role: Role, usage: Usage) -> Iterator[tuple[Policy, Statement, Kept]]:
    """What the pipeline's own policies keep though the role did not call it, and the statements that grant it."""
    for policy in role.policies:
        for statement in policy.statements if role.keeps(policy) else ():
            for action in statement.actions if statement.is_allow else ():
                if not is_pattern(action) and not usage.used(action) and (reason := reason_for(action)):
                    yield policy, statement, Kept(action, reason)
