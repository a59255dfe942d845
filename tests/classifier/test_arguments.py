"""Hyperparameters in the spellings that tuners, SDKs and people send."""

from pathlib import Path

import pytest

from sagehound.classifier.arguments import Hyperparameters, parse_arguments


def parse(*argv: str, **environ: str) -> Hyperparameters:
    return parse_arguments("a test", argv, environ).hyperparameters


@pytest.mark.parametrize("text", ["64", '"64"', "64.0"])
@pytest.mark.parametrize("name", ["--batch_size", "--batch-size"])
def test_a_whole_number_may_be_quoted(name: str, text: str) -> None:
    assert parse(name, text).batch_size == 64


def test_defaults_are_the_recipe_that_reached_the_figure() -> None:
    settings = parse()
    assert (settings.gear, settings.learning_rate, settings.batch_size, settings.epochs) == ("head", 1e-3, 64, 12)
    assert parse("--gear", '"network"').epochs == 3


def test_what_the_service_adds_is_left_out() -> None:
    assert parse("--_tuning_objective_metric", "validation:loss", "--lr", '"0.01"').learning_rate == 0.01
    assert parse("--sagemaker_region", "us-east-1") == Hyperparameters()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--learnin_rate", "1"], "unknown argument --learnin_rate"),
        (["--learning_rate", "-1"], "-1 is not a number above 0"),
        (["--learning_rate", "nan"], "nan is not a number above 0"),
        (["--batch_size", "6.5"], "6.5 is not a whole number of at least 1"),
        (["--epochs", "0"], "0 is not a whole number of at least 1"),
        (["--gear", "third"], "third is neither head nor network"),
    ],
)
def test_wrong_values_are_refused_by_name(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(*argv)
    assert said in capsys.readouterr().err


def test_folders_come_from_the_container_unless_they_are_given() -> None:
    environ = {"SM_MODEL_DIR": "/m", "SM_OUTPUT_DATA_DIR": "/o", "SM_CHECKPOINT_DIR": "/c"}
    found = parse_arguments("", [], environ)
    assert (found.model_dir, found.output_dir, found.checkpoint_dir) == (Path("/m"), Path("/o"), Path("/c"))
    given = parse_arguments("", ["--model_dir", "/x", "--checkpoint-dir", "/y"], environ)
    assert (given.model_dir, given.checkpoint_dir) == (Path("/x"), Path("/y"))
