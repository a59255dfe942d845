"""The notebook that is in the package, executed from its first to its last cell against a running cloud."""

from __future__ import annotations

import base64
from importlib import resources

import nbformat
import pytest
from nbclient import NotebookClient

from tests.pipeline.conftest import colours

pytestmark = pytest.mark.timeout(600)
CELL_LIMIT = 300


def test_every_cell_of_the_notebook_runs(own_cloud, tmp_path, monkeypatch) -> None:
    pictures = colours(tmp_path / "colours", {"train": 12, "valid": 4, "test": 4})
    (tmp_path / "pipeline.toml").write_text(
        "multi_instance_count = 2\n[train]\nepochs = 6\nbatch_size = 8\nlearning_rate = 0.01\n"
        "[tune.ranges]\nlearning_rate = {min = 0.003, max = 0.03, scaling = 'Logarithmic'}\n"
    )
    for name, value in own_cloud.environment().items():
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
    assert len(plots) == 5
    assert all(base64.b64decode(plot).startswith(b"\x89PNG") for plot in plots)
    printed = {cell.source.split("=")[0].strip(): _printed(cell) for cell in cells}
    assert "36 train" in printed["manifest"] or "36" in printed["manifest"]
    assert "InService" in printed["endpoint"]
    assert "right" in printed["figures"]
    assert "2 instance(s)" in printed["several"]
    assert "$" in printed["costs"]
    # The last cell has deleted everything.
    assert own_cloud.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert own_cloud.client("s3").list_buckets()["Buckets"] == []


def _printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output["text"] for output in cell.outputs if output["output_type"] == "stream")
