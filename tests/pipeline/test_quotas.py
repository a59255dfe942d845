"""Quotas are looked at before the first job, by AWS's names, at an endpoint that answers as Service Quotas does."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients, connect_endpoint
from sagehound.pipeline.quotas import Wanted, applied_quotas, check_quotas, wanted_by
from sagehound.settings import FeatureSettings, PipelineSettings, SpotSettings, TrainSettings, TuneSettings


class ServiceQuotas:
    """A server on loopback that speaks Service Quotas' JSON, two quotas a page."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.refusal = ""
        self.pages = 0
        handler = type("Handler", (_Handler,), {"quotas": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> ServiceQuotas:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def clients(self) -> Clients:
        return connect_endpoint(f"http://127.0.0.1:{self._server.server_port}", "a", "s", "eu-west-1")

    def answer(self, target: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert target == "ServiceQuotasV20190624.ListServiceQuotas"
        assert request["ServiceCode"] == "sagemaker"
        if self.refusal:
            return 400, {"__type": self.refusal, "Message": "not for you"}
        self.pages += 1
        start = int(request.get("NextToken", 0))
        names = list(self.values)
        quotas = [
            {"QuotaName": name, "QuotaCode": f"L-{names.index(name):08X}", "Value": self.values[name]}
            for name in names[start : start + 2]
        ]
        more = {"NextToken": str(start + 2)} if start + 2 < len(names) else {}
        return 200, {"Quotas": quotas, **more}


class _Handler(BaseHTTPRequestHandler):
    quotas: ServiceQuotas

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.quotas.answer(self.headers["X-Amz-Target"], request)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[ServiceQuotas]:
    with ServiceQuotas() as running:
        yield running


G5 = "ml.g5.xlarge for training job usage"


def test_they_are_found_by_name_over_pages(service) -> None:
    service.values = {"a": 1, "b": 2, "c": 3, G5: 4, "d": 5, "e": 6, "f": 7}
    found = applied_quotas(service.clients(), [G5, "no such"])
    assert {name: (one.code, one.value) for name, one in found.items()} == {G5: ("L-00000003", 4.0)}
    assert service.pages == 4
    service.pages = 0
    applied_quotas(service.clients(), [G5])
    assert service.pages == 2  # once all are found, no more is asked


def test_none_or_too_few_is_refused_with_the_way_to_more(service, recorded) -> None:
    service.values = {G5: 0, "ml.m5.large for endpoint usage": 2}
    with pytest.raises(StepFailed) as refused:
        check_quotas(service.clients(), [Wanted("ml.g5.xlarge", "training job", 5)], recorded.reporter, "train")
    assert refused.value.step == "train"
    assert "0 instances of 'ml.g5.xlarge for training job usage' in eu-west-1, and 5 are wanted" in refused.value.cause
    assert "--quota-code L-00000000 --desired-value 5 --region eu-west-1" in refused.value.hint
    enough, more = Wanted("ml.m5.large", "endpoint", 2), Wanted("ml.m5.large", "endpoint", 3)
    check_quotas(service.clients(), [enough, Wanted("ml.c5.large", "endpoint", 9)], recorded.reporter, "deploy")
    with pytest.raises(StepFailed, match="2 instances"):
        check_quotas(service.clients(), [more], recorded.reporter, "deploy")


def test_who_may_not_look_is_told_and_goes_on(service, recorded) -> None:
    service.refusal = "AccessDeniedException"
    check_quotas(service.clients(), [Wanted("ml.g5.xlarge", "training job", 5)], recorded.reporter, "train")
    assert any("cannot be looked at" in note for note in recorded.notes())
    service.refusal = "ServiceException"
    with pytest.raises(StepFailed, match="ServiceException"):
        check_quotas(service.clients(), [Wanted("ml.g5.xlarge", "training job", 5)], recorded.reporter, "train")


def test_a_cloud_without_that_service_is_told_by_its_answer(clients, recorded) -> None:
    check_quotas(clients, [Wanted("ml.g5.xlarge", "training job", 500)], recorded.reporter, "train")
    assert recorded.notes() == []


def test_what_is_wanted_is_the_most_that_runs_at_once() -> None:
    settings = PipelineSettings(
        features=FeatureSettings(instance_type="ml.m5.large"),
        tune=TuneSettings(instance_type="ml.m5.large", instance_count=2, max_parallel_jobs=3),
        train=TrainSettings(instance_type="ml.g5.xlarge"),
    )
    assert wanted_by(settings, ["features", "tune", "train", "deploy"], instance_count=5, endpoints=2) == [
        Wanted("ml.m5.large", "training job", 6),
        Wanted("ml.g5.xlarge", "training job", 5),
        Wanted("ml.m5.large", "endpoint", 2),
    ]
    spot = dataclasses.replace(settings, spot=SpotSettings(enabled=True))
    assert [one.quota for one in wanted_by(spot, ["train"])] == ["ml.g5.xlarge for spot training job usage"]
