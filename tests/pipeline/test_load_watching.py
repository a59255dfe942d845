"""Which endpoints are sent a load: those that answer, also while they change."""

from __future__ import annotations

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import connect_endpoint
from sagehound.pipeline.load.plan import EndpointTarget, LoadPlan
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.signing import Payload
from sagehound.pipeline.load.step import load
from tests.pipeline.conftest import Recorded
from tests.pipeline.function_shop import Reply, endpoint, json_reply


def sent(status: str, recorded: Recorded) -> LoadResult:
    """A load on an endpoint of this status, as a server that stands where AWS does describes it."""

    def reply(headers: dict[str, str], body: bytes) -> Reply:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation == "DescribeEndpoint":
            variants = [{"VariantName": "one", "CurrentInstanceCount": 2, "DesiredInstanceCount": 2}]
            return json_reply({"EndpointName": "dogs", "EndpointStatus": status, "ProductionVariants": variants})
        return json_reply({"ScalingActivities": []} if operation else [1])

    with endpoint(reply) as server:
        clients = connect_endpoint(server.url, "AKIAEXAMPLEEXAMPLE00", "secret", "us-east-1")
        body = [Payload("body", b"x", "text/plain")]
        return load(clients, EndpointTarget("dogs"), body, LoadPlan(rate=20, duration=0.5), recorded.reporter)


@pytest.mark.parametrize("status", ["InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"])
def test_an_endpoint_that_answers_while_it_changes_is_sent_a_load(status: str, recorded: Recorded) -> None:
    result = sent(status, recorded)
    assert (result.answered, result.remarks) == (10, [])
    assert result.instances[0]["current"] == 2


@pytest.mark.parametrize("status", ["Creating", "Deleting", "Failed", "OutOfService"])
def test_an_endpoint_that_does_not_answer_is_refused(status: str, recorded: Recorded) -> None:
    with pytest.raises(StepFailed, match=f"endpoint dogs is {status}"):
        sent(status, recorded)
