"""ModelBuilder with an InferenceSpec: the SDK pickles it, ships its own handler, and the container installs the SDK."""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from sagemaker.core.helper.session_helper import Session
from sagemaker.serve import InferenceSpec, ModelBuilder, ModelServer
from sagemaker.serve.builder.schema_builder import SchemaBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from shared import artefacts

SOURCE = Path(__file__).parent / "code/saves_a_network"


class Sums(InferenceSpec):
    """Loads the network that code/saves_a_network/train.py saves."""

    def load(self, model_dir: str) -> Any:
        import torch

        network = torch.nn.Linear(3, 2, bias=False)
        network.load_state_dict(torch.load(f"{model_dir}/model.pth", weights_only=True))
        return network.eval()

    def invoke(self, input_object: Any, model: Any) -> Any:
        import torch

        with torch.no_grad():
            return model(torch.as_tensor(input_object, dtype=torch.float32)).tolist()


def train(session: Session, folder: Path) -> None:
    """Train, and unpack the artefact into `folder`."""
    trainer = ModelTrainer(
        training_image=artefacts.image(session, "training"),
        source_code=SourceCode(source_dir=str(SOURCE), entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        base_job_name="v3-spec",
    )
    trainer.train(logs=False)
    for name, content in artefacts.unpacked(session, artefacts.model(trainer)).items():
        (folder / name).write_bytes(content)


def frozen(folder: Path) -> Path:
    """A file of all packages of this environment: a resolver that is told `sagemaker` only searches for minutes."""
    listed = folder / "requirements.txt"
    listed.write_text("".join(sorted(f"{found.name}=={found.version}\n" for found in distributions())))
    return listed


def main() -> None:
    session = Session()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as aside:
        train(session, Path(folder))
        builder = ModelBuilder(
            inference_spec=Sums(),
            schema_builder=SchemaBuilder(sample_input=[[1.0, 2.0, 3.0]], sample_output=[[6.0, 3.0]]),
            model_path=folder,
            model_server=ModelServer.TORCHSERVE,
            image_uri=artefacts.image(session, "inference"),
            instance_type="ml.m5.large",
            dependencies={"auto": False, "requirements": str(frozen(Path(aside)))},
            sagemaker_session=session,
        )
        model = builder.build(model_name="v3-spec")
        assert model.primary_container.environment["SAGEMAKER_PROGRAM"] == "inference.py"
        endpoint = builder.deploy(endpoint_name="v3-spec", initial_instance_count=1)
    answer = endpoint.invoke(body="[[1, 2, 3], [2, 4, 6]]", content_type="application/json")
    assert json.loads(answer.body.read()) == [[6.0, 3.0], [12.0, 6.0]]
    endpoint.delete()
    endpoint.wait_for_delete()


if __name__ == "__main__":
    main()
