"""What the tests of Application Auto Scaling share: functions as scalable targets, requests, activities."""

from __future__ import annotations

from typing import Any

from tests.cloud.lambda_callers import wait_for
from tests.cloud.lambda_functions import ECHO, Bench
from tests.cloud_process import CloudProcess

DIMENSION = "lambda:function:ProvisionedConcurrency"
UTILIZATION = {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}


class Scaling:
    """One published version of a function, which Application Auto Scaling may scale."""

    def __init__(self, cloud: CloudProcess, code: str = ECHO, **changes: Any) -> None:
        self.cloud = cloud
        self.bench = Bench(cloud)
        self.client = cloud.client("application-autoscaling")
        self.cloudwatch = cloud.client("cloudwatch")
        self.function = self.bench.create(code, **changes)
        self.version = str(self.bench.client.publish_version(FunctionName=self.function)["Version"])
        self.bench.active(self.function, Qualifier=self.version)
        self.resource_id = f"function:{self.function}:{self.version}"
        self.target = {
            "ServiceNamespace": "lambda",
            "ResourceId": self.resource_id,
            "ScalableDimension": DIMENSION,
        }

    def register(self, minimum: int = 1, maximum: int = 3, **members: Any) -> str:
        """Register the function; the target's ARN."""
        answer = self.client.register_scalable_target(
            **self.target, MinCapacity=minimum, MaxCapacity=maximum, **members
        )
        return str(answer["ScalableTargetARN"])

    def track(self, target: float = 0.5, name: str = "follow", **members: Any) -> dict[str, Any]:
        """Put a target tracking policy on the utilization; the answer."""
        configuration = {"TargetValue": target, "PredefinedMetricSpecification": UTILIZATION, **members}
        answer = self.client.put_scaling_policy(
            **self.target,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=configuration,
        )
        return dict(answer)

    def capacity(self) -> tuple[int, int]:
        """(initialised, asked for); (0, 0) without provisioned concurrency."""
        client = self.bench.client
        try:
            found = client.get_provisioned_concurrency_config(FunctionName=self.function, Qualifier=self.version)
        except client.exceptions.ProvisionedConcurrencyConfigNotFoundException:
            return 0, 0
        available = found["AvailableProvisionedConcurrentExecutions"]
        return int(available), int(found["RequestedProvisionedConcurrentExecutions"])

    def reaches(self, count: int) -> None:
        """Wait until so many environments are asked for and ready."""
        wait_for(lambda: self.capacity() == (count, count), f"provisioned concurrency {count}")

    def activities(self, **members: Any) -> list[dict[str, Any]]:
        """The activities of the function, the newest first."""
        answer = self.client.describe_scaling_activities(
            ServiceNamespace="lambda", ResourceId=self.resource_id, **members
        )
        return list(answer["ScalingActivities"])

    def alarms(self) -> dict[str, dict[str, Any]]:
        """The alarms of target tracking: AlarmHigh and AlarmLow."""
        found = self.cloudwatch.describe_alarms(AlarmNamePrefix=f"TargetTracking-{self.resource_id}-")["MetricAlarms"]
        return {alarm["AlarmName"].split("-Alarm")[1].split("-")[0]: alarm for alarm in found}

    def set_alarm(self, which: str, state: str = "ALARM") -> None:
        """Set the state of an alarm by hand."""
        name = self.alarms()[which]["AlarmName"]
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="set by a test")
