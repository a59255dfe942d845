"""The cost of what a real cloud has run: jobs, endpoints that scale and go, functions, objects, and what is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sagehound.pipeline.clients import Clients, connect_endpoint, connect_local
from sagehound.pipeline.cost.arithmetic import cents
from sagehound.pipeline.cost.bill import Bill, price_usages
from sagehound.pipeline.cost.collect import collect
from sagehound.pipeline.cost.endpoints import endpoint_usages
from sagehound.pipeline.cost.functions import asked_before
from sagehound.pipeline.cost.history import Call, History, call_of
from sagehound.pipeline.cost.scalings import change_of
from sagehound.pipeline.cost.step import cost
from sagehound.pipeline.cost.summarising import summarise
from sagehound.pipeline.cost.timeline import Change
from sagehound.pipeline.cost.usage import Usages
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.packaged import packaged_prices
from sagehound.pipeline.pricing.prices import Use, table_of
from tests.cloud.hosting import Hosting, answering
from tests.cloud.lambda_functions import Bench
from tests.cloud.tuning import TuningWorkshop, continuous
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded
from tests.pipeline.function_shop import Endpoint, Reply, endpoint, json_reply
from tests.waiting import wait_for

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCRIPT = "print('loss=0.5', flush=True)\n"


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> TuningWorkshop:
    return TuningWorkshop(cloud)


def priced(clients: Clients, names: Names, **more: Any) -> Bill:
    return summarise(clients, names, **more).bill


def of_use(found: Usages, use: Use) -> list[tuple[str, Decimal]]:
    return [(one.item, one.quantity) for one in found.entries if one.use is use]


def test_a_project_that_did_nothing_costs_nothing(clients: Clients, names: Names) -> None:
    bill = priced(clients, names)
    assert bill.usd == 0
    assert bill.lines == []
    assert bill.running == []
    assert "nothing was charged" in bill.sentence()


def test_trainings_cost_what_describe_says(shop: TuningWorkshop, clients: Clients, names: Names) -> None:
    made = [shop.run(SCRIPT, name=f"{names.job_prefix}{count}", count=count, Tags=names.tags) for count in (1, 2)]
    stranger = shop.run(SCRIPT, name=f"{names.job_prefix}other")
    found = collect(clients, names)
    trainings = [one for one in found.entries if one.use is Use.TRAINING]
    assert [(one.resource, one.count) for one in trainings] == [
        (job["TrainingJobName"], count) for job, count in zip(made, (1, 2), strict=True)
    ]
    assert [one.quantity for one in trainings] == [
        job["BillableTimeInSeconds"] * count for job, count in zip(made, (1, 2), strict=True)
    ]
    assert [one.step for one in trainings] == ["train", "train x2"]
    assert stranger["TrainingJobName"] not in str(found.entries)
    assert {job.instance_count for job in found.jobs} == {1, 2}


def test_the_trials_of_a_tuning_are_its_cost(shop: TuningWorkshop, clients: Clients, names: Names) -> None:
    tuning = shop.tuned(
        "import sys\nprint('loss=0.5', flush=True)\n",
        continuous(low="0.001", high="0.1"),
        strategy="Random",
        jobs=2,
        name=names.tuning("0" * 12),
        Tags=names.tags,
    )
    bill = priced(clients, names)
    (line,) = [one for one in bill.lines if one.usage.use is Use.TRAINING]
    assert line.usage.step == "tune"
    assert line.usage.resource == tuning["HyperParameterTuningJobName"]
    described = [
        clients.sagemaker.describe_training_job(TrainingJobName=one["TrainingJobName"])
        for one in clients.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=tuning["HyperParameterTuningJobName"]
        )["TrainingJobSummaries"]
    ]
    assert len(described) == 2
    assert line.usage.quantity == sum(one["BillableTimeInSeconds"] for one in described)


def test_an_endpoint_costs_its_instances_from_its_creation_to_now(
    cloud: CloudProcess, clients: Clients, names: Names, recorded: Recorded
) -> None:
    hosting = Hosting(cloud)
    config = hosting.config("a", hosting.variant(hosting.model("a", answering("yes")), InstanceType="ml.m5.xlarge"))
    clients.sagemaker.create_endpoint(EndpointName=names.endpoint, EndpointConfigName=config, Tags=names.tags)
    hosting.settled(names.endpoint)
    made = clients.sagemaker.describe_endpoint(EndpointName=names.endpoint)["CreationTime"]
    now = made + timedelta(hours=3)
    found = collect(clients, names, now=now)
    assert of_use(found, Use.HOSTING) == [("ml.m5.xlarge", Decimal(3 * 3600))]
    (running,) = [one for one in found.running if one.use is Use.HOSTING]
    assert running.idle == "no call in 3 h"
    # three hours of 0.230, and a month of it: 0.69 and 167.90
    bill = price_usages(found, packaged_prices(), charged=False)
    assert cents(bill.usd) == Decimal("0.69")
    assert cents(bill.a_month) == Decimal("167.90")
    # A change by hand counts from the last change of the endpoint on.
    clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=names.endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
    )
    hosting.settled(names.endpoint)
    changed = clients.sagemaker.describe_endpoint(EndpointName=names.endpoint)["LastModifiedTime"]
    (line,) = of_use(collect(clients, names, now=now), Use.HOSTING)
    assert abs(line[1] - Decimal(2 * 3 * 3600 - (changed - made).total_seconds())) <= 1
    # An hour ago is all that is asked for: two instances for an hour.
    assert of_use(collect(clients, names, now - timedelta(hours=1), now), Use.HOSTING)[0][1] == 7200
    with recorded.reporter.step("cost") as step:
        cost(clients, names, step)
    told = recorded.steps()["cost"]
    assert "nothing was charged" in told["text"]
    assert [line["resource"] for line in told["result"]["lines"]] == [names.endpoint]
    assert told["result"]["running"][0]["usd_a_month"] == "335.800000"
    # Without its configuration nobody tells of what type its instances are: it is told, and the rest is counted.
    clients.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    lost = collect(clients, names)
    assert of_use(lost, Use.HOSTING) == []
    assert any(f"endpoint {names.endpoint}, which is there and costs" in one for one in lost.not_counted)
    hosting.delete(names.endpoint)
    gone = collect(clients, names)
    assert of_use(gone, Use.HOSTING) == []
    assert any(f"endpoint {names.endpoint}, deleted at" in one for one in gone.not_counted)


def test_a_function_costs_its_calls_and_what_is_kept_ready(cloud: CloudProcess, clients: Clients, names: Names) -> None:
    name = Bench(cloud).create(FunctionName=names.function, MemorySize=256, Tags=names.tags_by_key)
    version = clients.lambda_.publish_version(FunctionName=name)["Version"]
    clients.lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    for _ in range(3):
        clients.lambda_.invoke(FunctionName=name, Qualifier="live", Payload=b"{}")
    clients.lambda_.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    found = wait_for(lambda: called(clients, names, 3), "the metrics of three calls")
    # Of calls before the moment that is asked for, in the same hour too, none is counted.
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert of_use(collect(clients, names, later, later + timedelta(minutes=5)), Use.LAMBDA_REQUESTS) == []
    ((_, used),) = of_use(found, Use.LAMBDA_DURATION)
    # three calls that only answer: at least a millisecond each, of a quarter of a GB
    assert Decimal(3) / 1000 / 4 <= used < 30
    assert of_use(found, Use.LAMBDA_PROVISIONED_DURATION) == []
    # two of 256 MB for the first five minutes
    assert of_use(found, Use.LAMBDA_PROVISIONED) == [("", Decimal(2 * 300) / 4)]
    (running,) = [one for one in found.running if one.use is Use.LAMBDA_PROVISIONED]
    assert running.per_second == Decimal("0.5")
    clients.lambda_.delete_function(FunctionName=name)
    assert any(f"function {name}, deleted at" in one for one in collect(clients, names).not_counted)


def test_environments_that_somebody_asked_for_before_scaling_did_are_known_from_the_history() -> None:
    def put(minutes: float, **request: Any) -> Call:
        return Call("PutProvisionedConcurrencyConfig", NOON + timedelta(minutes=minutes), frozenset("f"), request)

    scaled = [Change(NOON + timedelta(minutes=10), 5)]
    by_hand = put(0, qualifier="live", provisionedConcurrentExecutions=2)
    assert asked_before([by_hand, put(10, qualifier="live")], scaled, "live") == by_hand
    assert asked_before([put(0, qualifier="other"), put(10, qualifier="live")], scaled, "live") is None
    assert asked_before([put(10)], scaled, "live") is None  # that is scaling itself
    assert asked_before([by_hand], [], "live") is None  # then LastModified tells it
    assert asked_before([], scaled, "live") is None


def called(clients: Clients, names: Names, calls: int) -> Usages | None:
    """What is found, once CloudWatch has counted so many calls."""
    found = collect(clients, names)
    return found if of_use(found, Use.LAMBDA_REQUESTS) == [("", Decimal(calls))] else None


def test_objects_cost_what_they_weigh_for_as_long_as_they_lie(clients: Clients, names: Names) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)
    clients.s3.put_bucket_tagging(Bucket=names.bucket, Tagging={"TagSet": names.tags})
    clients.s3.put_object(Bucket=names.bucket, Key="a", Body=b"x" * 2**20)
    clients.s3.put_object(Bucket=names.bucket, Key="b", Body=b"x" * 2**20)
    month = timedelta(hours=730)
    (one, other) = [entry["LastModified"] for entry in clients.s3.list_objects_v2(Bucket=names.bucket)["Contents"]]
    found = collect(clients, names, now=one + month)
    ((kind, stored),) = of_use(found, Use.S3_STORAGE)
    seconds = Decimal(2 * 730 * 3600) - Decimal((other - one).total_seconds())
    assert kind == "STANDARD"
    assert abs(stored - seconds / 1024) < Decimal("0.001")
    assert of_use(found, Use.S3_WRITES) == [("", Decimal(2))]


def test_a_table_that_lacks_the_type_is_told_by_the_command(
    shop: TuningWorkshop, clients: Clients, names: Names, recorded: Recorded
) -> None:
    shop.run(SCRIPT, name=f"{names.job_prefix}1", Tags=names.tags)
    poor = table_of("us-east-1", "2026-11-23", "a test", [packaged_prices().prices[Use.ALARM, ""]])
    with recorded.reporter.step("cost") as step:
        summary = cost(clients, names, step, prices=lambda _: poor)
    assert summary.bill.usd == 0
    assert any("training on ml.m5.large" in one and "--prices aws" in one for one in summary.bill.missing)
    assert any(line.startswith("no price: training on ml.m5.large") for line in step.lines)
    assert "for what has a price" in recorded.steps()["cost"]["text"]
    assert json.loads(json.dumps(recorded.steps()["cost"]["result"]))["missing"]


def test_who_may_not_look_is_told_what_is_not_counted(cloud: CloudProcess, names: Names) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName=names.role)
    key = iam.create_access_key(UserName=names.role)["AccessKey"]
    caller = connect_endpoint(
        f"http://127.0.0.1:{cloud.port}", key["AccessKeyId"], key["SecretAccessKey"], cloud.region
    )
    found = collect(caller, names)
    assert found.entries == []
    for what in ("training and tuning jobs", "endpoints", "notebook instances", "EC2 instances", "the bucket"):
        assert any(one.startswith(f"{what}: ") for one in found.not_counted), (what, found.not_counted)


def event(name: str, moment: datetime, request: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An event of LookupEvents as AWS has it."""
    document = {"eventName": name, "requestParameters": request, "responseElements": {}, **more}
    return {
        "EventId": name,
        "EventName": name,
        "EventTime": moment.timestamp(),
        "Resources": [],
        "CloudTrailEvent": json.dumps(document),
    }


class Trail:
    """CloudTrail as AWS answers: events by name, with the parameters of the calls."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = events

    def __call__(self, headers: dict[str, str], body: bytes) -> Reply:
        target = headers["x-amz-target"]
        if target.endswith("ListEndpoints"):
            return json_reply({"Endpoints": []})
        assert target.endswith("LookupEvents"), target
        (asked,) = json.loads(body)["LookupAttributes"]
        return json_reply({"Events": [one for one in self.events if one["EventName"] == asked["AttributeValue"]]})


def aws(server: Endpoint) -> Clients:
    return connect_endpoint(server.url, "AKIATEST", "secret", "us-east-1")


def test_a_deleted_endpoint_costs_what_its_events_say(names: Names) -> None:
    variant = {"instanceType": "ml.m5.large", "initialInstanceCount": 2}
    config = {"endpointConfigName": "c", "productionVariants": [variant]}
    tags = [{"key": "sagehound:project", "value": names.project}]
    made = {"endpointName": "e", "endpointConfigName": "c", "tags": tags}
    trail = Trail(
        event("CreateEndpointConfig", NOON, config),
        event("CreateEndpoint", NOON, made),
        event("CreateEndpoint", NOON, made | {"endpointName": "other", "tags": []}),
        event("CreateEndpoint", NOON, made | {"endpointName": "refused"}, errorCode="ValidationException"),
        event("DeleteEndpoint", NOON + timedelta(hours=2), {"endpointName": "e"}),
    )
    with endpoint(trail) as server:
        clients = aws(server)
        found = endpoint_usages(clients, names, History(clients), None, NOON + timedelta(days=9))
    # two instances for two hours
    assert of_use(found, Use.HOSTING) == [("ml.m5.large", Decimal(2 * 2 * 3600))]
    assert found.running == []
    assert found.not_counted == []


def test_endpoints_that_failed_were_updated_or_go_meanwhile_are_told(names: Names) -> None:
    def described(name: str, status: str = "InService") -> dict[str, Any]:
        variants = [{"VariantName": "v", "CurrentInstanceCount": 1}]
        base = {"EndpointName": name, "EndpointArn": f"arn:aws:sagemaker:us-east-1:1:endpoint/{name}"}
        times = {"CreationTime": NOON.timestamp(), "LastModifiedTime": NOON.timestamp() + 3600}
        config = {"EndpointConfigName": "c", "ProductionVariants": variants, "FailureReason": "no model"}
        return base | times | config | {"EndpointStatus": status}

    there = {"failed": described("failed", "Failed"), "updated": described("updated")}
    variant = {"VariantName": "v", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    config = {"CreationTime": NOON.timestamp() + 1800, "EndpointConfigName": "c", "ProductionVariants": [variant]}

    def answer(headers: dict[str, str], body: bytes) -> Reply:
        operation, asked = headers["x-amz-target"].rpartition(".")[2], json.loads(body)
        if operation == "ListEndpoints":
            return json_reply({"Endpoints": [described(name) for name in (*there, "gone")]})
        if operation == "DescribeEndpoint" and asked["EndpointName"] == "gone":
            return json_reply({"__type": "ValidationException", "message": "Could not find endpoint"}, 400)
        answers = {
            "ListTags": {"Tags": names.tags},
            "DescribeEndpoint": there.get(asked.get("EndpointName", ""), {}),
            "DescribeEndpointConfig": config,
            "LookupEvents": {"Events": []},
            "DescribeScalingActivities": {"ScalingActivities": []},
        }
        return json_reply(answers[operation])

    with endpoint(answer) as server:
        clients = aws(server)
        found = endpoint_usages(clients, names, History(clients), None, NOON + timedelta(minutes=5))
    assert [one.resource for one in found.entries] == ["updated"]
    failed, updated = found.not_counted
    assert failed == "endpoint failed: it failed (no model)"
    assert updated.startswith("endpoint updated: what it had before its update")


def test_without_cloudtrail_what_is_deleted_is_said_to_be_unknown(names: Names) -> None:
    def denied(headers: dict[str, str], body: bytes) -> Reply:
        if headers["x-amz-target"].endswith("LookupEvents"):
            return json_reply(
                {"__type": "AccessDeniedException", "Message": "not authorized: cloudtrail:LookupEvents"}, 400
            )
        return json_reply({"Endpoints": []})

    with endpoint(denied) as server:
        clients = aws(server)
        history = History(clients)
        found = endpoint_usages(clients, names, history, None, NOON)
    assert found.entries == []
    assert "cloudtrail:LookupEvents" in history.refused
    assert len(server.asked) == 2  # and it is not asked again


def test_a_call_that_was_refused_is_no_call() -> None:
    assert call_of({"EventName": "x", "EventTime": NOON, "CloudTrailEvent": '{"errorCode": "AccessDenied"}'}) is None
    call = call_of({"EventName": "x", "EventTime": NOON, "Resources": [{"ResourceName": "arn:aws:x:y:z:endpoint/e"}]})
    assert call is not None
    assert call.names == {"e"}


@pytest.mark.parametrize(
    ("description", "status", "count"),
    [
        ("Setting desired instance count to 3.", "Successful", 3),
        ("Setting desired concurrency to 12.", "Successful", 12),
        ("Setting desired instance count to 3.", "Failed", None),
        ("Attempting to scale due to alarm triggered", "Successful", None),
    ],
)
def test_scaling_activities_are_changes(description: str, status: str, count: int | None) -> None:
    change = change_of({"Description": description, "StatusCode": status, "StartTime": NOON})
    assert (change.count if change else None) == count


def test_nothing_of_a_region_without_its_own_table_is_priced_in_silence(cloud: CloudProcess, names: Names) -> None:
    bill = priced(connect_local(cloud.data_dir, "eu-west-1"), names)
    assert any("eu-west-1 has other prices" in one for one in bill.not_counted)
