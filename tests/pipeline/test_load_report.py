"""A load in the report: one picture over one time axis, its figures as text, nothing unescaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.histogram import Histogram
from sagehound.pipeline.load.plan import EndpointTarget, LoadPlan
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.names import Names
from sagehound.pipeline.report import write_report
from sagehound.pipeline.report.load import MOST_POINTS, drawn_load
from tests.cloud_process import CloudProcess
from tests.pipeline.report_shop import Strict

HOSTILE = '<script>alert("1")</script> & </svg>'


def a_result(length: int = 60, **changes: Any) -> LoadResult:
    """A load of 20 a second for a minute, in which one instance became three and then one again."""
    latencies = Histogram()
    for milliseconds in (10.0, 20.0, 400.0):
        latencies.add(milliseconds)
    seconds: list[dict[str, Any]] = [
        {"second": n, "sent": 20, "answered": 19, "errors": {"ModelError": 1}, "p50": 10.0, "p90": 20.0, "p99": 400.0}
        | {"max": 400.0}
        for n in range(length)
    ]
    counts = [(0.0, 1, 1), (20.0, 1, 3), (25.0, 3, 3), (50.0, 1, 1), (70.0, 1, 1)]
    given: dict[str, Any] = {
        "target": EndpointTarget("pets-endpoint").as_dict(),
        "plan": LoadPlan(rate=20, duration=length, ramp=10).as_dict(),
        "started": "2026-01-01T00:00:00.000+00:00",
        "speed": 60.0,
        "ended": "completed",
        "elapsed": float(length),
        "sent": 20 * length,
        "answered": 19 * length,
        "seconds": seconds,
        "percentiles": latencies.as_dict(),
        "corrected": None,
        "errors": {"ModelError": length},
        "error_words": {"ModelError": HOSTILE},
        "instances": [{"second": s, "current": c, "desired": d} for s, c, d in counts],
        "concurrency": [],
        "cold_starts": None,
        "activities": [
            {"second": 20.0, "ended": 25.0, "description": HOSTILE, "cause": HOSTILE, "status": "Successful"},
            {"second": 48.0, "ended": 50.0, "description": "to 1", "cause": "low", "status": "Successful"},
        ],
        "generator": {"kept_up": False, "reasons": ["late"], "held_back": 3, "not_sent": 2},
        "remarks": [],
    }
    return LoadResult(**{**given, **changes})


def test_rate_latency_and_instances_stand_over_one_axis_with_the_activities() -> None:
    drawn = drawn_load(a_result())
    root = ElementTree.fromstring(drawn.chart)
    tips = [title.text or "" for title in root.iter("title")]
    assert "answered: 19 to 19" in tips
    assert "p99: 400 to 400" in tips
    assert "current: 1 to 3" in tips
    assert any(tip.startswith("1: at 20 s, <script>") for tip in tips)
    kinds = [str(one.get("class")) for one in root.iter("polyline")]
    assert kinds.count("curve validation") == 3  # answered, p50, current
    assert len([one for one in root.iter("line") if one.get("class") == "mark"]) == 2
    # Instances are seen longer than requests were sent: the one axis holds both.
    widest = max(float(x.partition(",")[0]) for one in root.iter("polyline") for x in str(one.get("points")).split())
    answered = next(one for one in root.iter("polyline") if one.get("class") == "curve validation")
    assert float(str(answered.get("points")).split()[-1].partition(",")[0]) < widest
    assert "2 scaling activities" in str(root.get("aria-label"))


def test_an_hour_is_drawn_with_few_points() -> None:
    root = ElementTree.fromstring(drawn_load(a_result(length=3600)).chart)
    assert max(len(str(one.get("points")).split()) for one in root.iter("polyline")) <= MOST_POINTS


def test_a_function_shows_its_environments_and_its_cold_starts() -> None:
    result = a_result(
        instances=[],
        concurrency=[{"second": s, "requested": 2, "allocated": 2, "available": a} for s, a in ((0, 0), (5, 2))],
        cold_starts=4,
        activities=[],
    )
    result.seconds[3]["cold"] = 4
    tips = [title.text for title in ElementTree.fromstring(drawn_load(result).chart).iter("title")]
    assert "available: 0 to 2" in tips
    assert "cold starts/s: 0 to 4" in tips


def test_what_is_wrong_with_the_figures_stands_beside_them() -> None:
    drawn = drawn_load(a_result())
    assert any("did not keep up: late" in remark for remark in drawn.remarks)
    assert any(remark.startswith("3 requests waited here") for remark in drawn.remarks)
    assert any(remark.startswith("2 requests that were due were never sent") for remark in drawn.remarks)
    assert "x60" in drawn.clock
    # What looks like an activity and is none stays; the activities have a table of their own.
    said = drawn_load(a_result(error_words={"ModelError": ""}, remarks=["at 5 s: the capacity could not be read"]))
    assert "at 5 s: the capacity could not be read" in said.remarks
    assert not any("to 1 (Successful)" in remark for remark in said.remarks)
    assert [one["description"] for one in said.activities] == [HOSTILE, "to 1"]


def test_figures_are_told_as_people_compare_them() -> None:
    alarm = "TargetTracking-endpoint/pets/variant/AllTraffic-AlarmHigh-044cd55d-3cab-4def-816a-1a8a849ad249"
    figures = {"count": 1200, "p50": 4.368, "p90": 9.0, "p99": 22.46}
    result = a_result(percentiles=figures, corrected={**figures, "count": 1300})
    result.activities[0]["cause"] = f"monitor alarm {alarm} in state ALARM triggered policy p"
    drawn = drawn_load(result)
    assert drawn.sentence.startswith("1,200 sent, 1,140 answered, ")
    assert [row[1:] for row in drawn.rows] == [["1,200", "4.4", "9.0", "22.5"], ["1,300", "4.4", "9.0", "22.5"]]
    assert drawn.activities[0]["why"] == "monitor alarm AlarmHigh in state ALARM triggered policy p"
    assert drawn.activities[0]["cause"] == result.activities[0]["cause"]


def test_the_page_has_the_load_and_escapes_all_of_it(
    cloud: CloudProcess, clients: Clients, names: Names, tmp_path: Path
) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)
    path = tmp_path / "report.html"
    uri = f"s3://{names.bucket}/nothing/"
    write_report(clients, names, path=path, data_uri=uri, tuning_job=None, training_jobs=[], loads=[a_result()])
    page = Strict(path.read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert "Load and scaling" in page.text
    assert HOSTILE in page.text
    assert "Endpoint pets-endpoint" in page.text
    write_report(clients, names, path=path, data_uri=uri, tuning_job=None, training_jobs=[])
    assert "Load and scaling" not in Strict(path.read_text(encoding="utf-8")).text
