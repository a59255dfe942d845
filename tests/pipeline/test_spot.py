"""What is asked of AWS for a GPU type, on spot, in subnets and with keys: valid by AWS's own models, and complete."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from sagehound.errors import SettingsError, StepFailed
from sagehound.pipeline.aws_images import image_uri
from sagehound.pipeline.bucket import ensure_bucket
from sagehound.pipeline.deploy import Placement, deploy
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Step
from sagehound.pipeline.search_space import search_space
from sagehound.pipeline.security import ensure_role, training_policy
from sagehound.pipeline.spot import spot_of
from sagehound.pipeline.train import TrainedModel
from sagehound.pipeline.training_request import Channel, JobPlan, has_storage, training_request
from sagehound.pipeline.tuning_request import tuning_request
from sagehound.settings import AwsSettings, DeploySettings, PipelineSettings, SpotSettings, TrainSettings

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
AWS = AwsSettings(
    subnets="subnet-1, subnet-2",
    security_groups="sg-1",
    encrypt_traffic=True,
    volume_kms_key=KEY,
    output_kms_key=KEY,
    bucket_kms_key="alias/pictures",
)
SETTINGS = PipelineSettings(
    project="dogs",
    region="eu-west-1",
    run="20261123-080000",
    aws=AWS,
    spot=SpotSettings(enabled=True),
    train=TrainSettings(instance_type="ml.p3.2xlarge", max_runtime_seconds=3600),
)
NAMES = Names.of(SETTINGS, "123456789012")
ROLE = "arn:aws:iam::123456789012:role/sagehound-training"
CODE = "s3://b/dogs/code/x/sourcedir.tar.gz"
VPC = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}


def plan(instance_type: str = "ml.p3.2xlarge") -> JobPlan:
    return JobPlan(
        program="train_model.py",
        code_digest="code",
        hyperparameters={"gear": "network"},
        channels=(Channel("training", "s3://b/dogs/data/pets/", "data"),),
        image=image_uri("training", instance_type, "eu-west-1", SETTINGS.train, AWS),
        instance_type=instance_type,
        max_runtime_seconds=SETTINGS.train.max_runtime_seconds,
        spot=spot_of(SETTINGS),
    )


def check(operation: str, request: dict[str, Any]) -> None:
    shape = boto3.client("sagemaker", region_name="eu-west-1").meta.service_model.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def test_a_training_job_has_all_of_it() -> None:
    request = training_request(
        plan(), "dogs-train-1", NAMES, "eu-west-1", role_arn=ROLE, code_uri=CODE, checkpoints="dogs-train-1"
    )
    check("CreateTrainingJob", request)
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert request["CheckpointConfig"]["S3Uri"].endswith("/dogs/checkpoints/dogs-train-1")
    assert request["VpcConfig"] == VPC
    assert request["EnableInterContainerTrafficEncryption"] is True
    assert request["ResourceConfig"]["VolumeKmsKeyId"] == request["OutputDataConfig"]["KmsKeyId"] == KEY
    assert request["AlgorithmSpecification"]["TrainingImage"].endswith("pytorch-training:2.6.0-gpu-py312")
    assert {"Key": "sagehound:run", "Value": "20261123-080000"} in request["Tags"]


def test_a_tuning_job_has_all_of_it_in_its_definition() -> None:
    space = search_space(SETTINGS.tune.ranges)
    request = tuning_request(
        plan(), SETTINGS.tune, space, "dogs-hpo-1", NAMES, "eu-west-1", role_arn=ROLE, code_uri=CODE
    )
    check("CreateHyperParameterTuningJob", request)
    trial = request["TrainingJobDefinition"]
    assert trial["EnableManagedSpotTraining"] is True
    assert trial["StoppingCondition"]["MaxWaitTimeInSeconds"] == 7200
    assert trial["CheckpointConfig"]["S3Uri"].endswith("/dogs/checkpoints/dogs-hpo-1")
    assert trial["VpcConfig"] == VPC
    assert trial["OutputDataConfig"]["KmsKeyId"] == KEY
    assert trial["HyperParameterTuningResourceConfig"]["VolumeKmsKeyId"] == KEY


def test_without_settings_none_of_it_is_asked() -> None:
    settings = PipelineSettings(project="dogs")
    bare = JobPlan("train_model.py", "code", {}, (), plan().image, "ml.m5.large", spot=spot_of(settings))
    request = training_request(
        bare, "dogs-train-1", Names.of(settings, "123456789012"), "eu-west-1", role_arn=ROLE, code_uri=CODE
    )
    for member in ("EnableManagedSpotTraining", "VpcConfig", "EnableInterContainerTrafficEncryption"):
        assert member not in request
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert "KmsKeyId" not in request["OutputDataConfig"]
    assert len(request["Tags"]) == 1


@pytest.mark.parametrize("instance_type", ["ml.g4dn.xlarge", "ml.g5.xlarge", "ml.p4d.24xlarge", "ml.m5d.large"])
def test_disks_of_the_type_itself_take_no_key(instance_type: str) -> None:
    assert has_storage(instance_type)
    request = training_request(plan(instance_type), "j", NAMES, "eu-west-1", role_arn=ROLE, code_uri=CODE)
    assert "VolumeKmsKeyId" not in request["ResourceConfig"]
    assert not any(map(has_storage, ["ml.m5.large", "ml.p3.2xlarge", "ml.c5.xlarge", "ml.t3.medium", "ml.r5.large"]))


def test_half_a_network_and_a_wait_that_is_too_short_are_refused() -> None:
    names = Names.of(PipelineSettings(project="dogs", aws=AwsSettings(subnets="subnet-1")), "123456789012")
    with pytest.raises(SettingsError, match="belong together"):
        training_request(plan(), "j", names, "eu-west-1", role_arn=ROLE, code_uri=CODE)
    with pytest.raises(SettingsError, match="max_wait_seconds 60 is below"):
        spot_of(PipelineSettings(spot=SpotSettings(enabled=True, max_wait_seconds=60)))


def test_the_role_may_use_that_network_these_keys_and_the_images_of_the_region() -> None:
    statements = training_policy(NAMES, "eu-west-1", "123456789012")["Statement"]

    def resources(action: str) -> list[Any]:
        return [one["Resource"] for one in statements if action in one["Action"]]

    (interfaces,) = resources("ec2:CreateNetworkInterface")
    assert "arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-2" in interfaces
    assert resources("kms:GenerateDataKey") == [KEY, "arn:aws:kms:eu-west-1:123456789012:key/*"]
    assert resources("kms:CreateGrant") == [KEY]
    aliased = [one["Condition"] for one in statements if "key/*" in one["Resource"]]
    assert aliased == [{"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/pictures"}}]
    plain = Names.of(PipelineSettings(project="dogs"), "123456789012")
    assert not any(
        action.startswith(("ec2:", "kms:"))
        for one in training_policy(plain, "eu-west-1", "123456789012")["Statement"]
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    )
    china = str(training_policy(plain, "cn-north-1", "123456789012", "aws-cn"))
    assert "arn:aws:" not in china
    assert "arn:aws-cn:ecr:cn-north-1:727897471807:repository/pytorch-training" in china


def test_the_local_cloud_takes_a_spot_job_and_keeps_what_it_was_asked(clients, settings, uploaded) -> None:
    asked = dataclasses.replace(settings, aws=AWS, spot=SETTINGS.spot, train=SETTINGS.train, run="r1")
    data = uploaded(asked)
    names = Names.of(asked, clients.account_id)
    encryption = clients.s3.get_bucket_encryption(Bucket=names.bucket)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": "alias/pictures",
    }
    role = ensure_role(clients, names, "train")
    job = dataclasses.replace(plan(), channels=(Channel("training", data.uri, data.digest),))
    name = names.job_base(job.digest())
    request = training_request(job, name, names, clients.region, role_arn=role, code_uri=CODE, checkpoints=name)
    clients.sagemaker.create_training_job(**request)
    told = clients.sagemaker.describe_training_job(TrainingJobName=name)
    for member in (
        "EnableManagedSpotTraining",
        "VpcConfig",
        "CheckpointConfig",
        "EnableInterContainerTrafficEncryption",
    ):
        assert told[member] == request[member]
    assert told["StoppingCondition"] == request["StoppingCondition"]
    assert told["ResourceConfig"]["VolumeKmsKeyId"] == KEY
    with contextlib.suppress(ClientError):  # its code does not exist: it may have failed by now
        clients.sagemaker.stop_training_job(TrainingJobName=name)


class _Kept:
    """Collects the parameters of the calls that a step makes; the calls go on to the cloud."""

    def __init__(self, clients: Any) -> None:
        self.requests: dict[str, dict[str, Any]] = {}
        clients.sagemaker.meta.events.register("before-parameter-build.sagemaker.*", self._keep)

    def _keep(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.requests[model.name] = dict(params)


def test_a_model_and_an_endpoint_configuration_have_network_and_key(clients, settings) -> None:
    options = DeploySettings(instance_type="ml.p3.2xlarge", timeout_seconds=60)
    asked = dataclasses.replace(settings, aws=AWS, deploy=options)
    names = Names.of(asked, clients.account_id)
    kept = _Kept(clients)
    ensure_bucket(clients, names)
    clients.s3.put_object(Bucket=names.bucket, Key=f"{names.project}/jobs/j/model.tar.gz", Body=b"no archive")
    model = TrainedModel("job", f"s3://{names.bucket}/{names.project}/jobs/j/model.tar.gz", {}, 1, 1.0, 1.0)
    with pytest.raises(StepFailed, match="did not come into service"):  # that is no model
        deploy(clients, names, options, asked.train, [Placement(names.endpoint, model)], Step("deploy"))
    check("CreateModel", kept.requests["CreateModel"])
    assert kept.requests["CreateModel"]["VpcConfig"] == VPC
    assert kept.requests["CreateModel"]["PrimaryContainer"]["Image"].endswith("pytorch-inference:2.6.0-gpu-py312")
    check("CreateEndpointConfig", kept.requests["CreateEndpointConfig"])
    assert kept.requests["CreateEndpointConfig"]["KmsKeyId"] == KEY
