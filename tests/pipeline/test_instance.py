"""Training on an EC2 instance of a running cloud: it trains, uploads and is gone, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from sagehound.errors import SettingsError, StepFailed
from sagehound.pipeline.bucket import ensure_bucket
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance import InstanceModel, remove_surroundings, train_on_instance
from sagehound.pipeline.instance_cleanup import find_instances
from sagehound.pipeline.instance_machine import Machine, project_machines
from sagehound.pipeline.instance_plan import trust_of_ec2
from sagehound.pipeline.names import Names
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings, TrainSettings
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded, Uploaded

pytestmark = pytest.mark.timeout(600)

Train = Callable[..., InstanceModel]
WRITES = "open('TrainedModels/model.pth', 'w').write('trained')\n"
WAITS = """
import boto3, botocore.exceptions, os, time
print("waits", flush=True)
bucket, key = os.environ["BUCKET"], os.environ["DATA_PREFIX"] + "go"
while True:
    try:
        boto3.client("s3").head_object(Bucket=bucket, Key=key)
        break
    except botocore.exceptions.ClientError:
        time.sleep(0.2)
"""
"""A training that lasts until the test puts an object among its data."""


@pytest.fixture
def data(settings: PipelineSettings, uploaded: Uploaded) -> StoredData:
    return uploaded(settings)


@pytest.fixture
def script(settings: PipelineSettings, tmp_path: Path) -> Callable[[str], PipelineSettings]:
    """`script("raise ...")`: settings that train with it."""

    def write(text: str) -> PipelineSettings:
        path = tmp_path / "solution.py"
        path.write_text(text)
        return dataclasses.replace(settings, train=TrainSettings(entry_point=str(path)))

    return write


@pytest.fixture
def train(clients: Clients, names: Names, data: StoredData, recorded: Recorded) -> Train:
    def do(settings: PipelineSettings, **options: Any) -> InstanceModel:
        with recorded.reporter.step("instance") as step:
            return train_on_instance(clients, names, settings, data, recorded.reporter, step, **options)

    return do


def ended(clients: Clients, names: Names) -> list[Machine]:
    """All instances that the project ever had, each of which must have ended, with nothing left beside them."""
    assert find_instances(clients, names).lines() == []
    groups = clients.ec2.describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups if group["GroupName"].startswith(names.project)] == []
    roles = [role["RoleName"] for role in clients.iam.list_roles()["Roles"]]
    assert [role for role in roles if role.startswith(f"{names.project}-instance")] == []
    machines = project_machines(clients, names, ended=True)
    assert all(machine.state == "terminated" for machine in machines)
    return machines


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


def test_what_ec2_refuses_leaves_nothing(clients, settings, names, train) -> None:
    odd = dataclasses.replace(settings, instance=dataclasses.replace(settings.instance, instance_type="t2.gigantic"))
    with pytest.raises(StepFailed, match=r"RunInstances was refused.*t2\.gigantic"):
        train(odd)
    assert ended(clients, names) == []


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


def test_somebody_ends_it_from_outside(clients, names, script, train, cli) -> None:
    client = cli(script(WAITS))
    client.read_until("waits")
    (machine,) = project_machines(clients, names)
    clients.ec2.terminate_instances(InstanceIds=[machine.instance_id])
    out, err = client.communicate(timeout=120)
    assert client.returncode == 1, out + err
    assert "has left no outcome" in err
    assert len(ended(clients, names)) == 1


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


def test_an_instance_of_the_same_training_keeps_its_role(clients, names, script, train, cli) -> None:
    waiting = script(WAITS)
    client = cli(waiting)
    client.read_until("waits")
    (machine,) = project_machines(clients, names)
    remove_surroundings(clients, names, machine.run)
    assert find_instances(clients, names).surroundings == (machine.run,)
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=120)
    assert len(ended(clients, names)) == 1


def test_what_a_killed_command_has_left_is_removed_by_the_next(clients, names, script, train) -> None:
    once = script(WRITES)
    run = train(once).result.run
    clients.iam.create_role(RoleName=run, AssumeRolePolicyDocument=json.dumps(trust_of_ec2()))
    clients.ec2.create_security_group(GroupName=run, Description="left")
    assert train(once).instance_id == ""
    assert len(ended(clients, names)) == 1


class Client(subprocess.Popen[str]):
    """`sagehound instance train` as a process of its own."""

    def read_until(self, line: str) -> str:
        """Read its output up to a line that ends so."""
        assert self.stdout is not None
        said = []
        for one in self.stdout:
            said.append(one)
            if one.rstrip().endswith(line):
                return "".join(said)
        raise AssertionError(f"it never said {line}:\n{''.join(said)}\n{self.stderr.read() if self.stderr else ''}")


@pytest.fixture
def cli(cloud: CloudProcess, data: StoredData, tmp_path: Path) -> Callable[[PipelineSettings], Client]:
    """`cli(settings)`: the command with these settings, under way."""

    def start(settings: PipelineSettings) -> Client:
        told = {"project": settings.project, "bucket": settings.bucket, "train.entry_point": settings.train.entry_point}
        words = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
        return Client(
            [
                *(sys.executable, "-u", "-m", "sagehound.cli.main", "instance", "train"),
                *("--data-dir", str(cloud.data_dir), *words),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )

    return start


def test_ctrl_c_terminates_the_instance_and_leaves_nothing(clients, names, script, cli) -> None:
    client = cli(script(WAITS))
    client.read_until("waits")
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=120)
    assert client.returncode == 130, out + err
    assert "is terminated, nothing is left of it" in err
    assert len(ended(clients, names)) == 1


def command(cloud: CloudProcess, settings: PipelineSettings, *words: str) -> tuple[int, str, str]:
    """`sagehound instance ...` to its end: exit code, output, errors."""
    told = [word for name in ("project", "bucket") for word in ("--set", f"{name}={getattr(settings, name)}")]
    done = subprocess.run(
        [*(sys.executable, "-m", "sagehound.cli.main", "instance", *words), "--data-dir", str(cloud.data_dir), *told],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_instances_are_listed_and_ended_by_a_command(clients, cloud, names, settings, script, cli) -> None:
    client = cli(script(WAITS))
    client.read_until("waits")
    (machine,) = project_machines(clients, names)
    code, out, err = command(cloud, settings, "list", "--json")
    assert code == 0, err
    (listed,) = json.loads(out.splitlines()[-1])["result"]["instances"]
    assert (listed["instance_id"], listed["state"]) == (machine.instance_id, "running")
    code, _, err = command(cloud, settings, "terminate", "i-0123456789abcdef0")
    assert (code, "has no instance i-0123456789abcdef0" in err) == (1, True)
    code, out, err = command(cloud, settings, "terminate", machine.instance_id)
    assert code == 0, err
    assert f"instance {machine.instance_id} (running, t2.small)" in out
    assert f"role, instance profile and security group {machine.run}" in out
    client.communicate(timeout=120)
    assert client.returncode == 1
    assert len(ended(clients, names)) == 1
    assert "nothing to end" in command(cloud, settings, "terminate")[1]


def test_a_command_that_was_killed_is_taken_up_by_the_next(clients, names, data, script, train, cli, recorded) -> None:
    waiting = script(WAITS + WRITES)
    client = cli(waiting)
    client.read_until("waits")
    client.kill()
    client.communicate()
    (machine,) = project_machines(clients, names)
    clients.s3.put_object(Bucket=names.bucket, Key=f"{names.data_prefix(data.name)}go", Body=b"")
    model = train(waiting)
    assert model.instance_id == machine.instance_id
    assert any("does this already" in note for note in recorded.notes())
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
