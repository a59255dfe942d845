"""A project in one object: the steps of the walk as methods, each told as it goes; made for notebooks."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sagehound.pipeline.admission import admit
from sagehound.pipeline.cleanup import delete_belongings, find_belongings
from sagehound.pipeline.clients import Clients, connect_aws
from sagehound.pipeline.code import find_code
from sagehound.pipeline.cost.step import cost
from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.deploy import Endpoint, Placement, deploy
from sagehound.pipeline.features import FeatureChannel, features_for
from sagehound.pipeline.function import DeployedFunction, Trial, deploy_function
from sagehound.pipeline.function_event import stored_picture
from sagehound.pipeline.intake.manifest import DataManifest
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.invoke import Answer, invoke
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import LineReporter, Reporter
from sagehound.pipeline.report.curves import Panel, curves_of
from sagehound.pipeline.report.documents import SplitFigures
from sagehound.pipeline.report.jobs import JobReport, read_job
from sagehound.pipeline.run import pictures_to_ask
from sagehound.pipeline.scaling import Scaling, scale
from sagehound.pipeline.secure.results import Findings
from sagehound.pipeline.secure.step import secure
from sagehound.pipeline.settings_file import load_settings
from sagehound.pipeline.train import TrainedModel, train
from sagehound.pipeline.tune import tune
from sagehound.pipeline.tuning_job import Tuning
from sagehound.pipeline.upload import StoredData, upload
from sagehound.settings import PipelineSettings, cache_directory

_COLUMNS = 96
"""Of a table: below a cell of a notebook longer lines are broken anywhere."""


@dataclass
class Project:
    """What a person walks with: settings, a connection, and somebody to tell it all to."""

    settings: PipelineSettings
    clients: Clients
    reporter: Reporter

    @classmethod
    def open(cls, endpoint_url: str | None = None, config: Path | None = None, **given: Any) -> Project:
        """The project of pipeline.toml (where there is one) with the keys that this machine has.

        ``endpoint_url`` is that of a local cloud; None is AWS itself. ``given`` are settings of the first level.
        """
        began = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        settings = replace(load_settings(config), **{"run": began, **given})
        clients = connect_aws(settings, endpoint_url)
        return cls(settings, clients, LineReporter(sys.stdout, sys.stdout))

    @cached_property
    def names(self) -> Names:
        """The project's names in the account that the keys belong to."""
        return Names.of(self.settings, self.clients.account_id)

    def check(self, source: str) -> DataManifest:
        """Look at every picture of a folder, a zip or an address; raises StepFailed for one that is unreadable."""
        with self.reporter.step("check") as step:
            manifest = take_in(source, self.settings.data, cache_directory(), self.reporter, self.clients.s3)
            step.done(manifest.describe())
        return manifest

    def upload(self, manifest: DataManifest) -> StoredData:
        """Bring the pictures into the project's bucket."""
        with self.reporter.step("upload") as step:
            workers = self.settings.upload_workers
            return upload(self.clients, self.names, manifest, self.reporter, step, workers=workers)

    def features(self, data: StoredData) -> FeatureChannel | None:
        """Send every picture through the frozen network once."""
        chosen = (self.settings.tune, self.settings.train)
        codes = [find_code(one.entry_point, one.source_dir, "features", self.clients.place) for one in chosen]
        return features_for(self.clients, self.names, self.settings, data, codes, self.reporter)

    def tune(self, data: StoredData, features: FeatureChannel | None) -> Tuning:
        """Search good hyperparameters."""
        with self.reporter.step("tune") as step:
            return tune(self.clients, self.names, self.settings, data, features, self.reporter, step)

    def train(
        self, data: StoredData, features: FeatureChannel | None, tuning: Tuning, instance_count: int = 1
    ) -> TrainedModel:
        """Train with what was found, on one instance or as one training over several."""
        with self.reporter.step("train" if instance_count == 1 else f"train x{instance_count}") as step:
            model = train(
                *(self.clients, self.names, self.settings, data, features, self.reporter, step),
                tuned=tuning.hyperparameters,
                instance_count=instance_count,
            )
            admit(model, data, self.reporter, anyway=False)
        return model

    def deploy(self, model: TrainedModel) -> Endpoint:
        """Put the model behind the project's endpoint."""
        with self.reporter.step("deploy") as step:
            placed = [Placement(self.names.endpoint, model)]
            return deploy(self.clients, self.names, self.settings.deploy, self.settings.train, placed, step)[0]

    def ask(self, manifest: DataManifest, count: int = 6) -> list[Answer]:
        """Ask the endpoint about pictures of the test split."""
        with self.reporter.step("invoke") as step:
            return invoke(self.clients, self.names.endpoint, pictures_to_ask(manifest, count), step)

    def put_function_in_front(self, data: StoredData) -> DeployedFunction:
        """A Lambda function with the least permission that works, tried with a picture."""
        with self.reporter.step("function") as step:
            trial = Trial(stored_picture(self.clients, self.names, data), len(data.classes))
            endpoint, options = self.names.endpoint, self.settings.function
            return deploy_function(self.clients, self.names, options, endpoint, self.reporter, step, trial=trial)

    def secure(self) -> Findings:
        """Look at who may do what."""
        with self.reporter.step("secure") as step:
            return secure(self.clients, self.names, self.settings, step)

    def scale(self) -> Scaling:
        """Let the instances of the endpoint and the environments of the function follow the load."""
        with self.reporter.step("scale") as step:
            return scale(self.clients, self.names, self.settings, self.reporter, step)

    def cost(self) -> CostSummary:
        """What all of it has cost, and what goes on costing."""
        with self.reporter.step("cost") as step:
            return cost(self.clients, self.names, step, columns=_COLUMNS)

    def delete(self) -> None:
        """Remove everything that the project has made but its notebook instance, on which this may be a cell."""
        with self.reporter.step("delete") as step:
            delete_belongings(self.clients, find_belongings(self.clients, self.names, notebook=False), step)

    def curves_of(self, model: TrainedModel) -> list[Panel]:
        """The figures of a training, epoch by epoch."""
        return curves_of(self.clients, self._job(model))

    def figures_of(self, model: TrainedModel, split: str = "test") -> SplitFigures | None:
        """Accuracy, confusion matrix and classes of a training on one split; None where it wrote none."""
        metrics = self._job(model).output.metrics
        return metrics.splits.get(split) if metrics else None

    def _job(self, model: TrainedModel) -> JobReport:
        return read_job(self.clients, model.job_name, "training")
