"""CloudWatch in its three forms: JSON, CBOR and query carry the same call and the same answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import botocore.parsers
import botocore.serialize
import cbor2
import pytest

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import codec, protocol
from sagehound.localcloud.wire.validate import validate
from tests.wire.generated import plain
from tests.wire.harness import http_request

WHEN = datetime(2026, 11, 22, 1, 2, 3, 500000, tzinfo=UTC)
PARAMS = {
    "Namespace": "sagehound/test",
    "MetricData": [
        {
            "MetricName": "latency",
            "Dimensions": [{"Name": "Endpoint", "Value": "dögs & cats"}],
            "Timestamp": WHEN,
            "Value": 0.25,
            "Unit": "Seconds",
        },
        {"MetricName": "many", "Values": [1.0, 2.5], "Counts": [3.0, 4.0], "StorageResolution": 1},
    ],
}
RESULT = {
    "Label": "latency",
    "Datapoints": [{"Timestamp": WHEN.replace(microsecond=0), "Average": 0.5, "Unit": "Seconds"}],
}
FORMS = ["json", "smithy-rpc-v2-cbor", "query"]


def sent(form: str, operation: str, params: dict[str, Any]) -> tuple[protocol.Route, dict[str, Any]]:
    """What arrives of a call that botocore's own serializer for this form wrote."""
    model = codec.service_model("cloudwatch").operation_model(operation)
    request = botocore.serialize.create_serializer(form).serialize_to_request(params, model)
    body = request["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    elif isinstance(body, str):
        body = body.encode()
    http = http_request("POST", f"http://127.0.0.1:4566{request['url_path']}", dict(request["headers"]), body)
    route = protocol.identify(http, body if protocol.needs_body(http) else None)
    assert (route.protocol, route.operation) == (form, operation)
    return route, protocol.parse(route, http, body)


@pytest.mark.parametrize("form", FORMS)
def test_the_call_arrives(form: str) -> None:
    route, found = sent(form, "PutMetricData", PARAMS)
    assert plain(found) == plain(PARAMS)
    assert found["MetricData"][0]["Timestamp"].tzinfo is not None
    validate(route, found)


@pytest.mark.parametrize("form", FORMS)
def test_the_answer_arrives(form: str) -> None:
    asked = {
        "Namespace": "n",
        "MetricName": "m",
        "StartTime": WHEN,
        "EndTime": WHEN,
        "Period": 60,
        "Statistics": ["Average"],
    }
    route, found = sent(form, "GetMetricStatistics", asked)
    assert plain(found) == plain(asked)
    response = protocol.serialise(route, RESULT, "request-id")
    parser = botocore.parsers.create_parser(form)
    headers = dict(response.headers)
    answer = parser.parse(
        {"status_code": response.status, "headers": headers, "body": response.body}, route.model.output_shape
    )
    answer.pop("ResponseMetadata")
    assert plain(answer) == plain(RESULT)


def test_an_error_has_the_code_that_each_form_has() -> None:
    error = AwsError("ResourceNotFound", "no such dashboard")
    for form in FORMS:
        route, _ = sent(form, "ListMetrics", {})
        http = http_request("POST", "http://127.0.0.1:4566/", {"x-amzn-query-mode": "true"})
        response = protocol.serialise_error(route, http, error, "id")
        assert isinstance(response.body, bytes)
        headers = dict(response.headers)
        if form == "query":
            code = ElementTree.fromstring(response.body).findtext(".//{*}Code")
            assert code == "ResourceNotFound"
            continue
        document = json.loads(response.body) if form == "json" else cbor2.loads(response.body)
        assert document["__type"] == "ResourceNotFound"
        assert headers["x-amzn-query-error"] == "ResourceNotFound;Sender"


@pytest.mark.parametrize("body", [b"\xff", b"\x9f\x01", cbor2.dumps([1]), cbor2.dumps({"MetricData": 5})])
def test_bytes_that_are_no_call_are_refused(body: bytes) -> None:
    url = "http://127.0.0.1:4566/service/GraniteServiceVersion20100801/operation/PutMetricData"
    http = http_request("POST", url, {"smithy-protocol": "rpc-v2-cbor"}, body)
    with pytest.raises(AwsError, match="SerializationException"):
        protocol.parse(protocol.identify(http), http, body)
