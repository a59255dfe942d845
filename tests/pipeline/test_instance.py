"""Training on an EC2 instance of a running cloud: it trains, uploads and is gone, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from sagehound.errors import SettingsError, StepFailed
from sagehound.pipeline.bucket import ensure_bucket
from sagehound.pipeline.clients import Clients, connect_local
from sagehound.pipeline.instance import InstanceModel, train_on_instance
from sagehound.pipeline.instance_plan import trust_of_ec2
from sagehound.pipeline.names import Names
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings, TrainSettings
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded, Uploaded
from tests.pipeline.instance_trainings import WAITS, WRITES, ended, with_script

pytestmark = pytest.mark.timeout(600)

Train = Callable[..., InstanceModel]


@pytest.fixture
def data(settings: PipelineSettings, uploaded: Uploaded) -> StoredData:
    return uploaded(settings)


@pytest.fixture
def script(settings: PipelineSettings, tmp_path: Path) -> Callable[[str], PipelineSettings]:
    """`script("raise ...")`: settings that train with it."""
    return partial(with_script, settings, tmp_path)


@pytest.fixture
def train(clients: Clients, names: Names, data: StoredData, recorded: Recorded) -> Train:
    def do(settings: PipelineSettings, **options: Any) -> InstanceModel:
        with recorded.reporter.step("instance") as step:
            return train_on_instance(clients, names, settings, data, recorded.reporter, step, **options)

    return do


def test_an_instance_trains_our_classifier_and_only_the_model_stays(
    clients, settings, names, data, train, recorded
) -> None:
    quick = dataclasses.replace(settings, train=TrainSettings(epochs=6, batch_size=8, learning_rate=0.01))
    model = train(quick)
    assert model.result.metrics["test:accuracy"] > 0.9
    assert 0 < model.result.train_seconds < model.seconds
    assert model.billable_seconds >= 60
    said = [event["line"] for event in recorded.events("log")]
    assert said[0] == "sagehound: begins"
    assert f"sagehound: has fetched 60 from {data.uri}" in said
    assert said[-1] == "sagehound: ends with status 0"
    bucket, key = model.result.model_uri.removeprefix("s3://").split("/", 1)
    assert clients.s3.head_object(Bucket=bucket, Key=key)["ContentLength"] > 1_000_000
    assert [machine.instance_id for machine in ended(clients, names)] == [model.instance_id]
    told = clients.ec2.describe_instances(InstanceIds=[model.instance_id])["Reservations"][0]["Instances"][0]
    assert told["MetadataOptions"]["HttpTokens"] == "required"
    assert {tag["Key"]: tag["Value"] for tag in told["Tags"]}["sagehound:project"] == names.project

    same = train(quick)
    assert (same.instance_id, same.billable_seconds) == ("", 0.0)
    assert same.result == model.result
    assert len(ended(clients, names)) == 1
    assert recorded.steps()["instance"]["result"]["reused"] is True


def test_again_trains_anew_and_nothing_of_the_first_passes_for_it(clients, names, script, train) -> None:
    once = script(WRITES + "open('TrainedModels/first.txt', 'w').write('1')\n")
    assert "TrainedModels/first.txt" in train(once).result.files
    bucket, prefix = train(once).result.uri.removeprefix("s3://").split("/", 1)
    clients.s3.put_object(Bucket=bucket, Key=f"{prefix}TrainedModels/stale.txt", Body=b"stale")
    anew = train(once, again=True)
    assert anew.instance_id
    assert "TrainedModels/stale.txt" not in anew.result.files
    assert len(ended(clients, names)) == 2


def test_its_role_may_read_its_data_and_nothing_else(clients, names, data, script, train, recorded) -> None:
    tries = """
import boto3, botocore.exceptions, json, os
s3, bucket, prefix = boto3.client("s3"), os.environ["BUCKET"], os.environ["DATA_PREFIX"]
def told(ask):
    try:
        ask()
        return "allowed"
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
print("told " + json.dumps([
    told(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix)),
    told(lambda: s3.list_objects_v2(Bucket=bucket)),
    told(lambda: s3.get_object(Bucket=bucket, Key=os.environ["PROJECT_SECRET"])),
    told(lambda: s3.put_object(Bucket=bucket, Key=prefix + "more", Body=b"")),
    told(lambda: s3.put_object(Bucket=bucket, Key=os.environ["RESULT_PREFIX"] + "more", Body=b"")),
    told(lambda: boto3.client("iam").list_roles()),
    told(lambda: boto3.client("ec2").describe_instances()),
]))
""".replace('os.environ["PROJECT_SECRET"]', f'"{names.project}/jobs/other/model.tar.gz"')
    clients.s3.put_object(Bucket=names.bucket, Key=f"{names.project}/jobs/other/model.tar.gz", Body=b"of another")
    train(script(tries))
    (line,) = [event["line"] for event in recorded.events("log") if event["line"].startswith("told ")]
    assert json.loads(line.removeprefix("told ")) == [
        *("allowed", "AccessDenied", "AccessDenied", "AccessDenied"),
        *("allowed", "AccessDenied", "UnauthorizedOperation"),
    ]


def wheel(folder: Path, name: str, text: str) -> Path:
    """A wheel with one module, which pip installs without asking anybody."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", text)
        for member, content in about.items():
            archive.writestr(f"{name}-1.0.dist-info/{member}", content)
    return path


def test_what_requirements_txt_installs_is_there_and_stays_on_the_instance(
    clients, settings, names, train, tmp_path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    packed = wheel(source, "only_on_the_instance", "WORD = 'installed'\n")
    (source / "requirements.txt").write_text(f"solution/{packed.name}\n")
    (source / "solution.py").write_text(
        "import only_on_the_instance\nopen('TrainedModels/model.pth', 'w').write(only_on_the_instance.WORD)\n"
    )
    own = TrainSettings(entry_point="solution.py", source_dir=str(source))
    result = train(dataclasses.replace(settings, train=own)).result
    assert result.files["TrainedModels/model.pth"] == len("installed")
    assert "install" in result.seconds
    found = subprocess.run([sys.executable, "-c", "import only_on_the_instance"], capture_output=True, check=False)
    assert b"ModuleNotFoundError" in found.stderr
    assert len(ended(clients, names)) == 1


def test_work_that_fails_is_told_with_its_last_words(clients, names, script, train) -> None:
    with pytest.raises(StepFailed, match="status 1") as failed:
        train(script("raise ValueError('no such breed')"))
    assert "ValueError: no such breed" in failed.value.cause
    assert len(ended(clients, names)) == 1
    # A failed one is no result: it is tried again.
    with pytest.raises(StepFailed, match="status 1"):
        train(script("raise ValueError('no such breed')"))
    assert len(ended(clients, names)) == 2


def test_what_is_killed_is_not_said_to_be_late(clients, names, script, train) -> None:
    with pytest.raises(StepFailed, match=r"more memory than t2\.small has") as failed:
        train(script("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    assert "instance.instance_type" in failed.value.hint
    assert len(ended(clients, names)) == 1


def test_work_that_takes_too_long_is_ended_and_told_so(clients, settings, names, script, train) -> None:
    waiting = script(WAITS)
    hasty = dataclasses.replace(waiting, instance=dataclasses.replace(settings.instance, max_runtime_seconds=1))
    with pytest.raises(StepFailed, match=r"longer than instance\.max_runtime_seconds"):
        train(hasty)
    assert len(ended(clients, names)) == 1


def test_what_ec2_refuses_leaves_nothing(clients, settings, names, train) -> None:
    odd = dataclasses.replace(settings, instance=dataclasses.replace(settings.instance, instance_type="t2.gigantic"))
    with pytest.raises(StepFailed, match=r"RunInstances was refused.*t2\.gigantic"):
        train(odd)
    assert ended(clients, names) == []


def test_a_quota_that_is_too_low_leaves_nothing_and_says_the_way_out(settings, recorded, tmp_path) -> None:
    quota = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
    cloud = CloudProcess(tmp_path / "data", "--quotas", json.dumps({quota: 0})).start()
    try:
        clients = connect_local(cloud.data_dir, cloud.region)
        names = Names.of(settings, clients.account_id)
        zipped = dataclasses.replace(settings.instance, archive="https://example.org/dogs.zip")
        wanted = dataclasses.replace(settings, instance=zipped)
        with (
            pytest.raises(StepFailed, match="VcpuLimitExceeded") as refused,
            recorded.reporter.step("instance") as step,
        ):
            train_on_instance(clients, names, wanted, None, recorded.reporter, step)
        assert "higher quota" in refused.value.hint
        assert ended(clients, names) == []
    finally:
        cloud.stop()


def test_an_image_that_is_not_there_is_refused_before_anything_is_made(clients, settings, names, train) -> None:
    for image in ("/aws/service/deeplearning/ami/none", "No Such Image"):
        odd = dataclasses.replace(settings, instance=dataclasses.replace(settings.instance, image=image))
        with pytest.raises(StepFailed, match=r"there is no parameter|Amazon has no image"):
            train(odd)
    assert ended(clients, names) == []


def test_the_write_ups_image_is_found_by_the_beginning_of_its_name(clients, names, settings, script, train) -> None:
    image = "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 1.13"
    chosen = script(WRITES)
    model = train(dataclasses.replace(chosen, instance=dataclasses.replace(settings.instance, image=image)))
    told = clients.ec2.describe_instances(InstanceIds=[model.instance_id])["Reservations"][0]["Instances"][0]
    (image_record,) = clients.ec2.describe_images(ImageIds=[told["ImageId"]])["Images"]
    assert image_record["Name"].startswith(image)


@pytest.mark.parametrize("cut", [KeyboardInterrupt(), EndpointConnectionError(endpoint_url="http://127.0.0.1")])
def test_an_instance_whose_launch_was_cut_short_is_found_and_ended(clients, names, script, train, cut) -> None:
    def lose_the_answer(**_: Any) -> None:
        raise cut

    clients.ec2.meta.events.register("after-call.ec2.RunInstances", lose_the_answer)
    with pytest.raises(StepFailed) as failed:
        train(script(WAITS))
    (machine,) = ended(clients, names)
    if isinstance(cut, KeyboardInterrupt):
        assert f"{machine.instance_id} is terminated" in failed.value.cause


def test_what_a_killed_command_has_left_is_removed_by_the_next(clients, names, script, train) -> None:
    once = script(WRITES)
    run = train(once).result.run
    clients.iam.create_role(RoleName=run, AssumeRolePolicyDocument=json.dumps(trust_of_ec2()))
    clients.ec2.create_security_group(GroupName=run, Description="left")
    assert train(once).instance_id == ""
    assert len(ended(clients, names)) == 1


def test_settings_that_do_not_belong_together_are_refused(clients, settings, names, recorded, train) -> None:
    ensure_bucket(clients, names)
    taken = dataclasses.replace(settings, train=TrainSettings(entry_point="train_model.py", hyperparameters={"x": 1}))
    with pytest.raises(SettingsError):
        train(taken)
    for archive in ("dogs.zip", "s3://bucket", "s3://bucket/folder/", "-O x", "ftp://example.org/dogs.zip"):
        odd = dataclasses.replace(settings, instance=dataclasses.replace(settings.instance, archive=archive))
        with pytest.raises(SettingsError, match=r"instance\.archive"):
            train(odd)
    with recorded.reporter.step("instance") as step, pytest.raises(StepFailed, match="no pictures"):
        train_on_instance(clients, names, settings, None, recorded.reporter, step)
    assert ended(clients, names) == []
