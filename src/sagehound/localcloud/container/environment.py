"""The environment variables of a training container, built from scratch: nothing of the server's own leaks in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sagehound.localcloud.container import training

FRAMEWORK_MODULE = "sagemaker_pytorch_container.training:main"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class TrainingContainer:
    """What one host of a training job is told."""

    job_name: str
    job_arn: str
    region: str
    endpoint_url: str
    hyperparameters: dict[str, str]
    """As CreateTrainingJob got them: texts, JSON-quoted by SDK v2, raw by v3."""
    resource_config: dict[str, Any]
    """The content of resourceconfig.json."""
    input_data_config: dict[str, dict[str, str]]
    """The content of inputdataconfig.json."""
    num_cpus: int
    num_gpus: int
    threads: int
    """OMP_NUM_THREADS: this host's share of the machine."""
    python_directory: str
    """The folder of the job's python: first on the PATH."""
    home: str
    master_port: int = training.MASTER_PORT
    ml: str = "/opt/ml"
    """Where the program finds /opt/ml (elsewhere only where the kernel has no private mounts)."""
    credentials: dict[str, Any] = field(default_factory=dict)
    """The execution role's session: AccessKeyId, SecretAccessKey, SessionToken."""
    client: dict[str, str] = field(default_factory=dict)
    """What lets clients of AWS in the container find this cloud, and what pip is told."""
    user: dict[str, str] = field(default_factory=dict)
    """Environment of CreateTrainingJob."""
    toolkit: bool = True
    """Whether AWS's toolkit would start the program: script mode, no entry point of the request's own."""


def training_environment(container: TrainingContainer) -> dict[str, str]:
    """Every variable of the container: the system's, AWS's, the user's own, and SM_* as the toolkit sets them.

    The user's win over everything that is there before the container starts. The toolkit sets its own afterwards, in
    the container, so SM_* and MASTER_ADDR of the user's are lost; where it starts nothing the user's are kept.
    """
    told = {f"SM_{name.upper()}": _text(value) for name, value in _described(container).items()}
    told = {**_cluster(container), **told}
    given = {**_system(container), **container.client, **_aws(container)}
    # Programs take https_proxy before HTTPS_PROXY, so the caller's is the only one, however it is spelt.
    spelt = {name.upper() for name in container.user if name.upper().endswith("_PROXY")}
    given = {name: value for name, value in given.items() if name.upper() not in spelt}
    if not container.toolkit:
        return {**given, **told, **container.user}
    found = {**given, **container.user, **told}
    if container.user.get("PYTHONPATH"):
        found["PYTHONPATH"] = f"{container.ml}/code:{container.user['PYTHONPATH']}"
    return found


def _system(container: TrainingContainer) -> dict[str, str]:
    return {
        "PATH": f"{container.python_directory}:{_SYSTEM_PATH}",
        "HOME": container.home,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{container.ml}/code",
        "OMP_NUM_THREADS": str(container.threads),
        "TORCH_HOME": f"{container.ml}/{training.TORCH_HOME}",
    }


def _aws(container: TrainingContainer) -> dict[str, str]:
    found = {
        "AWS_REGION": container.region,
        "AWS_DEFAULT_REGION": container.region,
        "AWS_ENDPOINT_URL": container.endpoint_url,
        "TRAINING_JOB_NAME": container.job_name,
        "TRAINING_JOB_ARN": container.job_arn,
        "SAGEMAKER_JOB_NAME": container.job_name,
        "SAGEMAKER_REGION": container.region,
        "SAGEMAKER_TRAINING_MODULE": FRAMEWORK_MODULE,
    }
    if container.credentials and "AWS_ACCESS_KEY_ID" not in container.user:
        found["AWS_ACCESS_KEY_ID"] = container.credentials["AccessKeyId"]
        found["AWS_SECRET_ACCESS_KEY"] = container.credentials["SecretAccessKey"]
        found["AWS_SESSION_TOKEN"] = container.credentials["SessionToken"]
    return found


def _cluster(container: TrainingContainer) -> dict[str, str]:
    resources = container.resource_config
    hosts, current = resources["hosts"], resources["current_host"]
    return {
        "CURRENT_HOST": current,
        "MASTER_ADDR": hosts[0],
        "MASTER_PORT": str(container.master_port),
        "SM_HOST_COUNT": str(len(hosts)),
        "SM_CURRENT_HOST_RANK": str(hosts.index(current)),
        "SM_MASTER_ADDR": hosts[0],
        "SM_MASTER_PORT": str(container.master_port),
        "GLOO_SOCKET_IFNAME": resources["network_interface_name"],
        "NCCL_SOCKET_IFNAME": resources["network_interface_name"],
    }


def _described(container: TrainingContainer) -> dict[str, Any]:
    """The toolkit's variables by their names without SM_, unserialised."""
    decoded = training.decode_hyperparameters(container.hyperparameters)
    own = training.user_hyperparameters(decoded)
    shared = _shared(container, decoded, own)
    program = decoded.get("sagemaker_program")
    training_env = {
        **shared,
        "additional_framework_parameters": _framework_parameters(decoded),
        "channel_input_dirs": _channel_directories(container),
        "distribution_hosts": shared["hosts"],
        "hyperparameters": own,
        "is_master": shared["current_host"] == shared["hosts"][0],
        "job_name": container.job_name,
        "master_hostname": shared["hosts"][0],
    }
    return {
        **shared,
        "channels": sorted(container.input_data_config),
        "framework_params": _framework_parameters(decoded),
        "hps": own,
        "user_args": training.user_arguments(own),
        "user_entry_point": program,
        "training_env": training_env,
        **{f"channel_{name}": path for name, path in _channel_directories(container).items()},
        **{f"hp_{name}": value for name, value in own.items()},
    }


def _shared(container: TrainingContainer, decoded: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What is a variable of its own and a member of SM_TRAINING_ENV as well."""
    resources, ml = container.resource_config, container.ml
    groups = resources["instance_groups"]
    current = next(g for g in groups if g["instance_group_name"] == resources["current_group_name"])
    program = decoded.get("sagemaker_program")
    return {
        "current_host": resources["current_host"],
        "current_instance_group": resources["current_group_name"],
        "current_instance_group_hosts": current["hosts"],
        "current_instance_type": resources["current_instance_type"],
        "distribution_instance_groups": decoded.get(
            "sagemaker_distribution_instance_groups", [g["instance_group_name"] for g in groups]
        ),
        "framework_module": FRAMEWORK_MODULE,
        "hosts": resources["hosts"],
        "input_config_dir": f"{ml}/input/config",
        "input_data_config": container.input_data_config,
        "input_dir": f"{ml}/input",
        "instance_groups": [g["instance_group_name"] for g in groups],
        "instance_groups_dict": {g["instance_group_name"]: g for g in groups},
        "is_hetero": len(groups) > 1,
        "log_level": decoded.get("sagemaker_container_log_level", 20),
        "model_dir": f"{ml}/model",
        "module_dir": decoded.get("sagemaker_submit_directory", f"{ml}/code"),
        "module_name": str(program).removesuffix(".py") if program else None,
        "network_interface_name": resources["network_interface_name"],
        "num_cpus": container.num_cpus,
        "num_gpus": container.num_gpus,
        "num_neurons": 0,
        "output_data_dir": f"{ml}/output/data",
        "output_dir": f"{ml}/output",
        "output_intermediate_dir": f"{ml}/output/intermediate",
        "resource_config": resources,
        "user_entry_point": program,
    }


def _framework_parameters(decoded: dict[str, Any]) -> dict[str, Any]:
    toolkit = ("program", "submit_directory", "container_log_level", "job_name", "region", "s3_output")
    known = {f"sagemaker_{name}" for name in toolkit}
    return {name: value for name, value in decoded.items() if name.startswith("sagemaker_") and name not in known}


def _channel_directories(container: TrainingContainer) -> dict[str, str]:
    return {name: f"{container.ml}/input/data/{name}" for name in container.input_data_config}


def _text(value: Any) -> str:
    """A value as the toolkit writes it: texts as they are, nothing as '', all else as compact sorted JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
