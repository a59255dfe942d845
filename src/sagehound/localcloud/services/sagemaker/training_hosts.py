"""The hosts of a training job before its code runs: their /opt/ml filled, their programs made ready to start."""

from __future__ import annotations

import asyncio
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sagehound.localcloud.container import debugger, environment, joining, training
from sagehound.localcloud.container.distribution import is_distributed
from sagehound.localcloud.container.own_python import OwnPython
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.interception.variables import bundle_of, client_variables
from sagehound.localcloud.interception.weights import torch_home
from sagehound.localcloud.processes.supervisor import Host, Program
from sagehound.localcloud.services.sagemaker import channels, images, instance_types
from sagehound.localcloud.services.sagemaker.checkpoints import Checkpoints
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import SESSION
from sagehound.localcloud.services.sagemaker.training_python import TrainingPython

T = TypeVar("T")

# Every host is a set of processes of this machine with a loopback address of its own.
_INTERFACE = "lo"
_CREDENTIAL_SLACK = 3600


@dataclass(frozen=True, slots=True)
class Ready:
    """One host and what it will run."""

    host: Host
    program: Program


@dataclass(frozen=True, slots=True)
class Shared:
    """What all hosts of a job have in common."""

    peers: dict[str, str]
    """Host names and their addresses."""
    master_port: int
    pythons: dict[str, OwnPython]
    """By host."""
    credentials: dict[str, Any]


class TrainingHosts:
    """Makes the hosts of one job. `prepare` may be cancelled; `settle` then waits for what still runs in threads."""

    def __init__(
        self,
        job: dict[str, Any],
        folder: Path,
        providers: Providers,
        checkpoints: list[Checkpoints],
        found: channels.Found,
        say: Callable[[str], None],
    ) -> None:
        self._job = job
        self._folder = folder
        self._providers = providers
        self._checkpoints = checkpoints
        self._found = found
        self._region = job["TrainingJobArn"].split(":")[3]
        self._role = providers.acting_as(job["RoleArn"], self._region)
        self._say = say
        self._groups = training.instance_groups(job["ResourceConfig"])
        self._names = [name for group in self._groups for name in group.hosts]
        self._toolkit = "ContainerEntrypoint" not in job["AlgorithmSpecification"]
        self._decoded = training.decode_hyperparameters(job.get("HyperParameters", {}))
        self._stopped = threading.Event()
        self._threads: list[asyncio.Future[Any]] = []
        self._ways: list[str] = []
        self._weights = False

    async def prepare(self, addresses: list[str], master_port: int) -> list[Ready]:
        """Everything that happens before user code: data, code, configuration, requirements, the role's session."""
        for member in ("VpcConfig", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"):
            if self._job.get(member):
                self._say(
                    f"WARNING: {member} is kept and has no effect: the job reaches the local cloud, and by its proxy "
                    "whatever that passes on."
                )
        image = images.find(
            self._job["AlgorithmSpecification"]["TrainingImage"],
            "training",
            self._providers.settings.images,
            self._job["RoleArn"],
        )
        await asyncio.gather(self._in_thread(self._bring_channels), self._in_thread(self._bring_code))
        python = TrainingPython(image, self._providers.data_dir / "environments", self._say)
        await python.prepare(self._ml(self._names[0]) / "code", self._groups, toolkit=self._toolkit)
        homes = {name: self._folder / name / "python" for name in self._names}
        pythons = await self._in_thread(lambda: {name: python.of_host(home) for name, home in homes.items()})
        peers = dict(zip(self._names, addresses, strict=True))
        shared = Shared(peers, master_port, pythons, self._credentials())
        return [self._ready(name, shared) for name in self._names]

    async def settle(self) -> None:
        """Wait until no thread touches the job's folder any more."""
        self._stopped.set()
        await asyncio.gather(*self._threads, return_exceptions=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        self._threads.append(thread)
        return await asyncio.shield(thread)

    def _ml(self, name: str) -> Path:
        return self._folder / name / "opt/ml"

    def _bring_channels(self) -> None:
        for channel in self._job.get("InputDataConfig", []):
            self._bring_channel(channel)
            if channel.get("CompressionType", "None") != "None":
                self._say(
                    f"CompressionType of channel {channel['ChannelName']} is used only in Pipe input mode: "
                    "its objects are delivered as they are."
                )

    def _bring_channel(self, channel: dict[str, Any]) -> None:
        objects, stopped = self._providers.objects, self._stopped.is_set
        bucket, found = channels.items(channel, objects, self._region, self._found, self._role)
        folders = [self._ml(name) / "input/data" / channel["ChannelName"] for name in self._hosts_of(channel)]
        if channels.is_sharded(channel):
            for index, folder in enumerate(folders):
                channels.bring(objects, bucket, found[index :: len(folders)], folder, stopped)
        else:
            channels.bring(objects, bucket, found, folders[0], stopped)
            for folder in folders[1:]:
                channels.repeat(folders[0], folder, stopped)

    def _hosts_of(self, channel: dict[str, Any]) -> list[str]:
        """The hosts that get a channel: all, or those of its InstanceGroupNames."""
        wanted = channel["DataSource"]["S3DataSource"].get("InstanceGroupNames")
        return [name for group in self._groups if not wanted or group.name in wanted for name in group.hosts]

    def _bring_code(self) -> None:
        mode = self._job["AlgorithmSpecification"]["TrainingInputMode"]
        inputs = training.input_data_config_file(self._job.get("InputDataConfig", []), mode)
        for name in self._names:
            files: dict[str, Any] = {
                "hyperparameters.json": self._job.get("HyperParameters", {}),
                "inputdataconfig.json": inputs,
                "resourceconfig.json": training.resource_config_file(self._groups, name, _INTERFACE),
            }
            training.lay_out(self._ml(name), {**files, **debugger.config_files(self._job)})
            self._weights = training.link_weights(torch_home(self._providers.data_dir), self._ml(name))
            (self._folder / name / "home").mkdir(exist_ok=True)
        for checkpoints in self._checkpoints:
            checkpoints.bring()
        submitted = self._decoded.get("sagemaker_submit_directory")
        if isinstance(submitted, str) and submitted.startswith("s3://"):
            self._unpack(submitted)

    def _unpack(self, uri: str) -> None:
        archive = self._folder / "sourcedir.tar.gz"
        bucket, key = channels.location(uri)
        refusal = self._role.reads(bucket, [key])
        if refusal is not None:
            raise channels.DataError(
                "AlgorithmError: framework error: \nAn error occurred (403) when calling the HeadObject operation: "
                f"Forbidden: {uri} ({refusal.sentence})"
            )
        try:
            self._providers.objects.link_objects(bucket, [(key, archive)])
        except KeyError as error:
            raise channels.DataError(
                "AlgorithmError: framework error: \nAn error occurred (404) when calling the HeadObject operation: "
                f"Not Found: {uri}"
            ) from error
        for name in self._names:
            training.unpack_code(archive, self._ml(name) / "code")
        archive.unlink()
        if len(self._names) > 1:
            self._ways = joining.ways(self._ml(self._names[0]) / "code")

    def _credentials(self) -> dict[str, Any]:
        seconds = self._job["StoppingCondition"]["MaxRuntimeInSeconds"] + _CREDENTIAL_SLACK
        try:
            return self._providers.sessions.issue(self._job["RoleArn"], SESSION, seconds)
        except AwsError as error:
            role = self._job["RoleArn"]
            raise channels.DataError(
                f"ClientError: SageMaker was unable to assume the role '{role}' ({error.message})"
            ) from error

    def _client(self, own: OwnPython, peers: dict[str, str]) -> dict[str, str]:
        """What programs on a host find AWS, packages and their own python by."""
        endpoint_url, bundle = self._providers.endpoint_url(), str(bundle_of(self._providers.data_dir))
        direct = [*peers, *peers.values()]
        return {**own.variables, **client_variables(endpoint_url, bundle, self._region, direct=direct)}

    def _ready(self, name: str, shared: Shared) -> Ready:
        ml, own = self._ml(name), shared.pythons[name]
        resources = training.resource_config_file(self._groups, name, _INTERFACE)
        kind = resources["current_instance_type"]
        gpus = min(instance_types.gpus(kind), instance_types.machine_gpus())
        cpus = min(instance_types.vcpus(kind), instance_types.machine_cpus())
        container = environment.TrainingContainer(
            job_name=self._job["TrainingJobName"],
            job_arn=self._job["TrainingJobArn"],
            region=self._region,
            endpoint_url=self._providers.endpoint_url(),
            hyperparameters=self._job.get("HyperParameters", {}),
            resource_config=resources,
            input_data_config=training.input_data_config_file(
                self._job.get("InputDataConfig", []), self._job["AlgorithmSpecification"]["TrainingInputMode"]
            ),
            num_cpus=cpus,
            num_gpus=gpus,
            threads=max(1, min(cpus, instance_types.machine_cpus() // len(self._names))),
            python_directory=own.path,
            home=str(self._folder / name / "home"),
            master_port=shared.master_port,
            credentials=shared.credentials,
            client=self._client(own, shared.peers),
            user=self._job.get("Environment", {}),
            toolkit=self._toolkit,
        )
        launch = training.Launch(own.python, name, self._launched(), max(1, gpus), shared.master_port)
        argv = self._argv(ml / "code", launch)
        # Inputs and weights are hard links to files of the cloud's: what a script writes there must not reach them.
        links = ("input/data", training.TORCH_HOME) if self._weights else ("input/data",)
        host = Host(name, self._folder / name, shared.peers[name], shared.peers, shared=links)
        variables = environment.training_environment(container)
        training.check_texts(argv, variables)
        return Ready(host, Program(argv, variables, Path("/opt/ml/code")))

    def _argv(self, code: Path, launch: training.Launch) -> list[str]:
        algorithm = self._job["AlgorithmSpecification"]
        if "ContainerEntrypoint" in algorithm:
            return [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
        return training.script_command(self._decoded, code, launch)

    def _launched(self) -> tuple[str, ...]:
        """The hosts that `distribution` joins: all, or those of the instance groups that it names."""
        wanted = self._decoded.get("sagemaker_distribution_instance_groups")
        groups = [group for group in self._groups if not isinstance(wanted, list) or group.name in wanted]
        return tuple(name for group in groups for name in group.hosts)

    @property
    def joining(self) -> str:
        """What is known of the hosts' being one training before they have begun: "asked", "impossible", "unknown"."""
        if len(self._names) == 1 or is_distributed(self._decoded):
            return "asked"
        return "unknown" if not self._toolkit or self._ways else "impossible"

    def opening_line(self, ready: Ready) -> str:
        """What a host's log says before the program does."""
        line = f"Invoking script with the following command: {shlex.join(ready.program.argv)}"
        count = len(self._names)
        if ready.host.name != self._names[0] or self.joining == "asked":
            return line
        no_way = self.joining == "impossible"
        return f"{joining.not_distributed(count) if no_way else joining.may_join(count, self._ways)}\n{line}"
