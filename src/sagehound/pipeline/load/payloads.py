"""What a load sends: files of the person's own, or test pictures from the project's bucket"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.function_event import MOST_EVENT
from sagehound.pipeline.load.plan import FunctionTarget, Target
from sagehound.pipeline.load.signing import Payload
from sagehound.pipeline.names import Names
from sagehound.pipeline.upload import stored_data

_JSON = "application/json"


def payloads_of(target: Target, files: Sequence[Path]) -> list[Payload]:
    """The files as bodies; for a function a picture becomes the event {"image": ...}, and a .json is the event."""
    return [_payload(target, file.name, _read(file)) for file in files]


def stored_payloads(clients: Clients, names: Names, target: Target, data_name: str, most: int) -> list[Payload]:
    """Pictures of the test split as they lie in the bucket, spread over its classes.

    Raises StepFailed where nothing was uploaded.
    """
    try:
        data = stored_data(clients, names, data_name, step="load")
    except StepFailed as error:
        raise StepFailed("load", error.cause, "Name what is sent: --picture FILE.") from error
    with aws_step("load"):
        keys = sorted(list_objects(clients, names.bucket, f"{data.uri.removeprefix(f's3://{names.bucket}/')}test/"))
        if not keys:
            raise StepFailed("load", "the test split is empty", "Name what is sent: --picture FILE.")
        spread = keys[:: max(1, len(keys) // most)][:most]
        found = [(key, clients.s3.get_object(Bucket=names.bucket, Key=key)["Body"].read()) for key in spread]
    return [_payload(target, key.rpartition("/")[2], content) for key, content in found]


def _payload(target: Target, name: str, content: bytes) -> Payload:
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if isinstance(target, FunctionTarget):
        if content_type != _JSON:
            content = json.dumps({"image": base64.b64encode(content).decode()}).encode()
        content_type = _JSON
        if len(content) > MOST_EVENT:
            raise StepFailed(
                "load", f"{name} is an event of {len(content):,} bytes; Lambda takes {MOST_EVENT:,}", "Make it smaller."
            )
    return Payload(name, content, content_type)


def _read(file: Path) -> bytes:
    try:
        return file.expanduser().read_bytes()
    except OSError as error:
        raise StepFailed("load", f"{file} cannot be read: {error}", "Name a file that is there.") from error
