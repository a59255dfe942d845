"""What may stand in a function's environment variables."""

from __future__ import annotations

import json
import re
from typing import Any

from sagehound.localcloud.services.lambda_.errors import constraint, invalid

MAX_BYTES = 4096
RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime"""
_NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")
_UNABLE = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided"
)


def check(environment: dict[str, Any] | None) -> None:
    """Refuse names that cannot be or are Lambda's own, and more than 4 KB."""
    variables = (environment or {}).get("Variables", {})
    reserved = sorted(RESERVED & variables.keys())
    if reserved:
        raise invalid(
            f"{_UNABLE} contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    for name in variables:
        if not _NAME.fullmatch(name):
            rule = (
                f"Map keys must satisfy constraint: [Member must satisfy regular expression pattern: {_NAME.pattern}]"
            )
            raise constraint(f"{{{name}=...}}", "environment.variables", rule)
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > MAX_BYTES:
        raise invalid(f"{_UNABLE} exceeded the 4KB limit. String measured: {measured}")
