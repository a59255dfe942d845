"""A small data set and one artefact trained on it, shared by the tests of the classifier."""

from pathlib import Path

import pytest
import torch

from tests.classifier.pictures import write_splits
from tests.classifier.script import Finished, run

# What needs a GPU is collected where there is one: elsewhere nothing is skipped.
collect_ignore = [] if torch.cuda.is_available() else ["test_gpu_on_device.py"]


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/, valid/ and test/ with three classes of coloured shapes."""
    return write_splits(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """The model folder and the output of a training job of train_model.py on the shapes."""
    folder = tmp_path_factory.mktemp("trained")
    finished = run(
        "train_model.py",
        *("--learning_rate", "0.003", "--batch_size", '"8"', "--epochs", "6", "--seed", "5"),
        SM_CHANNEL_TRAINING=shapes,
        SM_MODEL_DIR=folder / "model",
        SM_OUTPUT_DATA_DIR=folder / "output",
        SM_CHECKPOINT_DIR=folder / "checkpoints",
    )
    assert finished.returncode == 0, finished.errors
    return folder / "model", finished
