"""What a training has come to: figures by split, metrics.json and predictions.json. Imports no torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.arguments import Arguments, Hyperparameters
from sagehound.classifier.artefact import write_code, write_json
from sagehound.classifier.metrics import calibration, confusion, evaluate_logits, per_class, print_metrics, softmax

TOP = 5
"""How many classes predictions.json names for a picture."""


@dataclass(frozen=True)
class Scored:
    """The pictures of one split and the scores that the trained network gives them."""

    split: str
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    """[pictures, classes]"""

    def figures(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Loss, accuracy, top 5, confusion, per class and calibration; announced as the final ones."""
        evaluation = evaluate_logits(self.logits, self.labels)
        print_metrics(f"final {self.split}", evaluation.named(self.split))
        counts = confusion(self.labels, self.logits.argmax(1), len(classes))
        return evaluation.to_json() | {
            "confusion": counts.tolist(),
            "per_class": per_class(counts, classes),
            "calibration": calibration(self.logits, self.labels),
        }

    def predictions(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Each picture's label, its most likely classes, and the probability that its label is given."""
        probabilities = softmax(self.logits)
        top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        return {
            "classes": list(classes),
            "split": self.split,
            "names": list(self.names),
            "labels": self.labels.tolist(),
            "top": top.tolist(),
            "probabilities": np.take_along_axis(probabilities, top, axis=1).round(6).tolist(),
            "label_probability": probabilities[np.arange(len(self.labels)), self.labels].round(6).tolist(),
        }


@dataclass(frozen=True)
class Outcome:
    """All that a training has to tell."""

    settings: Hyperparameters
    hosts: int
    classes: tuple[str, ...]
    training_pictures: int
    history: list[dict[str, float]]
    scored: Sequence[Scored]
    """Validation, then test where it was used."""

    def metrics(self, seconds: float) -> dict[str, Any]:
        """What metrics.json says; announces the final figures."""
        count = len(self.classes)
        return {
            "hyperparameters": asdict(self.settings),
            "hosts": self.hosts,
            "classes": count,
            "pictures": {"train": self.training_pictures} | {s.split: len(s.names) for s in self.scored},
            "chance": {"accuracy": 1 / count, "loss": math.log(count)},
            "seconds": round(seconds, 3),
            "history": self.history,
            **{scored.split: scored.figures(self.classes) for scored in self.scored},
        }

    def write(self, arguments: Arguments, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
        """Write all of the artefact but the network, and the output for the report; returns what metrics.json says."""
        metrics = self.metrics(seconds)
        model_dir, output_dir = arguments.model_dir, arguments.output_dir
        model_dir.mkdir(parents=True, exist_ok=True)
        write_json(model_dir / "classes.json", list(self.classes))
        write_code(model_dir)
        write_json(model_dir / "metrics.json", metrics)
        if output_dir is not None:
            output_dir.mkdir(parents=True, exist_ok=True)
            write_json(output_dir / "metrics.json", metrics)
            write_json(output_dir / "predictions.json", self.scored[-1].predictions(self.classes))
        say(f"the artefact is in {model_dir}")
        return metrics


def describe(settings: Hyperparameters, host: str, say: Callable[[str], None]) -> None:
    """Say in the log what is trained and where."""
    say("hyperparameters: " + " ".join(f"{name}={value}" for name, value in asdict(settings).items()))
    say(f"{host}, seed {settings.seed}")


def say(line: str) -> None:
    """A line for the log, at once."""
    print(line, flush=True)


def folder_of_checkpoints(folder: Path | None, say: Callable[[str], None]) -> Path | None:
    """The folder for checkpoints, made; None, which is said, where there is none."""
    if folder is None:
        say("no checkpoints are kept: /opt/ml/checkpoints does not exist and no --checkpoint_dir was given")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder
