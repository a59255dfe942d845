"""What the tuning benchmark searches: three standard functions, and a classifier's head on features of real pictures

Each objective is to be minimized, and gives the same value for the same hyperparameters every time.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sagehound.classifier.dataset import Split, class_names, read_split
from sagehound.classifier.export import export_backbone
from sagehound.classifier.extractors import OnnxExtractor
from sagehound.classifier.network import create_backbone

PICTURES = Path(os.environ.get("SAGEHOUND_TEST_PICTURES", Path(__file__).parents[2] / "shared" / "data" / "dogImages"))
CACHE = Path(tempfile.gettempdir()) / "sagehound-bench-features"
BACKBONE = "efficientnet_lite0"
HEAD_EPOCHS = 3
Values = dict[str, Any]


@dataclass(frozen=True)
class Objective:
    """A name, AWS's ParameterRanges, and the value at given hyperparameters."""

    name: str
    ranges: dict[str, list[dict[str, Any]]]
    value: Callable[[Values], float]


def _range(name: str, low: float, high: float, scaling: str = "Linear") -> dict[str, str]:
    return {"Name": name, "MinValue": repr(low), "MaxValue": repr(high), "ScalingType": scaling}


BATCH_SIZES = {"Name": "batch_size", "Values": ["32", "64", "128", "256", "512"]}


def _branin(given: Values) -> float:
    x, y = given["x"], given["y"]
    hollow = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return float(hollow + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


_HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
_HARTMANN_ALPHA = np.array([1, 1.2, 3, 3.2])


def _hartmann(given: Values) -> float:
    x = np.array([given[f"x{index}"] for index in range(6)])
    return -float(_HARTMANN_ALPHA @ np.exp(-(_HARTMANN_A * (x - _HARTMANN_P) ** 2).sum(1)))


_ACKLEY_STEP = {"32": 1.0, "64": 0.5, "128": 0.0, "256": 0.5, "512": 1.0}


def _ackley(given: Values) -> float:
    """Ackley's function of two logarithms and a category, least at 0.02, 0.00025 and 128."""
    z = np.array(
        [
            math.log10(given["learning_rate"] / 0.02),
            math.log10(given["weight_decay"] / 0.00025),
            _ACKLEY_STEP[given["batch_size"]],
        ]
    )
    waves = math.exp(np.cos(2 * math.pi * z).mean())
    return float(-20 * math.exp(-0.2 * math.sqrt((z * z).mean())) - waves + 20 + math.e)


FUNCTIONS = (
    Objective("Branin", {"ContinuousParameterRanges": [_range("x", -5, 10), _range("y", 0, 15)]}, _branin),
    Objective("Hartmann-6", {"ContinuousParameterRanges": [_range(f"x{i}", 0, 1) for i in range(6)]}, _hartmann),
    Objective(
        "Ackley-3, two scales logarithmic, one of five categories",
        {
            "ContinuousParameterRanges": [
                _range("learning_rate", 1e-3, 1e-1, "Logarithmic"),
                _range("weight_decay", 1e-6, 1e-2, "Logarithmic"),
            ],
            "CategoricalParameterRanges": [BATCH_SIZES],
        },
        _ackley,
    ),
)


def head() -> Objective | None:
    """The head search on the real pictures; None where they are missing."""
    if not (PICTURES / "train").is_dir():
        return None
    classes = class_names(PICTURES / "train")
    train = _features(read_split("train", PICTURES / "train", classes))
    validation = _features(read_split("validation", PICTURES / "valid", classes))
    mean, std = train[0].mean(0), train[0].std(0) + 1e-6
    training, held_out = ((x - mean) / std for x in (train[0], validation[0]))

    def value(given: Values) -> float:
        return _validation_loss(training, train[1], held_out, validation[1], len(classes), given)

    ranges = {
        "ContinuousParameterRanges": [
            _range("learning_rate", 1e-4, 1e-1, "Logarithmic"),
            _range("weight_decay", 1e-6, 1e-1, "Logarithmic"),
        ],
        "CategoricalParameterRanges": [BATCH_SIZES],
    }
    return Objective("Head on features of dogImages", ranges, value)


def _features(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and labels of a split, from the cache where the same pictures have been there before."""
    backbone = create_backbone(BACKBONE)
    CACHE.mkdir(exist_ok=True)
    names = hashlib.blake2b("\0".join(f"{one.name} {one.label}" for one in split.pictures).encode(), digest_size=8)
    cached = CACHE / f"{BACKBONE}-{split.name}-{names.hexdigest()}.npy"
    if not cached.exists():
        graph = CACHE / f"{BACKBONE}.onnx"
        export_backbone(backbone, graph)
        np.save(cached, OnnxExtractor(backbone, graph, threads=1).rows(split.pictures))
    labels = torch.tensor([one.label for one in split.pictures])
    return torch.from_numpy(np.load(cached)), labels


def _validation_loss(
    features: torch.Tensor,
    labels: torch.Tensor,
    held_out: torch.Tensor,
    held_out_labels: torch.Tensor,
    classes: int,
    given: Values,
) -> float:
    """The per-picture loss of a linear head after a short training with AdamW and a cosine."""
    order = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(features.shape[1], classes)
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    batch = int(given["batch_size"])
    optimizer = torch.optim.AdamW(
        linear.parameters(), lr=given["learning_rate"], weight_decay=given["weight_decay"], fused=True
    )
    steps = HEAD_EPOCHS * math.ceil(len(features) / batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(HEAD_EPOCHS):
        for chosen in torch.randperm(len(features), generator=order).split(batch):
            loss = torch.nn.functional.cross_entropy(linear(features[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        return float(torch.nn.functional.cross_entropy(linear(held_out), held_out_labels))
