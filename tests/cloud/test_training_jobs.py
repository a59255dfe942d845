"""Training jobs that really run: what the script is given, what it leaves, what Describe tells."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

TELL = "import json, os, sys\ndef tell(value): print('RESULT', json.dumps(value), flush=True)\n"


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


def test_a_script_runs_with_its_arguments_and_its_model_is_stored(shop: Workshop) -> None:
    script = TELL + (
        "tell({'argv': sys.argv, 'cwd': os.getcwd(), 'model': os.environ['SM_MODEL_DIR'],"
        " 'config': json.load(open('/opt/ml/input/config/hyperparameters.json'))})\n"
        "os.makedirs('/opt/ml/model/sub'); open('/opt/ml/model/sub/w.bin', 'w').write('weights')\n"
        "open(os.environ['SM_OUTPUT_DATA_DIR'] + '/curve.csv', 'w').write('1,2')\n"
    )
    job = shop.run(script, hyperparameters={"epochs": "3", "learning_rate": '"0.1"'})
    name = job["TrainingJobName"]
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job.get("FailureReason")
    told = shop.printed(name)
    assert told["argv"] == ["train.py", "--epochs", "3", "--learning_rate", "0.1"]
    assert told["cwd"] == "/opt/ml/code"
    assert told["config"]["learning_rate"] == '"0.1"'
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{shop.bucket}/out/{name}/output/model.tar.gz"
    assert shop.model(job) == {"sub/w.bin": b"weights"}
    assert shop.unpacked(f"s3://{shop.bucket}/out/{name}/output/output.tar.gz") == {"curve.csv": b"1,2"}


def test_what_describe_tells_of_a_completed_job(shop: Workshop) -> None:
    image = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
    rules = [{"RuleConfigurationName": "Overfit", "RuleEvaluatorImage": image}]
    job = shop.run(
        "print('done')",
        Tags=[{"Key": "project", "Value": "dogs"}],
        DebugRuleConfigurations=rules,
        ExperimentConfig={},
    )
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    steps = job["SecondaryStatusTransitions"]
    assert all(step["EndTime"] >= step["StartTime"] for step in steps)
    assert all(before["EndTime"] == after["StartTime"] for before, after in itertools.pairwise(steps))
    assert job["CreationTime"] <= job["TrainingStartTime"] < job["TrainingEndTime"] == job["LastModifiedTime"]
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    assert job["OutputDataConfig"] == {
        "KmsKeyId": "",
        "S3OutputPath": f"s3://{shop.bucket}/out",
        "CompressionType": "GZIP",
    }
    assert job["AlgorithmSpecification"]["TrainingInputMode"] == "File"
    assert "Tags" not in job
    assert "ExperimentConfig" not in job
    assert [rule["RuleEvaluationStatus"] for rule in job["DebugRuleEvaluationStatuses"]] == ["Stopped"]
    assert "does not evaluate" in job["DebugRuleEvaluationStatuses"][0]["StatusDetails"]
    tags = shop.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "project", "Value": "dogs"}]


def test_an_empty_model_folder_is_not_stored(shop: Workshop) -> None:
    job = shop.run("pass")
    found = shop.s3.list_objects_v2(Bucket=shop.bucket, Prefix=f"out/{job['TrainingJobName']}/")
    assert found["KeyCount"] == 0


def test_an_uncompressed_model_is_stored_file_by_file(shop: Workshop) -> None:
    output = {"S3OutputPath": f"s3://{shop.bucket}/flat", "CompressionType": "NONE"}
    job = shop.run("open('/opt/ml/model/w.bin', 'w').write('weights')", OutputDataConfig=output)
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{shop.bucket}/flat/{job['TrainingJobName']}/output/model/"
    key = uri.removeprefix(f"s3://{shop.bucket}/") + "w.bin"
    assert shop.s3.get_object(Bucket=shop.bucket, Key=key)["Body"].read() == b"weights"


def test_the_same_model_gives_the_same_archive(shop: Workshop) -> None:
    script = (
        "import os, time; open('/opt/ml/model/w.bin', 'w').write('weights'); os.utime('/opt/ml/model/w.bin', (1, {}))"
    )
    jobs = [shop.run(script.format(moment)) for moment in (1, 2)]
    heads = [
        shop.s3.head_object(Bucket=shop.bucket, Key=f"out/{job['TrainingJobName']}/output/model.tar.gz") for job in jobs
    ]
    assert heads[0]["ETag"] == heads[1]["ETag"]


def test_metrics_are_read_from_the_output(shop: Workshop) -> None:
    script = "for loss in (3.5, 2.5, 1.25, 'nan'): print(f'epoch: loss={loss}; accuracy=.5')"
    definitions = [
        {"Name": "loss", "Regex": "loss=([0-9.na]+)"},
        {"Name": "accuracy", "Regex": r"accuracy=(\.\d+)"},
        {"Name": "never", "Regex": "never=(.*)"},
    ]
    job = shop.run(script, algorithm={"MetricDefinitions": definitions})
    final = {data["MetricName"]: data["Value"] for data in job["FinalMetricDataList"]}
    assert final == {"loss": 1.25, "accuracy": 0.5}
    found = shop.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=job["CreationTime"].replace(second=0, microsecond=0),
        EndTime=job["TrainingEndTime"] + timedelta(minutes=2),
        Period=60,
        Statistics=["SampleCount", "Maximum", "Minimum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in found) == 3
    assert max(point["Maximum"] for point in found) == 3.5


def test_an_expression_without_end_stops_nothing(shop: Workshop) -> None:
    metrics = [{"Name": "endless", "Regex": "(a+)+b"}, {"Name": "loss", "Regex": "loss=([0-9.]+)"}]
    script = "print('a' * 60)\nprint('loss=0.5')\nprint('a' * 60)"
    job = shop.run(script, algorithm={"MetricDefinitions": metrics})
    assert job["TrainingJobStatus"] == "Completed"
    assert [(data["MetricName"], data["Value"]) for data in job["FinalMetricDataList"]] == [("loss", 0.5)]
    assert sum("The Regex of metric endless takes too long" in line for line in shop.lines(job["TrainingJobName"])) == 1


def test_hosts_find_each_other_by_name_and_their_models_are_merged(shop: Workshop) -> None:
    script = TELL + (
        "import socket\n"
        "host, hosts = os.environ['SM_CURRENT_HOST'], json.loads(os.environ['SM_HOSTS'])\n"
        "open(f'/opt/ml/model/{host}.txt', 'w').write(host)\n"
        "open('/opt/ml/model/shared.txt', 'w').write(host)\n"
        "address = (os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']))\n"
        "if host == hosts[0]:\n"
        "    server = socket.create_server(address); peer, _ = server.accept(); tell(peer.recv(100).decode())\n"
        "else:\n"
        "    import time\n"
        "    while True:\n"
        "        try: peer = socket.create_connection(address); break\n"
        "        except ConnectionRefusedError: time.sleep(.02)\n"
        "    peer.sendall(f'hello from {host}'.encode())\n"
    )
    first = shop.create(script, count=2)
    second = shop.run(script, count=2)  # at the same time, on the same port
    job = shop.ended(first)
    for ended in (job, second):
        assert ended["TrainingJobStatus"] == "Completed", ended.get("FailureReason")
        assert shop.printed(ended["TrainingJobName"]) == "hello from algo-2"
        merged = shop.model(ended)
        assert merged == {"algo-1.txt": b"algo-1", "algo-2.txt": b"algo-2", "shared.txt": b"algo-1"}
    assert any("independent copies" in line for line in shop.lines(first))


def test_clients_inside_the_job_speak_to_this_cloud_as_the_role(shop: Workshop) -> None:
    script = TELL + (
        "import boto3\n"
        "tell({'arn': boto3.client('sts').get_caller_identity()['Arn'], 'home': os.environ['HOME'],"
        " 'job': boto3.client('sagemaker').describe_training_job("
        "TrainingJobName=os.environ['TRAINING_JOB_NAME'])['SecondaryStatus']})\n"
    )
    job = shop.run(script)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    told = shop.printed(job["TrainingJobName"])
    role = shop.role_arn.rsplit("/", 1)[-1]
    assert told["arn"].startswith(f"arn:aws:sts::{shop.cloud.account_id}:assumed-role/{role}/")
    assert told["job"] == "Training"


def test_an_entry_point_in_a_channel_as_sdk_v3_sends_it(shop: Workshop) -> None:
    shop.put("v3/drivers/go.sh", '#!/bin/bash\necho "RESULT \\"$(cat /opt/ml/input/data/code/x.txt)\\""\n')
    shop.put("v3/code/x.txt", "from v3")
    request = shop.request("")
    request["HyperParameters"] = {"batch_size": "32"}
    request["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": ["-c", "bash /opt/ml/input/data/drivers/go.sh"],
    }
    request["InputDataConfig"] = [shop.channel("drivers", "v3/drivers"), shop.channel("code", "v3/code")]
    shop.sagemaker.create_training_job(**request)
    job = shop.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.printed(request["TrainingJobName"]) == "from v3"


def test_requirements_are_installed_beside_the_containers_packages(shop: Workshop) -> None:
    script = TELL + "import numpy; tell([sys.path, sys.prefix, sys.executable])\n"
    # The comment makes the file this test's own: environments are shared by content.
    job = shop.run(script, files={"requirements.txt": "# of a training job\nnumpy\n"})
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    path, prefix, executable = shop.printed(job["TrainingJobName"])
    assert [place for place in path if place.startswith(str(shop.cloud.data_dir / "environments"))]
    assert prefix.startswith(str(shop.cloud.data_dir / "training"))
    assert executable.startswith(prefix)
    assert any("Requirement already satisfied: numpy" in line for line in shop.lines(job["TrainingJobName"]))


def test_checkpoints_come_from_s3_and_go_there(shop: Workshop) -> None:
    shop.put("ckpt/epoch-1.pt", "one")
    script = TELL + (
        "folder = '/opt/ml/checkpoints/'\n"
        "tell(sorted(os.listdir(folder)))\n"
        "open(folder + 'epoch-1.pt', 'w').write('one again')\n"
        "open(folder + 'epoch-2.pt', 'w').write('two')\n"
    )
    job = shop.run(script, CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/ckpt/"})
    assert shop.printed(job["TrainingJobName"]) == ["epoch-1.pt"]
    read = {
        name: shop.s3.get_object(Bucket=shop.bucket, Key=f"ckpt/{name}")["Body"].read()
        for name in ("epoch-1.pt", "epoch-2.pt")
    }
    assert read == {"epoch-1.pt": b"one again", "epoch-2.pt": b"two"}


def test_checkpoints_are_stored_while_the_job_runs(shop: Workshop) -> None:
    script = "import time\nopen('/opt/ml/checkpoints/epoch-1.pt', 'w').write('one')\ntime.sleep(600)\n"
    name = shop.create(script, CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/running"})
    shop.s3.get_waiter("object_exists").wait(
        Bucket=shop.bucket, Key="running/epoch-1.pt", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    job = shop.describe(name)
    assert job["TrainingJobStatus"] == "InProgress"
    shop.sagemaker.update_training_job(TrainingJobName=name, RemoteDebugConfig={"EnableRemoteDebug": False})
    assert shop.describe(name)["RemoteDebugConfig"] == {"EnableRemoteDebug": False}
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    assert shop.ended(name)["TrainingJobStatus"] == "Stopped"


def test_a_shell_script_as_entry_point(shop: Workshop) -> None:
    request = shop.request("", files={"go.sh": '#!/bin/sh\necho "RESULT \\"$2 in $SM_CURRENT_HOST\\""\n'})
    request["HyperParameters"] |= {"sagemaker_program": "go.sh", "epochs": "3"}
    shop.sagemaker.create_training_job(**request)
    job = shop.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.printed(request["TrainingJobName"]) == "3 in algo-1"


def test_nothing_of_an_ended_job_stays_on_the_machine(shop: Workshop) -> None:
    job = shop.run("print('done')")
    shop.run("print('done')")
    assert not [folder for folder in shop.folders() if folder.name.startswith(job["TrainingJobName"])]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"NameContains": "LIST-"}, ["list-a", "list-b", "list-c"]),
        ({"NameContains": "list-", "SortBy": "Name", "SortOrder": "Descending"}, ["list-c", "list-b", "list-a"]),
        ({"NameContains": "list-", "StatusEquals": "Failed"}, ["list-b"]),
        ({"NameContains": "list-", "SortBy": "Status"}, ["list-a", "list-c", "list-b"]),
    ],
)
def test_jobs_are_listed_with_filters_and_order(
    shop: Workshop, listed: Callable[[], None], changes: dict[str, Any], expected: list[str]
) -> None:
    found = shop.sagemaker.list_training_jobs(**changes)["TrainingJobSummaries"]
    assert [summary["TrainingJobName"] for summary in found] == expected
    assert {"TrainingJobArn", "CreationTime", "TrainingEndTime", "TrainingJobStatus"} <= found[0].keys()


def test_jobs_are_listed_in_pages(shop: Workshop, listed: Callable[[], None]) -> None:
    pages = shop.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="list-", PaginationConfig={"PageSize": 1}
    )
    names = [summary["TrainingJobName"] for page in pages for summary in page["TrainingJobSummaries"]]
    assert names == ["list-a", "list-b", "list-c"]
    after = shop.describe("list-a")["CreationTime"]
    found = shop.sagemaker.list_training_jobs(NameContains="list-", CreationTimeAfter=after)["TrainingJobSummaries"]
    # Bounds travel in seconds with milliseconds: the job of that very moment is not after it.
    assert [summary["TrainingJobName"] for summary in found] == ["list-b", "list-c"]


@pytest.fixture(scope="module")
def listed(shop: Workshop) -> None:
    shop.run("pass", name="list-a")
    shop.run("raise SystemExit(3)", name="list-b")
    shop.run("pass", name="list-c")


def test_a_deleted_job_is_gone_and_its_name_is_free(shop: Workshop) -> None:
    job = shop.run("pass")
    name = job["TrainingJobName"]
    shop.sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(
        shop.sagemaker.exceptions.ClientError, match=r"ValidationException.*Requested resource not found"
    ):
        shop.describe(name)
    assert shop.run("pass", name=name)["TrainingJobStatus"] == "Completed"


@pytest.mark.timeout(600)
def test_distribution_joins_the_hosts_of_each_job(shop: Workshop) -> None:
    pytest.importorskip("torch")
    script = TELL + (
        "import torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo')\n"
        "value = torch.tensor([float(dist.get_rank() + 1)]); dist.all_reduce(value)\n"
        "tell([dist.get_rank(), dist.get_world_size(), value.item()])\n"
        "dist.destroy_process_group()\n"
    )
    switch = {"sagemaker_torch_distributed_enabled": "true", "sagemaker_instance_type": '"ml.m5.large"'}
    names = [shop.create(script, count=2, hyperparameters=switch) for _ in range(2)]  # at the same time
    for name in names:
        job = shop.ended(name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert [shop.printed(name, host) for host in ("algo-1", "algo-2")] == [[0, 2, 3.0], [1, 2, 3.0]]
        assert not any("independent copies" in line for line in shop.lines(name))
