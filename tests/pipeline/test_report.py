"""The report of real jobs of a real cloud: one file without the network, all that was asked for, nothing unescaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients, CloudClock, connect_local
from sagehound.pipeline.names import Names
from sagehound.pipeline.report import ReportSummary, report_table, write_report
from sagehound.pipeline.reporting import Reported, report
from tests.cloud.tuning import READ, categorical, continuous
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded
from tests.pipeline.report_shop import (
    CLASSES,
    LEAVE,
    ReportShop,
    Strict,
    metrics,
    picture,
    predictions,
    references,
)

DATA = "shop/data/pets"
FAILING = READ + (
    "if given['kind'] == 'bad': sys.exit('</table><script>alert(2)</script> & more')\n"
    "print(f'loss={(x - 0.01) ** 2 + 0.4}', flush=True)\n"
)
STRANGER = (
    "import time\n"
    "for epoch in range(3):\n"
    "    print(f'Testing Loss: {1.5 - epoch / 2}', flush=True)\n"
    "    print(f'Testing Accuracy: {50 + epoch}', flush=True)\n"
)
STRANGER_METRICS = [
    {"Name": "Testing Loss", "Regex": "Testing Loss: ([0-9.]+)"},
    {"Name": "Testing Accuracy", "Regex": "Testing Accuracy: ([0-9.]+)"},
]


@dataclass(frozen=True)
class Shown:
    """A report that was written, and its page as a strict reader sees it."""

    summary: ReportSummary
    source: str
    page: Strict


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> ReportShop:
    made = ReportShop(cloud)
    for number, colour in enumerate([(200, 40, 40), (40, 160, 40), (40, 40, 200)]):
        folder = f"00{number + 1}.{'abc'[number]}"
        made.put(f"{DATA}/train/{folder}/0.png", picture(colour))
        for index in range(4):
            made.put(f"{DATA}/test/{folder}/{index}.png", picture(colour))
    made.put(f"{DATA}/test/003.c/2.png", b"this is no picture")
    made.s3.delete_object(Bucket=made.bucket, Key=f"{DATA}/test/001.a/2.png")
    return made


@pytest.fixture(scope="module")
def clients(cloud: CloudProcess) -> Clients:
    return connect_local(cloud.data_dir, cloud.region)


@pytest.fixture
def write(shop: ReportShop, clients: Clients, tmp_path: Path) -> Any:
    return lambda *jobs, **more: written(shop, clients, tmp_path, *jobs, **more)


def written(shop: ReportShop, clients: Clients, folder: Path, *jobs: str, **more: Any) -> Shown:
    path = folder / "out" / "report.html"
    names = Names("shop", shop.bucket, "shop-endpoint", "shop-role", "shop-function", "shop-function")
    given: dict[str, Any] = {"data_uri": f"s3://{shop.bucket}/{DATA}/", "tuning_job": None, **more}
    summary = write_report(clients, names, path=path, training_jobs=list(jobs), **given)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    source = path.read_text(encoding="utf-8")
    return Shown(summary, source, Strict(source))


@pytest.fixture(scope="module")
def shown(shop: ReportShop, clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The report of everything: features, a search with failed trials, one instance, and two that train alone."""
    ranges = continuous(low="0.001", high="0.1", ScalingType="Logarithmic") | categorical("good", "bad", name="kind")
    tuning = shop.tuned(FAILING, ranges, strategy="Random", jobs=6, parallel=2)
    one = shop.leave(metrics=metrics("validation", "test"), predictions=predictions())
    two = shop.leave(metrics=metrics("validation", "test"), predictions=predictions(), count=2)
    features = shop.leave(script="print('extracted')")
    folder = tmp_path_factory.mktemp("report")
    name = str(tuning["HyperParameterTuningJobName"])
    return written(shop, clients, folder, one, two, tuning_job=name, features_job=features)


def test_the_page_is_well_formed_and_fetches_nothing(shown: Shown) -> None:
    assert shown.source.startswith("<!doctype html>")
    assert references(shown.page) == []
    assert not re.search(r"@import|url\(|https?://", shown.source)
    ids = shown.page.ids()
    assert len(ids) == len(set(ids))
    labelled = {value for _, found in shown.page.elements if (value := found.get("aria-labelledby"))}
    assert labelled <= set(ids)


def test_the_policy_of_the_page_allows_its_own_script_and_nothing_else(shown: Shown) -> None:
    (policy,) = [str(meta["content"]) for meta in shown.page.all("meta") if "http-equiv" in meta]
    (script,) = re.findall(r"<script>(.*?)</script>", shown.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_names_and_reasons_of_others_stay_text(shown: Shown) -> None:
    assert len(shown.page.all("script")) == 1
    assert not shown.page.all("blink")
    assert "<script>alert(1)<" in shown.page.text
    assert 'Tom & "Jerry\'s"' in shown.page.text
    assert "</table><script>alert(2)</script> & more" in shown.page.text
    assert CLASSES[2] in {found.get("title") for found in shown.page.all("th")}


def test_every_job_has_its_row(shown: Shown) -> None:
    roles = [row.role for row in shown.summary.rows]
    assert roles == ["features", "tuning, 6 trials", "training, 1 instance", "training, 2 instances"]
    for row in shown.summary.rows:
        assert row.name in shown.page.text
        assert row.billable_seconds is not None
    single, two = shown.summary.rows[2:]
    assert single.figures["test:accuracy"] == pytest.approx(9 / 12)
    assert (two.instance_count, two.independent_copies, single.independent_copies) == (2, True, False)
    assert "75.0 %" in shown.page.text


def test_instances_that_train_alone_are_told_in_the_page_and_in_the_findings(shown: Shown, shop: ReportShop) -> None:
    single, two = shown.summary.rows[2:]
    described = shop.describe(two.name)
    assert two.billable_seconds == described["BillableTimeInSeconds"] * 2
    assert "this script is not distributed" in shown.page.text
    said = [finding for finding in shown.summary.findings if "not distributed" in finding.text]
    assert [finding.severity for finding in said] == ["warning"]
    assert said[0].text.startswith("2 x the bill: this script is not distributed. ")
    assert f"{two.billable_seconds:,.0f} billable seconds instead of {single.billable_seconds:,.0f}" in said[0].text


def test_the_search_is_drawn_with_its_failed_trials_and_its_best(shown: Shown, shop: ReportShop) -> None:
    tuning = shown.summary.rows[1]
    children = shop.children(tuning.name)
    failed = [child for child in children if child["TrainingJobStatus"] == "Failed"]
    assert failed
    assert len(failed) < len(children)
    best = shop.tuning(tuning.name)["BestTrainingJob"]["TrainingJobName"]
    # Two scatters and the best so far, each with every trial.
    assert shown.source.count('class="cross"') == 3 * len(failed)
    assert shown.source.count('class="ring"') == 3
    assert f"{len(failed)} of {len(children)} trials failed" in shown.page.text
    assert best in shown.page.text
    assert "chance" in shown.page.text  # ln 3 of the loss, from the classes of the trainings
    described = [shop.describe(child["TrainingJobName"]) for child in children]
    assert tuning.billable_seconds == sum(job["BillableTimeInSeconds"] for job in described)


def test_the_curves_come_from_the_history(shown: Shown) -> None:
    labels = [str(svg.get("aria-label")) for svg in shown.page.all("svg")]
    assert labels.count("loss by epoch: train from 1.100 to 0.367; validation from 1.000 to 0.333") == 2
    assert labels.count("accuracy by epoch: train from 30.0 % to 90.0 %") == 2


def test_mistakes_are_shown_with_pictures_and_what_is_gone_by_name(shown: Shown) -> None:
    assert any("confusion matrix of 3 classes: 9 of 12" in str(svg.get("aria-label")) for svg in shown.page.all("svg"))
    images = shown.page.all("img")
    assert images
    for image in images:
        head, _, content = str(image["src"]).partition(",")
        assert head == "data:image/jpeg;base64"
        assert base64.b64decode(content).startswith(b"\xff\xd8")
        assert image["alt"]
    gone = [str(found["title"]) for found in shown.page.all("span") if found.get("class") == "gone"]
    assert set(gone) == {"001.a/2.png", "003.c/2.png"}  # one deleted, one no picture
    assert "The 3 most wrong pictures" in shown.page.text
    assert "Expected calibration error: 0.050" in shown.page.text


def test_the_weakest_class_comes_first(shown: Shown) -> None:
    table = shown.source.partition('id="classes"')[2].partition("</table>")[0]
    recalls = [float(value) for value in re.findall(r'data-value="([0-9.]+)"', table)]
    assert recalls == [0.5, 0.75, 1.0]


def test_the_terminal_has_one_line_a_job(shown: Shown) -> None:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(report_table(shown.summary))
    lines = console.export_text().splitlines()
    for row in shown.summary.rows:
        assert any(row.role in line for line in lines)
    assert any("75.0 %" in line for line in lines)
    assert f"{shown.summary.billable_seconds:,.0f}" in lines[-2]


def test_a_fast_clock_is_said_where_its_times_are(
    shown: Shown, shop: ReportShop, cloud: CloudProcess, tmp_path: Path, recorded: Recorded
) -> None:
    sentence = "clock x30: a minute of its alarms, metrics, limits and jobs' times is 2 s here"
    assert (shown.summary.clock, shown.source.count("clock x")) == ("", 0)
    job = shop.leave(metrics=metrics("test"))
    clients = connect_local(cloud.data_dir, cloud.region)
    for began, told in ((time.time() - 3600, sentence), (time.time() + 60, "")):  # before the job, and after it
        clients.clock = CloudClock(30.0, began)
        fast = written(shop, clients, tmp_path, job)
        assert fast.summary.clock == told
        assert fast.source.count("<dt>times</dt>") == bool(told)
        assert (sentence in html.unescape(fast.source)) == bool(told)
        names = Names("shop", shop.bucket, "shop-endpoint", "shop-role", "shop-function", "shop-function")
        jobs = Reported(f"s3://{shop.bucket}/{DATA}/", None, [job], None)
        with recorded.reporter.step("report") as step:
            report(clients, names, jobs, tmp_path / "again.html", step)
        assert (sentence in step.lines) == bool(told)
        assert recorded.steps()["report"]["result"]["clock"] == told


def test_the_summary_is_json(shown: Shown) -> None:
    told = json.loads(json.dumps(shown.summary.as_dict()))
    assert [job["role"] for job in told["jobs"]] == [row.role for row in shown.summary.rows]
    assert told["findings"][0].keys() == {"severity", "text"}
    assert told["path"].endswith("report.html")


def test_a_strangers_script_gets_curves_from_cloudwatch(shop: ReportShop, write: Any) -> None:
    job = shop.run(STRANGER, algorithm={"MetricDefinitions": STRANGER_METRICS})
    shown = write(job["TrainingJobName"])
    labels = [str(svg.get("aria-label")) for svg in shown.page.all("svg")]
    assert [label.partition(":")[0] for label in labels] == ["loss by seconds", "accuracy by seconds"]
    # All three were printed within a second or two: the last one is told as it was.
    assert [label.rpartition(" ")[2] for label in labels] == ["0.500", "52.000"]
    assert "Mistakes" not in shown.page.text
    assert shown.summary.rows[0].seconds is not None


def test_without_a_test_split_the_validation_split_is_shown(shop: ReportShop, write: Any) -> None:
    shown = write(shop.leave(metrics=metrics("validation"), predictions=predictions("validation")))
    assert "Mistakes on the validation split" in shown.page.text
    assert [finding.severity for finding in shown.summary.findings] == ["note"]
    # The pictures of that split are not in the bucket: each has its place and its name.
    assert not shown.page.all("img")
    assert "test:loss" not in shown.summary.rows[0].figures


def test_without_predictions_there_are_figures_and_no_pictures(shop: ReportShop, write: Any) -> None:
    shown = write(shop.leave(metrics=metrics("validation", "test")))
    assert "Recall by class" in shown.page.text
    assert "Worst pairs" in shown.page.text
    assert "most wrong" not in shown.page.text


def test_a_job_that_failed_says_why(shop: ReportShop, write: Any) -> None:
    job = shop.run("import sys\nsys.exit('<b>no</b> such split')\n")
    shown = write(job["TrainingJobName"])
    assert shown.summary.findings[0].severity == "error"
    assert "<b>no</b> such split" in shown.page.text
    assert "It has no metrics" in shown.page.text


def test_output_that_is_damaged_is_a_finding_and_the_rest_is_shown(shop: ReportShop, write: Any) -> None:
    broken = shop.leave(metrics="{broken")
    whole = shop.leave(metrics=metrics("validation", "test"), predictions=predictions())
    key = f"out/{whole}/output/output.tar.gz"
    cut = shop.run(LEAVE)["TrainingJobName"]
    shop.put(f"out/{cut}/output/output.tar.gz", shop.s3.get_object(Bucket=shop.bucket, Key=key)["Body"].read()[:200])
    shown = write(broken, cut, whole)
    said = [finding.text for finding in shown.summary.findings if "cannot be read" in finding.text]
    assert [name in text for name, text in zip((broken, cut), said, strict=True)] == [True, True]
    assert f"Of training, 1 instance, {whole} ." in shown.page.text


def test_a_tuning_job_alone_has_a_report(shop: ReportShop, write: Any) -> None:
    name = shop.tune("import time\ntime.sleep(600)\n", jobs=2)
    shown = write(tuning_job=name)
    assert shown.summary.rows[0].status == "InProgress"
    assert "Random search" in shown.page.text
    shop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    shop.tuning_ended(name)


def test_a_report_is_written_over_the_one_before_and_unknown_jobs_leave_it(shop: ReportShop, write: Any) -> None:
    first = write(shop.leave(metrics=metrics("validation", "test")))
    with pytest.raises(StepFailed) as refused:
        write("there-is-no-such-job")
    assert refused.value.step == "report"
    assert first.summary.path.read_text(encoding="utf-8") == first.source
