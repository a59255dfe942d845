"""A plan makes nothing, names every call that the real step then makes, and its policy is enough for it."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients, connect_endpoint, connect_local
from sagehound.pipeline.code import find_code
from sagehound.pipeline.deploy import Placement, deploy
from sagehound.pipeline.features import features_for
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.names import Names
from sagehound.pipeline.plan import Plan, QuietReporter, shown
from sagehound.pipeline.plan_calls import Call
from sagehound.pipeline.plan_cost import estimate_lines
from sagehound.pipeline.plan_permissions import Permissions
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.run import Options, run
from sagehound.pipeline.train import train
from sagehound.pipeline.upload import upload
from sagehound.settings import FunctionSettings, PipelineSettings, SpotSettings, TrainSettings, TuneSettings

pytestmark = pytest.mark.timeout(600)


class Kept:
    """The writing calls that clients make, as a plan writes them down; they go on to the cloud."""

    def __init__(self, clients: Clients) -> None:
        self.calls: list[Call] = []
        clients.listen(self)

    def listen(self, events: Any) -> None:
        events.register("provide-client-params", self._hear)

    def _hear(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        call = Call(model.service_model.signing_name, model.name, dict(params), None)
        if not call.reads:
            self.calls.append(call)


def essence(calls: list[Call]) -> list[str]:
    """What was asked for, in an order that does not depend on threads."""
    return sorted(f"{call.name} {json.dumps(shown(call.params), sort_keys=True)}" for call in calls)


def up_to_train(clients: Clients, settings: PipelineSettings, reporter: Reporter, source: Path, cache: Path) -> None:
    """Upload, features, a training and its endpoint, as `run` does them."""
    names = Names.of(settings, clients.account_id)
    manifest = take_in(str(source), settings.data, cache, reporter)
    with reporter.step("upload") as step:
        data = upload(clients, names, manifest, reporter, step)
    code = find_code("train_model.py", "", "train", clients.place)
    features = features_for(clients, names, settings, data, [code], reporter)
    with reporter.step("train") as step:
        model = train(clients, names, settings, data, features, reporter, step)
    with reporter.step("deploy") as step:
        deploy(clients, names, settings.deploy, settings.train, [Placement(names.endpoint, model)], step)


def as_user(root: Clients, cloud: Any, name: str, policy: dict[str, Any]) -> Clients:
    """Clients of a new user who may do what the policy says and nothing else."""
    root.iam.create_user(UserName=name)
    document = json.dumps(policy, separators=(",", ":"))
    made = root.iam.create_policy(PolicyName=f"{name}-planned", PolicyDocument=document)["Policy"]
    root.iam.attach_user_policy(UserName=name, PolicyArn=made["Arn"])
    key = root.iam.create_access_key(UserName=name)["AccessKey"]
    return connect_endpoint(str(root.endpoint_url), key["AccessKeyId"], key["SecretAccessKey"], cloud.region)


def test_what_is_planned_is_what_is_done_and_its_policy_is_enough(
    clients, cloud, settings, pictures, recorded, tmp_path
) -> None:
    settings = dataclasses.replace(settings, train=TrainSettings(epochs=2, batch_size=8), run="once")
    planning = connect_local(cloud.data_dir, cloud.region)
    plan = Plan.begin(planning)
    up_to_train(planning, settings, QuietReporter(plan), pictures, tmp_path)
    # Nothing was made.
    assert settings.bucket not in [bucket["Name"] for bucket in clients.s3.list_buckets()["Buckets"]]
    assert clients.sagemaker.list_training_jobs(NameContains=settings.project)["TrainingJobSummaries"] == []
    assert settings.role_name not in [role["RoleName"] for role in clients.iam.list_roles()["Roles"]]
    # A user with the planned policy and no more does all of it, by the very calls that were planned.
    user = as_user(clients, cloud, f"{settings.project}-user", plan.policy(settings.project))
    kept = Kept(user)
    up_to_train(user, settings, recorded.reporter, pictures, tmp_path)
    assert essence(kept.calls) == essence(plan.writing)
    names = [call.name for call in plan.writing]
    assert names.count("sagemaker:CreateTrainingJob") == 2
    assert names[-1] == "sagemaker:CreateEndpoint"


def test_with_an_action_less_the_policy_is_not_enough(clients, cloud, settings, pictures, recorded, tmp_path) -> None:
    planning = connect_local(cloud.data_dir, cloud.region)
    plan = Plan.begin(planning)
    manifest = take_in(str(pictures), settings.data, tmp_path, recorded.reporter)
    names = Names.of(settings, planning.account_id)
    with QuietReporter(plan).step("upload") as step:
        upload(planning, names, manifest, QuietReporter(plan), step)
    policy = plan.policy(settings.project)
    for statement in policy["Statement"]:
        if "s3:PutEncryptionConfiguration" in statement["Action"]:
            statement["Action"].remove("s3:PutEncryptionConfiguration")
    user = as_user(clients, cloud, f"{settings.project}-user", policy)
    with pytest.raises(StepFailed, match="PutBucketEncryption"), recorded.reporter.step("upload") as step:
        upload(user, names, manifest, recorded.reporter, step)


@pytest.fixture
def walked(cloud, settings, pictures, tmp_path) -> tuple[Plan, Names, PipelineSettings]:
    """The plan of a whole run, with spot, one search and three instances."""
    settings = dataclasses.replace(
        settings,
        multi_instance_count=3,
        spot=SpotSettings(enabled=True),
        train=TrainSettings(max_runtime_seconds=3600),
        tune=TuneSettings(max_jobs=4, max_parallel_jobs=2),
        function=FunctionSettings(name=f"{settings.project}-f", role_name=f"{settings.project}-f"),
    )
    clients = connect_local(cloud.data_dir, cloud.region)
    plan = Plan.begin(clients)
    run(clients, settings, str(pictures), tmp_path, QuietReporter(plan), Options(instance=True))
    return plan, Names.of(settings, clients.account_id), settings


def test_a_whole_run_is_planned_to_its_end(walked, clients) -> None:
    plan, names, settings = walked
    made = [call.name for call in plan.writing]
    for name in (
        *("s3:CreateBucket", "s3:PutBucketEncryption", "iam:CreateRole", "sagemaker:CreateHyperParameterTuningJob"),
        *("sagemaker:CreateEndpoint", "sagemaker:InvokeEndpoint", "lambda:CreateFunction"),
        *("lambda:PutProvisionedConcurrencyConfig", "application-autoscaling:PutScalingPolicy", "ec2:RunInstances"),
    ):
        assert name in made, name
    jobs = [call.params for call in plan.writing if call.operation == "CreateTrainingJob"]
    assert [job["ResourceConfig"]["InstanceCount"] for job in jobs] == [1, 1, 3]
    assert all(job["EnableManagedSpotTraining"] for job in jobs)
    statements = plan.policy(settings.project)["Statement"]
    passed = [one["Condition"] for one in statements if one["Action"] == "iam:PassRole"]
    assert {one["StringEquals"]["iam:PassedToService"] for one in passed} == {
        "sagemaker.amazonaws.com",
        "lambda.amazonaws.com",
        "ec2.amazonaws.com",
    }
    assert names.function not in [one["FunctionName"] for one in clients.lambda_.list_functions()["Functions"]]
    out = io.StringIO()
    plan.write(out, names, settings)
    text = out.getvalue()
    assert f'sagemaker:CreateEndpoint {{"EndpointName": "{names.endpoint}"' in text
    assert "s3:PutObject x " in text
    assert "characters: there is room for it in " in text
    assert "4 trials, 2 at once, 1 x ml.m5.large, 0.2300 an hour, at most 0.46" in text
    document = json.loads(json.dumps(plan.as_dict(names, settings)))
    assert len(document["calls"]) == len(plan.calls)


def test_keys_networks_and_roles_come_with_the_calls_that_name_them() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    bucket = Call(
        "s3",
        "PutBucketEncryption",
        {"Bucket": "b", "ServerSideEncryptionConfiguration": {"Rules": [rule]}},
        None,
    )
    job = Call(
        "sagemaker",
        "CreateTrainingJob",
        {
            "TrainingJobName": "dogs-train-0123456789ab",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "ResourceConfig": {"VolumeKmsKeyId": "1"},
            "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
            "Tags": [{"Key": "a", "Value": "b"}],
        },
        None,
    )
    policy = Permissions("aws", "eu-west-1", "123456789012", "dogs").policy([bucket, job])
    granted = {
        (action, str(one["Resource"]))
        for one in policy["Statement"]
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    jobs = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/dogs-*"
    for action, resource in (
        ("kms:Decrypt", key),
        ("kms:GenerateDataKey", key),
        ("kms:CreateGrant", key),
        ("s3:PutEncryptionConfiguration", "arn:aws:s3:::b"),
        ("sagemaker:CreateTrainingJob", jobs),
        ("sagemaker:AddTags", jobs),
        ("ec2:DescribeSubnets", "*"),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/r"),
    ):
        assert (action, resource) in granted, (action, granted)


def test_a_grid_costs_as_many_trials_as_it_has_combinations() -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": list("xyz")}]}
    search = {"Strategy": "Grid", "ResourceLimits": {"MaxParallelTrainingJobs": 2}, "ParameterRanges": ranges}
    trial = {
        "HyperParameterTuningResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    params = {
        "HyperParameterTuningJobName": "t",
        "HyperParameterTuningJobConfig": search,
        "TrainingJobDefinition": trial,
    }
    lines = estimate_lines([Call("sagemaker", "CreateHyperParameterTuningJob", params, None)], PipelineSettings())
    # 6 trials of an hour at 0.115.
    assert "6 trials, 2 at once" in lines[1]
    assert "at most 0.69" in lines[1]


def test_a_type_without_a_price_and_a_region_without_a_table_are_said() -> None:
    resources = {"InstanceType": "ml.none.large", "InstanceCount": 1}
    job = Call("sagemaker", "CreateTrainingJob", {"TrainingJobName": "j", "ResourceConfig": resources}, None)
    lines = estimate_lines([job], PipelineSettings(region="eu-west-1"))
    assert "not those of eu-west-1" in lines[0]
    assert "no price in the table" in lines[1]
    assert estimate_lines([], PipelineSettings()) == ["cost: nothing that is billed by time"]


def test_a_step_that_cannot_go_on_leaves_its_plan_and_says_where_it_ends(cloud, settings, recorded) -> None:
    clients = connect_local(cloud.data_dir, cloud.region)
    plan = Plan.begin(clients)
    reporter = QuietReporter(plan)
    with pytest.raises(StepFailed), reporter.step("deploy"):
        raise StepFailed("deploy", "no model", "Train one.")
    assert plan.notes == ["the plan goes as far as deploy: no model"]
