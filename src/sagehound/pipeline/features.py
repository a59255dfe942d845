"""Features: the frozen backbone runs once, in a training job whose artefact is the input of every trial and training.

The artefact is a prefix of plain files (CompressionType NONE), so that a job's channel can be linked and mapped into
memory instead of being unpacked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.aws_images import image_uri
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.code import Code, find_code
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.spot import spot_of
from sagehound.pipeline.training_job import ensure_training_job, seconds_of
from sagehound.pipeline.training_request import FEATURES, PICTURES, Channel, JobPlan
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings

ENTRY_POINT = "extract_features.py"
HEADER = "features.json"  # written last: what it names was complete


@dataclass(frozen=True)
class FeatureChannel:
    """Features that lie in the bucket, and the job that made them."""

    job_name: str
    uri: str
    digest: str

    @property
    def channel(self) -> Channel:
        """As an input of a job."""
        return Channel(FEATURES, self.uri, self.digest)


def uses_features(settings: PipelineSettings, code: Code) -> bool:
    """Whether jobs of this code read the feature channel: our entry points with gear head do."""
    return code.ours and settings.train.gear == "head"


def pictures_channel(data: StoredData) -> Channel:
    """The pictures themselves as an input of a job."""
    return Channel(PICTURES, data.uri, data.digest)


def feature_plan(settings: PipelineSettings, data: StoredData, code: Code, region: str) -> JobPlan:
    """The job that extracts: its result depends on the code, the pictures, the backbone and the number of views."""
    features = settings.features
    hyperparameters: dict[str, object] = {"backbone": settings.train.backbone}
    if features.views > 1:
        hyperparameters["views"] = features.views
    return JobPlan(
        program=code.program,
        code_digest=code.bundle.digest,
        hyperparameters=hyperparameters,
        channels=(pictures_channel(data),),
        image=image_uri("training", features.instance_type, region, settings.train, settings.aws),
        instance_type=features.instance_type,
        instance_count=features.instance_count,
        compression="NONE",
        volume_size_gb=settings.train.volume_size_gb,
        max_runtime_seconds=settings.train.max_runtime_seconds,
        spot=spot_of(settings),
    )


def extract_features(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    data: StoredData,
    reporter: Reporter,
    step: Step,
    *,
    again: bool = False,
) -> FeatureChannel:
    """The features of these pictures, extracted unless that was done and every file of it is still there.

    ``again`` extracts anew. Raises StepFailed with the job's FailureReason where it fails, Interrupted on Ctrl-C.
    """
    code = find_code(ENTRY_POINT, "", "features", clients.place)
    plan = feature_plan(settings, data, code, clients.region)
    digest = plan.digest()
    with aws_step("features"):
        # What was extracted before an interruption would have to be uploaded as a checkpoint, and costs as much.
        job = ensure_training_job(
            clients,
            names,
            plan,
            names.features_base(digest),
            code.bundle,
            reporter,
            "features",
            again=again,
            checkpoints=False,
            intact=every_file_is_there,
        )
    step.done(
        f"{job.name}  {sum(data.counts.values()):,} pictures through {settings.train.backbone}  ({job.told})",
        job_name=job.name,
        uri=job.artifact_uri,
        backbone=settings.train.backbone,
        views=settings.features.views,
        reused=job.how != "made",
        training_seconds=seconds_of(job.description),
    )
    return FeatureChannel(job.name, job.artifact_uri, digest)


def every_file_is_there(clients: Clients, job: dict[str, Any]) -> bool:
    """Whether the channel's header lies where the job says, and every file that it names beside it.

    What the files hold is checked by the jobs that read them, against the hashes of the header.
    """
    bucket, _, prefix = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    there = list_objects(clients, bucket, prefix)
    if f"{prefix}{HEADER}" not in there:
        return False
    header = json.loads(clients.s3.get_object(Bucket=bucket, Key=f"{prefix}{HEADER}")["Body"].read())
    return all(f"{prefix}{name}" in there for name in header["files"])


def features_for(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    data: StoredData,
    codes: Sequence[Code],
    reporter: Reporter,
) -> FeatureChannel | None:
    """The feature channel, in a step of its own, where jobs of any of these codes read one."""
    if not any(uses_features(settings, code) for code in codes):
        return None
    with reporter.step("features") as step:
        return extract_features(clients, names, settings, data, reporter, step)
