"""What strangers' scripts find around them in a job: variables, versions, weights, the files of Debugger."""

from __future__ import annotations

import importlib.metadata
import sys
import uuid
from typing import Any

import pytest

from sagehound.localcloud.services.sagemaker import instance_types
from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

TELL = "import json, os, sys\ndef tell(value): print('RESULT', json.dumps(value), flush=True)\n"
REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


def test_variables_of_the_caller_against_those_of_the_toolkit(shop: Workshop) -> None:
    given = {
        "SM_HOSTS": '["mine"]',
        "SM_MINE": "kept",
        "MASTER_ADDR": "10.0.0.1",
        "PYTHONPATH": "/opt/ml/code/below",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }
    script = TELL + f"tell({{name: os.environ[name] for name in {list(given)!r}}})\n"
    found = shop.printed(shop.run(script, Environment=given)["TrainingJobName"])
    # The container has the caller's when it starts; the toolkit in it then sets its own over them.
    assert (found["SM_HOSTS"], found["MASTER_ADDR"]) == ('["algo-1"]', "algo-1")
    assert found["PYTHONPATH"] == "/opt/ml/code:/opt/ml/code/below"
    for name in ("SM_MINE", "AWS_DEFAULT_REGION", "HTTPS_PROXY"):
        assert found[name] == given[name]


def test_variables_of_the_caller_where_no_toolkit_starts_the_program(shop: Workshop) -> None:
    entry = ["/bin/sh", "-c", 'echo RESULT "\\"$SM_HOSTS $PATH\\""']
    job = shop.run("", algorithm={"ContainerEntrypoint": entry}, Environment={"SM_HOSTS": "mine", "PATH": "/mine"})
    assert shop.printed(job["TrainingJobName"]) == "mine /mine"


def test_keys_of_the_caller_are_not_mixed_with_those_of_the_role(shop: Workshop) -> None:
    script = (
        TELL + "tell([os.environ.get(f'AWS_{n}') for n in ('ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN')])\n"
    )
    keys = {"AWS_ACCESS_KEY_ID": "AKIAMINE", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert shop.printed(shop.run(script, Environment=keys)["TrainingJobName"]) == ["AKIAMINE", "secret", None]
    roles = shop.printed(shop.run(script)["TrainingJobName"])
    assert (roles[0][:4], bool(roles[2])) == ("ASIA", True)


def test_clients_in_a_job_find_the_cloud_by_its_endpoint_and_by_aws_own_names(shop: Workshop) -> None:
    script = TELL + (
        "import boto3\n"
        "who = [boto3.client('sts').get_caller_identity()['Arn']]\n"
        "proxied = 'https://sts.us-east-1.amazonaws.com'\n"
        "who += [boto3.client('sts', endpoint_url=proxied).get_caller_identity()['Arn']]\n"
        "tell([os.environ['AWS_ENDPOINT_URL'], *who])\n"
    )
    job = shop.run(script, count=2)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    endpoint, direct, proxied = shop.printed(job["TrainingJobName"], "algo-2")
    assert endpoint == shop.cloud.endpoint_url
    assert direct == proxied
    assert direct.endswith("/SageMaker")


def test_servers_of_both_kinds_find_a_name_for_their_clients_and_each_host_has_one_address(shop: Workshop) -> None:
    script = TELL + (
        "import socket\naddress = socket.gethostbyname('algo-2')\n"
        "name = socket.getnameinfo((f'::ffff:{address}', 80, 0, 0), socket.NI_NAMEREQD)[0]\n"
        "tell([name, len(socket.getaddrinfo('algo-2', 80, type=socket.SOCK_STREAM))])\n"
    )
    job = shop.run(script, count=2)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.printed(job["TrainingJobName"]) == ["ip6-algo-2", 1]


@pytest.mark.parametrize(
    ("tag", "asked"),
    [
        ("1.4.0-cpu-py3", "PyTorch 1.4.0 on Python 3.6"),
        ("1.8-cpu-py36", "PyTorch 1.8 on Python 3.6"),
        ("1.13.1-cpu-py39", "PyTorch 1.13.1 on Python 3.9"),
    ],
)
def test_an_old_image_runs_with_what_is_here_and_says_so(shop: Workshop, tag: str, asked: str) -> None:
    torch = importlib.metadata.version("torch").partition("+")[0]
    name = shop.run("pass", algorithm={"TrainingImage": f"{REGISTRY}/pytorch-training:{tag}"})["TrainingJobName"]
    line = f"The image asks for {asked}; this job runs PyTorch {torch} on Python {HERE}."
    assert len([said for said in shop.lines(name) if said.startswith(line)]) == 1


def test_a_script_of_its_time_reads_whole_models(shop: Workshop) -> None:
    script = TELL + (
        "import torch\nclass Net(torch.nn.Linear): pass\n"
        "path = '/opt/ml/model/net.pt'\ntorch.save(Net(2, 3), path)\ntell(type(torch.load(path)).__name__)\n"
    )
    image = f"{REGISTRY}/pytorch-training:1.4.0-cpu-py3"
    job = shop.run(script, algorithm={"TrainingImage": image})
    assert shop.printed(job["TrainingJobName"]) == "Net"


def test_an_image_of_these_very_versions_says_nothing(shop: Workshop) -> None:
    torch = importlib.metadata.version("torch").partition("+")[0]
    tag = f"{torch.rpartition('.')[0]}.99-cpu-py{HERE.replace('.', '')}"
    name = shop.run("pass", algorithm={"TrainingImage": f"{REGISTRY}/pytorch-training:{tag}"})["TrainingJobName"]
    assert not [line for line in shop.lines(name) if "The image asks" in line or "GPU" in line]


@pytest.mark.skipif(instance_types.machine_gpus() > 0, reason="this machine has GPUs")
def test_gpus_that_this_machine_has_not_are_said_once(shop: Workshop) -> None:
    resources = {"InstanceType": "ml.g4dn.12xlarge", "InstanceCount": 2, "VolumeSizeInGB": 10}
    image = f"{REGISTRY}/pytorch-training:1.8.1-gpu-py36-cu111-ubuntu18.04"
    job = shop.run(
        TELL + "tell(os.environ['SM_NUM_GPUS'])", algorithm={"TrainingImage": image}, ResourceConfig=resources
    )
    lines = [line for line in shop.lines(job["TrainingJobName"]) if "GPU" in line]
    assert lines == [
        "ml.g4dn.12xlarge has 4 GPU(s) and the image is one for GPUs; this machine has no NVIDIA GPU, so this job "
        "runs on its CPUs."
    ]
    assert shop.printed(job["TrainingJobName"]) == "0"


@pytest.mark.parametrize("name", ["huggingface-pytorch-training", "tensorflow-training", "pytorch-trcomp-training"])
def test_images_of_other_frameworks_are_refused_by_name(shop: Workshop, name: str) -> None:
    request = shop.request("pass", algorithm={"TrainingImage": f"{REGISTRY}/{name}:2.1.0-gpu-py310"})
    with pytest.raises(shop.sagemaker.exceptions.ClientError, match=f"Cannot find repository: {name} in registry"):
        shop.sagemaker.create_training_job(**request)


WEIGHTS = (
    TELL
    + """
folder = os.path.join(os.environ["TORCH_HOME"], "hub", "checkpoints")
found = {name: open(os.path.join(folder, name)).read() for name in os.listdir(folder)}
for name in found:
    open(os.path.join(folder, name), "w").write("changed by a job")
open(os.path.join(folder, "new.pth"), "w").write("new")
tell([found, sorted(os.listdir(folder))])
"""
)


def test_weights_of_the_cache_are_there_and_a_job_may_write_beside_them(shop: Workshop) -> None:
    cache = shop.cloud.data_dir / "weights/hub/checkpoints"
    cache.mkdir(parents=True, exist_ok=True)
    name = f"net-{uuid.uuid4().hex[:8]}.pth"
    (cache / name).write_text("weights")
    try:
        job = shop.run(WEIGHTS, count=2)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        for host in ("algo-1", "algo-2"):
            found, after = shop.printed(job["TrainingJobName"], host)
            assert found[name] == "weights"
            assert {"new.pth", name} <= set(after)
        assert (cache / name).read_text() == "weights"
        assert not (cache / "new.pth").exists()
    finally:
        (cache / name).unlink()


def rule(name: str, **changes: Any) -> dict[str, Any]:
    """A rule as SageMaker's SDK asks for it."""
    image = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": image,
        "RuleParameters": {"rule_to_invoke": name},
        **changes,
    }


CONFIGURATION = (
    TELL
    + """
folder = "/opt/ml/input/config/"
names = ["debughookconfig", "profilerconfig", "tensorboardoutputconfig", "checkpointconfig"]
tell({name: json.load(open(folder + name + ".json")) for name in names if os.path.exists(folder + name + ".json")})
"""
)


def test_the_files_of_debugger_and_rules_that_are_not_evaluated(shop: Workshop) -> None:
    output = f"s3://{shop.bucket}/debug"
    losses = {"CollectionName": "losses", "CollectionParameters": {"train.save_interval": "50"}}
    framework = {"DetailedProfilingConfig": '{"StartStep": 5, "NumSteps": 3}', "LocalPath": "/opt/ml/output/profiler/"}
    job = shop.run(
        CONFIGURATION,
        DebugHookConfig={"S3OutputPath": output, "CollectionConfigurations": [losses, {"CollectionName": "weights"}]},
        DebugRuleConfigurations=[rule("VanishingGradient"), rule("Overfit", InstanceType="ml.t3.medium")],
        ProfilerConfig={"S3OutputPath": output, "ProfilingParameters": framework},
        ProfilerRuleConfigurations=[rule("ProfilerReport")],
        TensorBoardOutputConfig={"S3OutputPath": output},
        CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/checkpoints"},
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    own = f"{output}/{job['TrainingJobName']}"
    assert shop.printed(job["TrainingJobName"]) == {
        "debughookconfig": {
            "S3OutputPath": f"{own}/debug-output",
            "LocalPath": "/opt/ml/output/tensors",
            "HookParameters": None,
            "CollectionConfigurations": [losses, {"CollectionName": "weights", "CollectionParameters": None}],
        },
        "profilerconfig": {
            "DisableProfiler": False,
            "ProfilingIntervalInMilliseconds": 500,
            "ProfilingParameters": framework,
            "S3OutputPath": f"{own}/profiler-output",
        },
        "tensorboardoutputconfig": {
            "S3OutputPath": f"{own}/tensorboard-output",
            "LocalPath": "/opt/ml/output/tensorboard",
        },
        "checkpointconfig": {"S3Uri": f"s3://{shop.bucket}/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
    }
    statuses = [*job["DebugRuleEvaluationStatuses"], *job["ProfilerRuleEvaluationStatuses"]]
    assert [status["RuleConfigurationName"] for status in statuses] == [
        "VanishingGradient",
        "Overfit",
        "ProfilerReport",
    ]
    for status in statuses:
        assert status["RuleEvaluationStatus"] == "Stopped"
        assert "does not evaluate" in status["StatusDetails"]
    assert job["ProfilingStatus"] == "Disabled"


def test_a_job_without_debugger_has_none_of_its_files(shop: Workshop) -> None:
    assert shop.printed(shop.run(CONFIGURATION)["TrainingJobName"]) == {}


def test_what_a_hook_and_tensorboard_write_is_stored(shop: Workshop) -> None:
    output = f"s3://{shop.bucket}/written"
    script = (
        "import os\nfor folder in ('tensors', 'tensorboard/run'):\n"
        "    os.makedirs('/opt/ml/output/' + folder)\n"
        "    open(f'/opt/ml/output/{folder}/' + os.environ['SM_CURRENT_HOST'], 'w').write(folder)\n"
    )
    config = {"S3OutputPath": output}
    job = shop.run(script, count=2, DebugHookConfig=config, TensorBoardOutputConfig=config)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    name = job["TrainingJobName"]
    listed = shop.s3.list_objects_v2(Bucket=shop.bucket, Prefix=f"written/{name}/")["Contents"]
    assert [entry["Key"].removeprefix(f"written/{name}/") for entry in listed] == [
        "debug-output/algo-1",
        "debug-output/algo-2",
        "tensorboard-output/run/algo-1",
        "tensorboard-output/run/algo-2",
    ]


@pytest.mark.parametrize("runs", [True, False])
def test_an_updated_profiler_reaches_the_job_that_runs_or_has_not_begun(shop: Workshop, runs: bool) -> None:
    script = TELL + (
        "import time\npath = '/opt/ml/input/config/profilerconfig.json'\nprint('READY', flush=True)\n"
        "while not json.load(open(path))['DisableProfiler']:\n    time.sleep(0.05)\n"
        "tell(json.load(open(path))['ProfilingIntervalInMilliseconds'])\n"
    )
    output = {"S3OutputPath": f"s3://{shop.bucket}/debug"}
    name = shop.create(script, ProfilerConfig={**output, "ProfilingIntervalInMilliseconds": 1000})
    if runs:
        shop.until_line(name, "READY")
    shop.sagemaker.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": True})
    assert shop.ended(name)["TrainingJobStatus"] == "Completed"
    assert shop.printed(name) == 1000
    assert shop.describe(name)["ProfilerConfig"]["DisableProfiler"] is True


def test_a_hook_that_writes_elsewhere_is_refused(shop: Workshop) -> None:
    hook = {"S3OutputPath": f"s3://{shop.bucket}/debug", "LocalPath": "/tmp/tensors"}
    with pytest.raises(
        shop.sagemaker.exceptions.ClientError, match=r"DebugHookConfig\.LocalPath '/tmp/tensors' must be"
    ):
        shop.sagemaker.create_training_job(**shop.request("pass", DebugHookConfig=hook))


def test_tensors_that_the_role_may_not_store_are_said_and_fail_nothing(shop: Workshop) -> None:
    script = (
        "import os, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
        "os.makedirs('/opt/ml/output/tensors')\nopen('/opt/ml/output/tensors/a', 'w').write('a')\nsignal.pause()\n"
    )
    # AmazonSageMakerFullAccess is about buckets with `sagemaker` in their names.
    bucket = f"elsewhere-{uuid.uuid4().hex[:12]}"
    shop.s3.create_bucket(Bucket=bucket)
    name = shop.create(script, DebugHookConfig={"S3OutputPath": f"s3://{bucket}/debug"})
    problem = "Debugger's tensors cannot be stored in S3"
    shop.until_line(name, problem)  # said while the job runs, and no second time at its end
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Stopped", job.get("FailureReason")
    said = [line for line in shop.lines(name) if problem in line]
    assert len(said) == 1
    assert "is not authorized to perform: s3:PutObject" in said[0]
