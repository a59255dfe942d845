"""What the container's environment says to the model server: read once, with the names of AWS's own containers."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODEL_DIR = "/opt/ml/model"


@dataclass(frozen=True, slots=True)
class Configuration:
    """One model server: where its model and code lie, where it listens, and its limits."""

    model_dir: Path
    code_dir: Path
    program: str
    program_is_given: bool
    """Whether SAGEMAKER_PROGRAM was set: then a missing module is an error, otherwise the defaults serve."""
    host: str
    port: int
    port_file: Path | None
    """Where the port that was really taken is written (for port 0), once it is bound."""
    started_file: Path | None
    """A shared file of bytes: the one that a request's x-slot header names is set just before its handler runs."""
    key: str
    """What a request must bring in its x-key header; empty when everybody may ask."""
    default_accept: str
    cores: int
    workers: int | None
    timeout: float
    queue_size: int
    max_request_size: int
    log_level: int


def from_environment(environ: Mapping[str, str]) -> Configuration:
    """The configuration that `environ` holds; ValueError names the variable that cannot be read."""
    model_dir = _model_dir(environ.get("SM_MODEL_DIR", MODEL_DIR))
    program = environ.get("SAGEMAKER_PROGRAM", "")
    port_file = environ.get("SAGEMAKER_PORT_FILE")
    started_file = environ.get("SAGEMAKER_STARTED_FILE")
    return Configuration(
        model_dir=model_dir,
        code_dir=_code_dir(environ.get("SAGEMAKER_SUBMIT_DIRECTORY", f"{MODEL_DIR}/code"), model_dir),
        program=program or "inference.py",
        program_is_given=bool(program),
        host="127.0.0.1",
        port=_integer(environ, "SAGEMAKER_BIND_TO_PORT", 8080, 0),
        port_file=Path(port_file) if port_file else None,
        started_file=Path(started_file) if started_file else None,
        key=Path(key_file).read_text() if (key_file := environ.get("SAGEMAKER_KEY_FILE")) else "",
        default_accept=environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or "application/json",
        cores=min(len(os.sched_getaffinity(0)), _integer(environ, "SM_NUM_CPUS", 1 << 16, 1)),
        workers=_integer(environ, "SAGEMAKER_MODEL_SERVER_WORKERS", 0, 0) or None,
        # TorchServe's own variable wins over the toolkit's, as in AWS's containers.
        timeout=_number(
            environ, "TS_DEFAULT_RESPONSE_TIMEOUT", _number(environ, "SAGEMAKER_MODEL_SERVER_TIMEOUT", 60.0)
        ),
        queue_size=_integer(environ, "TS_JOB_QUEUE_SIZE", 100, 0),
        max_request_size=_integer(environ, "TS_MAX_REQUEST_SIZE", 100 * 1024 * 1024, 1),
        log_level=_log_level(environ.get("SAGEMAKER_CONTAINER_LOG_LEVEL") or "20"),
    )


def _model_dir(given: str) -> Path:
    """/opt/ml/model when this process sees its model there (a private mount), otherwise where the model really lies."""
    try:
        return Path(MODEL_DIR) if os.path.samefile(given, MODEL_DIR) else Path(given)
    except OSError:
        return Path(given)


def _code_dir(given: str, model_dir: Path) -> Path:
    """The submit directory: a path below /opt/ml/model means the model's directory, wherever that is."""
    given = given.removeprefix("file://")
    if given == MODEL_DIR or given.startswith(f"{MODEL_DIR}/"):
        return model_dir / given[len(MODEL_DIR) :].lstrip("/")
    # An address (the training job's s3://.../sourcedir.tar.gz is often carried over) is no directory here.
    return model_dir / "code" if "://" in given else Path(given)


def _log_level(given: str) -> int:
    """A level as the SDK writes it (20) or by its name."""
    level = logging.getLevelNamesMapping().get(given.upper())
    if level is None and not given.isdecimal():
        raise ValueError(f"SAGEMAKER_CONTAINER_LOG_LEVEL must be a level of logging, got {given!r}")
    return int(given) if level is None else level


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(environ.get(name) or default)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {environ[name]!r}") from None
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0, got {environ[name]!r}")
    return value


def _integer(environ: Mapping[str, str], name: str, default: int, minimum: int) -> int:
    try:
        value = int(environ.get(name) or default)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, got {environ[name]!r}") from None
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return value
