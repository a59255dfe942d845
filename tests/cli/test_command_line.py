"""The command line itself: quick to start, every word documented, errors as three lines."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer.main

from sagehound.cli.main import app

HEAVY = {"boto3", "botocore", "rich", "PIL", "torch", "numpy", "moto", "uvicorn", "starlette", "onnxruntime", "psutil"}


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, sagehound.cli.main\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_command_and_option_has_its_sentence() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) == {
        *("run", "init", "upload", "features", "tune", "train", "deploy", "invoke", "function"),
        *("secure", "scale", "load", "report", "cost", "instance", "notebook", "delete"),
        *("up", "down", "status", "env", "logs", "exec", "shell", "seed", "weights"),
    }
    for name, command in commands.items():
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_an_expected_error_is_three_lines_and_exit_code_1(sagehound) -> None:
    done = sagehound("upload", "--data", "nothing", check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0] == "sagehound: connect failed"
    assert lines[1].startswith("  why:     no local cloud is running on ")
    assert lines[2] == "  way out: Start it with `sagehound up --detach`, or use --target aws."
    assert done.stdout == ""


def test_with_json_the_error_is_an_object(sagehound) -> None:
    done = sagehound("train", "--json", check=False)
    assert done.returncode == 1
    error = json.loads(done.stdout.splitlines()[-1])
    assert (error["event"], error["step"]) == ("error", "connect")
    assert error["hint"]


def test_settings_are_checked_before_anything_is_asked_of_aws(sagehound) -> None:
    done = sagehound("train", "--set", "train.epoch=3", check=False)
    assert "there is no setting train.epoch" in done.stderr
    assert "Did you mean train.epochs?" in done.stderr


@pytest.mark.parametrize("command", ["tune", "run"])
def test_a_search_that_cannot_be_made_is_refused_before_anything_is_asked_of_aws(sagehound, command) -> None:
    done = sagehound(command, "--set", "tune.ranges.learning_rate.min=1", check=False)
    assert done.returncode == 1
    assert "tune.ranges.learning_rate is upside down: min 1 is above max 0.1" in done.stderr
    assert sagehound("status", check=False).returncode == 3


@pytest.mark.parametrize("target", ["mars", "LOCAL"])
def test_an_unknown_target_is_refused(sagehound, target) -> None:
    done = sagehound("train", "--target", target, check=False)
    assert done.returncode == 1
    assert "It is local or aws" in done.stderr


def test_aws_without_credentials_says_so(sagehound, tmp_path) -> None:
    done = sagehound("train", "--target", "aws", "--set", "profile=nobody", check=False)
    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_an_environment_that_leads_to_this_machine_is_no_aws(sagehound, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    profile = "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = x\n"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(f"{profile}endpoint_url = http://127.0.0.1:9\nregion = us-east-1\n")
    done = sagehound("train", "--target", "aws", check=False)
    assert done.returncode == 1
    assert "leads to http://127.0.0.1:9, which is not AWS" in done.stderr
    assert "use --target local" in done.stderr


def test_init_writes_a_file_that_is_read_again(sagehound, tmp_path) -> None:
    sagehound("init", "--set", "project=dogs")
    assert 'project = "dogs"' in (tmp_path / "here" / "pipeline.toml").read_text()
    done = sagehound("init", check=False)
    assert "pipeline.toml exists" in done.stderr
    assert "--force" in done.stderr


def test_a_path_that_cannot_be_used_is_said_without_a_traceback(sagehound, tmp_path) -> None:
    (tmp_path / "here" / "a-file").write_text("")
    done = sagehound("init", "a-file/pipeline.toml", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "a-file/pipeline.toml" in done.stderr
