"""A feature channel: what a trial makes of it, and which ones are refused, by name and with the way out."""

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from sagehound.classifier.arguments import parse_arguments
from sagehound.classifier.augment import fixed_view
from sagehound.classifier.channel_archive import is_feature_channel, open_feature_channel
from sagehound.classifier.channels import Channels
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.feature_channel import HEADER, Header, read_header
from sagehound.classifier.inference import input_fn, model_fn, predict_fn
from sagehound.classifier.job import WITH_TORCH, WITHOUT_TORCH, way
from sagehound.classifier.metrics import softmax
from sagehound.classifier.preprocessing import Preprocessing, open_picture
from tests.classifier.pictures import CLASSES
from tests.classifier.script import Finished, run

LITE0 = "efficientnet_lite0"


@pytest.fixture(scope="module")
def channel(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of the shapes, three views of each training picture."""
    folder = tmp_path_factory.mktemp("features")
    finished = run("extract_features.py", "--views", "3", SM_CHANNEL_TRAINING=shapes, SM_MODEL_DIR=folder)
    assert finished.returncode == 0, finished.errors
    assert "features of train, view 2: 24/24 pictures" in finished.output
    return folder


@pytest.fixture
def copy(channel: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(channel, tmp_path / "copy"))


def trial(features: Path, folder: Path, *arguments: str, script: str = "hpo.py") -> Finished:
    return run(
        script,
        *("--learning_rate", "0.01", "--batch_size", "8", *arguments),
        SM_CHANNEL_FEATURES=features,
        SM_MODEL_DIR=folder / "model",
        SM_OUTPUT_DATA_DIR=folder / "output",
    )


def rewrite(path: Path, **changes: Any) -> None:
    """Change a header as its writer would: the fingerprint fits."""
    content = json.loads(path.read_text())
    del content["fingerprint"]
    content |= changes
    header = Header(**{**content, "classes": tuple(content["classes"])})
    path.write_text(json.dumps({**asdict(header), "fingerprint": header.fingerprint()}))


def test_the_header_says_what_the_channel_holds(channel: Path) -> None:
    header = read_header(channel / HEADER)
    assert (header.backbone, header.classes, header.views) == (LITE0, CLASSES, 3)
    assert header.pictures == {"train": 24, "validation": 12, "test": 12}
    assert header.preprocessing["size"] == 224
    assert set(header.files) == {path.name for path in channel.iterdir()} - {HEADER}
    assert np.load(channel / "train.npy", mmap_mode="r").shape == (3, 24, 1280)
    assert np.load(channel / "test.npy", mmap_mode="r").shape == (1, 12, 1280)


def test_a_trial_leaves_a_model_that_serves_and_what_the_report_needs(
    channel: Path, shapes: Path, tmp_path: Path
) -> None:
    finished = trial(channel, tmp_path)
    assert finished.returncode == 0, finished.errors
    assert "3 of 3 view(s) a picture" in finished.output
    model, output = tmp_path / "model", tmp_path / "output"
    found = {path.name for path in model.iterdir()}
    assert found == {"model.pth", "model.onnx", "classes.json", "metrics.json", "code"}
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics == json.loads((model / "metrics.json").read_text())
    assert "test" not in metrics
    assert metrics["validation"]["calibration"]["bins"][-1]["high"] == 1.0
    told = json.loads((output / "predictions.json").read_text())
    assert (told["split"], told["classes"]) == ("validation", list(CLASSES))
    assert told["names"][0] == "blue_square/blue_square_00.jpg"
    right = [top[0] == label for top, label in zip(told["top"], told["labels"], strict=True)]
    assert sum(right) / len(right) == pytest.approx(metrics["validation"]["accuracy"])
    for top, probabilities, label, of_label in zip(
        told["top"], told["probabilities"], told["labels"], told["label_probability"], strict=True
    ):
        assert probabilities == sorted(probabilities, reverse=True)
        assert dict(zip(top, probabilities, strict=True))[label] == of_label
    # The model that serves gives the very pictures the probabilities that were told of them.
    served = model_fn(str(model))
    for name, top, probabilities in list(zip(told["names"], told["top"], told["probabilities"], strict=True))[::5]:
        logits = predict_fn(input_fn((shapes / "valid" / name).read_bytes(), "image/jpeg"), served).logits
        assert softmax(logits)[0][top] == pytest.approx(probabilities, abs=2e-3)


def test_a_training_touches_the_test_split_and_tells_of_it(channel: Path, tmp_path: Path) -> None:
    finished = trial(channel, tmp_path, "--views", "1", script="train_model.py")
    assert finished.returncode == 0, finished.errors
    assert "1 of 3 view(s) a picture" in finished.output
    told = json.loads((tmp_path / "output" / "predictions.json").read_text())
    assert (told["split"], len(told["names"])) == ("test", 12)
    assert json.loads((tmp_path / "output" / "metrics.json").read_text())["test"]["pictures"] == 12


def test_without_a_test_split_the_validation_split_is_told_of(copy: Path, tmp_path: Path) -> None:
    rewrite(copy / HEADER, pictures={"train": 24, "validation": 12})
    finished = trial(copy, tmp_path, script="train_model.py")
    assert finished.returncode == 0, finished.errors
    assert "there is no test split" in finished.output
    assert json.loads((tmp_path / "output" / "predictions.json").read_text())["split"] == "validation"


@pytest.mark.parametrize("below", ["", "JOB/output/"])
def test_the_artefact_of_an_extraction_is_a_channel_too(channel: Path, tmp_path: Path, below: str) -> None:
    archive = tmp_path / "channel" / below / "model.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        for path in channel.iterdir():
            tar.add(path, f"./{path.name}")
    assert is_feature_channel(tmp_path / "channel")
    opened = open_feature_channel(tmp_path / "channel", tmp_path / "work", LITE0)
    found, expected = opened.read("train"), open_feature_channel(channel, tmp_path, LITE0).read("train")
    assert found is not None
    assert expected is not None
    assert found.fingerprint() == expected.fingerprint()
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(BadDataset, match=r"model\.tar\.gz is damaged"):
        is_feature_channel(tmp_path / "channel")


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-8])

    return damage


def flip_a_bit(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return damage


def edited(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder / HEADER, **changes)


def older(folder: Path) -> None:
    (folder / HEADER).write_text(json.dumps({"format": 1, "backbone": LITE0, "classes": ["a", "b"]}))


def changed_by_hand(folder: Path) -> None:
    content = json.loads((folder / HEADER).read_text())
    content["classes"] = content["classes"][::-1]
    (folder / HEADER).write_text(json.dumps(content))


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another backbone": (
        edited(backbone="efficientnet_lite2"),
        "holds features of efficientnet_lite2, and this job is for efficientnet_lite0: give --backbone",
    ),
    "other weights": (edited(weights="0" * 64), "is stale: it was made with other weights of efficientnet_lite0"),
    "other preprocessing": (
        edited(preprocessing=asdict(Preprocessing(224, interpolation="bilinear"))),
        'is stale: its pictures were prepared with {"size": 224, "crop_fraction": 1.0, "interpolation": "bilinear"}',
    ),
    "an older format": (older, "has format 1, not 2: run extract_features.py again"),
    "a cut header": (cut(HEADER), "features.json is damaged"),
    "a header changed by hand": (changed_by_hand, "was changed after it was written"),
    "cut features": (cut("train.npy"), "train.npy is damaged, or of another channel"),
    "a flipped bit": (flip_a_bit("validation.npy"), "validation.npy is damaged, or of another channel"),
    "a flipped bit in the backbone": (flip_a_bit("backbone.onnx"), "backbone.onnx is damaged"),
    "no labels": (
        lambda folder: (folder / "train-labels.npy").unlink(),
        "lacks train-labels.npy: run",
    ),
    "no network": (lambda folder: (folder / "network.pth").unlink(), "lacks network.pth"),
    "fewer pictures": (edited(pictures={"train": 23, "validation": 12}), "has not the 23 pictures of its header"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_channel_that_does_not_belong_is_refused_by_name(copy: Path, tmp_path: Path, case: str) -> None:
    damage, said = REFUSED[case]
    damage(copy)
    finished = trial(copy, tmp_path)
    assert finished.returncode == 1
    assert finished.errors.startswith("error: ")
    assert "Traceback" not in finished.errors
    assert said in finished.errors
    assert "copy" in finished.errors
    assert not (tmp_path / "model" / "metrics.json").exists()


def test_more_views_than_there_are_and_gear_network_are_refused(channel: Path, tmp_path: Path) -> None:
    assert "3 view(s) of a picture and --views is 4" in trial(channel, tmp_path, "--views", "4").errors
    assert "gear network needs pictures" in trial(channel, tmp_path, "--gear", "network").errors


def test_only_what_needs_torch_takes_the_way_with_torch(channel: Path, tmp_path: Path) -> None:
    features, pictures = Channels({}, channel), Channels({"train": tmp_path})
    head = parse_arguments("", ["--checkpoint_dir", str(tmp_path)], {})
    assert way(head, features, 1) == WITHOUT_TORCH
    assert way(head, features, 2) == way(head, pictures, 1) == WITH_TORCH
    assert way(parse_arguments("", ["--gear", "network"], {}), features, 1) == WITH_TORCH
    (tmp_path / "head.pt").write_bytes(b"what several hosts have begun")
    assert way(head, features, 1) == WITH_TORCH


def test_the_fixed_views_are_the_picture_its_mirror_image_and_crops(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.effect_noise((300, 200), 80).convert("RGB").save(path)
    views = []
    for view in (0, 1, 2, 3, 2):
        with open_picture(path) as opened:
            views.append(fixed_view(opened, Preprocessing(64), "class/picture.png", view))
    mirrored = np.asarray(ImageOps.mirror(Image.fromarray(views[0].transpose(1, 2, 0).astype(np.uint8))))
    assert np.array_equal(views[1].transpose(1, 2, 0), mirrored)
    assert np.array_equal(views[2], views[4])
    assert not np.array_equal(views[2], views[3])
    with open_picture(path) as opened:
        other = fixed_view(opened, Preprocessing(64), "class/another.png", 2)
    assert not np.array_equal(views[2], other)
