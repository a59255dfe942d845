"""What a request asks for: service, operation and protocol, found from its route and never from what it signed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import codec, rest_route, s3_route

JSON_TARGETS = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "AmazonSSM": "ssm",
    "AnyScaleFrontendService": "application-autoscaling",
    "GraniteServiceVersion20100801": "cloudwatch",
    "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101": "cloudtrail",
}
"""Prefix of `X-Amz-Target` -> service."""
QUERY_VERSIONS = {
    "2011-06-15": "sts",
    "2010-05-08": "iam",
    "2010-08-01": "cloudwatch",
    "2016-11-15": "ec2",
}
"""`Version=` of a form -> service."""
MOST_FIELDS = 100_000
"""Of a form, which is read before anybody has proven who sends it. 1,000 metrics of CloudWatch have 70,000."""
_CBOR_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)/?")
_FORM = "application/x-www-form-urlencoded"
JSON, CBOR, QUERY, EC2, REST_JSON, REST_XML = "json", "smithy-rpc-v2-cbor", "query", "ec2", "rest-json", "rest-xml"


@dataclass(slots=True)
class Route:
    """One operation of one service, in the protocol that the client speaks."""

    service: str
    """botocore's name: `sagemaker-runtime`."""
    operation: str
    model: Any
    """botocore's OperationModel; None for what S3 has and botocore has not: PostObject, OptionsObject."""
    protocol: str
    uri_params: dict[str, str] = field(default_factory=dict)
    """By member name, percent-decoded: Bucket, Key, EndpointName."""
    query: dict[str, str] = field(default_factory=dict)
    """The query string, or the form of the query protocols; the first of repeated names."""
    repeated: dict[str, list[str]] = field(default_factory=dict)
    """Of rest-json: every value of each name of the query string."""
    streaming: bool = False
    """Whether the operation reads its body itself (`call.body`)."""


def needs_body(http: HttpRequest) -> bool:
    """Whether `identify` must see the body: the query protocols name their operation in a form."""
    return (
        http.method == "POST"
        and http.raw_path in ("/", "")
        and "x-amz-target" not in http.headers
        and http.headers.get("content-type", "").startswith(_FORM)
    )


def identify(http: HttpRequest, body: bytes | None = None) -> Route:
    """The route of a request. AwsError in the words of the service when it has no such operation."""
    if (target := http.headers.get("x-amz-target")) is not None:
        return _json_route(target)
    path = http.raw_path
    if path in ("/", ""):
        form = _form(http, body)
        if "Action" in form and "Version" in form:
            return _query_route(form)
    if http.method == "POST":
        if path.startswith("/service/") and (match := _CBOR_PATH.fullmatch(path)):
            return _cbor_route(match[1], match[2])
        if path.startswith("/endpoints/") and (route := _rest_json("sagemaker-runtime", http)):
            return route
    if path.startswith("/20") and rest_route.LAMBDA_PATH.match(path) and (route := _rest_json("lambda", http)):
        return route
    return _s3_route(http)


def guess_protocol(http: HttpRequest) -> str:
    """The protocol in which to refuse a request that has no route."""
    if "x-amz-target" in http.headers:
        return JSON
    if http.headers.get("smithy-protocol") == "rpc-v2-cbor" or _CBOR_PATH.fullmatch(http.raw_path):
        return CBOR
    if needs_body(http) or (http.raw_path in ("/", "") and "Action=" in http.query_string):
        return QUERY
    if http.raw_path.startswith("/endpoints/") or rest_route.LAMBDA_PATH.match(http.raw_path):
        return REST_JSON
    return REST_XML


def _form(http: HttpRequest, body: bytes | None) -> dict[str, str]:
    text = body.decode("utf-8", "replace") if body is not None and needs_body(http) else http.query_string
    form: dict[str, str] = {}
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as reason:
        raise AwsError("RequestEntityTooLarge", f"The form has more than {MOST_FIELDS} fields.", 413) from reason
    for name, value in fields:
        form.setdefault(name, value)
    return form


def _operation(service: str, name: str, error: AwsError) -> Any:
    model = codec.service_model(service)
    if name not in model.operation_names:
        raise error
    return model.operation_model(name)


def _json_route(target: str) -> Route:
    prefix, _, name = target.rpartition(".")
    unknown = AwsError("UnknownOperationException", f"The operation {target} is not known.")
    if prefix not in JSON_TARGETS:
        raise unknown
    service = JSON_TARGETS[prefix]
    return Route(service, name, _operation(service, name, unknown), JSON)


def _cbor_route(name: str, operation: str) -> Route:
    unknown = AwsError("UnknownOperationException", f"The operation {operation} of {name} is not known.", 404)
    if name not in JSON_TARGETS:
        raise unknown
    service = JSON_TARGETS[name]
    return Route(service, operation, _operation(service, operation, unknown), CBOR)


def _query_route(form: dict[str, str]) -> Route:
    name, version = form["Action"], form["Version"]
    unknown = AwsError("InvalidAction", f"Could not find operation {name} for version {version}")
    if version not in QUERY_VERSIONS:
        raise unknown
    service = QUERY_VERSIONS[version]
    model = _operation(service, name, unknown)
    return Route(service, name, model, EC2 if service == "ec2" else QUERY, query=form)


def _rest_json(service: str, http: HttpRequest) -> Route | None:
    found = rest_route.match(service, http)
    if found is None:
        return None
    query = {name: values[0] for name, values in found.query.items()}
    streaming = service == "sagemaker-runtime" and found.model.has_streaming_input
    return Route(service, found.model.name, found.model, REST_JSON, found.uri_params, query, found.query, streaming)


def _s3_route(http: HttpRequest) -> Route:
    found = s3_route.match(http)
    model = codec.service_model("s3").operation_model(found.operation) if found.modelled else None
    streaming = model is None or model.has_streaming_input
    return Route("s3", found.operation, model, REST_XML, found.uri_params, found.query, streaming=streaming)
