"""The python of an endpoint's instance: which one runs the image, what its code requires, and what an old image did."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from sagehound.localcloud.container import own_python, requirements
from sagehound.localcloud.container.own_python import Interpreter, OwnPython
from sagehound.localcloud.services.sagemaker import image_differences
from sagehound.localcloud.services.sagemaker.endpoint_status import Record
from sagehound.localcloud.services.sagemaker.images import Image


async def prepare(
    image: Image, variant: Record, code: Path, folder: Path, environments: Path, say: Callable[[str], None]
) -> OwnPython:
    """Make the instance's own python in `folder`: what its code installs lies there, and goes with the instance.

    What differs from the image is said. May raise InstallError and PythonError.
    """
    found = await own_python.interpreter(image.python)
    listed = code / "requirements.txt"
    if listed.is_file():
        made = await requirements.environment(listed, image.python, environments, say)
        found = await own_python.interpreter(made)
    kinds = [variant["InstanceType"]] if "InstanceType" in variant else []
    for line in image_differences.lines(image, kinds, found, "this instance"):
        say(line)
    return await asyncio.to_thread(_make, folder, found, environments, image_differences.variables(image, found))


def _make(folder: Path, found: Interpreter, environments: Path, variables: dict[str, str]) -> OwnPython:
    shutil.rmtree(folder, ignore_errors=True)
    own = own_python.make(folder, found, environments)
    return OwnPython(own.python, own.path, {**own.variables, **variables})
