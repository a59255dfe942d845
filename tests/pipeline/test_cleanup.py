"""Clean-up of a running cloud: every kind is tagged with its run, found by it, and gone; what others need stays."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.belongings.thing import Kind
from sagehound.pipeline.cleanup import HISTORY, ThingsLeft, find_belongings
from sagehound.pipeline.clients import connect_endpoint, connect_local
from sagehound.pipeline.function_role import ensure_log_group
from sagehound.pipeline.instance_cleanup import tagged_groups, tagged_profiles, tagged_roles
from sagehound.pipeline.log_tail import endpoint_group, function_group
from sagehound.pipeline.names import PROJECT_TAG, RUN_TAG, Names
from sagehound.pipeline.notebook import notebook_name, open_notebook
from sagehound.pipeline.status import NOTHING, standing
from sagehound.settings import PipelineSettings
from tests.cloud.hosting import IMAGE, TRUST, permissions
from tests.cloud.lambda_callers import allow, user_keys
from tests.cloud_process import CloudProcess
from tests.pipeline.cleanup_shop import Shop, kinds
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def shop(clients, settings, recorded, tmp_path) -> Shop:
    return Shop(clients, settings, recorded, tmp_path).run("first")


def model_of(shop: Shop, artefact: str) -> str:
    """Name of a model of the shop's run around an artefact."""
    container = {"Image": IMAGE, "ModelDataUrl": artefact}
    name = shop.names.model(shop.names.run.ljust(12, "0"))
    shop.clients.sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=shop.role(), PrimaryContainer=container, Tags=shop.names.tags
    )
    return name


def tags_of(shop: Shop, instance_id: str, job: str) -> dict[str, dict[str, str]]:
    """What -> the tags that AWS tells of it, for everything that a walk makes."""
    clients, names = shop.clients, shop.names

    def arns(operation: str, member: str, arn: str) -> list[str]:
        found = getattr(clients.sagemaker, operation)(NameContains=names.project)[member]
        return [one[arn] for one in found]

    told = {
        arn: clients.sagemaker.list_tags(ResourceArn=arn)["Tags"]
        for arns_of in (
            partial(arns, "list_training_jobs", "TrainingJobSummaries", "TrainingJobArn"),
            partial(arns, "list_models", "Models", "ModelArn"),
            partial(arns, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigArn"),
            partial(arns, "list_endpoints", "Endpoints", "EndpointArn"),
            partial(arns, "list_notebook_instances", "NotebookInstances", "NotebookInstanceArn"),
            partial(
                arns,
                "list_notebook_instance_lifecycle_configs",
                "NotebookInstanceLifecycleConfigs",
                "NotebookInstanceLifecycleConfigArn",
            ),
        )
        for arn in arns_of()
    }
    assert len(told) == 6
    assert any(job in arn for arn in told)
    told["bucket"] = clients.s3.get_bucket_tagging(Bucket=names.bucket)["TagSet"]
    instance = clients.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    told["instance"] = instance["Tags"]
    (volume,) = clients.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}])[
        "Volumes"
    ]
    told["volume"] = volume["Tags"]
    for name in (names.role, names.function_role, notebook_name(names)):
        told[f"role {name}"] = clients.iam.get_role(RoleName=name)["Role"]["Tags"]
    for each in (tagged_roles, tagged_profiles, tagged_groups):
        ((name, tags),) = each(clients, f"{names.project}-instance-")
        told[f"{each.__name__} {name}"] = list(tags)
    by_key = {what: {tag["Key"]: tag["Value"] for tag in tags} for what, tags in told.items()}
    function = clients.lambda_.get_function(FunctionName=names.function)
    by_key["function"] = function["Tags"]
    by_key["log group"] = clients.logs.list_tags_log_group(logGroupName=function_group(names.function))["tags"]
    (target,) = clients.autoscaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{names.endpoint}/variant/AllTraffic"]
    )["ScalableTargets"]
    arn = target["ScalableTargetARN"]
    by_key["target"] = clients.autoscaling.list_tags_for_resource(ResourceARN=arn)["Tags"]
    return by_key


def test_every_kind_carries_its_run_is_found_by_it_and_deleted(shop, uploaded) -> None:
    data = uploaded(shop.settings)
    model = shop.training(data)
    shop.endpoint(shop.artefact())
    shop.function()
    shop.scaling()
    instance_id = shop.instance()
    with shop.recorded.reporter.step("notebook") as step:
        open_notebook(shop.clients, shop.names, shop.settings, step)
    # The steps again, in another run: what is found is used, and keeps its tag.
    later = shop.run("later")
    assert uploaded(later.settings) == data
    later.endpoint(later.artefact())
    later.function()
    assert later.training(data) == model
    wanted = {PROJECT_TAG: shop.names.project, RUN_TAG: "first"}
    for what, tags in tags_of(shop, instance_id, model.job_name).items():
        assert wanted.items() <= tags.items(), what

    there = standing(shop.clients, shop.names)
    hourly = {one.running.resource for one in there.costing if one.an_hour}
    assert {shop.names.endpoint, notebook_name(shop.names), instance_id, shop.names.bucket} <= hourly
    found = shop.found(run="first")
    assert kinds(found) == set(Kind) - {
        *(Kind.TUNING_JOB, Kind.TRAINING_JOB, Kind.LOG_GROUP, Kind.DATA, Kind.OBJECTS, Kind.POLICY),
    }
    assert found.stays == []
    assert found.names(Kind.OUTPUT) == [model.job_name]
    assert {thing.run for thing in found.things} == {"first"}
    assert shop.found().names(Kind.NOTEBOOK) == [notebook_name(shop.names)]
    without = kinds(shop.found(notebook=False))
    assert not without & {Kind.NOTEBOOK, Kind.LIFECYCLE_CONFIG}
    shop.delete(found)
    assert shop.found().lines() == []
    assert shop.found(run="first").notes() == [HISTORY]
    assert shop.delete(shop.found(run="first")) == []
    after = standing(shop.clients, shop.names)
    assert after.nothing
    assert after.lines() == [f"{NOTHING} of project {shop.names.project}"]


def test_what_another_run_uses_stays_until_that_one_goes(shop, uploaded) -> None:
    data = uploaded(shop.settings)
    model = shop.training(data)
    later = shop.run("later")
    served = model_of(later, model.artifact_uri)
    found = shop.found(run="first")
    assert found.lines() == []
    kept = {one.thing.kind: one.why for one in found.stays}
    user = f"model {served} (later)"
    assert set(kept) == {Kind.OUTPUT, Kind.BUCKET, Kind.ROLE}
    assert all(user in why for why in kept.values())
    with pytest.raises(StepFailed) as unknown:
        shop.found(run="nobody")
    assert unknown.value.cause == f"project {shop.names.project} has nothing of a run nobody"
    assert unknown.value.hint == "Runs that have something: first (4 things), later (1 thing)."
    assert shop.delete(shop.found(run="later")) == [f"model {served}"]
    assert len(shop.delete(shop.found(run="first"))) == 3
    assert shop.found().lines() == []


def test_data_that_another_run_brought_keep_the_bucket(shop, uploaded) -> None:
    shop.bucket()
    uploaded(shop.run("later").settings)
    (kept,) = shop.found(run="first").stays
    assert kept.thing.kind is Kind.BUCKET
    assert kept.why.startswith("data set ")
    assert kept.why.endswith(" (later) uses it")
    assert shop.delete(shop.found(run="first")) == []
    (brought,) = shop.found(run="later").stays
    assert (brought.thing.kind, brought.why) == (Kind.DATA, "it lies in the bucket of another run")
    assert shop.found().names(Kind.BUCKET) == [shop.names.bucket]
    shop.delete()


def test_a_refusal_stops_nothing_else_and_is_listed_with_its_reason(shop, cloud) -> None:
    model_of(shop, shop.artefact().artifact_uri)
    ensure_log_group(shop.clients, shop.names, function_group(shop.names.function))
    denied = {"Effect": "Deny", "Action": "sagemaker:DeleteModel", "Resource": "*"}
    keys = user_keys(cloud, allow("*", "*"), denied)
    person = connect_endpoint(cloud.endpoint_url, keys["AccessKeyId"], keys["SecretAccessKey"], cloud.region)
    with pytest.raises(ThingsLeft) as caught:
        shop.delete(clients=person)
    model, *others = caught.value.left
    assert (model.thing.kind, [one.thing.kind for one in others]) == (Kind.MODEL, [Kind.BUCKET, Kind.ROLE])
    assert "DeleteModel was refused with AccessDeniedException" in model.why
    assert {one.why for one in others} == {f"model {model.thing.name} (first) is left and uses it"}
    assert caught.value.deleted == [f"log group {function_group(shop.names.function)}"]
    assert caught.value.cause.startswith("1 thing deleted, 3 left\n")
    assert "permission named above" in caught.value.hint
    told = json.loads(json.dumps(caught.value.as_dict()))
    assert [one["kind"] for one in told["left"]] == ["model", "bucket", "role"]
    assert kinds(shop.found()) == {Kind.MODEL, Kind.BUCKET, Kind.ROLE}
    assert len(shop.delete()) == 3
    assert shop.found().lines() == []


def test_who_may_not_look_is_told_what_was_not_looked_at(shop, cloud) -> None:
    shop.bucket()
    keys = user_keys(cloud, allow(["s3:*", "sts:*"], "*"))
    person = connect_endpoint(cloud.endpoint_url, keys["AccessKeyId"], keys["SecretAccessKey"], cloud.region)
    found = find_belongings(person, shop.names)
    assert found.names(Kind.BUCKET) == [shop.names.bucket]
    assert any(note.startswith("not looked at: endpoints: ListEndpoints is not allowed") for note in found.notes())
    seen = standing(person, dataclasses.replace(shop.names, project="nobodys", bucket="nobodys-bucket"))
    assert not seen.nothing
    assert seen.lines()[0] == "nothing was found of project nobodys, and not all could be looked at"
    # Of one run nothing goes that another one might use and that this person cannot see.
    alone = find_belongings(person, shop.names, run="first")
    assert alone.lines() == []
    assert "whether another run uses it could not be looked at" in alone.stays[0].why
    shop.delete()


def test_logs_whose_endpoint_went_before_them_are_found_by_their_tag(shop) -> None:
    shop.endpoint(shop.artefact())
    group = endpoint_group(shop.names.endpoint)
    arn = f"arn:aws:logs:{shop.clients.region}:{shop.clients.account_id}:log-group:{group}"
    groups = partial(shop.clients.logs.describe_log_groups, logGroupNamePrefix=group)
    wait_for(lambda: groups()["logGroups"], "the endpoint's first line")
    # What a clean-up does first, and the endpoint's end; then it was killed.
    shop.clients.logs.tag_resource(resourceArn=arn, tags=shop.names.tags_by_key)
    assert shop.found().names(Kind.LOG_GROUP) == []
    shop.clients.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=shop.names.endpoint)
    shop.clients.sagemaker.delete_endpoint(EndpointName=shop.names.endpoint)
    shop.clients.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=shop.names.endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    assert shop.found().names(Kind.LOG_GROUP) == [group]
    shop.delete()
    assert groups()["logGroups"] == []


def test_all_is_every_project_and_nothing_of_anybody_else(own_cloud: CloudProcess, recorded, tmp_path) -> None:
    clients = connect_local(own_cloud.data_dir, own_cloud.region)
    for project in ("one", "two"):
        shop = Shop(clients, PipelineSettings(project=project, bucket=f"{project}-bucket"), recorded, tmp_path)
        shop.bucket()
        shop.role()  # one role for both
        ensure_log_group(clients, shop.names, function_group(f"{project}-function"))
    clients.s3.create_bucket(Bucket="theirs")
    far = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    clients.s3.create_bucket(Bucket="far", **far)
    clients.s3.put_bucket_tagging(Bucket="far", Tagging={"TagSet": shop.names.tags})
    clients.s3.put_bucket_tagging(Bucket="theirs", Tagging={"TagSet": [{"Key": "sagehound", "Value": "one"}]})
    policy = json.dumps(permissions("theirs"))
    clients.iam.create_role(RoleName="two-training", AssumeRolePolicyDocument=json.dumps(TRUST))
    clients.iam.put_role_policy(RoleName="two-training", PolicyName="x-training", PolicyDocument=policy)

    found = shop.found()
    assert found.names(Kind.BUCKET) == ["two-bucket"]
    assert (found.names(Kind.ROLE), found.names(Kind.POLICY)) == ([], [shop.names.role])
    everywhere = standing(clients, shop.names, everywhere=True)
    assert {thing.project for thing in everywhere.things} == {"one", "two"}
    assert {one.running.resource for one in everywhere.costing} <= {"one-bucket", "two-bucket"}
    found = shop.found(everywhere=True)
    assert sorted(found.names(Kind.BUCKET)) == ["one-bucket", "two-bucket"]
    assert found.names(Kind.ROLE) == [shop.names.role]
    shop.delete(found)
    assert shop.found(everywhere=True).lines() == []
    assert [one["Name"] for one in clients.s3.list_buckets()["Buckets"]] == ["far", "theirs"]
    assert clients.iam.list_role_policies(RoleName="two-training")["PolicyNames"] == ["x-training"]
    names = Names.of(PipelineSettings(project="one"), clients.account_id)
    assert standing(clients, names, everywhere=True).lines() == [f"{NOTHING} of any project in us-east-1"]
