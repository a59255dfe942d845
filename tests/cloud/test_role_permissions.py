"""What SageMaker does with an execution role: as much as the role's policies allow, and told when they do not."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import IMAGE, Hosting, answering
from tests.cloud.training import TRUST, Workshop
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
METRIC = {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]}
WRITE_MODEL = "open('/opt/ml/model/weights', 'w').write('w')\nprint('loss=0.5')\n"


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    shop = Workshop(cloud)
    for name in ("a", "b", "c"):
        shop.put(f"data/{name}", name)
    return shop


def allowed(shop: Workshop, without: str = "") -> list[dict[str, Any]]:
    """The statements of all that a training job does, except one action."""
    bucket = f"arn:aws:s3:::{shop.bucket}"
    given = {
        "s3:ListBucket": bucket,
        "s3:GetObject": f"{bucket}/*",
        "s3:PutObject": f"{bucket}/*",
        **dict.fromkeys(LOGS, "arn:aws:logs:*:*:log-group:/aws/sagemaker/TrainingJobs:*"),
        "cloudwatch:PutMetricData": "*",
    }
    return [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in given.items()
        if action != without
    ]


def role(shop: Workshop, *statements: dict[str, Any], name: str = "") -> str:
    """A role that SageMaker may assume, with these statements; its ARN."""
    iam, name = shop.cloud.client("iam"), name or f"limited-{uuid.uuid4().hex[:12]}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName=name, PolicyName="limited", PolicyDocument=json.dumps(document))
    return str(arn)


def session(arn: str) -> str:
    """The session of a role, as SageMaker makes it."""
    return arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/SageMaker"


def used(shop: Workshop, arn: str) -> list[dict[str, Any]]:
    """The record of what a role was used for."""
    return [call for call in shop.cloud.calls() if call.get("session_issuer") == arn]


def denied(arn: str, action: str, resource: str) -> str:
    """AWS's sentence."""
    return f"User: {session(arn)} is not authorized to perform: {action} on resource: {resource} "


def test_these_permissions_are_all_that_a_job_needs(shop: Workshop) -> None:
    shop.run("print('the group is there')")
    arn = role(shop, *allowed(shop))
    job = shop.run(WRITE_MODEL, RoleArn=arn, InputDataConfig=[shop.channel("train", "data/")], algorithm=METRIC)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "loss=0.5" in shop.lines(job["TrainingJobName"])
    calls = used(shop, arn)
    # The channel is three objects and one record; the code and the model are one each.
    assert sorted(call["action"] for call in calls) == sorted(
        ["s3:ListBucket", "s3:GetObject", "s3:GetObject", "s3:PutObject", *LOGS[1:], "cloudwatch:PutMetricData"]
    )
    bucket = f"arn:aws:s3:::{shop.bucket}"
    assert {call["resource"] for call in calls if call["action"] == "s3:GetObject"} == {
        f"{bucket}/data/*",
        f"{bucket}/code/{job['TrainingJobName']}/sourcedir.tar.gz",
    }
    assert all(call["via"] == "sagemaker.amazonaws.com" and call["status"] == 200 for call in calls)


def test_an_event_says_that_sagemaker_acted(shop: Workshop) -> None:
    arn = role(shop, *allowed(shop))
    job = shop.run(WRITE_MODEL, RoleArn=arn)
    trail = shop.cloud.client("cloudtrail")
    name = f"{shop.bucket}/out/{job['TrainingJobName']}/output/model.tar.gz"
    found = trail.lookup_events(LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": name}])["Events"]
    (event,) = [one for one in found if one["EventName"] == "PutObject"]
    told = json.loads(event["CloudTrailEvent"])
    assert event["Username"] == "SageMaker"
    identity = told["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == session(arn)
    assert identity["invokedBy"] == told["sourceIPAddress"] == "sagemaker.amazonaws.com"
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == arn
    (decided,) = told["additionalEventData"]["authorizations"]
    assert (decided["action"], decided["verdict"], decided["policy"]) == ("s3:PutObject", "allowed", "limited")


def test_a_channel_that_may_not_be_listed_is_refused_at_once(shop: Workshop) -> None:
    arn = role(shop, *allowed(shop, without="s3:ListBucket"))
    with pytest.raises(ClientError) as refused:
        shop.create("pass", RoleArn=arn, InputDataConfig=[shop.channel("train", "data/")])
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert f'the role "{arn}" has "s3:ListBucket" permissions on bucket "{shop.bucket}". Error' in error["Message"]
    assert denied(arn, "s3:ListBucket", f"arn:aws:s3:::{shop.bucket}") in error["Message"]


def test_listing_is_allowed_below_a_prefix_only(shop: Workshop) -> None:
    below = {"Condition": {"StringLike": {"s3:prefix": "data/*"}}}
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{shop.bucket}", **below}
    arn = role(shop, listing, *allowed(shop, without="s3:ListBucket"))
    shop.put("other/a", "a")
    job = shop.run("pass", RoleArn=arn, InputDataConfig=[shop.channel("train", "data/")])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    with pytest.raises(ClientError, match="s3:ListBucket"):
        shop.create("pass", RoleArn=arn, InputDataConfig=[shop.channel("train", "other/")])


def test_one_key_that_is_denied_fails_the_download(shop: Workshop) -> None:
    key = f"arn:aws:s3:::{shop.bucket}/data/b"
    arn = role(shop, *allowed(shop), {"Sid": "NotThis", "Effect": "Deny", "Action": "s3:GetObject", "Resource": key})
    job = shop.run("print('ran')", RoleArn=arn, InputDataConfig=[shop.channel("train", "data/")])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        f"ClientError: Data download failed:Unable to download object s3://{shop.bucket}/data/b (AccessDenied: "
        f"{denied(arn, 's3:GetObject', key)}with an explicit deny in an identity-based policy)"
    )
    assert "ran" not in shop.lines(job["TrainingJobName"])
    (refused,) = [call for call in used(shop, arn) if call["status"] == 403]
    assert (refused["resource"], refused["authorised"][0]["statement"]) == (key, "NotThis")


def test_a_bucket_policy_keeps_the_role_out(shop: Workshop) -> None:
    arn = role(shop, *allowed(shop))
    own = Workshop(shop.cloud)
    own.put("data/a", "a")
    both = [f"arn:aws:s3:::{own.bucket}", f"arn:aws:s3:::{own.bucket}/*"]
    deny = {"Effect": "Deny", "Principal": {"AWS": arn}, "Action": "s3:GetObject", "Resource": both[1]}
    allow = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "s3:*", "Resource": both}
    channel = [own.channel("train", "data/")]
    for statements, status in (([allow], "Completed"), ([allow, deny], "Failed")):
        document = {"Version": "2012-10-17", "Statement": statements}
        own.s3.put_bucket_policy(Bucket=own.bucket, Policy=json.dumps(document))
        job = shop.run("pass", RoleArn=arn, InputDataConfig=channel)
        assert job["TrainingJobStatus"] == status, job.get("FailureReason")
    assert "with an explicit deny in a resource-based policy" in job["FailureReason"]


def test_code_that_may_not_be_read(shop: Workshop) -> None:
    arn = role(shop, *allowed(shop, without="s3:GetObject"))
    job = shop.run("print('ran')", RoleArn=arn)
    assert job["TrainingJobStatus"] == "Failed"
    assert "An error occurred (403) when calling the HeadObject operation: Forbidden" in job["FailureReason"]


def test_a_model_that_may_not_be_stored_is_said_before_the_training(shop: Workshop) -> None:
    arn = role(shop, *allowed(shop, without="s3:PutObject"))
    job = shop.run("print('ran')", RoleArn=arn)
    target = f"{shop.bucket}/out/{job['TrainingJobName']}/output/model.tar.gz"
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        f"ClientError: Artifact upload failed:Unable to upload file to s3://{target} (AccessDenied: User: "
    )
    assert session(arn) in job["FailureReason"]
    assert "ran" not in shop.lines(job["TrainingJobName"])


def test_a_permission_that_goes_during_the_training_fails_the_upload(shop: Workshop, tmp_path: Path) -> None:
    name = f"limited-{uuid.uuid4().hex[:12]}"
    arn = role(shop, *allowed(shop), name=name)
    wait = f"import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('{tmp_path}/go'): time.sleep(.02)\n"
    job = shop.create(wait + WRITE_MODEL, RoleArn=arn)
    shop.until_line(job, "begun")
    document = {"Version": "2012-10-17", "Statement": allowed(shop, without="s3:PutObject")}
    shop.cloud.client("iam").put_role_policy(RoleName=name, PolicyName="limited", PolicyDocument=json.dumps(document))
    (tmp_path / "go").touch()
    ended = shop.ended(job)
    assert ended["TrainingJobStatus"] == "Failed"
    assert "Artifact upload failed" in ended["FailureReason"]
    with pytest.raises(ClientError, match="404"):
        shop.s3.head_object(Bucket=shop.bucket, Key=f"out/{job}/output/model.tar.gz")


def test_checkpoints_that_may_not_be_stored_fail_the_job(shop: Workshop) -> None:
    key = f"arn:aws:s3:::{shop.bucket}/kept/*"
    arn = role(shop, *allowed(shop), {"Effect": "Deny", "Action": "s3:PutObject", "Resource": key})
    script = "open('/opt/ml/checkpoints/1', 'w').write('1')\n" + WRITE_MODEL
    job = shop.run(script, RoleArn=arn, CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/kept"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: The checkpoints cannot be stored in S3 (AccessDenied: User: ")
    assert shop.model(job) == {"weights": b"w"}


@pytest.mark.parametrize("action", LOGS[1:])
def test_a_job_whose_role_may_not_log_runs_without_a_log(shop: Workshop, action: str) -> None:
    arn = role(shop, *allowed(shop, without=action))
    job = shop.run(WRITE_MODEL, RoleArn=arn, algorithm=METRIC)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.lines(job["TrainingJobName"]) == []
    assert [data["Value"] for data in job["FinalMetricDataList"]] == [0.5]
    said = f"training job {job['TrainingJobName']} has no log"
    assert any(
        said in line and f"not authorized to perform: {action}" in line for line in shop.cloud.log().splitlines()
    )


def test_a_job_whose_role_may_not_measure_has_no_metrics_in_cloudwatch(shop: Workshop) -> None:
    cloudwatch = shop.cloud.client("cloudwatch")
    counted = []
    for without in ("", "cloudwatch:PutMetricData"):
        job = shop.run(WRITE_MODEL, RoleArn=role(shop, *allowed(shop, without=without)), algorithm=METRIC)
        assert [data["Value"] for data in job["FinalMetricDataList"]] == [0.5]
        dimensions = [{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}]
        counted.append(len(cloudwatch.list_metrics(Dimensions=dimensions)["Metrics"]))
    assert counted == [1, 0]


def test_a_role_of_another_path_and_without_policies_may_nothing(shop: Workshop) -> None:
    iam, name = shop.cloud.client("iam"), f"empty-{uuid.uuid4().hex[:12]}"
    made = iam.create_role(RoleName=name, Path="/service-role/", AssumeRolePolicyDocument=json.dumps(TRUST))
    with pytest.raises(ClientError, match="No S3 objects found"):
        shop.create("pass", RoleArn=made["Role"]["Arn"], InputDataConfig=[shop.channel("train", "data/")])


def test_many_objects_are_one_record_and_one_denied_among_them_is_found(shop: Workshop) -> None:
    own = Workshop(shop.cloud)
    for number in range(300):
        own.put(f"many/{number:03}", b"")
    arn = role(shop, *allowed(own))
    job = own.run("pass", RoleArn=arn, InputDataConfig=[own.channel("train", "many/")])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    read = [call["resource"] for call in used(shop, arn) if call["action"] == "s3:GetObject"]
    assert sorted(read)[1:] == [f"arn:aws:s3:::{own.bucket}/many/*"]
    key = f"arn:aws:s3:::{own.bucket}/many/27?"
    arn = role(shop, *allowed(own), {"Effect": "Deny", "Action": "s3:*", "Resource": key})
    job = own.run("pass", RoleArn=arn, InputDataConfig=[own.channel("train", "many/")])
    assert f"s3://{own.bucket}/many/270 (AccessDenied" in job["FailureReason"]


def test_model_data_that_may_not_be_read_is_refused_by_create_model(cloud: CloudProcess) -> None:
    hosting = Hosting(cloud)
    cloud.client("iam").delete_role_policy(RoleName=hosting.prefix, PolicyName="hosting")
    with pytest.raises(ClientError) as refused:
        hosting.model("m", answering("x"))
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(f"Could not access model data at s3://{hosting.bucket}/m/model.tar.gz.")
    assert f"User: {session(hosting.role_arn)} is not authorized to perform: s3:GetObject" in error["Message"]


def test_model_data_that_may_no_longer_be_read_fails_the_endpoint(cloud: CloudProcess) -> None:
    hosting = Hosting(cloud)
    model = hosting.model("m", answering("x"))
    cloud.client("iam").delete_role_policy(RoleName=hosting.prefix, PolicyName="hosting")
    described = hosting.settled(hosting.create("e", hosting.config("c", hosting.variant(model))))
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        'Failed to download model data for container "container_1" from URL: '
        f'"s3://{hosting.bucket}/m/model.tar.gz". Please ensure that there is an object located at the URL and that '
        "the role passed to CreateModel has permissions to download the object."
    )


def test_an_endpoint_whose_role_may_not_log_answers_without_a_log(cloud: CloudProcess) -> None:
    hosting = Hosting(cloud)
    reading = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{hosting.bucket}/*"}
    document = {"Version": "2012-10-17", "Statement": [reading]}
    cloud.client("iam").put_role_policy(
        RoleName=hosting.prefix, PolicyName="hosting", PolicyDocument=json.dumps(document)
    )
    endpoint = hosting.endpoint("quiet", "print('loaded', flush=True)\n" + answering("here"))
    assert hosting.invoke(endpoint) == "here"
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/sagemaker/Endpoints/{endpoint}")
    assert groups["logGroups"] == []
    wait_for(lambda: f"/aws/sagemaker/Endpoints/{endpoint} has no log" in cloud.log(), "the cloud's own log")
    hosting.delete(endpoint)


def test_the_image_is_not_asked_for(cloud: CloudProcess) -> None:
    hosting = Hosting(cloud)  # its role has no permission of ecr
    url = hosting.upload("m", answering("x"))
    made = hosting.sagemaker.create_model(
        ModelName=hosting.name("m"),
        ExecutionRoleArn=hosting.role_arn,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url},
    )
    assert made["ModelArn"].endswith(f"model/{hosting.name('m')}")
