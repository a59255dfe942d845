"""The report's page about cost, and the command, of real jobs of a real cloud."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names
from sagehound.pipeline.report import write_report
from sagehound.settings import PipelineSettings
from tests.cloud_process import CloudProcess
from tests.pipeline.ec2_outcomes import leave_outcome
from tests.pipeline.report_shop import LEAVE, ReportShop, Strict, metrics, references


@pytest.fixture
def jobs(cloud: CloudProcess, names: Names) -> list[str]:
    """A training over one instance and one over two, of the project."""
    shop = ReportShop(cloud)
    files = {"metrics.json": json.dumps(metrics("validation", "test"))}
    return [
        shop.run(LEAVE, files=files, name=f"{names.job_prefix}{count}", count=count, Tags=names.tags)["TrainingJobName"]
        for count in (1, 2)
    ]


def test_the_page_has_the_bill_and_what_it_could_have_cost(
    clients: Clients, names: Names, jobs: list[str], tmp_path: Path
) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)
    leave_outcome(clients, names, "by-hand", tmp_path, "t2.small", 6, 40)
    path = tmp_path / "report.html"
    summary = write_report(
        clients, names, path=path, data_uri=f"s3://{names.bucket}/none/", tuning_job=None, training_jobs=jobs
    )
    page = Strict(path.read_text(encoding="utf-8"))
    assert references(page) == []
    ids = page.ids()
    assert len(ids) == len(set(ids))
    assert {value for _, found in page.elements if (value := found.get("aria-labelledby"))} <= set(ids)
    assert "Nothing was charged: on AWS this would have cost" in page.text
    for job in jobs:
        assert f"{job}, {job[-1]} x ml.m5.large" in page.text
    assert "0.115 an hour" in page.text
    assert "m5.large costs $0.096 an hour on EC2; as ml.m5.large $0.115 an hour in a training job" in page.text
    assert f"measured, {jobs[0]}" in page.text
    assert "measured, by-hand" in page.text
    assert "t2.small and ml.m5.large are different machines" in page.text
    assert "2 × ml.m5.large" in page.text
    assert "Estimates, not measurements" in page.text
    assert "ml.g4dn.xlarge" in page.text
    assert "Not counted" in page.text
    assert summary.cost is not None
    told = json.loads(json.dumps(summary.as_dict()))["cost"]
    assert len([line for line in told["lines"] if line["use"] == "training"]) == 2
    assert [other["estimate"] for other in told["other_types"]].count(False) == 1
    assert told["one_or_several"]["instances"] == 2
    assert told["ec2_or_sagemaker"]["ways"][1]["script_seconds"] == "40.0"
    ways = told["ec2_or_sagemaker"]["ways"]
    assert [(one["way"], one["instance_type"], one["name"]) for one in ways] == [
        ("training job", "ml.m5.large", jobs[0]),
        ("EC2 instance", "t2.small", "by-hand"),
        ("EC2 instance", "m5.large", ""),
        ("notebook instance", "ml.m5.large", ""),
    ]


def test_the_command_tells_people_and_machines(
    cloud: CloudProcess, settings: PipelineSettings, jobs: list[str]
) -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        named = [f"--set=project={settings.project}", f"--set=bucket={settings.bucket}"]
        command = [sys.executable, "-m", "sagehound.cli.main", "cost", "--data-dir", str(cloud.data_dir), *named]
        return subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)

    people = run()
    assert people.returncode == 0, people.stderr
    assert "nothing was charged" in people.stdout
    assert all(job in people.stdout for job in jobs)
    machines = run("--json")
    events = [json.loads(line) for line in machines.stdout.splitlines()]
    (done,) = [one for one in events if one.get("status") == "done"]
    assert done["result"]["charged"] is False
    assert float(done["result"]["usd"]) > 0
    nothing = run("--since", "2999-01-01T00:00:00", "--json")
    assert '"usd": "0.000000"' in nothing.stdout
    nobody = run("--run", "nobody", "--json")
    assert '"usd": "0.000000"' in nobody.stdout
    elsewhere = run("--region", "eu-west-1", "--json")
    assert "eu-west-1 has other prices" in elsewhere.stdout
    nobody = run("--prices", "aws", "--profile", "nobody-has-this")
    assert nobody.returncode == 1
    assert "nobody-has-this" in nobody.stderr
    refused = run("--prices", "/does/not/exist")
    assert refused.returncode == 1
    assert "way out" in refused.stderr
