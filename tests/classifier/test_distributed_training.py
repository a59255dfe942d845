"""Five processes that are one training: the parameters, the pictures and the checkpoints of a single process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from sagehound.classifier.distributed import Group
from tests.classifier import group_worker
from tests.classifier.group_worker import RECIPE, TRAINING, VALIDATION, run_phase
from tests.classifier.script import environment

HOSTS = 5
TOLERANCE = 1e-5
KINDS = ("head-float32", "head-float64", "network-float32", "network-float64")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def run_hosts(count: int, folder: Path, *phases: str) -> None:
    """Run phases in `count` processes that find each other as the hosts of a training job do."""
    names = [f"algo-{number + 1}" for number in range(count)]
    port = free_port()
    root = str(Path(__file__).parents[2])
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.classifier.group_worker", str(folder), *phases],
            env=environment(
                SM_HOSTS=str(names).replace("'", '"'),
                SM_CURRENT_HOST=name,
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=port,
                GLOO_SOCKET_IFNAME="lo",
            ),
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in names
    ]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, outputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What five processes and one have left behind."""
    folder = tmp_path_factory.mktemp("hosts")
    torch.save(run_phase("cut-1", folder, Group()), folder / "cut-1-0.pt")
    run_hosts(HOSTS, folder, *KINDS, "cut-5", "resume-1")
    return folder


def found(folder: Path, phase: str, hosts: int = HOSTS) -> list[dict[str, Any]]:
    return [torch.load(folder / f"{phase}-{rank}.pt", weights_only=False) for rank in range(hosts)]


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def assert_same_training(ours: dict[str, Any], alone: dict[str, Any], tolerance: float = TOLERANCE) -> None:
    assert largest_difference(ours["parameters"], alone["parameters"]) < tolerance
    assert len(ours["history"]) == len(alone["history"]) == RECIPE.epochs
    for mine, theirs in zip(ours["history"], alone["history"], strict=True):
        assert mine == pytest.approx(theirs, abs=tolerance)
    assert ours["labels"] == alone["labels"]
    assert float((ours["logits"] - alone["logits"]).abs().max()) < 10 * tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_five_hosts_have_the_parameters_of_one_with_the_five_fold_batch(folder: Path, kind: str) -> None:
    alone = run_phase(kind, folder, Group())
    before = group_worker.trained(kind.partition("-")[0], torch.float64, Group(), batches=0)
    assert largest_difference(alone["parameters"], before["parameters"]) > 1e-2  # it has learnt something
    tolerance = TOLERANCE if kind.endswith("32") else 1e-12
    hosts = found(folder, kind)
    wrapper = "AveragedGradients" if kind.startswith("head") else "DistributedDataParallel"
    for host in hosts:
        assert (host["wrapper"], host["averaged_by"]) == (wrapper, "gloo")
        assert_same_training(host, alone, max(tolerance, 1e-7))  # the logits are gathered as float32
        assert largest_difference(host["parameters"], alone["parameters"]) < tolerance
        # Among themselves they are equal to the last bit: each has applied the same averages.
        assert largest_difference(host["parameters"], hosts[0]["parameters"]) == 0


def test_a_head_is_trained_without_the_import_of_torchs_compiler(folder: Path) -> None:
    # The phase that every process runs first: the import would take as long as that of torch.
    assert [host["compiler_imported"] for host in found(folder, "head-float32")] == [False] * HOSTS


def test_every_picture_is_seen_once_an_epoch_by_one_host(folder: Path) -> None:
    hosts = found(folder, "network-float32")
    for epoch in range(RECIPE.epochs):
        shares = [[index for seen, index in host["seen"] if seen == epoch] for host in hosts]
        assert Counter(index for share in shares for index in share) == Counter(range(TRAINING))
        # A fifth of each batch of 25, of 25 and of 3: five, five, and none or one.
        assert all(10 <= len(share) <= 11 for share in shares)
    assert hosts[0]["labels"] == [index % 4 for index in range(VALIDATION)]


@pytest.mark.parametrize(("cut", "hosts"), [(5, 1), (5, 2), (1, 5)])
def test_a_training_that_was_cut_within_an_epoch_goes_on_with_another_number_of_hosts(
    folder: Path, cut: int, hosts: int
) -> None:
    whole = group_worker.trained("network", torch.float64, Group())
    assert all(host["lines"] == ["power cut"] for host in found(folder, f"cut-{cut}", cut))
    if hosts == 1:
        resumed = [run_phase(f"resume-{cut}", folder, Group())]
    else:
        if hosts != HOSTS:
            run_hosts(hosts, folder, f"resume-{cut}")
        resumed = found(folder, f"resume-{cut}", hosts)
    for host in resumed:
        assert host["lines"] == ["stage: resumed after epoch 1, step 2 of 3 epochs"]
        assert_same_training(host, whole, 1e-7)
    done = 2 * RECIPE.batch_size
    assert sum(len(host["seen"]) for host in resumed) == (RECIPE.epochs - 1) * TRAINING - done
