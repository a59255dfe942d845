"""The control-plane half of the pipeline against moto's server: everything but what needs real execution.

moto keeps records and executes nothing: a job is Completed when it is made, an endpoint InService, an instance runs
without a program in it. So it says nothing of what we compute; it says whether our requests are AWS's, in the eyes of
people who never saw our server. Where it has not got an operation that we need, the operation stands in MISSING with
the reason; any other refusal fails these tests.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.belongings.thing import Kind
from sagehound.pipeline.cleanup import delete_belongings, find_belongings
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import Placement, deploy
from sagehound.pipeline.function import deploy_function, ensure_url
from sagehound.pipeline.function_role import ensure_log_group
from sagehound.pipeline.instance import train_on_instance
from sagehound.pipeline.instance_cleanup import delete_instances, find_instances
from sagehound.pipeline.instance_machine import project_machines
from sagehound.pipeline.instance_plan import OUTCOME, result_prefix
from sagehound.pipeline.instance_source import transfer
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.names import Names
from sagehound.pipeline.notebook import delete_notebook, notebook_name, open_notebook
from sagehound.pipeline.scaling import Asked, scale
from sagehound.pipeline.secure.step import secure
from sagehound.pipeline.security import ensure_role
from sagehound.pipeline.status import standing
from sagehound.pipeline.train import TrainedModel, train
from sagehound.pipeline.tune import tune
from sagehound.pipeline.upload import StoredData, stored_data, upload
from sagehound.settings import PipelineSettings
from tests.independent.moto_process import Account, MotoServer
from tests.pipeline.conftest import Recorded, colours

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("moto")]

MISSING = {
    "sagemaker:ListTrainingJobsForHyperParameterTuningJob": "moto keeps a tuning job without making its trials",
    "sagemaker:CreatePresignedNotebookInstanceUrl": "moto has notebook instances, and nothing in them to open",
    "lambda:GetProvisionedConcurrencyConfig": "moto knows versions and aliases, and no provisioned concurrency",
    "application-autoscaling:DescribeScalingActivities": "nothing scales in moto, so there are no activities",
    "cloudtrail:LookupEvents": "moto records no calls",
}
"""What moto has not got, and why the pipeline asks all the same: it is what AWS answers."""
MOTO_IMAGE = "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2"


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    server = MotoServer()
    yield server
    server.stop()


@pytest.fixture
def account(moto: MotoServer) -> Iterator[Account]:
    """Every call of a test must have been taken, except those of MISSING."""
    account = Account(moto.url)
    yield account
    refused = [call for call in account.calls if call.refused]
    unexplained = [call for call in refused if f"{call.service}:{call.operation}" not in MISSING]
    assert unexplained == []


@pytest.fixture
def clients(account: Account) -> Clients:
    return account.clients()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colours(tmp_path_factory.mktemp("colours"), {"train": 3, "valid": 1, "test": 1})


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@dataclasses.dataclass
class Project:
    """A project whose pictures lie in moto's S3."""

    clients: Clients
    settings: PipelineSettings
    names: Names
    data: StoredData
    recorded: Recorded

    def step(self, do: Callable[[Any], Any], name: str = "step") -> Any:
        with self.recorded.reporter.step(name) as step:
            return do(step)

    def train(self, **changes: Any) -> TrainedModel:
        settings = dataclasses.replace(self.settings, **changes)
        reporter = self.recorded.reporter
        names = Names.of(settings, self.clients.account_id)
        found = self.step(lambda step: train(self.clients, names, settings, self.data, None, reporter, step))
        assert isinstance(found, TrainedModel)
        return found

    def deploy(self, model: TrainedModel) -> str:
        placements = [Placement(self.names.endpoint, model)]
        settings = self.settings
        (endpoint,) = self.step(
            lambda step: deploy(self.clients, self.names, settings.deploy, settings.train, placements, step)
        )
        return str(endpoint.how)

    def function(self) -> None:
        settings, endpoint = self.settings.function, self.names.endpoint
        reporter = self.recorded.reporter
        self.step(lambda step: deploy_function(self.clients, self.names, settings, endpoint, reporter, step))


@pytest.fixture
def project(
    request: pytest.FixtureRequest, clients: Clients, pictures: Path, recorded: Recorded, tmp_path: Path
) -> Project:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:26].strip("-")
    settings = PipelineSettings(project=name, bucket=f"{name}-bucket", role_name=f"{name}-role")
    names = Names.of(settings, clients.account_id)
    manifest = take_in(str(pictures), settings.data, tmp_path / "cache", recorded.reporter)
    with recorded.reporter.step("upload") as step:
        upload(clients, names, manifest, recorded.reporter, step)
    return Project(clients, settings, names, stored_data(clients, names), recorded)


def test_training(project: Project, account: Account) -> None:
    model = project.train()
    job = project.clients.sagemaker.describe_training_job(TrainingJobName=model.job_name)
    assert job["AlgorithmSpecification"]["TrainingImage"].endswith("-cpu-py312")
    (channel,) = job["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == project.data.uri
    assert json.loads(job["HyperParameters"]["sagemaker_program"]) == "train_model.py"
    tags = project.clients.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert {"Key": "sagehound:project", "Value": project.names.project} in tags
    role = project.clients.iam.get_role(RoleName=project.names.role)["Role"]
    assert job["RoleArn"] == role["Arn"]
    public = project.clients.s3.get_public_access_block(Bucket=project.names.bucket)
    assert all(public["PublicAccessBlockConfiguration"].values())
    assert account.refused() == set()


def test_training_on_a_gpu_with_spot_in_a_vpc_with_keys(project: Project, account: Account) -> None:
    settings = project.settings
    model = project.train(
        train=dataclasses.replace(settings.train, instance_type="ml.p3.2xlarge"),
        spot=dataclasses.replace(settings.spot, enabled=True),
        aws=dataclasses.replace(
            settings.aws,
            subnets="subnet-0123456789abcdef0",
            security_groups="sg-0123456789abcdef0",
            volume_kms_key="alias/volumes",
            output_kms_key="alias/outputs",
        ),
    )
    job = project.clients.sagemaker.describe_training_job(TrainingJobName=model.job_name)
    assert "-gpu-" in job["AlgorithmSpecification"]["TrainingImage"]
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"]["MaxWaitTimeInSeconds"] >= job["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert job["VpcConfig"] == {"SecurityGroupIds": ["sg-0123456789abcdef0"], "Subnets": ["subnet-0123456789abcdef0"]}
    assert job["ResourceConfig"]["VolumeKmsKeyId"] == "alias/volumes"
    assert job["OutputDataConfig"]["KmsKeyId"] == "alias/outputs"
    assert account.refused() == set()


def test_tuning(project: Project, account: Account) -> None:
    clients, names, settings = project.clients, project.names, project.settings
    # It is made, and then its trials are asked for, of which moto has none.
    with pytest.raises(StepFailed, match="ListTrainingJobsForHyperParameterTuningJob"):
        project.step(lambda step: tune(clients, names, settings, project.data, None, project.recorded.reporter, step))
    (summary,) = clients.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=names.tuning_prefix)[
        "HyperParameterTuningJobSummaries"
    ]
    job = clients.sagemaker.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=summary["HyperParameterTuningJobName"]
    )
    config = job["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == settings.tune.strategy
    assert config["ResourceLimits"]["MaxNumberOfTrainingJobs"] == settings.tune.max_jobs
    (continuous,) = config["ParameterRanges"]["ContinuousParameterRanges"]
    assert (continuous["Name"], continuous["ScalingType"]) == ("learning_rate", "Logarithmic")
    assert account.refused() == {"sagemaker:ListTrainingJobsForHyperParameterTuningJob"}


def test_model_endpoint_function_and_scaling(project: Project, account: Account) -> None:
    clients, names = project.clients, project.names
    model = project.train()
    assert project.deploy(model) == "created"
    assert project.deploy(model) == "was there"
    endpoint = clients.sagemaker.describe_endpoint(EndpointName=names.endpoint)
    (variant,) = clients.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])[
        "ProductionVariants"
    ]
    container = clients.sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
    assert container["ModelDataUrl"] == model.artifact_uri

    # Role, log group, code, version and alias are made; then it is asked what is provisioned for the alias.
    with pytest.raises(StepFailed, match="GetProvisionedConcurrencyConfig"):
        project.function()
    alias = clients.lambda_.get_alias(FunctionName=names.function, Name="live")
    function = clients.lambda_.get_function(FunctionName=names.function, Qualifier=alias["FunctionVersion"])
    assert function["Configuration"]["Role"].endswith(f":role/{names.function_role}")
    assert function["Configuration"]["Environment"]["Variables"]
    assert ensure_url(clients, names.function, "live").startswith("https://")

    # Both targets are registered with their policies; then it is asked what has happened since.
    with pytest.raises(StepFailed, match="DescribeScalingActivities"):
        project.step(lambda step: scale(clients, names, project.settings, project.recorded.reporter, step, Asked()))
    targets = {
        target["ResourceId"]: target
        for namespace in ("sagemaker", "lambda")
        for target in clients.autoscaling.describe_scalable_targets(ServiceNamespace=namespace)["ScalableTargets"]
    }
    target = targets[f"endpoint/{names.endpoint}/variant/AllTraffic"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    (policy,) = clients.autoscaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=target["ResourceId"]
    )["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == project.settings.scale.target

    found = find_belongings(clients, names)
    assert any(line.startswith("scaling of endpoint/") for line in found.lines())
    project.step(lambda step: delete_belongings(clients, found, step))
    assert find_belongings(clients, names).lines() == []
    assert names.bucket not in [bucket["Name"] for bucket in clients.s3.list_buckets()["Buckets"]]
    assert account.refused() == {
        "lambda:GetProvisionedConcurrencyConfig",
        "application-autoscaling:DescribeScalingActivities",
    }


def test_status_and_one_run(project: Project, account: Account) -> None:
    clients, names = project.clients, dataclasses.replace(project.names, run="first")
    ensure_role(clients, names, "train")
    ensure_log_group(clients, names, f"/aws/lambda/{names.function}")
    # All of it is found; then it is asked what was there before, which moto does not record.
    with pytest.raises(StepFailed, match="LookupEvents"):
        standing(clients, names)
    # The bucket was made by nobody's run, as were the pictures in it.
    found = find_belongings(clients, names, run="first")
    project.step(lambda step: delete_belongings(clients, found, step))
    found = find_belongings(clients, names)
    assert found.names(Kind.BUCKET) == [names.bucket]
    project.step(lambda step: delete_belongings(clients, found, step))
    assert standing(clients, names).nothing
    assert account.refused() == {"cloudtrail:LookupEvents"}


def test_findings(project: Project, account: Account) -> None:
    # Roles and the bucket are read; then it is asked what was really called, which moto does not record.
    project.train()
    with pytest.raises(StepFailed, match="LookupEvents"):
        project.step(lambda step: secure(project.clients, project.names, project.settings, step))
    assert account.refused() == {"cloudtrail:LookupEvents"}


def with_an_image_of_moto(settings: PipelineSettings) -> PipelineSettings:
    """moto's public parameters are a copy that names Amazon Linux, and not the Deep Learning images."""
    return dataclasses.replace(settings, instance=dataclasses.replace(settings.instance, image=MOTO_IMAGE))


def test_an_instance(project: Project, account: Account, tmp_path: Path) -> None:
    phases = tmp_path / "phases"
    phases.write_text("start 1.0\ntrain 2.5\nend 4.0\n")
    clients, names = project.clients, project.names
    settings = with_an_image_of_moto(project.settings)
    stand_in = threading.Thread(
        target=_do_what_the_instance_would, args=(account.clients(), names, phases), daemon=True
    )
    stand_in.start()
    model = project.step(
        lambda step: train_on_instance(clients, names, settings, project.data, project.recorded.reporter, step)
    )
    stand_in.join()
    assert model.result.seconds == {"start": 1.5, "train": 1.5}
    told = clients.ec2.describe_instances(InstanceIds=[model.instance_id])["Reservations"][0]["Instances"][0]
    assert told["State"]["Name"] == "terminated"
    assert told["InstanceType"] == "t2.small"
    data = clients.ec2.describe_instance_attribute(InstanceId=model.instance_id, Attribute="userData")
    assert data["UserData"]["Value"]
    assert find_instances(clients, names).lines() == []
    assert account.refused() == set()


def test_what_an_interruption_leaves_of_an_instance(project: Project, account: Account) -> None:
    clients, names, settings = project.clients, project.names, with_an_image_of_moto(project.settings)
    interrupting = threading.Thread(target=_stop_what_runs, args=(account.clients(), names), daemon=True)
    interrupting.start()
    with pytest.raises(StepFailed, match="stopped, so it is terminated"):
        project.step(
            lambda step: train_on_instance(clients, names, settings, project.data, project.recorded.reporter, step)
        )
    interrupting.join()
    delete_instances(clients, find_instances(clients, names))
    assert find_instances(clients, names).lines() == []
    assert project_machines(clients, names) == []
    assert account.refused() == set()


def test_a_notebook_instance(project: Project, account: Account) -> None:
    clients, names = project.clients, project.names
    # Role, lifecycle configuration and instance are made; then a link is asked for, and no JupyterLab is behind moto's.
    with pytest.raises(StepFailed, match="CreatePresignedNotebookInstanceUrl"):
        project.step(lambda step: open_notebook(clients, names, project.settings, step))
    found = clients.sagemaker.describe_notebook_instance(NotebookInstanceName=notebook_name(names))
    assert found["NotebookInstanceStatus"] == "InService"
    assert found["InstanceType"] == project.settings.notebook.instance_type
    project.step(lambda step: delete_notebook(clients, names, step))
    left = clients.sagemaker.list_notebook_instances(NameContains=names.project)["NotebookInstances"]
    assert left == []
    assert account.refused() == {"sagemaker:CreatePresignedNotebookInstanceUrl"}


def _running(clients: Clients, names: Names) -> Any:
    """The project's instance, once it is there."""
    while not (found := [one for one in project_machines(clients, names) if one.state == "running"]):
        time.sleep(0.1)
    return found[0]


def _do_what_the_instance_would(clients: Clients, names: Names, phases: Path) -> None:
    """moto's instances execute nothing: the outcome is written by what user data send along, and it is ended here."""
    machine = _running(clients, names)
    uri = f"s3://{names.bucket}/{result_prefix(names, machine.run)}{OUTCOME}"
    transfer.outcome(clients.s3, uri, "0", str(phases), machine.instance_type)
    clients.ec2.terminate_instances(InstanceIds=[machine.instance_id])


def _stop_what_runs(clients: Clients, names: Names) -> None:
    clients.ec2.stop_instances(InstanceIds=[_running(clients, names).instance_id])
