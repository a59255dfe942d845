"""A training job by the way that suits it: a head on extracted features needs no torch, everything else does."""

import importlib
from collections.abc import Mapping
from typing import Any

from sagehound.classifier.arguments import Arguments
from sagehound.classifier.channels import Channels, find_channels
from sagehound.classifier.place import find_place

HEAD_STAGE = "head"
WITHOUT_TORCH = "sagehound.classifier.head_job"
WITH_TORCH = "sagehound.classifier.torch_job"


def way(arguments: Arguments, channels: Channels, hosts: int) -> str:
    """The module that does this job.

    A head on a feature channel in one process takes a second; to import torch for it would take two more. A checkpoint
    of several hosts goes on in the loop that wrote it.
    """
    folder = arguments.checkpoint_dir
    begun = folder is not None and (folder / f"{HEAD_STAGE}.pt").exists()
    simple = channels.features is not None and arguments.hyperparameters.gear == "head" and hosts == 1
    return WITHOUT_TORCH if simple and not begun else WITH_TORCH


def train(arguments: Arguments, environ: Mapping[str, str], *, use_test_split: bool) -> dict[str, Any]:
    """Train as told and write the artefact into the model folder; returns what metrics.json says.

    A tuning trial passes `use_test_split=False`: a choice between trials must not see the test split.
    """
    channels = find_channels(environ, arguments.training)
    # By name, so that torch is imported only where it is used.
    module = importlib.import_module(way(arguments, channels, find_place(environ).world))
    metrics: dict[str, Any] = module.train(arguments, channels, environ, use_test_split=use_test_split)
    return metrics
