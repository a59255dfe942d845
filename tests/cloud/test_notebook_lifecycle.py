"""Lifecycle scripts of notebook instances as real scripts, and notebook instances that do not start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.cloud.notebooks import GROUP, Browser, Notebooks
from tests.cloud.people import allow
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(400)
FOLDER = "/home/ec2-user/SageMaker"


def config_arn(cloud: CloudProcess, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{cloud.account_id}:notebook-instance-lifecycle-config/{name}"


def test_on_create_runs_once_and_on_start_at_each_start(cloud) -> None:
    notebooks = Notebooks(cloud)
    config = notebooks.config(
        OnCreate=f"#!/bin/bash\nset -e\necho made >> {FOLDER}/made; echo 'on create'; pwd",
        # What a script leaves running goes on beside JupyterLab; `activate` is there as on AWS.
        OnStart=f"""#!/bin/bash
source /home/ec2-user/anaconda3/bin/activate python3
echo start >> {FOLDER}/starts
python -c "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
nohup sh -c 'exec tail -f /dev/null' > /dev/null 2>&1 &
echo $! > {FOLDER}/left-running""",
    )
    name = notebooks.create(LifecycleConfigName=config)
    described = notebooks.wait(name, "InService")
    assert described["NotebookInstanceLifecycleConfigName"] == config
    assert notebooks.lines(name, "LifecycleConfigOnCreate") == ["on create", "/"]
    assert ":assumed-role/" in notebooks.lines(name, "LifecycleConfigOnStart")[0]
    browser = Browser(notebooks.link(name))
    left = browser.file("left-running").strip()
    assert browser.run(f"print(open('/proc/{left}/cmdline').read())").startswith("tail")
    assert any("Jupyter Server" in line for line in notebooks.lines(name, "jupyter.log"))
    notebooks.stop(name)
    assert not Path(f"/proc/{left}").exists()
    notebooks.sagemaker.start_notebook_instance(NotebookInstanceName=name)
    notebooks.wait(name, "InService")
    browser = Browser(notebooks.link(name))
    assert browser.file("made") == "made\n"
    assert browser.file("starts") == "start\nstart\n"
    notebooks.stop(name)
    with pytest.raises(ClientError, match=f"is used by {name}"):
        notebooks.sagemaker.delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=config)
    notebooks.delete(name)
    notebooks.sagemaker.delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=config)


def test_a_script_that_fails_fails_the_instance_and_a_better_one_starts_it(cloud) -> None:
    notebooks = Notebooks(cloud)
    sagemaker = notebooks.sagemaker
    config = notebooks.config(
        OnCreate=f"echo made >> {FOLDER}/made", OnStart="#!/bin/bash\necho the last words\nexit 7"
    )
    name = notebooks.create(LifecycleConfigName=config)
    failed = notebooks.wait(name, "Failed")
    arn = failed["NotebookInstanceArn"]
    assert failed["FailureReason"] == (
        f"Notebook Instance Lifecycle Config '{config_arn(cloud, config)}' for Notebook Instance '{arn}' failed: "
        "LifecycleConfigOnStart ended with exit code 7. Please check your CloudWatch logs for more details. Last "
        "words:\nthe last words"
    )
    assert notebooks.lines(name, "LifecycleConfigOnStart") == ["the last words"]
    better = notebooks.config(OnCreate=f"echo again >> {FOLDER}/made", OnStart="echo better")
    sagemaker.update_notebook_instance(NotebookInstanceName=name, LifecycleConfigName=better)
    assert "FailureReason" not in notebooks.wait(name, "Stopped")
    sagemaker.start_notebook_instance(NotebookInstanceName=name)
    notebooks.wait(name, "InService")
    # It had been created before: OnCreate is through, whatever came after it.
    assert Browser(notebooks.link(name)).file("made") == "made\n"
    notebooks.stop(name)
    notebooks.delete(name)


def test_every_line_of_a_script_is_in_its_stream(cloud) -> None:
    """Also what a progress bar left of its line, and each piece of a line that is too long for one event."""
    notebooks = Notebooks(cloud)
    script = "printf '10%%\\r99%%\\rdone\\n'; head -c 600000 /dev/zero | tr '\\0' a; printf '\\tb\\nlast\\n'"
    name = notebooks.create(LifecycleConfigName=notebooks.config(OnStart=script))
    notebooks.wait(name, "InService")
    wait_for(lambda: "last" in notebooks.lines(name, "LifecycleConfigOnStart"), "the script's last line")
    first, *pieces, last = notebooks.lines(name, "LifecycleConfigOnStart")
    assert (first, "".join(pieces), last) == ("done", "a" * 600_000 + "\tb", "last")
    wait_for(lambda: notebooks.lines(name, "jupyter.log"), "JupyterLab's own lines")
    streams = notebooks.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    assert {one["logStreamName"].partition("/")[2] for one in streams} == {"LifecycleConfigOnStart", "jupyter.log"}
    notebooks.stop(name)
    notebooks.delete(name)


def test_a_script_may_take_five_minutes_of_the_clock(fast_cloud) -> None:
    notebooks = Notebooks(fast_cloud)
    config = notebooks.config(OnStart="#!/bin/bash\necho waiting\ntail -f /dev/null")
    name = notebooks.create(LifecycleConfigName=config)
    reason = notebooks.wait(name, "Failed")["FailureReason"]
    arn = f"arn:aws:sagemaker:us-east-1:{fast_cloud.account_id}:notebook-instance/{name}"
    assert reason.startswith(
        f"Notebook Instance Lifecycle Config '{config_arn(fast_cloud, config)}' for Notebook Instance '{arn}' took "
        "longer than 5 minutes. Please check your CloudWatch logs for more details if your Notebook Instance has "
        "Internet access."
    )
    assert notebooks.lines(name, "LifecycleConfigOnStart") == ["waiting"]
    notebooks.delete(name)


def test_without_jupyterlab_the_reason_names_the_extra(tmp_path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    images = json.dumps({"notebook-al2-v3": str(bare / "bin" / "python")})
    cloud = CloudProcess(tmp_path / "cloud", "--images", images).start()
    try:
        notebooks = Notebooks(cloud)
        name = notebooks.create()
        reason = notebooks.wait(name, "Failed")["FailureReason"]
        assert "pip install 'sagehound[notebook]'" in reason
        notebooks.delete(name)
    finally:
        cloud.stop()


def test_configurations_are_listed_changed_and_refused(cloud) -> None:
    notebooks = Notebooks(cloud)
    sagemaker = notebooks.sagemaker
    name = notebooks.config(OnStart="echo one")
    described = sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    assert described["NotebookInstanceLifecycleConfigArn"] == config_arn(cloud, name)
    pages = sagemaker.get_paginator("list_notebook_instance_lifecycle_configs").paginate(NameContains=name)
    found = [one for page in pages for one in page["NotebookInstanceLifecycleConfigs"]]
    assert [one["NotebookInstanceLifecycleConfigName"] for one in found] == [name]
    sagemaker.update_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=name, OnCreate=[{"Content": "ZWNobyB0d28="}]
    )
    changed = sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    assert changed["OnCreate"] == [{"Content": "ZWNobyB0d28="}]
    assert changed["OnStart"] == described["OnStart"]
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    with pytest.raises(ClientError, match="not valid base64"):
        sagemaker.create_notebook_instance_lifecycle_config(
            NotebookInstanceLifecycleConfigName=f"{name}-2", OnStart=[{"Content": "no base64!"}]
        )
    sagemaker.delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({"SubnetId": "subnet-1"}, "NotImplemented", "SubnetId"),
        ({"RootAccess": "Disabled"}, "NotImplemented", "RootAccess Disabled"),
        ({"InstanceType": "t2.small"}, "ValidationException", "'t2.small' at 'instanceType'"),
        ({"LifecycleConfigName": "nowhere"}, "ValidationException", "'nowhere' does not exist"),
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "ValidationException", "nobody"),
    ],
)
def test_what_cannot_be_is_refused(cloud, members, code, words) -> None:
    notebooks = Notebooks(cloud)
    with pytest.raises(ClientError) as caught:
        notebooks.create(name="never", **members)
    assert caught.value.response["Error"]["Code"] == code
    assert words in caught.value.response["Error"]["Message"]
    assert "never" not in notebooks.names()


def test_iam_decides_about_every_call(cloud, people) -> None:
    """Who may describe one instance may not open it, nor describe another one."""
    arn = f"arn:aws:sagemaker:us-east-1:{cloud.account_id}:notebook-instance/one"
    sagemaker = people.user(allow("sagemaker:DescribeNotebookInstance", arn)).client("sagemaker")
    with pytest.raises(ClientError, match="RecordNotFound"):
        sagemaker.describe_notebook_instance(NotebookInstanceName="one")
    for call in (
        lambda: sagemaker.describe_notebook_instance(NotebookInstanceName="two"),
        lambda: sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName="one"),
    ):
        with pytest.raises(ClientError, match="is not authorized to perform: sagemaker:"):
            call()
