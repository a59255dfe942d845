"""The figures and the lines that announce them."""

import io
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from sagehound.classifier.metrics import (
    METRIC_DEFINITIONS,
    METRIC_NAMES,
    calibration,
    confusion,
    evaluate_logits,
    per_class,
    print_metrics,
)
from tests.classifier.script import environment


@pytest.mark.parametrize("value", [0.0, 1.0, 0.123456, 4.787492, 12345.5])
@pytest.mark.parametrize("name", METRIC_NAMES)
def test_a_printed_metric_is_read_by_its_regex_and_by_no_other(name: str, value: float) -> None:
    stream = io.StringIO()
    print_metrics("head epoch 1/2, 3.5 pictures a second", {name: value}, stream)
    read = {d["Name"]: re.findall(d["Regex"], stream.getvalue()) for d in METRIC_DEFINITIONS}
    assert float(read.pop(name)[0]) == pytest.approx(value, abs=1e-6)
    assert not any(read.values())


def test_a_metric_that_nobody_reads_is_refused() -> None:
    with pytest.raises(KeyError):
        print_metrics("x", {"validation:lost": 1.0}, io.StringIO())


def test_definitions_are_within_what_sagemaker_takes() -> None:
    assert len(METRIC_DEFINITIONS) <= 40
    assert all(0 < len(d["Name"]) <= 255 and 0 < len(d["Regex"]) <= 500 for d in METRIC_DEFINITIONS)


def test_figures_are_per_picture() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]], dtype=np.float32))
    figures = evaluate_logits(logits, np.array([0, 2]))
    assert figures.loss == pytest.approx(-(math.log(0.7) + math.log(0.1)) / 2, abs=1e-6)
    assert (figures.accuracy, figures.top5, figures.pictures) == (0.5, 1.0, 2)
    twice = evaluate_logits(np.concatenate([logits, logits]), np.array([0, 2, 0, 2]))
    assert twice.loss == pytest.approx(figures.loss)


def test_large_scores_do_not_overflow_and_ties_go_to_the_first_class() -> None:
    figures = evaluate_logits(np.array([[1e4, 0.0], [5.0, 5.0]], dtype=np.float32), np.array([0, 1]))
    assert math.isfinite(figures.loss)
    assert figures.accuracy == 0.5
    ranked = np.arange(10, dtype=np.float32)[None]
    assert evaluate_logits(ranked, np.array([5])).top5 == 1.0
    assert evaluate_logits(ranked, np.array([4])).top5 == 0.0


def test_confusion_counts_true_classes_in_rows() -> None:
    counts = confusion(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), 3)
    assert counts.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
    first, second, third = per_class(counts, ("a", "b", "c"))
    assert (first["recall"], first["precision"], first["most_confused_with"]) == (1 / 3, 1.0, "b")
    assert (second["right"], second["precision"], second["most_confused_with"]) == (1, 1 / 3, None)
    assert (third["pictures"], third["recall"], third["precision"]) == (0, None, None)


def test_calibration_is_the_distance_between_confidence_and_accuracy() -> None:
    # Two classes: the difference of the logits is the log of the odds.
    sure, torn = np.log(0.9 / 0.1), np.log(0.55 / 0.45)
    logits = np.array([[sure, 0.0]] * 10 + [[torn, 0.0]] * 4, dtype=np.float32)
    labels = np.array([0] * 6 + [1] * 4 + [0, 1, 1, 1])
    found = calibration(logits, labels)
    assert found["ece"] == pytest.approx((10 * abs(0.9 - 0.6) + 4 * abs(0.55 - 0.25)) / 14)
    filled = [row for row in found["bins"] if row["pictures"]]
    assert [(row["pictures"], row["accuracy"]) for row in filled] == [(4, 0.25), (10, 0.6)]
    assert [row["confidence"] for row in filled] == pytest.approx([0.55, 0.9])
    assert all(row["low"] < row["confidence"] <= row["high"] for row in filled)
    assert (len(found["bins"]), found["bins"][0]["low"], found["bins"][-1]["high"]) == (15, 0.0, 1.0)
    assert found["bins"][0]["accuracy"] is None


def test_certainty_falls_into_the_last_bin() -> None:
    found = calibration(np.array([[500.0, 0.0]], dtype=np.float32), np.array([0]))
    assert found["bins"][-1] == {"low": 14 / 15, "high": 1.0, "pictures": 1, "confidence": 1.0, "accuracy": 1.0}
    assert found["ece"] == 0.0


@pytest.mark.parametrize("module", ["metrics", "inference", "arguments", "dataset", "outcome", "job"])
def test_what_servers_and_clients_import_needs_no_torch(module: str) -> None:
    code = f"import sys, sagehound.classifier.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0
