"""A training with torch: features, head, network if asked, test split once, artefact; on one host or several."""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sagehound.classifier import export
from sagehound.classifier.arguments import Arguments, Hyperparameters
from sagehound.classifier.artefact import add_head, check_onnx
from sagehound.classifier.channels import Channels
from sagehound.classifier.checkpoint import Checkpoints
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.distributed import Group, join
from sagehound.classifier.examples import Examples, FeatureExamples, PictureExamples
from sagehound.classifier.extractors import usable_cores
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.network import Classifier, Head, create_backbone
from sagehound.classifier.outcome import Outcome, Scored, describe, folder_of_checkpoints, say
from sagehound.classifier.schedule import Recipe
from sagehound.classifier.source import Source, open_source
from sagehound.classifier.training import evaluate, fit
from sagehound.classifier.weight_average import KEPT


def train(
    arguments: Arguments, channels: Channels, environ: Mapping[str, str], *, use_test_split: bool
) -> dict[str, Any]:
    """Train as told and write the artefact into the model folder; returns what metrics.json says (on the main host)."""
    started = time.perf_counter()
    with join(environ) as group, tempfile.TemporaryDirectory(prefix="sagehound-training-") as work:
        settings = arguments.hyperparameters
        host = f"host {group.rank + 1} of {group.world}, {group.device.type}, {usable_cores()} cores"
        describe(settings, host, say)
        folder = folder_of_checkpoints(arguments.checkpoint_dir, say)
        source = open_source(channels, settings, group, folder, Path(work), say)
        training, validation = _required(source, "train"), _required(source, "validation")
        data = hashlib.blake2b((training.fingerprint() + validation.fingerprint()).encode(), digest_size=16)
        checkpoints = Checkpoints(folder, f"{settings.identity()}-{data.hexdigest()}")
        torch.manual_seed(settings.seed)
        head = Head(training.features.shape[1], len(source.classes))
        head.standardize(training.features)
        head.to(group.device)
        history = _fit_head(head, training, validation, settings, checkpoints, group)
        classifier = None
        if settings.gear == "network":
            classifier = Classifier(create_backbone(settings.backbone).to(group.device), head)
            history += _fit_network(classifier, source, settings, checkpoints, group)
        scored = _score(classifier or head, source, validation, group, use_test_split)
        outcome = Outcome(settings, group.world, source.classes, len(training.names), history, scored)
        seconds = time.perf_counter() - started
        if not group.is_main:
            return {}
        _write_network(arguments.model_dir, classifier or head, source, Path(work))
        metrics = outcome.write(arguments, seconds, say)
        say(f"done in {time.perf_counter() - started:.1f} s")
        return metrics


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
    return fit(
        head, FeatureExamples(training, settings.seed), FeatureExamples(validation), recipe, checkpoints, group, say
    )


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
        average_kept=KEPT,
    )
    return fit(classifier, training, validation, recipe, checkpoints, group, say)


def _score(
    module: Classifier | Head, source: Source, validation: FeatureSet, group: Group, use_test_split: bool
) -> list[Scored]:
    """The scores of the held-out pictures; the test split is touched here, once."""
    scored = []
    for split in ("validation", "test") if use_test_split else ("validation",):
        examples: Examples
        if split not in source.splits:
            say("there is no test split: no test figures")
            continue
        if isinstance(module, Classifier):
            pictures = source.pictures(split)
            names = tuple(picture.name for picture in pictures.pictures)
            examples = PictureExamples(pictures, module.backbone.preprocessing)
        else:
            features = validation if split == "validation" else _required(source, split)
            names, examples = features.names, FeatureExamples(features)
        _, labels, logits = evaluate(module, examples, group)
        scored.append(Scored(split, names, labels, logits.numpy()))
    return scored


def _write_network(model_dir: Path, module: Classifier | Head, source: Source, work: Path) -> None:
    """Write model.onnx and model.pth, and say how well they agree."""
    if isinstance(module, Head):
        difference = source.headless().complete(module.arrays(), model_dir)
    else:
        model_dir.mkdir(parents=True, exist_ok=True)
        tuned = work / "tuned-backbone.onnx"
        export.export_backbone(module.backbone, tuned)
        add_head(tuned, module.head.arrays(), model_dir / "model.onnx")
        difference = check_onnx(model_dir / "model.onnx", export.probe(module, module.backbone.preprocessing))
        export.save_network(module, source.classes, model_dir / "model.pth")
    say(f"model.onnx agrees with the network: largest difference {difference:.1e} of the largest logit")
