"""A project that makes things of every kind, run by run, as the steps of the walk make them; small and fast ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagehound.pipeline.belongings.thing import Kind
from sagehound.pipeline.bucket import ensure_bucket
from sagehound.pipeline.cleanup import Belongings, delete_belongings, find_belongings
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import Placement, deploy
from sagehound.pipeline.function import deploy_function
from sagehound.pipeline.instance_machine import find_image, launch
from sagehound.pipeline.instance_plan import InstancePlan, launch_request, run_name
from sagehound.pipeline.instance_role import ensure_group, ensure_profile
from sagehound.pipeline.names import Names
from sagehound.pipeline.scaling import scale
from sagehound.pipeline.security import ensure_role
from sagehound.pipeline.train import TrainedModel, train
from sagehound.pipeline.upload import StoredData
from sagehound.settings import FunctionSettings, PipelineSettings, TrainSettings
from tests.cloud.hosting import answering, archive
from tests.pipeline.conftest import Recorded

WRITES = """
import os
open(os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"), "w").write("trained")
"""


@dataclass
class Shop:
    """What one run of a project makes; `run("b")` is the same project in another run."""

    clients: Clients
    settings: PipelineSettings
    recorded: Recorded
    folder: Path

    def run(self, name: str) -> Shop:
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, run=name))

    @property
    def names(self) -> Names:
        return Names.of(self.settings, self.clients.account_id)

    def bucket(self) -> str:
        ensure_bucket(self.clients, self.names)
        return self.names.bucket

    def role(self) -> str:
        return ensure_role(self.clients, self.names, "train")

    def training(self, data: StoredData, script: str = WRITES) -> TrainedModel:
        path = self.folder / "mine.py"
        path.write_text(script)
        settings = dataclasses.replace(self.settings, train=TrainSettings(entry_point=str(path)))
        with self.recorded.reporter.step("train") as step:
            return train(self.clients, self.names, settings, data, None, self.recorded.reporter, step)

    def artefact(self) -> TrainedModel:
        """A model as a training job would leave it, whose endpoint says woof."""
        key = f"{self.names.project}/jobs/woof/output/model.tar.gz"
        self.clients.s3.put_object(Bucket=self.bucket(), Key=key, Body=archive(answering("woof")))
        return TrainedModel("woof", f"s3://{self.names.bucket}/{key}", {}, 1, 1.0, 1.0)

    def endpoint(self, model: TrainedModel) -> None:
        with self.recorded.reporter.step("deploy") as step:
            placed = [Placement(self.names.endpoint, model)]
            deploy(self.clients, self.names, self.settings.deploy, self.settings.train, placed, step)

    def function(self) -> None:
        settings = dataclasses.replace(self.settings.function, provisioned_concurrency=0)
        reporter = self.recorded.reporter
        with reporter.step("function") as step:
            deploy_function(self.clients, self.names, settings, self.names.endpoint, reporter, step)

    def scaling(self) -> None:
        settings = dataclasses.replace(self.settings, function=FunctionSettings(provisioned_concurrency=0))
        with self.recorded.reporter.step("scale") as step:
            scale(self.clients, self.names, settings, self.recorded.reporter, step)

    def instance(self) -> str:
        """An instance that does nothing until it is ended, with all that surrounds one that trains."""
        settings = self.settings.instance
        plan = InstancePlan("x.py", "d", "k", {}, "p/", "d", "", settings.image, "t3.micro", 600)
        name = run_name(self.names, plan)
        ensure_profile(self.clients, self.names, plan, name)
        group = ensure_group(self.clients, self.names, plan, name)
        image = find_image(self.clients, plan.image)
        request = launch_request(
            plan, self.names, name, self.clients.region, image_id=image, group_id=group, token=name
        )
        return launch(self.clients, {**request, "UserData": "#!/bin/bash\necho waits\n"})

    def found(self, **options: Any) -> Belongings:
        return find_belongings(self.clients, self.names, **options)

    def delete(self, found: Belongings | None = None, *, clients: Clients | None = None) -> list[str]:
        """What was deleted, in lines."""
        with self.recorded.reporter.step("delete") as step:
            delete_belongings(clients or self.clients, found or self.found(), step)
        deleted: list[str] = step.result["deleted"]
        return deleted


def kinds(found: Belongings) -> set[Kind]:
    """The kinds that there are."""
    return {thing.kind for thing in found.things}
