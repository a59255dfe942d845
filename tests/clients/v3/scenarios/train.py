"""ModelTrainer.train on one host: requirements, hyperparameters, channels, environment; logs and what comes back."""

from __future__ import annotations

import json
import logging
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import TrainingJob
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode, StoppingCondition, Tag
from shared import artefacts
from shared.refusals import refused

SOURCES = Path(__file__).parent / "code"
HYPERPARAMETERS = {
    "epochs": 2,
    "learning-rate": 0.01,
    "optimizer": "adam w",
    "layers": [64, 32],
    "pretrained": True,
}


class Lines(logging.Handler):
    """What the SDK has logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def wheel(folder: Path) -> str:
    """A package of our own as a wheel in `folder`; the name of its file."""
    name = "dogwords-1.0-py3-none-any.whl"
    about = "dogwords-1.0.dist-info"
    with zipfile.ZipFile(folder / name, "w") as packed:
        packed.writestr("dogwords.py", "def bark():\n    return 'woof'\n")
        packed.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: dogwords\nVersion: 1.0\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", f"dogwords.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return name


def lay_out(folder: Path) -> tuple[Path, Path]:
    """The source folder with its requirements.txt, and a folder of data on this machine."""
    source, data = folder / "source", folder / "pictures"
    source.mkdir()
    (source / "train.py").write_text((SOURCES / "looks_around/train.py").read_text())
    (source / "requirements.txt").write_text(f"./{wheel(source)}\n")
    (data / "003.Airedale").mkdir(parents=True)
    (data / "003.Airedale" / "here.txt").write_text("woof")
    return source, data


def check_seen(seen: dict[str, Any]) -> None:
    """The script was told everything, under the names and in the forms of AWS's containers."""
    expected = {"epochs": 2, "learning_rate": 0.01, "optimizer": "adam w", "layers": [64, 32], "pretrained": True}
    assert seen["arguments"] == expected, seen
    assert seen["channels"] == {"training": ["one.txt", "two.txt"], "local": ["here.txt"]}, seen
    assert seen["bark"] == "woof", seen
    assert seen["environment"] == "with a roof", seen
    assert seen["hosts"] == ["algo-1"], seen
    assert seen["working_directory"] == "/opt/ml/input/data/code", seen


def main() -> None:
    lines = Lines()
    logging.getLogger("sagemaker").addHandler(lines)
    logging.getLogger("sagemaker").setLevel(logging.INFO)
    session = Session()
    role = get_execution_role(session)
    assert ":role/" in role, role
    bucket = session.default_bucket()
    for name in ("one", "two"):
        session.upload_string_as_file_body(name, bucket, f"v3-train/data/{name}.txt")
    image = artefacts.image(session, "training")
    with tempfile.TemporaryDirectory() as folder:
        source, data = lay_out(Path(folder))
        trainer = ModelTrainer(
            training_image=image,
            source_code=SourceCode(source_dir=str(source), entry_script="train.py", requirements="requirements.txt"),
            compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
            hyperparameters=HYPERPARAMETERS,
            environment={"KENNEL": "with a roof"},
            base_job_name="v3-train",
            tags=[Tag(key="project", value="dogs")],
        )
        inputs = [
            InputData(channel_name="training", data_source=f"s3://{bucket}/v3-train/data/"),
            InputData(channel_name="local", data_source=str(data)),
        ]
        trainer.train(input_data_config=inputs)
    job = trainer._latest_training_job
    assert job.training_job_status == "Completed", job.training_job_status
    said = [line for said in lines.said for line in said.splitlines()]
    printed = [line for line in said if line.startswith("SEEN ")]
    assert len(printed) == 1, said
    seen = json.loads(printed[0].removeprefix("SEEN "))
    check_seen(seen)
    model = artefacts.unpacked(session, artefacts.model(trainer))
    assert json.loads(model["weights.json"]) == seen, model
    assert artefacts.unpacked(session, trainer.output_data) == {"curve.csv": b"epoch,loss\n1,0.5\n"}

    again = TrainingJob.get(job.training_job_name)
    assert again.hyper_parameters == {
        "epochs": "2", "learning-rate": "0.01", "optimizer": "adam w", "layers": "[64, 32]", "pretrained": "true",
    }, again.hyper_parameters  # fmt: skip
    assert again.algorithm_specification.container_entrypoint == ["/bin/bash"]
    assert again.resource_config.instance_count == 1
    assert [one.status for one in again.secondary_status_transitions][-1] == "Completed"
    assert again.billable_time_in_seconds >= 1
    found = TrainingJob.get_all(name_contains="v3-train", status_equals="Completed")
    assert job.training_job_name in [one.training_job_name for one in found]
    again.delete()
    with refused(ClientError, "ValidationException"):
        TrainingJob.get(job.training_job_name)


if __name__ == "__main__":
    main()
