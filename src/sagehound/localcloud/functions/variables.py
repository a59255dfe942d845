"""The environment variables of an execution environment, from scratch: AWS's own, the function's, the role's session.

What AWS reserves cannot be changed by the function's own variables; paths and language can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.functions.interpreter import VERSION
from sagehound.localcloud.functions.spec import FunctionSpec
from sagehound.localcloud.interception.variables import client_variables


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things lie for the function: AWS's own paths in a sandbox, folders of this machine without one."""

    task: str = "/var/task"
    layers: str = "/opt"
    language: str = "/var/lang"
    runtime: str = "/var/runtime"
    tmp: str = "/tmp"
    bundle: str = "/etc/sagehound/bundle.pem"
    """The CAs that it trusts, the cloud's own among them; empty: the system's."""


def variables(
    spec: FunctionSpec,
    paths: Paths,
    credentials: dict[str, Any],
    *,
    api: str,
    host: str,
    endpoint_url: str,
    log_stream: str,
    provisioned: bool,
) -> dict[str, str]:
    """Every variable that the process of an environment starts with; `host` is the name at which `api` is."""
    return {
        **(client_variables(endpoint_url, paths.bundle, spec.region, direct=[host]) if paths.bundle else {}),
        **_changeable(paths, endpoint_url),
        **spec.environment,
        "PYTHONPATH": _python_path(paths, spec.environment),
        **_reserved(spec, paths, log_stream, provisioned),
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def _changeable(paths: Paths, endpoint_url: str) -> dict[str, str]:
    lang, task, opt, runtime = paths.language, paths.task, paths.layers, paths.runtime
    found = {
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "PATH": f"{lang}/bin:/usr/local/bin:/usr/bin:/bin:{opt}/bin",
        "LD_LIBRARY_PATH": f"{lang}/lib:{runtime}:{runtime}/lib:{task}:{task}/lib:{opt}/lib",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
        "AWS_ENDPOINT_URL": endpoint_url,
    }
    if paths.tmp != "/tmp":
        found["TMPDIR"] = paths.tmp
    return found


def _python_path(paths: Paths, own: dict[str, str]) -> str:
    """The code before the layers before the runtime, as AWS's bootstrap has it."""
    given = own.get("PYTHONPATH")
    packages = f"{paths.layers}/python/lib/python{VERSION}/site-packages"
    found = [paths.task, *([given] if given else []), packages, f"{paths.layers}/python", paths.runtime]
    return ":".join(found)


def _reserved(spec: FunctionSpec, paths: Paths, log_stream: str, provisioned: bool) -> dict[str, str]:
    return {
        "_HANDLER": spec.handler,
        "_LAMBDA_TELEMETRY_LOG_FD": "3",
        "LAMBDA_TASK_ROOT": paths.task,
        "LAMBDA_RUNTIME_DIR": paths.runtime,
        # The Python that really runs: the runtime client decides by it how it waits, and so may the function.
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{VERSION}",
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_size),
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency" if provisioned else "on-demand",
    }
