"""The resource classes: Model, EndpointConfig, Endpoint, TrainingJob; create, get, refresh, wait, delete."""

from __future__ import annotations

import json

import boto3
from botocore.exceptions import ClientError
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    ContainerDefinition,
    DesiredWeightAndCapacity,
    OutputDataConfig,
    ProductionVariant,
    ResourceConfig,
    StoppingCondition,
    Tag,
)
from sagemaker.core.utils.exceptions import FailedStatusError
from shared import artefacts
from shared.refusals import refused


def create_model(session: Session, name: str) -> Model:
    """A model of that name in our bucket."""
    bucket = session.default_bucket()
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{name}/model.tar.gz", Body=artefacts.packed(name))
    image = artefacts.image(session, "inference")
    return Model.create(
        model_name=name,
        primary_container=ContainerDefinition(
            image=image,
            model_data_url=f"s3://{bucket}/{name}/model.tar.gz",
            environment={"SAGEMAKER_PROGRAM": "inference.py"},
        ),
        execution_role_arn=get_execution_role(session),
        tags=[Tag(key="project", value="dogs")],
    )


def create_config(name: str, model: Model) -> EndpointConfig:
    """A configuration of one instance."""
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name=model, initial_instance_count=1, instance_type="ml.m5.large"
    )
    return EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])


def an_endpoint(session: Session) -> None:
    """From a model to two instances of another, and to nothing."""
    one, two = (create_model(session, f"v3-resources-{name}") for name in ("one", "two"))
    configs = [create_config(model.model_name, model) for model in (one, two)]
    endpoint = Endpoint.create(endpoint_name="v3-resources", endpoint_config_name=configs[0])
    assert endpoint.endpoint_status == "Creating"
    endpoint.wait_for_status("InService")
    answer = endpoint.invoke(body=b"123", content_type="image/jpeg")
    assert json.loads(answer.body.read()) == {"model": "v3-resources-one", "bytes": 3}
    assert answer.invoked_production_variant == "AllTraffic"

    endpoint.endpoint_config_name = configs[1].endpoint_config_name
    endpoint.update()
    endpoint.wait_for_status("InService")
    assert json.loads(endpoint.invoke(body=b"1").body.read())["model"] == "v3-resources-two"
    wanted = DesiredWeightAndCapacity(variant_name="AllTraffic", desired_instance_count=2)
    endpoint.update_weights_and_capacities([wanted])
    endpoint.wait_for_status("InService")
    assert endpoint.refresh().production_variants[0].current_instance_count == 2
    found = Endpoint.get_all(name_contains="v3-resources", status_equals="InService")
    assert [one.endpoint_name for one in found] == ["v3-resources"]
    models = {model.model_name for model in Model.get_all(name_contains="v3-resources")}
    assert models == {one.model_name, two.model_name}, models
    endpoint.delete()
    endpoint.wait_for_delete()
    for config in configs:
        config.delete()
    for model in (one, two):
        model.delete()
    assert list(Model.get_all(name_contains="v3-resources")) == []


def a_model_that_does_not_load(session: Session) -> None:
    """A handler that is not there makes the endpoint fail, and says so."""
    model = create_model(session, "v3-broken")
    boto3.client("s3").put_object(
        Bucket=session.default_bucket(), Key="v3-broken/model.tar.gz", Body=artefacts.packed("v3-broken")[:-40]
    )
    endpoint = Endpoint.create(endpoint_name="v3-broken", endpoint_config_name=create_config("v3-broken", model))
    with refused(FailedStatusError, "model data"):
        endpoint.wait_for_status("InService")
    endpoint.delete()


def a_training_job(session: Session) -> None:
    """A job of the class itself, with a command of its own; a second one of its name is refused."""
    image = artefacts.image(session, "training")
    request = {
        "training_job_name": "v3-resources-job",
        "role_arn": get_execution_role(session),
        "output_data_config": OutputDataConfig(s3_output_path=f"s3://{session.default_bucket()}/v3-resources"),
        "algorithm_specification": AlgorithmSpecification(
            training_image=image,
            training_input_mode="File",
            container_entrypoint=["/bin/sh", "-c"],
            container_arguments=["echo loss=0.25; echo trained > /opt/ml/model/model.txt"],
        ),
        "resource_config": ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=10),
        "stopping_condition": StoppingCondition(max_runtime_in_seconds=600),
    }
    job = TrainingJob.create(**request)
    job.wait(logs=True)
    assert job.training_job_status == "Completed"
    assert job.secondary_status == "Completed"
    with refused(ClientError, "ResourceInUse", "v3-resources-job"):
        TrainingJob.create(**request)


def main() -> None:
    session = Session()
    a_training_job(session)
    an_endpoint(session)
    a_model_that_does_not_load(session)


if __name__ == "__main__":
    main()
