"""ModelBuilder with a script: a model that was trained here is built, deployed, asked, renewed and deleted."""

from __future__ import annotations

import json
from pathlib import Path

from botocore.exceptions import ClientError
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ProductionVariant
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from shared import artefacts
from shared.refusals import refused

SOURCES = Path(__file__).parent / "code"


def trained(session: Session) -> str:
    """Train a network; the address of its artefact."""
    trainer = ModelTrainer(
        training_image=artefacts.image(session, "training"),
        source_code=SourceCode(source_dir=str(SOURCES / "saves_a_network"), entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        base_job_name="v3-deploy",
    )
    trainer.train(logs=False)
    return artefacts.model(trainer)


def builder(session: Session, artefact: str) -> ModelBuilder:
    """A ModelBuilder of the artefact with our handler."""
    return ModelBuilder(
        image_uri=artefacts.image(session, "inference"),
        s3_model_data_url=artefact,
        source_code=SourceCode(source_dir=str(SOURCES / "serves_a_network"), entry_script="inference.py"),
        instance_type="ml.m5.large",
        sagemaker_session=session,
    )


def scores(endpoint: Endpoint, body: str = "[[1, 2, 3]]") -> object:
    """What the endpoint answers to numbers."""
    answer = endpoint.invoke(body=body, content_type="application/json", accept="application/json")
    assert answer.content_type == "application/json", answer.content_type
    return json.loads(answer.body.read())


def check_gone(endpoint: Endpoint) -> None:
    """The endpoint is there no more."""
    endpoint.wait_for_delete()
    with refused(ClientError, "Could not find endpoint"):
        endpoint.refresh()


def main() -> None:
    session = Session()
    artefact = trained(session)
    first = builder(session, artefact)
    model = first.build(model_name="v3-deploy-one")
    assert model.model_name == "v3-deploy-one"
    assert model.primary_container.environment["SAGEMAKER_PROGRAM"] == "inference.py"
    endpoint = first.deploy(endpoint_name="v3-deploy", initial_instance_count=1)
    assert endpoint.endpoint_status == "InService"
    assert scores(endpoint) == [[6.0, 3.0]]
    with refused(ClientError, "ModelError", "'OriginalStatusCode': 500"):
        scores(endpoint, "[[1, 2]]")

    # update_endpoint=True of this SDK ends in a TypeError of its own: the endpoint is renewed by its class.
    builder(session, artefact).build(model_name="v3-deploy-two")
    variant = ProductionVariant(
        variant_name="AllTraffic",
        model_name="v3-deploy-two",
        initial_instance_count=1,
        instance_type="ml.m5.large",
    )
    EndpointConfig.create(endpoint_config_name="v3-deploy-two", production_variants=[variant])
    endpoint.endpoint_config_name = "v3-deploy-two"
    endpoint.update()
    endpoint.wait_for_status("InService")
    assert endpoint.endpoint_config_name == "v3-deploy-two"
    assert scores(endpoint) == [[6.0, 3.0]]
    endpoint.delete()
    check_gone(endpoint)
    for name in ("v3-deploy", "v3-deploy-two"):
        EndpointConfig.get(name).delete()
    for name in ("v3-deploy-one", "v3-deploy-two"):
        Model.get(name).delete()


if __name__ == "__main__":
    main()
