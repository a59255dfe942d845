"""A project whose endpoint and function scale, as the tests of scaling use it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.clients import Clients, connect_endpoint, connect_local
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.names import Names
from sagehound.pipeline.scaling import Asked, scale, unscale
from sagehound.settings import PipelineSettings
from tests.cloud.hosting import Hosting, answering
from tests.cloud.lambda_callers import allow, user_keys
from tests.cloud.lambda_functions import Bench, unique
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded
from tests.pipeline.test_scaling_requests import measured


@dataclass
class Project:
    """An endpoint and a function with an alias, as a project has them."""

    cloud: CloudProcess
    clients: Clients
    settings: PipelineSettings
    hosting: Hosting
    recorded: Recorded

    @property
    def names(self) -> Names:
        return Names.of(self.settings, self.clients.account_id)

    @property
    def endpoint_resource(self) -> str:
        return f"endpoint/{self.names.endpoint}/variant/AllTraffic"

    @property
    def function_resource(self) -> str:
        return f"function:{self.names.function}:live"

    def put(self, asked: Asked = Asked(), *, clients: Clients | None = None, **changes: Any) -> dict[str, Any]:  # noqa: B008
        """What `scale` says of its step, with some settings of [scale] changed."""
        settings = dataclasses.replace(self.settings, scale=dataclasses.replace(self.settings.scale, **changes))
        with self.recorded.reporter.step("scale") as step:
            scale(clients or self.clients, self.names, settings, self.recorded.reporter, step, asked)
            self.lines = step.lines
        result: dict[str, Any] = self.recorded.steps()["scale"]["result"]
        return result

    def measured(self) -> LoadResult:
        """A capacity as `sagehound load --capacity` finds it at this endpoint."""
        return dataclasses.replace(measured(), target={"kind": "endpoint", "name": self.names.endpoint})

    def registered(self) -> dict[str, dict[str, Any]]:
        """Resource -> scalable target, of this project's endpoint and function."""
        found: dict[str, dict[str, Any]] = {}
        for namespace in ("sagemaker", "lambda"):
            answer = self.clients.autoscaling.describe_scalable_targets(ServiceNamespace=namespace)
            found |= {one["ResourceId"]: one for one in answer["ScalableTargets"]}
        ours = (self.endpoint_resource, self.function_resource)
        return {resource: one for resource, one in found.items() if resource in ours}

    def as_user(self, actions: list[str]) -> Clients:
        """Clients of a new user who may do this and nothing else."""
        keys = user_keys(self.cloud, *([allow(actions, "*")] if actions else []))
        return connect_endpoint(
            self.cloud.endpoint_url, keys["AccessKeyId"], keys["SecretAccessKey"], self.cloud.region
        )

    def alarms(self) -> list[str]:
        """Names of the alarms on the two."""
        names = []
        for resource in (self.endpoint_resource, self.function_resource):
            answer = self.clients.cloudwatch.describe_alarms(AlarmNamePrefix=f"TargetTracking-{resource}-")
            names += [alarm["AlarmName"] for alarm in answer["MetricAlarms"]]
        return names


def endpoint_and_function(cloud: CloudProcess) -> tuple[Hosting, str, str]:
    """An endpoint and a function with an alias, for all tests of a module."""
    hosting, bench = Hosting(cloud), Bench(cloud)
    endpoint = hosting.endpoint("dogs", answering("woof"))
    function = bench.create()
    version = bench.client.publish_version(FunctionName=function)["Version"]
    bench.active(function, Qualifier=version)
    bench.client.create_alias(FunctionName=function, Name="live", FunctionVersion=version)
    return hosting, endpoint, function


def scaling_project(cloud: CloudProcess, made: tuple[Hosting, str, str], recorded: Recorded) -> Iterator[Project]:
    """The two as those of a project that has nothing registered; deregistered afterwards."""
    hosting, endpoint, function = made
    usual = PipelineSettings()
    settings = dataclasses.replace(
        usual,
        project=unique("p")[:20],
        deploy=dataclasses.replace(usual.deploy, endpoint_name=endpoint),
        function=dataclasses.replace(usual.function, name=function),
    )
    found = Project(cloud, connect_local(cloud.data_dir, cloud.region), settings, hosting, recorded)
    yield found
    with recorded.reporter.step("remove") as step:
        unscale(found.clients, found.names, settings, step)
