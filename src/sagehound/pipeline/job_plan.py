"""The plan of a training job from the settings: the same for a trial of a tuning and for a training of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagehound.pipeline.aws_images import image_uri
from sagehound.pipeline.code import Code
from sagehound.pipeline.features import FeatureChannel, pictures_channel
from sagehound.pipeline.spot import spot_of
from sagehound.pipeline.training_request import JobPlan
from sagehound.pipeline.tuning_request import objective_definitions
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings


def job_plan(
    settings: PipelineSettings,
    code: Code,
    data: StoredData,
    features: FeatureChannel | None,
    region: str,
    hyperparameters: Mapping[str, Any],
    *,
    instance_type: str,
    instance_count: int,
) -> JobPlan:
    """The job that runs ``code`` on the feature channel, or on the pictures where there is none.

    Raises SettingsError for an objective that nothing would read.
    """
    train = settings.train
    return JobPlan(
        program=code.program,
        code_digest=code.bundle.digest,
        hyperparameters=hyperparameters,
        channels=(pictures_channel(data) if features is None else features.channel,),
        image=image_uri("training", instance_type, region, train, settings.aws),
        instance_type=instance_type,
        instance_count=instance_count,
        distribution=train.distribution,
        metric_definitions=objective_definitions(settings.tune, ours=code.ours),
        volume_size_gb=train.volume_size_gb,
        max_runtime_seconds=train.max_runtime_seconds,
        spot=spot_of(settings),
    )
