"""The python of a training job: which one runs the image, what its code requires, an own one for each host"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sagehound.localcloud.container import own_python, requirements
from sagehound.localcloud.container.own_python import OwnPython, PythonError
from sagehound.localcloud.container.training import CodeError, InstanceGroup
from sagehound.localcloud.services.sagemaker import image_differences
from sagehound.localcloud.services.sagemaker.images import Image


class TrainingPython:
    """One job's. `prepare` comes first; what differs from the image is said once, by `say`."""

    def __init__(self, image: Image, environments: Path, say: Callable[[str], None]) -> None:
        self._image = image
        self._environments = environments
        self._say = say

    async def prepare(self, code: Path, groups: list[InstanceGroup], *, toolkit: bool) -> None:
        """Install what the code requires, as AWS's `toolkit` does where it starts the job.

        InstallError when that fails, CodeError when the image's interpreter cannot be used.
        """
        try:
            self._interpreter = await own_python.interpreter(self._image.python)
            listed, package = code / "requirements.txt", toolkit and (code / "setup.py").is_file()
            if listed.is_file() or package:
                python = await requirements.environment(
                    listed, self._image.python, self._environments, self._say, package=package
                )
                self._interpreter = await own_python.interpreter(python)
        except PythonError as error:
            raise CodeError(f"ClientError: The image {self._image.uri} cannot be run: {error}") from error
        kinds = dict.fromkeys(group.instance_type for group in groups)
        for line in image_differences.lines(self._image, kinds, self._interpreter, "this job"):
            self._say(line)

    def of_host(self, folder: Path) -> OwnPython:
        """The host's own, made in `folder`. Blocking."""
        own = own_python.make(folder, self._interpreter, self._environments)
        return OwnPython(
            own.python, own.path, {**own.variables, **image_differences.variables(self._image, self._interpreter)}
        )
