"""Which of several bad ends is the cause of the others, told from how a program ended and from its last words."""

from __future__ import annotations

import signal

import pytest

from sagehound.localcloud.processes.supervisor import Exit
from sagehound.localcloud.services.sagemaker.training_failure import KILLED, OWN_ERROR, PEER_LOST, LastWords, kind

GLOO = (
    "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:44981: "
    "Connection reset by peer."
)
STORE = "torch.distributed.DistNetworkError: The client socket has failed to connect to any network address"
WATCHDOG = "terminate called after throwing an instance of 'c10::DistBackendError' what(): NCCL error: remote process"
TORCHRUN_KILLED = "  traceback : Signal 9 (SIGKILL) received by PID 812"
OURS = "error: host 2 of 5 lost the connection to another host: it closed the connection (it has ended)."


@pytest.mark.parametrize(
    ("end", "line", "expected"),
    [
        (Exit(None, signal=signal.SIGKILL), "", KILLED),
        (Exit(None, signal=signal.SIGSEGV), GLOO, KILLED),
        (Exit(None, lost=True), "", KILLED),
        (Exit(1), TORCHRUN_KILLED, KILLED),
        (Exit(1), "Process 1 of this host was killed by signal 9: the others are ended.", KILLED),
        (Exit(1), "ValueError: labels are missing", OWN_ERROR),
        (Exit(1), "", OWN_ERROR),
        (Exit(None, signal=signal.SIGABRT), "double free or corruption", OWN_ERROR),
        (Exit(None, signal=signal.SIGABRT), WATCHDOG, PEER_LOST),
        (Exit(1), GLOO, PEER_LOST),
        (Exit(1), STORE, PEER_LOST),
        (Exit(1), OURS, PEER_LOST),
    ],
)
def test_kinds_of_bad_ends(end: Exit, line: str, expected: int) -> None:
    assert kind(end, LastWords(["epoch 1", line])) == expected
    assert sorted([PEER_LOST, KILLED, OWN_ERROR]) == [KILLED, OWN_ERROR, PEER_LOST]
