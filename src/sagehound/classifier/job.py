"""A training job from its channels to its artefact: features, head, network if asked, test split once, export."""

import hashlib
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sagehound.classifier import export
from sagehound.classifier.arguments import Arguments, Hyperparameters
from sagehound.classifier.channels import find_channels
from sagehound.classifier.checkpoint import Checkpoints
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.distributed import Group, join
from sagehound.classifier.examples import Examples, FeatureExamples, PictureExamples
from sagehound.classifier.extractors import usable_cores
from sagehound.classifier.feature_channel import BACKBONE_FILE, FeatureChannel
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.metrics import confusion, per_class, print_metrics
from sagehound.classifier.network import Classifier, Head, create_backbone
from sagehound.classifier.source import Source, open_source
from sagehound.classifier.training import Recipe, evaluate, fit


def say(line: str) -> None:
    """A line for the log, at once."""
    print(line, flush=True)


def train(arguments: Arguments, environ: Mapping[str, str], *, use_test_split: bool) -> dict[str, Any]:
    """Train as told and write the artefact into the model folder; returns what metrics.json says.

    A tuning trial passes `use_test_split=False`: a choice between trials must not see the test split.
    """
    started = time.perf_counter()
    with join(environ) as group, tempfile.TemporaryDirectory(prefix="sagehound-training-") as work:
        settings = arguments.hyperparameters
        _describe(settings, group)
        folder = _checkpoint_folder(arguments.checkpoint_dir)
        channels = find_channels(environ, arguments.training)
        source = open_source(channels, settings.backbone, group, folder, Path(work), say)
        training, validation = _required(source, "train"), _required(source, "validation")
        data = hashlib.blake2b((training.fingerprint() + validation.fingerprint()).encode(), digest_size=16)
        checkpoints = Checkpoints(folder, f"{settings.identity()}-{data.hexdigest()}")
        torch.manual_seed(settings.seed)
        backbone = create_backbone(settings.backbone).to(group.device)
        head = Head(backbone.feature_count, len(source.classes)).to(group.device)
        head.standardize(torch.from_numpy(training.features).to(group.device))
        classifier = Classifier(backbone, head)
        history = _fit_head(head, training, validation, settings, checkpoints, group)
        if settings.gear == "network":
            history += _fit_network(classifier, source, settings, checkpoints, group)
        figures = _evaluate(classifier, source, validation, settings, group, use_test_split)
        pictures = {"train": len(training.names), "validation": len(validation.names)}
        metrics = _metrics(settings, group, source, history, figures, pictures, time.perf_counter() - started)
        if group.is_main:
            _write_artefact(arguments, classifier, source, metrics, Path(work))
            say(f"done in {time.perf_counter() - started:.1f} s")
        return metrics


def extract_features(arguments: Arguments, environ: Mapping[str, str]) -> None:
    """Write all splits as a feature channel into the model folder."""
    with join(environ) as group, tempfile.TemporaryDirectory(prefix="sagehound-features-") as work:
        settings = arguments.hyperparameters
        folder = _checkpoint_folder(arguments.checkpoint_dir)
        channels = find_channels(environ, arguments.training)
        if channels.features is not None:
            raise BadDataset(f"{channels.features} holds features already")
        source = open_source(channels, settings.backbone, group, folder, Path(work), say)
        arguments.model_dir.mkdir(parents=True, exist_ok=True)
        for split in channels.splits:
            features = _required(source, split)
            if group.is_main:
                features.save(arguments.model_dir / f"{split}.npz")
        if group.is_main:
            (arguments.model_dir / BACKBONE_FILE).write_bytes(source.backbone_file.read_bytes())
            FeatureChannel(arguments.model_dir, settings.backbone, source.classes).write_manifest()
            say(f"the feature channel is in {arguments.model_dir}")


def _describe(settings: Hyperparameters, group: Group) -> None:
    say("hyperparameters: " + " ".join(f"{name}={value}" for name, value in asdict(settings).items()))
    say(f"host {group.rank + 1} of {group.world}, {group.device.type}, {usable_cores()} cores, seed {settings.seed}")


def _checkpoint_folder(folder: Path | None) -> Path | None:
    if folder is None:
        say("no checkpoints are kept: /opt/ml/checkpoints does not exist and no --checkpoint_dir was given")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _required(source: Source, split: str) -> FeatureSet:
    features = source.features(split)
    if features is None:
        raise BadDataset(f"the data have no {split} split")
    return features


def _fit_head(
    head: Head,
    training: FeatureSet,
    validation: FeatureSet,
    settings: Hyperparameters,
    checkpoints: Checkpoints,
    group: Group,
) -> list[dict[str, float]]:
    alone = settings.gear == "head"
    defaults = Hyperparameters()
    recipe = Recipe(
        stage="head",
        epochs=settings.epochs if alone else settings.head_epochs,
        batch_size=settings.batch_size if alone else defaults.batch_size,
        # Before fine-tuning the head only has to be good: its own rate is the known one.
        learning_rate=settings.learning_rate if alone else defaults.learning_rate,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
    )
    return fit(head, FeatureExamples(training), FeatureExamples(validation), recipe, checkpoints, group, say)


def _fit_network(
    classifier: Classifier, source: Source, settings: Hyperparameters, checkpoints: Checkpoints, group: Group
) -> list[dict[str, float]]:
    classifier.backbone.unfreeze()
    preprocessing = classifier.backbone.preprocessing
    training = PictureExamples(source.pictures("train"), preprocessing, augment_seed=settings.seed)
    validation = PictureExamples(source.pictures("validation"), preprocessing)
    recipe = Recipe(
        "network",
        settings.epochs,
        settings.batch_size,
        settings.learning_rate,
        settings.weight_decay,
        settings.seed,
    )
    return fit(classifier, training, validation, recipe, checkpoints, group, say)


def _evaluate(
    classifier: Classifier,
    source: Source,
    validation: FeatureSet,
    settings: Hyperparameters,
    group: Group,
    use_test_split: bool,
) -> dict[str, Any]:
    """The final figures by split; the test split is touched here, once."""
    figures: dict[str, Any] = {}
    for split in ("validation", "test") if use_test_split else ("validation",):
        whole = settings.gear == "network"
        features = validation if split == "validation" else None
        if split == "test" and not whole:
            features = source.features("test")
            if features is None:
                say("there is no test split: no test figures")
                continue
        examples: Examples = (
            FeatureExamples(features)
            if features is not None and not whole
            else PictureExamples(source.pictures(split), classifier.backbone.preprocessing)
        )
        evaluation, labels, logits = evaluate(classifier if whole else classifier.head, examples, group)
        if group.is_main:
            print_metrics(f"final {split}", evaluation.named(split))
        counts = confusion(labels, logits.argmax(1).numpy(), len(source.classes))
        figures[split] = evaluation.to_json() | {
            "confusion": counts.tolist(),
            "per_class": per_class(counts, source.classes),
        }
    return figures


def _metrics(
    settings: Hyperparameters,
    group: Group,
    source: Source,
    history: list[dict[str, float]],
    figures: dict[str, Any],
    pictures: dict[str, int],
    seconds: float,
) -> dict[str, Any]:
    classes = len(source.classes)
    return {
        "hyperparameters": asdict(settings),
        "hosts": group.world,
        "classes": classes,
        "pictures": pictures | {split: figure["pictures"] for split, figure in figures.items()},
        "chance": {"accuracy": 1 / classes, "loss": math.log(classes)},
        "seconds": round(seconds, 3),
        "history": history,
        **figures,
    }


def _write_artefact(
    arguments: Arguments, classifier: Classifier, source: Source, metrics: dict[str, Any], work: Path
) -> None:
    model_dir = arguments.model_dir
    model_dir.mkdir(parents=True, exist_ok=True)
    backbone_file = source.backbone_file
    if arguments.hyperparameters.gear == "network":
        backbone_file = work / "tuned-backbone.onnx"
        export.export_backbone(classifier.backbone, backbone_file)
    export.add_head(backbone_file, classifier.head, model_dir / "model.onnx")
    difference = export.check_onnx(model_dir / "model.onnx", classifier)
    say(f"model.onnx agrees with the network: largest difference {difference:.1e} of the largest logit")
    export.save_network(classifier, source.classes, model_dir / "model.pth")
    export.write_json(model_dir / "classes.json", list(source.classes))
    export.write_code(model_dir)
    for folder in (model_dir, arguments.output_dir):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            export.write_json(folder / "metrics.json", metrics)
    say(f"the artefact is in {model_dir}")
