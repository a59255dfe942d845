"""What a training leaves for the report: read as it is documented, and refused in words where it is damaged."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from sagehound.classifier.arguments import Hyperparameters
from sagehound.classifier.outcome import Outcome, Scored
from sagehound.pipeline.report.class_names import readable
from sagehound.pipeline.report.documents import DamagedOutput, parse_metrics, parse_predictions
from sagehound.pipeline.report.mistakes import most_wrong, pairs_without_pictures, worst_pairs

SPLIT: dict[str, Any] = {
    "pictures": 4,
    "loss": 0.5,
    "accuracy": 0.75,
    "top5": 1.0,
    "confusion": [[1, 1], [0, 2]],
    "per_class": [
        {
            "class": "1.cat",
            "pictures": 2,
            "right": 1,
            "recall": 0.5,
            "precision": 1.0,
            "most_confused_with": "2.dog",
        },
        {
            "class": "2.dog",
            "pictures": 2,
            "right": 2,
            "recall": 1.0,
            "precision": None,
            "most_confused_with": None,
        },
    ],
    "calibration": {
        "ece": 0.1,
        "bins": [
            {"low": 0.0, "high": 0.5, "pictures": 0, "confidence": None, "accuracy": None},
            {"low": 0.5, "high": 1.0, "pictures": 4, "confidence": 0.8, "accuracy": 0.75},
        ],
    },
}
METRICS: dict[str, Any] = {
    "hyperparameters": {"gear": "head"},
    "hosts": 1,
    "classes": 2,
    "history": [{"train:loss": 0.9, "validation:loss": 0.7}],
    "validation": SPLIT,
}
PREDICTIONS: dict[str, Any] = {
    "classes": ["1.cat", "2.dog", "3.fox"],
    "split": "test",
    "names": ["1.cat/a.png", "1.cat/b.png", "1.cat/c.png", "2.dog/a.png", "2.dog/b.png", "3.fox/a.png"],
    "labels": [0, 0, 0, 1, 1, 2],
    "top": [[1, 0], [1, 0], [0, 1], [1, 2], [1, 0], [1, 2]],
    "probabilities": [[0.9, 0.1], [0.6, 0.3], [0.7, 0.2], [0.8, 0.1], [0.95, 0.02], [0.5, 0.4]],
    "label_probability": [0.1, 0.3, 0.7, 0.8, 0.95, 0.4],
}


def changed(document: dict[str, Any], path: str, value: Any) -> bytes:
    copied = copy.deepcopy(document)
    place: Any = copied
    *parents, last = path.split(".")
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    place[int(last) if isinstance(place, list) else last] = value
    return json.dumps(copied).encode()


def test_metrics_are_read_and_a_missing_test_split_stays_missing() -> None:
    metrics = parse_metrics(json.dumps(METRICS).encode())
    assert set(metrics.splits) == {"validation"}
    split = metrics.splits["validation"]
    assert (split.accuracy, split.ece, split.per_class[0].confused_with) == (0.75, 0.1, "2.dog")
    assert split.per_class[1].precision is None
    assert [entry.pictures for entry in split.bins] == [0, 4]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("classes", None),
        ("history", 7),
        ("history", ["x"]),
        ("validation", [1]),
        ("validation.loss", "much"),
        ("validation.confusion", [[1, 2]]),
        ("validation.confusion", [[1]]),
        ("validation.per_class.0.recall", 7),
        ("validation.calibration.bins.1.accuracy", float("nan")),
    ],
)
def test_metrics_that_are_no_metrics_are_refused_by_name(path: str, value: Any) -> None:
    with pytest.raises(DamagedOutput, match=r"metrics\.json is not as expected"):
        parse_metrics(changed(METRICS, path, value))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"null"])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(DamagedOutput):
        parse_metrics(content)
    with pytest.raises(DamagedOutput):
        parse_predictions(content)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("names", ["one"], "1 names"),
        ("labels.0", 3, "beyond its 3 classes"),
        ("labels.0", -1, "beyond its 3 classes"),
        ("top.0", [9, 0], "beyond its 3 classes"),
        ("top.0", [], "as many probabilities as guesses"),
        ("probabilities.0", [0.5], "as many probabilities as guesses"),
        ("probabilities.0", [1.5, 0.1], "no probability"),
        ("label_probability.0", None, "not as expected"),
    ],
)
def test_predictions_that_contradict_themselves_are_refused(path: str, value: Any, words: str) -> None:
    with pytest.raises(DamagedOutput, match=words):
        parse_predictions(changed(PREDICTIONS, path, value))


def test_the_worst_pairs_come_first_with_their_surest_mistake_and_an_example() -> None:
    pairs = worst_pairs(parse_predictions(json.dumps(PREDICTIONS).encode()))
    assert [(pair.true, pair.taken_for, pair.count, pair.pictures) for pair in pairs] == [(0, 1, 2, 3), (2, 1, 1, 1)]
    assert (pairs[0].wrong, pairs[0].wrong_probability) == ("1.cat/a.png", 0.9)
    assert pairs[0].example == "2.dog/b.png"  # the dog that was recognised best


def test_a_class_that_is_never_recognised_still_has_an_example() -> None:
    swapped = PREDICTIONS | {"labels": [2, 2, 2, 1, 1, 0], "top": [[0, 1]] * 3 + [[1, 2]] * 2 + [[1, 0]]}
    pairs = worst_pairs(parse_predictions(json.dumps(swapped).encode()))
    assert pairs[0].taken_for == 0
    assert pairs[0].example == "3.fox/a.png"  # the only picture of class 0, which was taken for another


def test_the_most_wrong_pictures_are_wrong_and_the_least_likely_ones_come_first() -> None:
    wrong = most_wrong(parse_predictions(json.dumps(PREDICTIONS).encode()))
    assert [one.name for one in wrong] == ["1.cat/a.png", "1.cat/b.png", "3.fox/a.png"]
    assert wrong[0].guesses == [(1, 0.9), (0, 0.1)]
    assert len(most_wrong(parse_predictions(json.dumps(PREDICTIONS).encode()), 2)) == 2


def test_without_predictions_the_pairs_come_from_the_confusion_matrix() -> None:
    pairs = pairs_without_pictures([[5, 0, 2], [1, 1, 0], [0, 0, 3]])
    assert [(pair.true, pair.taken_for, pair.count, pair.wrong) for pair in pairs] == [(0, 2, 2, ""), (1, 0, 1, "")]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["001.Affenpinscher", "002.Afghan_hound"], ["Affenpinscher", "Afghan hound"]),
        (["0.T-shirt", "9.Ankle_boot"], ["T-shirt", "Ankle boot"]),
        (["cat", "dog"], ["cat", "dog"]),
        (["1", "2."], ["1", "2."]),
        (["1.cat", "2.cat"], ["1.cat", "2.cat"]),  # the number is all that tells them apart
        (["18th_century", "2_5_inch"], ["18th century", "5 inch"]),
    ],
)
def test_class_names_are_readable_and_stay_different(names: list[str], shown: list[str]) -> None:
    assert readable(names) == shown


def outcome(*splits: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """metrics.json and predictions.json of our own training code, for noisy scores of seven classes."""
    noise = np.random.default_rng(5)
    classes = tuple(f"{number}.breed" for number in range(7))
    labels = np.arange(70) % 7
    scored = []
    for split in splits:
        logits = (np.eye(7)[labels] * 2 + noise.normal(size=(70, 7))).astype(np.float32)
        names = tuple(f"{classes[label]}/{number}.jpg" for number, label in enumerate(labels))
        scored.append(Scored(split, names, labels, logits))
    history = [{"train:loss": 1.0, "validation:loss": 1.1, "validation:accuracy": 0.5, "validation:top5": 0.9}]
    told = Outcome(Hyperparameters(), 5, classes, 210, history, scored)
    return told.metrics(3.0), scored[-1].predictions(classes)


def test_what_our_own_training_writes_is_what_the_report_reads() -> None:
    written, told = outcome("validation", "test")
    metrics = parse_metrics(json.dumps(written).encode())
    predictions = parse_predictions(json.dumps(told).encode())
    assert (metrics.classes, metrics.hosts, predictions.split) == (7, 5, "test")
    figures = metrics.splits["test"]
    right = sum(row[0] == label for row, label in zip(predictions.top, predictions.labels, strict=True))
    assert figures.accuracy == pytest.approx(right / 70)
    assert sum(entry.pictures for entry in figures.bins) == 70
    assert figures.ece == pytest.approx(
        sum(entry.pictures * abs(entry.confidence - entry.accuracy) for entry in figures.bins) / 70, abs=1e-6
    )
    worst = worst_pairs(predictions)[0]
    assert (
        figures.confusion[worst.true][worst.taken_for]
        == worst.count
        == max(count for true, row in enumerate(figures.confusion) for taken, count in enumerate(row) if true != taken)
    )
    assert worst.wrong.startswith(f"{worst.true}.breed/")
    assert worst.example.startswith(f"{worst.taken_for}.breed/")


def test_a_trial_tells_of_the_validation_split() -> None:
    written, told = outcome("validation")
    assert set(parse_metrics(json.dumps(written).encode()).splits) == {"validation"}
    assert parse_predictions(json.dumps(told).encode()).split == "validation"
