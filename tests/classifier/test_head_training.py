"""The head trained in numpy is the head trained in torch, and what it says of a wild value is a sentence."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sagehound.classifier.checkpoint import Checkpoints
from sagehound.classifier.distributed import Group
from sagehound.classifier.examples import FeatureExamples
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.head_training import fit_head
from sagehound.classifier.linear_head import LinearHead, standardization
from sagehound.classifier.network import Head
from sagehound.classifier.schedule import Recipe, TrainingDiverged, views_of
from sagehound.classifier.training import fit
from tests.classifier.script import environment

RECIPE = Recipe("head", 5, 16, 0.02, 0.3, seed=4)


def clouds(seed: int, count: int = 203, views: int = 1) -> FeatureSet:
    """Seven clouds of points in forty dimensions, each point seen from as many places as there are views."""
    chance = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 7
    centres = np.random.default_rng(99).normal(3, 1, (7, 40))
    seen = [(centres[labels] + chance.normal(0, 1, (count, 40))).astype(np.float32) for _ in range(views)]
    return FeatureSet(tuple(f"{i}" for i in range(count)), labels, seen[0], tuple(seen[1:]))


@pytest.mark.parametrize("views", [1, 3])
def test_numpy_and_torch_train_the_same_head(views: int) -> None:
    training, validation = clouds(0, views=views), clouds(1)
    ours, history = fit_head(training, validation, 7, RECIPE)
    theirs = Head(40, 7)
    theirs.standardize(training.features)
    examples = FeatureExamples(training, RECIPE.seed)
    expected = fit(theirs, examples, FeatureExamples(validation), RECIPE, Checkpoints(None, ""), Group(), print)
    for name, value in theirs.arrays().state().items():
        np.testing.assert_allclose(ours.state()[name], value, atol=1e-5, err_msg=name)
    assert len(history) == len(expected) == 5
    for mine, other in zip(history, expected, strict=True):
        assert mine == pytest.approx(other, abs=1e-5)
    assert history[-1]["validation:accuracy"] > 0.5


def test_the_views_change_from_epoch_to_epoch_and_do_not_depend_on_who_draws_them() -> None:
    everyone = np.arange(6000)
    first, second = views_of(everyone, 4, 0, 0), views_of(everyone, 4, 0, 1)
    assert set(first.tolist()) == {0, 1, 2, 3}
    assert np.bincount(first).min() > 1300
    assert 0.2 < (first == second).mean() < 0.3
    some = everyone[::7][::-1]
    assert np.array_equal(views_of(some, 4, 0, 0), first[some])
    assert not np.array_equal(views_of(everyone, 4, 1, 0), first)


def test_an_untrained_head_guesses() -> None:
    head = LinearHead.untrained(clouds(0).features, 7)
    assert not head.logits(clouds(1).features).any()


def test_standardization_keeps_the_digits_of_many_rows_and_leaves_dead_features_alone() -> None:
    values = np.random.default_rng(0).normal(1000, 1, (50_000, 3)).astype(np.float32)
    values[:, 2] = 7
    mean, std = standardization(values)
    np.testing.assert_allclose(mean, values.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(std[:2], values.std(0, dtype=np.float64)[:2], rtol=1e-4)
    assert std[2] == 1.0


def test_a_folded_head_gives_the_same_scores() -> None:
    head, _ = fit_head(clouds(0), clouds(1), 7, RECIPE)
    weight, bias = head.folded()
    features = clouds(2).features
    np.testing.assert_allclose(features @ weight.T + bias, head.logits(features), atol=1e-3)


def test_a_training_that_runs_away_names_the_values_that_drove_it() -> None:
    wild = Recipe("head", 50, 16, 90.0, 90.0, seed=0)
    with pytest.raises(TrainingDiverged) as diverged:
        fit_head(clouds(0), clouds(1), 7, wild)
    assert re.search(
        r"the loss is (nan|inf) in epoch \d+ after \d+ steps: .*learning_rate.* \(it is 90; --weight_decay is 90\)",
        str(diverged.value),
    )


def test_features_that_are_no_numbers_end_the_training() -> None:
    broken = clouds(0)
    broken.features[3] = np.inf
    with pytest.raises(TrainingDiverged):
        fit_head(broken, clouds(1), 7, RECIPE)


def test_the_way_without_torch_imports_none_of_it(tmp_path: Path) -> None:
    modules = "job, head_job, entry_points.hpo, entry_points.train_model"
    code = "; ".join(f"import sagehound.classifier.{name.strip()}" for name in modules.split(","))
    code += "; import sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert torch.__version__  # which is installed, so its absence above means something


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the threads of a process are counted in /proc")
@pytest.mark.parametrize("script", ["hpo", "train_model"])
def test_trials_that_share_the_cores_keep_to_one_thread_each(script: str) -> None:
    code = (
        f"import os, sagehound.classifier.entry_points.{script}, numpy\n"
        "matrix = numpy.ones((600, 600), dtype=numpy.float32)\n"
        "matrix @ matrix\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    command = [sys.executable, "-c", code]
    variables = environment(OMP_NUM_THREADS=4)
    told = subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout
    assert told.strip() == "1"
