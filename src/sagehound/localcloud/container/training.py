"""The training container's contract with SageMaker: what lies under /opt/ml, and which command is run there."""

from __future__ import annotations

import errno
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagehound.localcloud.container import archives, distribution
from sagehound.localcloud.container.distribution import MASTER_PORT, Launch

__all__ = ["MASTER_PORT", "Launch"]

HyperParameters = dict[str, Any]

HOMOGENEOUS = "homogeneousCluster"
TORCH_HOME = ".cache/torch"
"""Where torch keeps what it downloads, below /opt/ml: there a host's changes can be kept apart from what it shares."""
_NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK)
"""The cache lies on another file system, its file belongs to another user, or has too many links."""
_FOLDERS = ("input/config", "input/data", "model", "output/data", "output/intermediate", "code", "checkpoints")


class CodeError(Exception):
    """The job's code cannot be unpacked or started; the text is what FailureReason says."""


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """Instances of one type: the whole of an ordinary cluster, a part of a heterogeneous one."""

    name: str
    instance_type: str
    hosts: tuple[str, ...]


def instance_groups(resource_config: dict[str, Any]) -> list[InstanceGroup]:
    """The hosts algo-1..N of a ResourceConfig, in groups; one group when InstanceGroups is not given."""
    asked = resource_config.get("InstanceGroups") or [
        {
            "InstanceGroupName": HOMOGENEOUS,
            "InstanceType": resource_config["InstanceType"],
            "InstanceCount": resource_config["InstanceCount"],
        }
    ]
    groups, first = [], 1
    for group in asked:
        hosts = tuple(f"algo-{number}" for number in range(first, first + group["InstanceCount"]))
        groups.append(InstanceGroup(group["InstanceGroupName"], group["InstanceType"], hosts))
        first += len(hosts)
    return groups


def decode_hyperparameters(raw: dict[str, str]) -> HyperParameters:
    """Hyperparameters as the toolkit reads them: JSON where it is JSON (SDK v2), the text itself otherwise (v3)."""
    return {name: decode_hyperparameter(value) for name, value in raw.items()}


def decode_hyperparameter(value: str) -> Any:
    """One hyperparameter's value."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def user_hyperparameters(decoded: HyperParameters) -> HyperParameters:
    """The hyperparameters that the user's script is told: without the toolkit's own (sagemaker_*)."""
    return {
        name: value
        for name, value in decoded.items()
        if not name.startswith("sagemaker_") and name != "_tuning_objective_metric"
    }


def resource_config_file(groups: list[InstanceGroup], current_host: str, interface: str) -> dict[str, Any]:
    """The content of resourceconfig.json on one host."""
    current = next(group for group in groups if current_host in group.hosts)
    return {
        "current_host": current_host,
        "current_instance_type": current.instance_type,
        "current_group_name": current.name,
        "hosts": [host for group in groups for host in group.hosts],
        "instance_groups": [
            {"instance_group_name": group.name, "instance_type": group.instance_type, "hosts": list(group.hosts)}
            for group in groups
        ],
        "network_interface_name": interface,
    }


def input_data_config_file(channels: list[dict[str, Any]], default_mode: str) -> dict[str, dict[str, str]]:
    """The content of inputdataconfig.json: one entry a channel."""
    entries: dict[str, dict[str, str]] = {}
    for channel in channels:
        entry = {"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}
        source = channel["DataSource"].get("S3DataSource", {})
        entries[channel["ChannelName"]] = {
            **entry,
            "TrainingInputMode": channel.get("InputMode", default_mode),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
    return entries


def lay_out(ml: Path, config_files: dict[str, Any]) -> None:
    """Make the folders of /opt/ml below `ml` and write `config_files` (name -> JSON content) into input/config."""
    for folder in _FOLDERS:
        (ml / folder).mkdir(parents=True, exist_ok=True)
    for name, content in config_files.items():
        (ml / "input/config" / name).write_text(json.dumps(content))


def link_weights(cache: Path, ml: Path) -> bool:
    """Give a host the weights cache as its TORCH_HOME: links to the files, which no host may change. Blocking.

    Whether there is anything in it.
    """
    home = ml / TORCH_HOME
    (home / "hub/checkpoints").mkdir(parents=True, exist_ok=True)
    linked = False
    for path in cache.rglob("*"):
        name = path.relative_to(cache)
        if not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            (home / name).hardlink_to(path.resolve())  # a link to a link would lead elsewhere from there
        except FileNotFoundError:
            continue  # removed since it was listed
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            (home / name).symlink_to(path.resolve())
        linked = True
    return linked


def unpack_code(archive: Path, code: Path) -> None:
    """Unpack sourcedir.tar.gz into /opt/ml/code; nothing outside it can be written."""
    try:
        archives.unpack(archive, code)
    except archives.BROKEN as error:
        raise CodeError(f"ClientError: The code archive cannot be unpacked: {error}") from error


def user_arguments(hyperparameters: HyperParameters) -> list[str]:
    """The user's hyperparameters as `--name value`, in the order of their names, as the toolkit writes them."""
    arguments: list[str] = []
    for name in sorted(hyperparameters):
        value = hyperparameters[name]
        if isinstance(value, dict):
            text = ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        else:
            text = "" if value is None else str(value)
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}", text]
    return arguments


def script_command(decoded: HyperParameters, code: Path, launch: Launch) -> list[str]:
    """The command of script mode: the user's program itself, or a launcher around it when `distribution` asks for one.

    `code` is the folder that was unpacked: whether the program is a package (setup.py) or a shell script is seen
    there. AWS's toolkit would stand between and keep SIGTERM from the program.
    """
    program = decoded.get("sagemaker_program")
    if not program:
        raise CodeError(
            "ClientError: The hyperparameter sagemaker_program, which names the script to run, is missing "
            "and AlgorithmSpecification has no ContainerEntrypoint."
        )
    arguments = user_arguments(user_hyperparameters(decoded))
    package = (code / "setup.py").exists()
    if not package and not _is_within(code, code / str(program)):
        raise CodeError(
            f"AlgorithmError: ExecuteUserScriptError: The entry point {program} is not in the code archive "
            f"({', '.join(sorted(entry.name for entry in code.iterdir())) or 'it is empty'})."
        )
    if package:
        own = [launch.python, "-m", str(program).removesuffix(".py"), *arguments]
    elif str(program).endswith(".py"):
        own = [launch.python, str(program), *arguments]
    else:
        (code / str(program)).chmod(0o755)
        own = ["/bin/sh", "-c", f"./{shlex.quote(str(program))} {shlex.join(arguments)}"]
    if launch.host not in launch.hosts:
        return own  # `distribution` is asked for other instance groups only
    try:
        return distribution.command(decoded, launch, own)
    except distribution.DistributionError as error:
        raise CodeError(str(error)) from error


def check_texts(arguments: list[str], variables: dict[str, str]) -> None:
    """CodeError for an argument or variable that no program can be given."""
    for name in variables:
        if not name or "=" in name:
            raise CodeError(f"ClientError: No variable can be named {name!r}: rename the hyperparameter or channel.")
    for text in (*arguments, *variables, *variables.values()):
        try:
            fits = "\0" not in text
            text.encode()
        except UnicodeEncodeError:
            fits = False
        if not fits:
            raise CodeError(
                f"ClientError: A hyperparameter or variable cannot be given to a program: {ascii(text)[:200]} has a "
                "zero byte or half a surrogate pair."
            )


def _is_within(code: Path, file: Path) -> bool:
    return file.is_file() and file.resolve().is_relative_to(code.resolve())
