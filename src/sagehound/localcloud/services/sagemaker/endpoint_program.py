"""An instance of an endpoint before its model server starts: its folders, its environment, its role's session."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from sagehound.localcloud.container import serving, training
from sagehound.localcloud.container.ledger import Ledger
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.interception.variables import bundle_of, client_variables
from sagehound.localcloud.interception.weights import torch_home
from sagehound.localcloud.processes.supervisor import Program
from sagehound.localcloud.services.sagemaker import endpoint_python, images, instance_types
from sagehound.localcloud.services.sagemaker.endpoint_status import Record, is_serverless
from sagehound.localcloud.services.sagemaker.model_data import ModelData
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import SESSION

SESSION_SECONDS = 43_200


class InstanceHome:
    """The directory of one instance: `root/opt/ml/model` for the model, `root/home` for everything else."""

    def __init__(self, endpoint: str, instance_id: str, providers: Providers, model_data: ModelData) -> None:
        self.root = providers.data_dir / "sagemaker" / "endpoints" / f"{endpoint}.{instance_id}"
        self.shared: tuple[str, ...] = ("model",)
        """What of /opt/ml is links to files of others: what the program writes there must not reach them."""
        self._home = self.root / "home"
        self._providers = providers
        self._model_data = model_data

    async def prepare(self, record: Record, variant: Record, say: Callable[[str], None]) -> Program:
        """Lay out the model, install what its code requires, say what to run. May raise InstallError, PythonError."""
        if variant.get("InVpc"):
            say("WARNING: VpcConfig is kept and has no effect: the endpoint runs in this machine's own network.")
        for member in variant.get("WithoutEffect", []):
            say(f"WARNING: {member} is kept and has no effect: the endpoint runs on this machine as it is.")
        unpacked = self._model_data.path(variant["ModelDataDigest"])
        await asyncio.to_thread(self._lay_out, unpacked)
        settings, data_dir = self._providers.settings, self._providers.data_dir
        image = images.find(variant["Image"], "inference", settings.images, variant["ExecutionRoleArn"])
        own = await endpoint_python.prepare(
            image, variant, unpacked / "code", self.root / "python", data_dir / "environments", say
        )
        endpoint_url = self._providers.endpoint_url()
        client = client_variables(endpoint_url, str(bundle_of(data_dir)), record["Region"])
        container = serving.ServingContainer(
            endpoint_name=record["EndpointName"],
            region=record["Region"],
            endpoint_url=endpoint_url,
            instance_type=variant.get("InstanceType", ""),
            num_cpus=min(_vcpus(variant), instance_types.machine_cpus()),
            python_directory=own.path,
            home=self._home,
            client={**own.variables, **client},
            user=variant["Environment"],
        )
        return Program(serving.serving_command(own.python), serving.serving_environment(container), self._home)

    def renew_session(self, role_arn: str, say: Callable[[str], None]) -> None:
        """Fresh credentials of the execution role, from now on for half a day; none when the role has been deleted."""
        try:
            session = self._providers.sessions.issue(role_arn, SESSION, SESSION_SECONDS)
        except AwsError as error:
            say(f"The container has no credentials: {error.message}")
        else:
            serving.write_session(self._home, session)

    def ledger(self) -> Ledger:
        """Which requests the process that runs here has begun."""
        return Ledger(self._home / serving.STARTED_FILE)

    def port(self) -> int | None:
        """The port that the process has taken; None before that."""
        try:
            return int((self._home / serving.PORT_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def key(self) -> str:
        """What the process asks of its callers; empty of one that an older version has started."""
        try:
            return (self._home / serving.KEY_FILE).read_text()
        except FileNotFoundError:
            return ""

    async def remove(self) -> None:
        """Delete it all."""
        await asyncio.to_thread(shutil.rmtree, self.root, ignore_errors=True)

    def _lay_out(self, unpacked: Path) -> None:
        """What an earlier process left is replaced; a new ledger keeps its requests apart from the new process's."""
        ml = self.root / "opt" / "ml"
        model = ml / "model"
        for folder in (model, ml / training.TORCH_HOME):
            shutil.rmtree(folder, ignore_errors=True)
        ml.mkdir(parents=True, exist_ok=True)
        linked = training.link_weights(torch_home(self._providers.data_dir), ml)
        self.shared = ("model", training.TORCH_HOME) if linked else ("model",)
        self._home.mkdir(exist_ok=True)
        for name in (serving.PORT_FILE, serving.STARTED_FILE):
            (self._home / name).unlink(missing_ok=True)
        serving.write_key(self._home)
        serving.link_model(unpacked, model)
        self.ledger()


def _vcpus(variant: Record) -> int:
    """Those of the instance type. A serverless container gets more with more memory; AWS does not say how many."""
    if is_serverless(variant):
        return max(1, int(variant["ServerlessConfig"]["MemorySizeInMB"]) // 1024)
    return instance_types.vcpus(variant["InstanceType"])
