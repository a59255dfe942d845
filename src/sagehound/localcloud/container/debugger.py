"""The files from which Debugger's library, smdebug, and others learn inside a job what was asked of it

The members are those that smdebug reads, null where the request has none; S3OutputPath is the job's own place there:
https://github.com/awslabs/sagemaker-debugger (smdebug/core/json_config.py, smdebug/profiler/profiler_config_parser.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

Job = dict[str, Any]


class Output(NamedTuple):
    """What smdebug or TensorBoard writes in a job and where in S3 it belongs."""

    member: str
    """The member of CreateTrainingJob that asks for it."""
    path: str
    """LocalPath where none is given."""
    below: str
    """The folder of S3OutputPath/JOB/ that takes it."""
    what: str


OUTPUTS = (
    Output("DebugHookConfig", "/opt/ml/output/tensors", "debug-output", "Debugger's tensors"),
    Output("TensorBoardOutputConfig", "/opt/ml/output/tensorboard", "tensorboard-output", "TensorBoard's files"),
)
_PROFILER_INTERVAL = 500


def written(job: Job) -> list[tuple[Output, dict[str, str]]]:
    """What is stored in S3 while the job runs, each with its folder and its place as a checkpoint's configuration."""
    found = []
    for output in OUTPUTS:
        config = job.get(output.member)
        if config is not None:
            uri, path = _below(config, job, output.below), config.get("LocalPath") or output.path
            found.append((output, {"S3Uri": uri, "LocalPath": path}))
    return found


def config_files(job: Job) -> dict[str, Any]:
    """The files of /opt/ml/input/config by their names, for what the job's request asks."""
    files: dict[str, Any] = {}
    places = {output.member: {"S3OutputPath": at["S3Uri"], "LocalPath": at["LocalPath"]} for output, at in written(job)}
    if "DebugHookConfig" in job:
        hook = job["DebugHookConfig"]
        files["debughookconfig.json"] = {
            **places["DebugHookConfig"],
            "HookParameters": hook.get("HookParameters"),
            "CollectionConfigurations": [
                {"CollectionName": each.get("CollectionName"), "CollectionParameters": each.get("CollectionParameters")}
                for each in hook.get("CollectionConfigurations") or []
            ],
        }
    if "ProfilerConfig" in job:
        files["profilerconfig.json"] = profiler_file(job)
    if "TensorBoardOutputConfig" in job:
        files["tensorboardoutputconfig.json"] = places["TensorBoardOutputConfig"]
    if "CheckpointConfig" in job:
        files["checkpointconfig.json"] = {"LocalPath": "/opt/ml/checkpoints", **job["CheckpointConfig"]}
    return files


def profiler_file(job: Job) -> dict[str, Any]:
    """The content of profilerconfig.json; without ProfilingParameters smdebug profiles nothing."""
    config = job["ProfilerConfig"]
    return {
        "S3OutputPath": _below(config, job, "profiler-output"),
        "ProfilingIntervalInMilliseconds": config.get("ProfilingIntervalInMilliseconds", _PROFILER_INTERVAL),
        "ProfilingParameters": config.get("ProfilingParameters"),
        "DisableProfiler": config.get("DisableProfiler", False),
    }


def _below(config: dict[str, Any], job: Job, folder: str) -> Any:
    """The job's own place in the S3OutputPath of a configuration, which ProfilerConfig may leave out."""
    path = config.get("S3OutputPath")
    return f"{path.rstrip('/')}/{job['TrainingJobName']}/{folder}" if path else None
