"""Training jobs of several hosts: started as `distribution` asks, and told when they are no single training."""

from __future__ import annotations

import json

import pytest

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

NOT_DISTRIBUTED = "{} x the bill: this script is not distributed"
"""What the report of a pipeline looks for in the log of algo-1: these words must not change."""

TELL = "import json, os\ndef tell(value): print('RESULT', json.dumps(value), flush=True)\n"
ADDING_UP = (
    "import torch, torch.distributed as dist\n"
    "value = torch.tensor([float(dist.get_rank() + 1)]); dist.all_reduce(value)\n"
    "tell([dist.get_rank(), dist.get_world_size(), value.item()])\n"
    "dist.destroy_process_group()\n"
)


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


def switches(**values: str) -> dict[str, str]:
    """What the SDK makes of `distribution`: hyperparameters of the toolkit's own."""
    return {f"sagemaker_{name}": value for name, value in values.items()}


def factor_lines(shop: Workshop, name: str, host: str = "") -> list[str]:
    return [line for line in shop.lines(name, host) if "x the bill" in line]


@pytest.mark.timeout(600)
def test_torchrun_joins_three_hosts_of_each_of_two_jobs_at_once(shop: Workshop) -> None:
    pytest.importorskip("torch")
    script = TELL + "import torch.distributed\ntorch.distributed.init_process_group('gloo')\n" + ADDING_UP
    asked = switches(torch_distributed_enabled="true", instance_type='"ml.m5.large"')
    names = [shop.create(script, count=3, hyperparameters=asked) for _ in range(2)]
    for name in names:
        job = shop.ended(name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert [shop.printed(name, f"algo-{n}") for n in (1, 2, 3)] == [[0, 3, 6.0], [1, 3, 6.0], [2, 3, 6.0]]
        assert not factor_lines(shop, name)


@pytest.mark.timeout(600)
def test_mpi_style_scripts_find_their_rank_and_train_together(shop: Workshop) -> None:
    pytest.importorskip("torch")
    script = TELL + (
        "import torch.distributed\n"
        "rank, size = int(os.environ['OMPI_COMM_WORLD_RANK']), int(os.environ['OMPI_COMM_WORLD_SIZE'])\n"
        "torch.distributed.init_process_group('gloo', rank=rank, world_size=size)\n"
    )
    asked = switches(
        mpi_enabled="true",
        mpi_num_of_processes_per_host="2",
        mpi_custom_mpi_options='"-x FLAVOUR=vanilla --NCCL_DEBUG WARN -verbose -mca btl ^openib"',
    )
    script += ADDING_UP + "assert (os.environ['FLAVOUR'], os.environ['NCCL_DEBUG']) == ('vanilla', 'WARN')\n"
    job = shop.run(script, count=2, hyperparameters=asked)
    name = job["TrainingJobName"]
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    for host, ranks in (("algo-1", (0, 1)), ("algo-2", (2, 3))):
        results = [line.removeprefix("RESULT ") for line in shop.lines(name, host) if line.startswith("RESULT")]
        assert sorted(map(json.loads, results)) == [[rank, 4, 10.0] for rank in ranks]
    told = shop.lines(name, "algo-2")
    assert any("No mpirun here: 2 process(es) start on each of 2 host(s), ranks 2 to 3 on this one" in t for t in told)
    assert "Options of mpirun without effect: -verbose -mca btl '^openib'" in told
    assert not factor_lines(shop, name)


def test_the_variables_of_mpirun_and_those_of_torch_where_they_are_promised(shop: Workshop) -> None:
    script = TELL + (
        "names = [f'OMPI_COMM_WORLD_{n}' for n in ('RANK', 'SIZE', 'LOCAL_RANK', 'LOCAL_SIZE', 'NODE_RANK')]\n"
        "names += ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR']\n"
        "tell([os.environ.get(name) for name in names])\n"
    )
    plain = shop.run(script, count=2, hyperparameters=switches(mpi_enabled="true"))
    assert shop.printed(plain["TrainingJobName"], "algo-2") == ["1", "2", "0", "1", "0", None, None, None, "algo-1"]
    ddp = shop.run(script, count=2, hyperparameters=switches(pytorch_ddp_enabled="true"))
    assert shop.printed(ddp["TrainingJobName"], "algo-2") == ["1", "2", "0", "1", "0", "1", "2", "0", "algo-1"]


def test_one_failed_process_of_an_mpi_job_ends_all_and_gives_its_exit_code(shop: Workshop) -> None:
    script = "import os, sys, time\nif os.environ['OMPI_COMM_WORLD_RANK'] == '3': sys.exit(17)\ntime.sleep(600)\n"
    asked = switches(mpi_enabled="true", mpi_num_of_processes_per_host="2")
    job = shop.run(script, count=2, hyperparameters=asked)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].endswith(", exit code: 17, host: algo-2")
    assert "Process 1 of this host ended with exit code 17" in job["FailureReason"]


def test_a_senseless_number_of_processes_is_refused(shop: Workshop) -> None:
    asked = switches(mpi_enabled="true", mpi_num_of_processes_per_host='"many"')
    job = shop.run("pass", count=2, hyperparameters=asked)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: sagemaker_mpi_num_of_processes_per_host is 'many'")


def test_distribution_of_one_instance_group_leaves_the_other_alone(shop: Workshop) -> None:
    script = TELL + "tell(os.environ.get('OMPI_COMM_WORLD_SIZE'))\n"
    asked = switches(mpi_enabled="true", distribution_instance_groups='["workers"]')
    request = shop.request(script, hyperparameters=asked)
    groups = [("first", 1), ("workers", 2)]
    request["ResourceConfig"] = {
        "VolumeSizeInGB": 10,
        "InstanceGroups": [
            {"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": count} for name, count in groups
        ],
    }
    shop.sagemaker.create_training_job(**request)
    job = shop.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert [shop.printed(job["TrainingJobName"], f"algo-{n}") for n in (1, 2, 3)] == [None, "2", "2"]


def test_a_script_that_knows_of_no_other_host_is_told_its_factor_before_it_runs(shop: Workshop) -> None:
    job = shop.run("print('training')", count=5)
    name = job["TrainingJobName"]
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    lines = shop.lines(name, "algo-1")
    told = [index for index, line in enumerate(lines) if NOT_DISTRIBUTED.format(5) in line]
    assert len(told) == 1
    assert told[0] < lines.index("training")
    assert factor_lines(shop, name) == factor_lines(shop, name, "algo-1")
    alone = shop.run("print('training')")
    assert not factor_lines(shop, alone["TrainingJobName"])


def test_a_script_that_could_join_and_does_not_is_told_at_its_end(shop: Workshop) -> None:
    script = "import os\nhosts = os.environ['SM_HOSTS']\nprint('training')\n"
    job = shop.run(script, count=3)
    lines = shop.lines(job["TrainingJobName"], "algo-1")
    assert any("unless it joins them into one training itself (SM_HOSTS)" in line for line in lines)
    told = [index for index, line in enumerate(lines) if NOT_DISTRIBUTED.format(3) in line]
    assert len(told) == 1
    assert told[0] > lines.index("training")


def test_a_script_that_joins_its_hosts_itself_is_told_no_factor(shop: Workshop) -> None:
    script = TELL + (
        "import socket, time\n"
        "hosts, address = json.loads(os.environ['SM_HOSTS']), ('algo-1', int(os.environ['MASTER_PORT']))\n"
        "if os.environ['SM_CURRENT_HOST'] == 'algo-1':\n"
        "    server = socket.create_server(address)\n"
        "    for _ in hosts[1:]: peer, _ = server.accept(); peer.sendall(b'go'); peer.close()\n"
        "else:\n"
        "    while True:\n"
        "        try: peer = socket.create_connection(address); break\n"
        "        except ConnectionRefusedError: time.sleep(.02)\n"
        "    tell(peer.recv(2).decode())\n"
    )
    job = shop.run(script, count=3)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.printed(job["TrainingJobName"], "algo-3") == "go"
    assert not factor_lines(shop, job["TrainingJobName"])
