"""The names of everything that a project makes, derived from the project and from content.

Two runs with equal data, code and settings give equal names, which is how a step finds what exists: the state
lies in AWS itself and in no local file.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from sagehound.errors import SettingsError
from sagehound.settings import AwsSettings, PipelineSettings

PROJECT_TAG = "sagehound:project"
RUN_TAG = "sagehound:run"
"""Says of a resource which run made it."""
ROLE_TAG = "sagehound:role"
"""Says of a role what it was made for: training or function."""
LEAST_SUFFIX = "-least-privilege"
"""Ends the name of the inline policy that `secure` puts in the place of managed ones."""
_PROJECT = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?$")
_ENDPOINT = re.compile(r"^[a-zA-Z0-9](?:-?[a-zA-Z0-9]){0,56}$")
_FUNCTION = re.compile(r"^[a-zA-Z0-9-_]{1,64}$")
_ROLE = re.compile(r"^[\w+=,.@-]{1,64}$", re.ASCII)
_RUN = re.compile(r"^[\w .:/=+@-]{1,64}$", re.ASCII)
_BUCKET = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")


@dataclass(frozen=True)
class Names:
    """Names for one project in one account and region."""

    project: str
    bucket: str
    endpoint: str
    role: str
    function: str
    function_role: str
    run: str = ""
    """Name of the run that makes something now; empty: its resources carry no such tag."""
    aws: AwsSettings = AwsSettings()
    """What the project uses of the account beside what it makes: subnets, security groups, keys."""

    @classmethod
    def of(cls, settings: PipelineSettings, account_id: str) -> Names:
        """The names that the settings give in an account; raises SettingsError for what AWS would refuse."""
        if not _PROJECT.match(settings.project):
            raise SettingsError(
                f"project {settings.project!r} is no name for AWS resources",
                "Use at most 30 small letters, digits and hyphens, beginning and ending with a letter or digit.",
            )
        bucket = settings.bucket.replace("{account}", account_id).replace("{region}", settings.region)
        if not _BUCKET.match(bucket):
            raise SettingsError(
                f"bucket {bucket!r} is no S3 bucket name", "Use 3 to 63 small letters, digits, dots and hyphens."
            )
        endpoint = settings.deploy.endpoint_name or f"{settings.project}-endpoint"
        if not _ENDPOINT.match(endpoint):
            raise SettingsError(
                f"deploy.endpoint_name {endpoint!r} is no name for an endpoint",
                "Use at most 57 letters, digits and hyphens (six more are for the second endpoint, NAME-multi).",
            )
        function = settings.function.name or f"{settings.project}-function"
        if not _FUNCTION.match(function):
            raise SettingsError(
                f"function.name {function!r} is no name for a function",
                "Use at most 64 letters, digits, hyphens and underscores.",
            )
        function_role = settings.function.role_name or f"{settings.project}-function"
        if not _ROLE.match(function_role) or function_role == settings.role_name:
            raise SettingsError(
                f"function.role_name {function_role!r} is no role for the function",
                "Use at most 64 letters, digits and +=,.@-_, and another role than role_name: each may do its own.",
            )
        if settings.run and not _RUN.match(settings.run):
            raise SettingsError(
                f"run {settings.run!r} is no value of a tag", "Use at most 64 letters, digits, spaces and _.:/=+-@."
            )
        own = (settings.project, bucket, endpoint, settings.role_name, function, function_role)
        return cls(*own, run=settings.run, aws=settings.aws)

    @property
    def tags(self) -> list[dict[str, str]]:
        """The tag by which clean-up knows what the project made, and after it the one of the run that did."""
        tags = [{"Key": PROJECT_TAG, "Value": self.project}]
        return [*tags, {"Key": RUN_TAG, "Value": self.run}] if self.run else tags

    @property
    def tags_by_key(self) -> dict[str, str]:
        """The same as Lambda and CloudWatch Logs take it."""
        return {tag["Key"]: tag["Value"] for tag in self.tags}

    @property
    def policy(self) -> str:
        """Name of the project's inline policy on the role."""
        return f"{self.project}-training"

    @property
    def least_policy(self) -> str:
        """Name of the inline policy that `secure` writes on a role of the project."""
        return f"{self.project}{LEAST_SUFFIX}"

    @property
    def function_policy(self) -> str:
        """Name of the project's inline policy on the function's role."""
        return f"{self.project}-function"

    @property
    def scaling_policy(self) -> str:
        """Name of the target tracking policy on each of the project's scalable targets."""
        return f"{self.project}-target-tracking"

    def data_prefix(self, data_name: str) -> str:
        """Where the pictures of a data set lie in the bucket (ends with a slash)."""
        return f"{self.project}/data/{data_name}/"

    def data_record(self, data_name: str) -> str:
        """Key of the record of what was uploaded."""
        return f"{self.project}/records/{data_name}.json"

    def code_key(self, digest: str) -> str:
        """Key of a source bundle, by its content."""
        return f"{self.project}/code/{digest[:16]}/sourcedir.tar.gz"

    def output_uri(self) -> str:
        """S3OutputPath of training jobs: the service appends JOB/output/model.tar.gz."""
        return f"s3://{self.bucket}/{self.project}/jobs"

    def checkpoint_uri(self, job_name: str) -> str:
        """Where a job keeps its checkpoints."""
        return f"s3://{self.bucket}/{self.project}/checkpoints/{job_name}"

    def job_base(self, digest: str) -> str:
        """Name of the training job that does what ``digest`` stands for; further tries add -2, -3 ..."""
        return f"{self.job_prefix}{digest[:12]}"

    def features_base(self, digest: str) -> str:
        """Name of the job that extracts the features that ``digest`` stands for; further tries add -2, -3 ..."""
        return f"{self.features_prefix}{digest[:12]}"

    def tuning(self, digest: str) -> str:
        """Name of a tuning job: AWS allows 32 characters, so a long project is cut and only tags tell it apart."""
        return f"{self.tuning_prefix}{digest[:8]}"

    @property
    def features_prefix(self) -> str:
        """What the names of the jobs that extract features begin with."""
        return f"{self.project}-features-"

    @property
    def tuning_prefix(self) -> str:
        """What the names of the project's tuning jobs begin with; another project's may begin so too."""
        return f"{self.project[:19]}-hpo-"

    @property
    def multi_endpoint(self) -> str:
        """Name of the endpoint of the model that several instances trained."""
        return f"{self.endpoint}-multi"

    @property
    def job_prefix(self) -> str:
        """What the names of all the project's training jobs begin with."""
        return f"{self.project}-train-"

    def model(self, digest: str) -> str:
        """Name of a model, by what it serves."""
        return f"{self.project}-model-{digest[:12]}"

    def endpoint_config(self, digest: str) -> str:
        """Name of an endpoint configuration, by what it asks for."""
        return f"{self.project}-config-{digest[:12]}"


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-like value, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def attempt_of(job_name: str, base: str) -> int | None:
    """1 for the base name, n for BASE-n, None for another job's name."""
    if job_name == base:
        return 1
    number = job_name.removeprefix(f"{base}-")
    return int(number) if number != job_name and number.isdigit() else None
