"""pipeline.toml: what is wrong is said with the file, the field and the way out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from sagehound.errors import SettingsError
from sagehound.pipeline.settings_file import load_settings, render_settings
from sagehound.settings import (
    DataSettings,
    DeploySettings,
    FeatureSettings,
    PipelineSettings,
    TrainSettings,
    TuneSettings,
)


def test_what_init_writes_is_what_the_defaults_are(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(render_settings(PipelineSettings()))
    assert load_settings(path) == PipelineSettings()


def test_every_setting_survives_the_file(tmp_path: Path) -> None:
    settings = PipelineSettings(
        project="dogs",
        upload_workers=3,
        data=DataSettings(name='a "quoted" \\ name', skip_unreadable=True, valid_share=0.2),
        features=FeatureSettings(views=4),
        tune=TuneSettings(
            max_jobs=20,
            objective_regex="Testing Loss: ([0-9\\.]+)",
            ranges={"lr": {"min": 1e-5, "max": 1}, "optimizer": ["sgd", "adam w"], "nesterov": [True, False]},
        ),
        train=TrainSettings(epochs=2, learning_rate=1e-5, gear="network", hyperparameters={"a key": 1.5, "b": "x"}),
        deploy=DeploySettings(instance_count=2),
    )
    path = tmp_path / "pipeline.toml"
    path.write_text(render_settings(settings))
    assert load_settings(path) == settings


def test_every_setting_has_its_sentence_and_no_group_is_too_long() -> None:
    for kind in (PipelineSettings, DataSettings, FeatureSettings, TuneSettings, TrainSettings, DeploySettings):
        fields = dataclasses.fields(kind)
        groups = [item for item in fields if dataclasses.is_dataclass(item.default_factory)]
        assert len(fields) - len(groups) <= 17
        for item in fields:
            if "sentence" in item.metadata or not dataclasses.is_dataclass(item.default_factory):
                assert item.metadata["sentence"].endswith("."), item.name


def test_a_file_and_overrides_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('project = "dogs"\n[train]\nepochs = 4\nlearning_rate = 1\n')
    settings = load_settings(path, ["train.epochs=7", "data.skip_unreadable=true", "data.name=pets", "bucket=b-1"])
    assert (settings.project, settings.train.epochs, settings.train.learning_rate) == ("dogs", 7, 1.0)
    assert (settings.data.skip_unreadable, settings.data.name, settings.bucket) == (True, "pets", "b-1")


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        ('projekt = "x"', "there is no setting projekt", "Did you mean project?"),
        ("[train]\nepoch = 3", "there is no setting train.epoch", "Did you mean train.epochs?"),
        ("[train]\nzzz = 3", "there is no setting train.zzz", "The settings here are: instance_type"),
        ('[train]\nepochs = "3"', "train.epochs is '3', not a whole number", "Default: 0."),
        ("[train]\nepochs = true", "train.epochs is True, not a whole number", "Default: 0."),
        ("[train]\nepochs = -1", "train.epochs is -1, below 0", "passes over the training split"),
        ('[train]\ngear = "third"', "train.gear is 'third'", "head, network"),
        ("train = 3", "train is a table", "Write [train]"),
        ("project = ", "is no TOML", "quotes"),
        ("[tune]\nranges = 3", "tune.ranges is 3, not a table", "NAME = {min"),
        ("[train]\nhyperparameters = [1]", "train.hyperparameters is [1], not a table", "NAME = VALUE"),
        ('[tune]\nstrategy = "Genetic"', "tune.strategy is 'Genetic'", "Bayesian, Random, Grid, Hyperband"),
    ],
)
def test_what_is_wrong_is_named(text: str, cause: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(path)
    assert str(path) in refused.value.cause
    assert cause in refused.value.cause
    assert hint in refused.value.hint


def test_ranges_in_a_file_are_all_that_is_searched(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("[tune.ranges]\nepochs = {min = 4, max = 20}\n")
    assert load_settings(path).tune.ranges == {"epochs": {"min": 4, "max": 20}}


def test_one_part_of_a_range_can_be_overridden() -> None:
    usual = TuneSettings().ranges
    settings = load_settings(
        None,
        [
            "tune.max_jobs=20",
            "tune.ranges.learning_rate.max=0.01",
            "tune.ranges.batch_size=[16, 32]",
            "tune.ranges.weight_decay.min=0.001",
            "tune.ranges.weight_decay.max=1",
            "train.hyperparameters.momentum=0.9",
            "train.hyperparameters.optimizer=sgd",
        ],
    )
    assert settings.tune.max_jobs == 20
    assert settings.tune.ranges == {
        "learning_rate": {**usual["learning_rate"], "max": 0.01},
        "batch_size": [16, 32],
        "weight_decay": {"min": 0.001, "max": 1},
    }
    assert settings.train.hyperparameters == {"momentum": 0.9, "optimizer": "sgd"}
    assert TuneSettings().ranges == usual  # the defaults themselves are untouched
    replaced = load_settings(None, ["tune.ranges={batch_size = [8]}"])
    assert replaced.tune.ranges == {"batch_size": [8]}


@pytest.mark.parametrize(
    ("override", "cause"),
    [
        ("train.epochs", "has no value"),
        ("train.epochs=many", "train.epochs is 'many', not a whole number"),
        ("train=3", "train is a table"),
        ("train.learning_rate=inf", "train.learning_rate is inf, not a finite number"),
        ("train.learning_rate=nan", "train.learning_rate is nan, not a finite number"),
        ("project.name=3", "project has no parts"),
        ("trian.epochs=3", "there is no setting trian"),
        ("tune.ranges.learning_rate.min=1", "tune.ranges.learning_rate is upside down: min 1 is above max 0.1"),
        ("tune.ranges.batch_size.min=1", "batch_size is [32, 64, 128, 256, 512], which has no parts"),
        ("tune.ranges.epochs.min=1", "tune.ranges.epochs has no max"),
    ],
)
def test_overrides_go_through_the_same_checks(override: str, cause: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, [override])
    assert cause in refused.value.cause


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(tmp_path / "nothing.toml")
