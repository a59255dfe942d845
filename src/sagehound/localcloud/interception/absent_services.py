"""AWS's services that this cloud does not have: asked for by their host, they are named, in their clients' protocol."""

from __future__ import annotations

import functools
import json
import re
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.exceptions
import botocore.loaders

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.gateway import Exchange
from sagehound.localcloud.interception.hosts import aws_suffixes
from sagehound.localcloud.message import read
from sagehound.localcloud.wire import faults
from sagehound.localcloud.wire.protocol import WireResponse
from sagehound.localcloud.wire.route import REST_JSON, REST_XML, guess_protocol, needs_body

PREFIXES = frozenset(
    {
        *("api.sagemaker", "application-autoscaling", "cloudtrail", "ec2", "iam", "lambda", "logs", "monitoring"),
        *("runtime.sagemaker", "s3", "ssm", "sts"),
    }
)
"""What the hosts of our services begin with, as AWS's endpoints have it."""
_MORE = frozenset({"sagemaker", "runtime-sagemaker", "lambda-url", "notebook"})
"""Endpoints of the same services by other names: dual stack, function URLs, notebook instances."""
_REGION = r"(?:[a-z]{2,4}(?:-[a-z]+)+-\d+|aws(?:-[a-z]+)*-global)"
_REGION_LABEL = re.compile(_REGION)
_S3 = re.compile(rf"(?:.+\.)?s3(?:-fips|-external-1|-accelerate)?(?:\.dualstack)?(?:[.-]{_REGION})?")
_QUALIFIERS = frozenset({"dualstack", "fips", "global", "us-gov"})
"""What stands in the place of a region, or beside it."""
_LONGEST_HOST = 260
_MOST_FORM_BYTES = 64 * 1024


class AbsentServices:
    """Answers for the hosts of services that are not here."""

    def claims(self, http: HttpRequest) -> bool:
        """Whether a request is for such a host."""
        return absent_service(http.headers.get("host", "")) is not None

    async def answer(self, exchange: Exchange) -> WireResponse:
        """NotImplemented, and which operation of which service it was."""
        http = exchange.http
        service = absent_service(http.headers.get("host", "")) or ""
        error = exchange.error = not_implemented(service, await _operation(http))
        if guess_protocol(http) in (REST_XML, REST_JSON):  # by paths that it knows, which these are not
            status, (headers, body) = error.status, _xml(error) if _speaks_xml(service) else _json(error)
        else:
            status, headers, body = faults.serialise(None, http, error, exchange.request_id)
        return WireResponse(status, [*headers, ("Content-Length", str(len(body)))], body)


@functools.lru_cache(maxsize=1024)
def absent_service(host: str) -> str | None:
    """The service of an AWS host, as its host calls it, where it is none of ours; None for all other hosts."""
    if len(host) > _LONGEST_HOST:
        return None
    name = host.lower().partition(":")[0].removesuffix(".")
    suffix = next((suffix for suffix in aws_suffixes() if name.endswith("." + suffix)), None)
    if suffix is None:
        return None
    prefix = name.removesuffix("." + suffix)
    if _S3.fullmatch(prefix):
        return None
    labels = [label for label in prefix.split(".") if label not in _QUALIFIERS and not _REGION_LABEL.fullmatch(label)]
    service = ".".join(label.removesuffix("-fips") for label in labels)
    if service in PREFIXES or service in _MORE or (labels and labels[-1] in ("lambda-url", "notebook")):
        return None
    return service or name


async def _operation(http: HttpRequest) -> str:
    """The operation by its name where the request tells it, otherwise by method and path."""
    if (target := http.headers.get("x-amz-target")) is not None:
        return target.rpartition(".")[2]
    query = http.query_string
    if needs_body(http):
        query = (await read(http, _MOST_FORM_BYTES)).decode("utf-8", "replace")
    try:
        action = dict(parse_qsl(query, max_num_fields=10_000)).get("Action")
    except ValueError:  # too many fields to look at
        action = None
    return action or f"{http.method} {http.raw_path}"


def _xml(error: AwsError) -> tuple[list[tuple[str, str]], bytes]:
    inner = f"<Type>Receiver</Type><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    return [("Content-Type", "text/xml")], f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>".encode()


def _json(error: AwsError) -> tuple[list[tuple[str, str]], bytes]:
    document = {"__type": error.code, "message": error.message}
    return [("Content-Type", "application/json"), ("x-amzn-ErrorType", error.code)], json.dumps(document).encode()


@functools.lru_cache(maxsize=64)
def _speaks_xml(service: str) -> bool:
    """Whether the errors of a service are XML; most are JSON."""
    try:
        name = service.rpartition(".")[2].replace("-", "")
        model = botocore.loaders.create_loader().load_service_model(name, "service-2")
    except botocore.exceptions.UnknownServiceError:
        return False
    return "xml" in str(model["metadata"]["protocol"]) or model["metadata"]["protocol"] in ("query", "ec2")
