"""The notebook step against a running cloud: made, opened, found again, stopped, started, deleted; and run inside."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients, connect_local
from sagehound.pipeline.names import Names
from sagehound.pipeline.notebook import delete_notebook, describe_notebook, notebook_name, open_notebook, stop_notebook
from sagehound.pipeline.notebook_setup import notebook_policy, on_create_script
from sagehound.pipeline.plan import Plan
from sagehound.pipeline.plan_cost import estimate_lines
from sagehound.pipeline.progress import Step
from sagehound.settings import AwsSettings, NotebookSettings, PipelineSettings
from tests.cloud.hosting import TRUST
from tests.cloud.notebooks import Browser, Notebooks
from tests.cloud_process import CloudProcess
from tests.pipeline.test_plan import Kept, as_user, essence

pytestmark = pytest.mark.timeout(600)
FIRST_CELLS = """
import json, os
cells = json.load(open("train_and_deploy.ipynb"))["cells"]
code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
for source in [one for one in code if "plt.show" not in one][:3]:
    exec(source)
print(data.uri)
"""
"""The cells that connect, check and upload, as the role of the instance."""


def test_a_notebook_from_the_first_link_to_its_end(clients, settings, names, recorded) -> None:
    def opened():
        with recorded.reporter.step("notebook") as step:
            return open_notebook(clients, names, settings, step)

    first = opened()
    assert (first.name, first.instance_type, first.how) == (notebook_name(names), "ml.m5.xlarge", "created")
    browser = Browser(first.url)
    assert browser.opened.status_code == 200
    there = json.loads(browser.file("train_and_deploy.ipynb"))
    assert len(there["cells"]) > 30
    assert f'project = "{settings.project}"' in browser.file("pipeline.toml")
    assert browser.run(FIRST_CELLS).strip().endswith(f"s3://{names.bucket}/{names.data_prefix('pictures')}")

    again = opened()
    assert again.how == "was there"
    assert again.url != first.url
    with recorded.reporter.step("stop") as step:
        stop_notebook(clients, names, step)
    assert describe_notebook(clients, first.name)["NotebookInstanceStatus"] == "Stopped"
    settings = dataclasses.replace(settings, notebook=NotebookSettings(instance_type="ml.t3.medium"))
    third = opened()
    assert (third.how, third.instance_type) == ("started", "ml.t3.medium")
    assert "pipeline.toml" in [one["name"] for one in Browser(third.url).get("/api/contents").json()["content"]]

    for expected in ("deleted", "was not there"):
        with recorded.reporter.step(expected) as step:
            delete_notebook(clients, names, step)
        assert recorded.steps()[expected]["result"]["how"] == expected
    assert describe_notebook(clients, first.name) is None
    listed = clients.sagemaker.list_notebook_instance_lifecycle_configs(NameContains=first.name)
    assert listed["NotebookInstanceLifecycleConfigs"] == []
    with pytest.raises(clients.iam.exceptions.NoSuchEntityException):
        clients.iam.get_role(RoleName=first.name)


def test_what_is_planned_is_what_is_done_and_its_policy_is_enough(clients, cloud, settings, names, recorded) -> None:
    def opened(connection: Clients) -> str:
        step = Step("notebook")
        return open_notebook(connection, names, settings, step).how

    planning = connect_local(cloud.data_dir, cloud.region)
    plan = Plan.begin(planning)
    assert opened(planning) == "created"
    assert describe_notebook(clients, notebook_name(names)) is None
    (line,) = [line for line in estimate_lines(plan.writing, settings) if "ml.m5.xlarge" in line]
    assert "0.2300 an hour, 167.90 a month" in line
    user = as_user(clients, cloud, f"{settings.project}-user", plan.policy(settings.project))
    kept = Kept(user)
    assert opened(user) == "created"
    assert essence(kept.calls) == essence(plan.writing)
    stop_notebook(clients, names, Step("notebook"))
    again = Plan.begin(planning := connect_local(cloud.data_dir, cloud.region))
    assert opened(planning) == "started"
    assert [call.operation for call in again.writing] == [
        "StartNotebookInstance",
        "CreatePresignedNotebookInstanceUrl",
    ]
    assert describe_notebook(clients, notebook_name(names))["NotebookInstanceStatus"] == "Stopped"
    delete_notebook(clients, names, Step("notebook"))


def command(cloud: CloudProcess, settings: PipelineSettings, *words: str) -> tuple[int, dict[str, Any]]:
    """`sagehound notebook ... --json` to its end: exit code and the last event."""
    told = [word for name in ("project", "bucket") for word in ("--set", f"{name}={getattr(settings, name)}")]
    line = [sys.executable, "-m", "sagehound.cli.main", "notebook", "--data-dir", str(cloud.data_dir), "--json", *told]
    done = subprocess.run([*line, *words], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_the_command_makes_stops_and_deletes_it(clients, cloud, settings, names) -> None:
    code, refused = command(cloud, settings, "--stop", "--delete")
    assert (code, refused["cause"]) == (1, "--stop and --delete exclude each other")
    code, planned = command(cloud, settings, "--plan")
    assert code == 0
    assert "sagemaker:CreateNotebookInstance" in [call["call"] for call in planned["calls"]]
    assert describe_notebook(clients, notebook_name(names)) is None
    code, made = command(cloud, settings, "--instance-type", "ml.t3.medium")
    assert (code, made["result"]["instance_type"]) == (0, "ml.t3.medium")
    assert Browser(made["result"]["url"]).opened.status_code == 200
    for option, how in (("--stop", "stopped"), ("--stop", "was Stopped"), ("--delete", "deleted")):
        code, ended = command(cloud, settings, option)
        assert (code, ended["result"]["how"]) == (0, how)


def test_another_projects_notebook_and_role_are_left_alone(clients, cloud, names) -> None:
    made = Notebooks(cloud)
    name = made.create(name=notebook_name(names))
    made.wait(name, "InService")
    clients.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    with pytest.raises(StepFailed, match="does not carry the tag"):
        delete_notebook(clients, names, Step("notebook"))
    assert describe_notebook(clients, name)["NotebookInstanceStatus"] == "InService"
    made.stop(name)
    made.delete(name)
    step = Step("notebook")
    delete_notebook(clients, names, step)
    assert step.result["how"] == "was not there"
    assert clients.iam.get_role(RoleName=name)


def test_a_notebook_that_does_not_start_says_why(clients, cloud, settings, names, recorded) -> None:
    """One of the project's name whose script fails at each start."""
    made = Notebooks(cloud)
    name = made.create(
        name=notebook_name(names), Tags=names.tags, LifecycleConfigName=made.config(OnStart="echo no; exit 5")
    )
    made.wait(name, "Failed")
    with pytest.raises(StepFailed, match="LifecycleConfigOnStart ended with exit code 5"), recorded.reporter.step("x"):
        open_notebook(clients, names, settings, Step("notebook"))
    delete_notebook(clients, names, Step("notebook"))
    assert describe_notebook(clients, name) is None


def test_its_role_may_use_the_keys_of_the_settings_in_whatever_partition() -> None:
    settings = PipelineSettings(region="cn-north-1", aws=AwsSettings(bucket_kms_key="k1", volume_kms_key="alias/v"))
    policy = notebook_policy(Names.of(settings, "123456789012"), "cn-north-1", "123456789012", "aws-cn")
    keys = [one for one in policy["Statement"] if "kms:" in str(one["Action"])]
    assert [one["Resource"].rpartition("/")[2] for one in keys] == ["k1", "*"]
    assert "arn:aws:" not in json.dumps(policy)


def test_the_script_fits_into_a_lifecycle_configuration() -> None:
    assert len(on_create_script(PipelineSettings())) < 16_384
