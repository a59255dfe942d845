"""Several hosts: who is who, and one training that gives what a single host gives."""

import json
import socket
from pathlib import Path

import pytest

from sagehound.classifier.distributed import Place, find_place
from tests.classifier.script import run, start


def test_a_place_is_found_from_sagemakers_variables() -> None:
    hosts = json.dumps([f"algo-{n}" for n in (10, 2, 1)])
    assert find_place({"SM_HOSTS": hosts, "SM_CURRENT_HOST": "algo-10"}) == Place(2, 3, 0, "algo-1", 7777)
    given = {"SM_HOSTS": hosts, "SM_CURRENT_HOST": "algo-1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "5"}
    assert find_place(given) == Place(0, 3, 0, "10.0.0.1", 5)
    assert find_place({"SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"}).world == 1
    assert find_place({}).world == 1
    with pytest.raises(ValueError, match="'algo-7' is not among SM_HOSTS"):
        find_place({"SM_HOSTS": hosts, "SM_CURRENT_HOST": "algo-7"})


def test_torchruns_variables_go_first() -> None:
    environ = {
        "RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "h",
        "MASTER_PORT": "9",
        "SM_HOSTS": "[]",
    }
    assert find_place(environ) == Place(1, 4, 1, "h", 9)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_two_hosts_train_what_one_host_trains_and_only_the_first_writes(shapes: Path, tmp_path: Path) -> None:
    arguments = ("--epochs", "4", "--batch_size", "7", "--seed", "2")
    alone = run("train_model.py", *arguments, SM_CHANNEL_TRAINING=shapes, SM_MODEL_DIR=tmp_path / "alone")
    assert alone.returncode == 0, alone.errors
    port = free_port()
    hosts = [
        start(
            "train_model.py",
            *arguments,
            SM_CHANNEL_TRAINING=shapes,
            SM_MODEL_DIR=tmp_path / name,
            SM_CHECKPOINT_DIR=tmp_path / f"{name}-checkpoints",
            SM_HOSTS='["algo-1", "algo-2"]',
            SM_CURRENT_HOST=name,
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=port,
        )
        for name in ("algo-1", "algo-2")
    ]
    (first, first_errors), (second, second_errors) = (host.communicate(timeout=200) for host in hosts)
    assert [host.returncode for host in hosts] == [0, 0], first_errors + second_errors
    assert "validation:loss=" in first
    assert "validation:loss=" not in second
    assert "features of train: 12/12 pictures" in first
    assert "features of train: 12/12 pictures" in second
    assert not (tmp_path / "algo-2").exists()
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("alone", "algo-1"))
    assert (one["hosts"], two["hosts"]) == (1, 2)
    for ours, theirs in zip(one["history"], two["history"], strict=True):
        assert theirs == pytest.approx(ours, abs=1e-4)
    assert two["test"]["confusion"] == one["test"]["confusion"]
