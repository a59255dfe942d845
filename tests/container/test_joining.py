"""What is told of a job's hosts being one training: from its code, and from the kernel's list of connections."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from sagehound.localcloud.container import joining
from sagehound.localcloud.processes.hosts import allocate_addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import torch\nmodel = torch.nn.Linear(2, 2)\n", []),
        (
            "import torch.distributed as dist\ndist.init_process_group('gloo')",
            ["init_process_group", "torch.distributed"],
        ),
        ("parser.add_argument('--hosts', default=os.environ['SM_HOSTS'])", ["SM_HOSTS"]),
        ("from accelerate import Accelerator", ["accelerate"]),
        ("accelerated = array.copy()", []),
    ],
)
def test_words_that_stand_for_joining(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "train.py").write_text(text)
    (tmp_path / "model.bin").write_bytes(b"torch.distributed")
    assert joining.ways(tmp_path) == found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's list of connections is Linux's")
def test_a_connection_to_a_host_is_seen_while_it_stands_and_after_it() -> None:
    first, second, stranger = allocate_addresses(3, set(), f"joining-{id(object())}")
    with socket.create_server((first, 0)) as server:
        assert (
            joining.connected([first, second], joining.machine_connections()) is False
        )  # somebody who listens has met nobody
        client = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        assert joining.connected([first, second], joining.machine_connections()) is True
        assert joining.connected([second, stranger], joining.machine_connections()) is False
        client.close()
        peer.recv(1)
        peer.close()
    assert joining.connected([first, second], joining.machine_connections()) is True


def test_hosts_without_addresses_of_their_own_cannot_be_told_apart() -> None:
    assert joining.connected(["127.0.0.1", "127.0.0.1"], joining.machine_connections()) is None
