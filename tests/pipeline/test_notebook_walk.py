"""The notebook that is in the package, executed from its first to its last cell against a running cloud."""

from __future__ import annotations

import base64
import json
from importlib import resources

import nbformat
import pytest
from nbclient import NotebookClient

from sagehound.pipeline.names import Names
from sagehound.pipeline.notebook_setup import notebook_policy
from sagehound.settings import PipelineSettings
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import colours

pytestmark = pytest.mark.timeout(600)
CELL_LIMIT = 300
POLICY = {"Version": "2012-10-17"}


def test_every_cell_of_the_notebook_runs(own_cloud, tmp_path, monkeypatch) -> None:
    pictures = colours(tmp_path / "colours", {"train": 12, "valid": 4, "test": 4})
    (tmp_path / "pipeline.toml").write_text(
        "multi_instance_count = 2\n[train]\nepochs = 6\nbatch_size = 8\nlearning_rate = 0.01\n"
        "[tune.ranges]\nlearning_rate = {min = 0.003, max = 0.03, scaling = 'Logarithmic'}\n"
    )
    for name, value in (own_cloud.environment() | keys_of_the_notebooks_role(own_cloud)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SAGEHOUND_PICTURES", str(pictures))
    monkeypatch.setenv("SAGEHOUND_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    path = resources.files("sagehound.pipeline") / "notebooks" / "train_and_deploy.ipynb"
    notebook = nbformat.reads(path.read_text(), as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "the shipped notebook has no outputs"

    NotebookClient(
        notebook, timeout=CELL_LIMIT, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    plots = [
        output["data"]["image/png"]
        for cell in cells
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(plots) == 6
    assert all(base64.b64decode(plot).startswith(b"\x89PNG") for plot in plots)
    printed = {cell.source.split("=")[0].strip(): _printed(cell) for cell in cells}
    assert "(train/valid/test 36/12/12)" in printed["manifest"]
    assert "InService" in printed["endpoint"]
    assert "right" in printed["figures"]
    assert "2 instance(s)" in printed["several"]
    assert "$" in printed["costs"]
    # The last cell has deleted everything.
    assert own_cloud.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert own_cloud.client("s3").list_buckets()["Buckets"] == []


def keys_of_the_notebooks_role(cloud: CloudProcess) -> dict[str, str]:
    """Every cell may do what the role of the notebook instance may, and no more."""
    names = Names.of(PipelineSettings(), cloud.account_id)
    trust = {"Effect": "Allow", "Principal": {"AWS": cloud.account_id}, "Action": "sts:AssumeRole"}
    iam = cloud.client("iam")
    role = iam.create_role(RoleName="cells", AssumeRolePolicyDocument=json.dumps({**POLICY, "Statement": [trust]}))
    policy = notebook_policy(names, cloud.region, cloud.account_id)
    iam.put_role_policy(RoleName="cells", PolicyName="cells", PolicyDocument=json.dumps(policy))
    keys = cloud.client("sts").assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="cells")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def _printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output["text"] for output in cell.outputs if output["output_type"] == "stream")
