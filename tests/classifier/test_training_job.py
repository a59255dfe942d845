"""Whole training jobs through the entry points, as a container runs them."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from sagehound.classifier.export import load_network
from sagehound.classifier.metrics import METRIC_DEFINITIONS
from tests.classifier.pictures import CLASSES, write_splits
from tests.classifier.script import Finished, run, start


def metrics_of(model: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((model / "metrics.json").read_text())
    return loaded


def test_a_job_learns_the_shapes_and_leaves_the_whole_artefact(trained: tuple[Path, Finished]) -> None:
    model, _ = trained
    metrics = metrics_of(model)
    assert metrics["test"]["accuracy"] > 0.8
    assert metrics["test"]["loss"] < metrics["chance"]["loss"]
    assert metrics["pictures"] == {"train": 24, "validation": 12, "test": 12}
    assert json.loads((model / "classes.json").read_text()) == list(CLASSES)
    assert sum(map(sum, metrics["test"]["confusion"])) == 12
    assert metrics["hyperparameters"]["batch_size"] == 8
    found = {path.name for path in model.iterdir()}
    assert found == {"model.pth", "model.onnx", "classes.json", "metrics.json", "code"}
    assert (model / "code" / "sagehound" / "__init__.py").read_bytes() == b""


def test_the_output_tells_the_report_of_every_test_picture(trained: tuple[Path, Finished]) -> None:
    model, _ = trained
    output = model.parent / "output"
    metrics = metrics_of(output)
    assert metrics == metrics_of(model)
    told = json.loads((output / "predictions.json").read_text())
    assert told["split"] == "test"
    assert told["names"] == sorted(told["names"])
    assert [CLASSES[label] for label in told["labels"]] == [name.partition("/")[0] for name in told["names"]]
    confusion = np.zeros((3, 3), dtype=int)
    for label, top in zip(told["labels"], told["top"], strict=True):
        confusion[label, top[0]] += 1
    assert confusion.tolist() == metrics["test"]["confusion"]
    for split in ("validation", "test"):
        assert sum(row["pictures"] for row in metrics[split]["calibration"]["bins"]) == 12


def test_each_metric_definition_reads_the_value_that_metrics_json_keeps(trained: tuple[Path, Finished]) -> None:
    model, finished = trained
    metrics = metrics_of(model)
    expected = {f"test:{k}": metrics["test"][k] for k in ("loss", "accuracy", "top5")}
    expected |= {f"validation:{k}": metrics["validation"][k] for k in ("loss", "accuracy", "top5")}
    expected |= {name: metrics["history"][-1][name] for name in ("train:loss", "train:accuracy")}
    for definition in METRIC_DEFINITIONS:
        values = re.findall(definition["Regex"], finished.output)
        assert float(values[-1]) == pytest.approx(expected[definition["Name"]], abs=1e-6), definition
        split = definition["Name"].partition(":")[0]
        assert len(values) == {"train": 6, "validation": 7, "test": 1}[split]


def test_the_exported_file_computes_what_the_network_computes(trained: tuple[Path, Finished]) -> None:
    model, _ = trained
    network, classes = load_network(model / "model.pth")
    assert classes == CLASSES
    pixels = np.random.default_rng(1).uniform(0, 255, (4, 3, 224, 224)).astype(np.float32)
    # As bytes: a file that leans on another one would fail to load.
    session = onnxruntime.InferenceSession((model / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"pixels": pixels})[0]
    with torch.inference_mode():
        ours = network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(theirs, ours, atol=1e-3)
    np.testing.assert_allclose(session.run(None, {"pixels": pixels[2:3]})[0][0], ours[2], atol=1e-3)


def test_a_job_killed_in_the_middle_ends_as_if_it_had_not_been(shapes: Path, tmp_path: Path) -> None:
    arguments = ("--epochs", "300", "--batch_size", "8", "--seed", "3")

    def places(name: str) -> dict[str, object]:
        return {
            "SM_CHANNEL_TRAINING": shapes,
            "SM_MODEL_DIR": tmp_path / name / "model",
            "SM_CHECKPOINT_DIR": tmp_path / name / "checkpoints",
        }

    assert run("train_model.py", *arguments, **places("whole")).returncode == 0
    process = start("train_model.py", *arguments, **places("killed"))
    assert process.stdout is not None
    assert any("head epoch 20/300" in line for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "model" / "model.onnx").exists()
    again = run("train_model.py", *arguments, **places("killed"))
    assert again.returncode == 0, again.errors
    assert "24 of 24 pictures were already there" in again.output
    assert "head: resumed after epoch" in again.output
    whole, resumed = (metrics_of(tmp_path / name / "model") for name in ("whole", "killed"))
    assert resumed["history"] == whole["history"]
    assert resumed["test"] == whole["test"]
    contents = [(tmp_path / name / "model" / "model.onnx").read_bytes() for name in ("whole", "killed")]
    assert contents[0] == contents[1]


def test_a_tuning_trial_trains_on_a_feature_channel_and_leaves_the_test_split_alone(
    shapes: Path, tmp_path: Path
) -> None:
    extracted = run("extract_features.py", SM_CHANNEL_TRAINING=shapes, SM_MODEL_DIR=tmp_path / "features")
    assert extracted.returncode == 0, extracted.errors
    trial = run(
        "hpo.py",
        *("--learning-rate", "0.01", "--epochs", "4", "--_tuning_objective_metric", "validation:loss"),
        SM_CHANNEL_TRAINING=tmp_path / "features",
        SM_MODEL_DIR=tmp_path / "model",
    )
    assert trial.returncode == 0, trial.errors
    assert "pictures a second: train:loss=" in trial.output
    assert "test:" not in trial.output
    metrics = metrics_of(tmp_path / "model")
    assert "test" not in metrics
    assert metrics["validation"]["accuracy"] > 1 / 3
    assert (tmp_path / "model" / "model.onnx").is_file()


def test_an_unreadable_picture_ends_the_job_and_is_named(tmp_path: Path) -> None:
    write_splits(tmp_path / "data", train=2, valid=1, test=1)
    broken = tmp_path / "data" / "train" / "red_disc" / "red_disc_01.jpg"
    broken.write_bytes(broken.read_bytes()[:700])
    output = tmp_path / "output"
    output.mkdir()
    finished = run(
        "train_model.py",
        SM_CHANNEL_TRAINING=tmp_path / "data",
        SM_MODEL_DIR=tmp_path / "model",
        SM_OUTPUT_DIR=output,
    )
    assert finished.returncode == 1
    assert finished.errors.startswith(f"error: {broken} is not a readable picture")
    assert "Traceback" not in finished.errors
    assert str(broken) in (output / "failure").read_text()


def test_the_whole_network_is_trained_in_the_second_gear(tmp_path: Path) -> None:
    write_splits(tmp_path / "data", train=4, valid=2, test=2)
    finished = run(
        "train_model.py",
        *("--gear", "network", "--epochs", "1", "--batch_size", "6", "--head_epochs", "3"),
        SM_CHANNEL_TRAINING=tmp_path / "data",
        SM_MODEL_DIR=tmp_path / "model",
        SM_CHECKPOINT_DIR=tmp_path / "checkpoints",
    )
    assert finished.returncode == 0, finished.errors
    assert "network epoch 1/1" in finished.output
    assert metrics_of(tmp_path / "model")["pictures"]["test"] == 6
    tuned, _ = load_network(tmp_path / "model" / "model.pth")
    from sagehound.classifier.network import create_backbone

    pretrained = dict(create_backbone("efficientnet_lite0").named_parameters())
    changed = [name for name, value in tuned.backbone.named_parameters() if not torch.equal(value, pretrained[name])]
    assert len(changed) == len(pretrained)


@pytest.mark.dogs
@pytest.mark.timeout(600)
def test_the_frozen_backbone_knows_the_dogs(dogs: Path, tmp_path: Path) -> None:
    finished = run(
        "train_model.py", "--epochs", "12", "--batch_size", "64", SM_CHANNEL_TRAINING=dogs, SM_MODEL_DIR=tmp_path
    )
    assert finished.returncode == 0, finished.errors
    assert metrics_of(tmp_path)["test"]["accuracy"] >= 0.82
