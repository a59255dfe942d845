"""Several hosts: who is who, and one training that gives what a single host gives."""

import json
import socket
from pathlib import Path

import pytest

from sagehound.classifier.distributed import Place, find_place, share_out
from sagehound.classifier.group_loss import describe
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


def test_mpiruns_variables_go_before_sagemakers() -> None:
    environ = {
        "OMPI_COMM_WORLD_RANK": "3",
        "OMPI_COMM_WORLD_SIZE": "4",
        "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "SM_HOSTS": '["algo-1", "algo-2"]',
        "SM_CURRENT_HOST": "algo-2",
    }
    assert find_place(environ) == Place(3, 4, 1, "algo-1", 7777)


@pytest.mark.parametrize(
    ("visible", "chosen"),
    [
        ([(), ()], [None, None]),
        ([("a", "b"), ("a", "b")], [0, 1]),
        ([("a", "b")] * 5, [0, 1, 0, 1, 0]),
        ([("a",), ("b",)], [0, 0]),
        ([("a", "b"), ("c", "d"), ("a", "b"), ("c", "d")], [0, 0, 1, 1]),
        ([("a",), ()], [0, None]),
    ],
)
def test_processes_that_see_the_same_gpus_take_them_in_turn(
    visible: list[tuple[str, ...]], chosen: list[int | None]
) -> None:
    assert share_out(visible) == chosen


HERE = Place(1, 5, 0, "algo-1", 7777)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:34011. This is", "it has ended"),
        ("[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:4: Connection reset by peer", "the connection broke"),
        ("[gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 1800000ms for recv", "silent for too long"),
        ("The client socket has timed out after 1800s to (algo-1, 7777)", "algo-1, port 7777, where the hosts meet"),
        ("The server socket has failed to listen. port: 7777, code: -98, name: EADDRINUSE", "set MASTER_PORT"),
        ("NCCL error in: NCCLUtils.hpp, remote process exited or there was a network error", "nccl has lost it"),
    ],
)
def test_a_lost_host_is_told_in_a_sentence(text: str, said: str) -> None:
    sentence = describe(RuntimeError(text), HERE, {})
    assert sentence is not None
    assert sentence.startswith("host 2 of 5 lost the connection to ")
    assert said in sentence


def test_a_lost_host_is_named_where_its_address_tells_it() -> None:
    error = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:34011")
    hosts = {"SM_HOSTS": '["localhost", "algo-2"]', "SM_CURRENT_HOST": "algo-2"}
    assert "lost the connection to localhost: it closed" in (describe(error, HERE, hosts) or "")


@pytest.mark.parametrize(
    "text", ["CUDA out of memory", "mat1 and mat2 shapes cannot be multiplied", "Connection refused"]
)
def test_other_errors_are_left_as_they_are(text: str) -> None:
    assert describe(RuntimeError(text), HERE, {}) is None


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
