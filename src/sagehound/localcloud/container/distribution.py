"""What the SDK's `distribution` asks for: who starts how many processes on each host, and how they find each other"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAUNCHER = Path(__file__).with_name("process_launcher.py")
MASTER_PORT = 7777
"""Where the toolkit lets the hosts of a job meet. torch listens there on every address. So where jobs cannot have
networks of their own each needs another port, counted on from this one."""


class DistributionError(Exception):
    """`distribution` asks for what cannot be; the text says what."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a host starts: where it is in the cluster and with which interpreter."""

    python: str
    host: str
    hosts: tuple[str, ...]
    processes: int
    """Processes that a launcher starts on this host unless the job says how many: one a GPU, at least one."""
    master_port: int = MASTER_PORT

    @property
    def node(self) -> int:
        """The place of this host among the hosts that are launched together."""
        return self.hosts.index(self.host)


def is_distributed(decoded: dict[str, Any]) -> bool:
    """Whether the SDK's `distribution` was given in a form that this cloud starts as one training."""
    return _switch(decoded) is not None


def command(decoded: dict[str, Any], launch: Launch, program: list[str]) -> list[str]:
    """The command around `program` that `distribution` asks for; `program` itself without one.

    AWS runs mpirun on algo-1 for the kinds that are built on MPI. Here each host starts its own processes with the
    variables that mpirun would set: no ssh, no MPI.
    """
    switch = _switch(decoded)
    if switch is None:
        return program
    if switch == "torch_distributed":
        # torchrun starts Python only; a shell script is run as it is, as by AWS's toolkit.
        return _torchrun(launch, program) if program[0] == launch.python else program
    count = _processes(decoded, launch)
    arguments = [launch.python, "-I", "-S", str(LAUNCHER)]
    arguments += ["--hosts", str(len(launch.hosts)), "--node", str(launch.node), "--processes", str(count)]
    if switch != "mpi":
        # smdistributed and pytorchddp scripts call init_process_group() without a word about where they are.
        arguments.append("--torch")
    variables, ignored = mpi_options(str(decoded.get("sagemaker_mpi_custom_mpi_options") or ""))
    for name, value in variables.items():
        arguments += ["--set", f"{name}={value}"]
    if ignored:
        arguments += ["--ignored", shlex.join(ignored)]
    return [*arguments, "--", *program]


def mpi_options(text: str) -> tuple[dict[str, str], list[str]]:
    """custom_mpi_options: the variables that `-x NAME=VALUE` and `--NCCL_DEBUG LEVEL` set, and what has no effect."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise DistributionError(f"ClientError: sagemaker_mpi_custom_mpi_options {text!r}: {error}") from error
    variables: dict[str, str] = {}
    ignored: list[str] = []
    position = 0
    while position < len(words):
        word, following = words[position], words[position + 1] if position + 1 < len(words) else ""
        if word == "-x" and following:
            name, given, value = following.partition("=")
            if given:
                variables[name] = value  # without a value a variable is passed on, as all of them are here
            position += 1
        elif word.partition("=")[0] == "--NCCL_DEBUG":
            variables["NCCL_DEBUG"] = word.partition("=")[2] or following
            position += "=" not in word
        else:
            ignored.append(word)
        position += 1
    return variables, ignored


def _switch(decoded: dict[str, Any]) -> str | None:
    kinds = ("mpi", "smdistributed_dataparallel", "pytorch_ddp", "torch_distributed")
    return next((kind for kind in kinds if decoded.get(f"sagemaker_{kind}_enabled") is True), None)


def _processes(decoded: dict[str, Any], launch: Launch) -> int:
    asked = decoded.get("sagemaker_mpi_num_of_processes_per_host")
    if asked in (None, ""):
        return launch.processes
    try:
        count = int(asked)
    except (TypeError, ValueError):
        count = 0
    if not 1 <= count <= 1024:
        raise DistributionError(
            f"ClientError: sagemaker_mpi_num_of_processes_per_host is {asked!r}: it must be a number from 1 to 1024."
        )
    return count


def _torchrun(launch: Launch, program: list[str]) -> list[str]:
    words = [launch.python, "-m", "torch.distributed.run", "--nnodes", str(len(launch.hosts))]
    words += ["--nproc_per_node", str(launch.processes)]
    if len(launch.hosts) > 1:
        words += ["--master_addr", launch.hosts[0], "--master_port", str(launch.master_port)]
        words += ["--node_rank", str(launch.node)]
    return [*words, *program[1:]]
