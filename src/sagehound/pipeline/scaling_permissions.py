"""What the caller needs to be allowed for scaling: named in the way out where AWS refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of

_DENIED = ("AccessDenied", "AccessDeniedException", "FailedResourceAccessException")
ACTIONS = {
    "application-autoscaling": (
        *("RegisterScalableTarget", "DeregisterScalableTarget", "DescribeScalableTargets"),
        *("PutScalingPolicy", "DeleteScalingPolicy", "DescribeScalingPolicies", "DescribeScalingActivities"),
        *("DescribeScheduledActions", "DeleteScheduledAction", "TagResource", "ListTagsForResource"),
    ),
    # Application Auto Scaling makes alarms and changes capacities in the caller's name: AWS asks for these as well.
    "cloudwatch": ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms"),
    "sagemaker": ("DescribeEndpoint", "DescribeEndpointConfig", "UpdateEndpointWeightsAndCapacities"),
    "lambda": (
        *("GetAlias", "GetProvisionedConcurrencyConfig"),
        *("PutProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig"),
    ),
}
"""Service -> actions that `sagehound scale` needs, with --show and --remove."""
NEEDED = (
    "; ".join(f"{service}: {', '.join(actions)}" for service, actions in ACTIONS.items())
    + "; on AWS, the first time, iam: CreateServiceLinkedRole as well"
)


@contextmanager
def scaling_step(step: str = "scale") -> Iterator[None]:
    """As `aws_step`; a refusal for want of a permission names all that scaling needs. Roles need nothing."""
    from botocore.exceptions import ClientError

    try:
        with aws_step(step):
            yield
    except StepFailed as error:
        refused = error.__cause__
        if isinstance(refused, ClientError) and error_of(refused)[0] in _DENIED:
            raise StepFailed(step, error.cause, f"Your user or role needs {NEEDED}.") from refused
        raise
