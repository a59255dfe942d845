"""What CloudTrail calls things: where an event comes from, whether it only reads, and of which type a resource is."""

from __future__ import annotations

import re
from typing import NamedTuple

from sagehound.localcloud.state import arns

_DOMAIN = ".amazonaws.com"
GLOBAL_REGION = "us-east-1"
"""Where AWS keeps the events of services that have no region."""
_SOURCES = {"sagemaker-runtime": "sagemaker", "cloudwatch": "monitoring"}
"""Services whose eventSource is not their own name."""
_READING = (
    r"(?:(?:BatchGet|Describe|Filter|Get|Head|List|Lookup|Query|Search|Select|Simulate)[A-Z]"
    r"|AssumeRole(?:WithSAML|WithWebIdentity)?\b|OptionsObject\b)"
)
_TYPES = {
    "iam": {
        "role": "AWS::IAM::Role",
        "user": "AWS::IAM::User",
        "policy": "AWS::IAM::Policy",
        "instance-profile": "AWS::IAM::InstanceProfile",
    },
    "lambda": {"function": "AWS::Lambda::Function", "layer": "AWS::Lambda::LayerVersion"},
    "logs": {"log-group": "AWS::Logs::LogGroup"},
    "sagemaker": {
        "training-job": "AWS::SageMaker::TrainingJob",
        "hyper-parameter-tuning-job": "AWS::SageMaker::HyperParameterTuningJob",
        "model": "AWS::SageMaker::Model",
        "endpoint-config": "AWS::SageMaker::EndpointConfig",
        "endpoint": "AWS::SageMaker::Endpoint",
        "notebook-instance": "AWS::SageMaker::NotebookInstance",
    },
    "ec2": {"instance": "AWS::EC2::Instance"},
    "cloudwatch": {"alarm": "AWS::CloudWatch::Alarm"},
}


class Resource(NamedTuple):
    """A resource that an event is about."""

    type: str
    name: str
    arn: str


def source(service: str) -> str:
    """The eventSource of a service by botocore's name for it: `monitoring.amazonaws.com`."""
    return _SOURCES.get(service, service) + _DOMAIN


def services_of(event_source: str) -> list[str]:
    """botocore's names of the services that have this eventSource."""
    name = event_source.removesuffix(_DOMAIN)
    return [service for service, short in _SOURCES.items() if short == name] + [name]


def only_reads(operation: str) -> bool:
    """Whether an operation changes nothing."""
    return re.match(_READING, operation) is not None


def reading(wanted: bool) -> str:
    """An expression for the beginning of operations that change nothing, or of all others."""
    return _READING if wanted else f"(?!{_READING})"


def resource_pattern(resource_type: str) -> str:
    """An expression for records about resources of a type; of a type that none here has, one that matches nothing."""
    if resource_type.startswith("AWS::S3::"):
        return r'"resource":"arn:[^:"]*:s3:::'
    found = [
        (service, kind) for service, types in _TYPES.items() for kind, name in types.items() if name == resource_type
    ]
    return "|".join(rf'"resource":"arn:[^:"]*:{service}:[^:"]*:[^:"]*:{kind}[:/]' for service, kind in found) or r"(?!)"


def is_data_event(service: str, operation: str, resource: str) -> bool:
    """Whether AWS counts an event among data events: of S3 what is about objects, and every invocation."""
    if service in ("sagemaker-runtime", "lambda"):
        return operation.startswith("Invoke")
    if service != "s3":
        return False
    return "/" in resource or operation in ("ListObjects", "ListObjectsV2", "ListMultipartUploads", "DeleteObjects")


def resources(arn: str) -> list[Resource]:
    """The resources that an ARN names; of an object its bucket too, of what CloudTrail has no type for none."""
    try:
        parts = arns.parse(arn)
    except ValueError:
        return []
    if parts.service == "s3":
        bucket, slash, key = parts.resource.partition("/")
        of_bucket = Resource("AWS::S3::Bucket", bucket, f"arn:{parts.partition}:s3:::{bucket}")
        return [Resource("AWS::S3::Object", f"{bucket}/{key}", arn), of_bucket] if slash else [of_bucket]
    kind, separator, name = re.split(r"([:/])", f"{parts.resource}:", maxsplit=1)[:3]
    of_type = _TYPES.get(parts.service, {}).get(kind)
    if of_type is None or not separator:
        return []
    name = name.removesuffix(":")
    if parts.service == "iam":
        name = name.rpartition("/")[2]  # without the path
    elif parts.service in ("lambda", "logs"):
        name = name.partition(":")[0]  # without version, alias and stream
    return [Resource(of_type, name, arn)]
