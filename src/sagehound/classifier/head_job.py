"""A training on a feature channel in one process: features, head, figures, artefact. Imports no torch.

The head takes a second or so, so it is not checkpointed: what takes long, the features, is in the channel.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagehound.classifier.arguments import Arguments
from sagehound.classifier.channel_source import ChannelSource
from sagehound.classifier.channels import Channels
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.head_training import fit_head
from sagehound.classifier.outcome import Outcome, Scored, describe, say
from sagehound.classifier.schedule import Recipe


def train(
    arguments: Arguments, channels: Channels, environ: Mapping[str, str], *, use_test_split: bool
) -> dict[str, Any]:
    """Train the head as told and write the artefact into the model folder; returns what metrics.json says."""
    started = time.perf_counter()
    settings = arguments.hyperparameters
    with tempfile.TemporaryDirectory(prefix="sagehound-training-") as work:
        describe(settings, f"host 1 of 1, cpu, {environ.get('OMP_NUM_THREADS') or os.cpu_count()} threads", say)
        assert channels.features is not None
        source = ChannelSource(channels.features, settings.backbone, settings.views, Path(work), say)
        training, validation = _required(source, "train"), _required(source, "validation")
        recipe = Recipe(
            "head", settings.epochs, settings.batch_size, settings.learning_rate, settings.weight_decay, settings.seed
        )
        head, history = fit_head(training, validation, len(source.classes), recipe)
        held_out = {"validation": validation}
        # The test split is touched here, once.
        test = source.features("test") if use_test_split else None
        if test is not None:
            held_out["test"] = test
        elif use_test_split:
            say("there is no test split: no test figures")
        scored = [Scored(split, s.names, s.labels, head.logits(s.features)) for split, s in held_out.items()]
        difference = source.headless().complete(head, arguments.model_dir)
        say(f"model.onnx agrees with the network: largest difference {difference:.1e} of the largest logit")
        outcome = Outcome(settings, 1, source.classes, len(training.names), history, scored)
        metrics = outcome.write(arguments, time.perf_counter() - started, say)
        say(f"done in {time.perf_counter() - started:.1f} s")
        return metrics


def _required(source: ChannelSource, split: str) -> FeatureSet:
    features = source.features(split)
    if features is None:
        raise BadDataset(f"the feature channel has no {split} split: extract it from pictures that have one")
    return features
