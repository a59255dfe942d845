"""How what is here differs from what an image has: said in one line each, and made up for where PyTorch can."""

from __future__ import annotations

from collections.abc import Iterable

from sagehound.localcloud.container.own_python import Interpreter
from sagehound.localcloud.services.sagemaker import instance_types
from sagehound.localcloud.services.sagemaker.images import Image

_WEIGHTS_ONLY = (2, 6)
"""From this version on torch.load reads nothing but weights, unless it is told otherwise."""
_OLD_LOAD = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}


def lines(image: Image, instance_kinds: Iterable[str], found: Interpreter, who: str) -> list[str]:
    """What is said to the reader of a log, about `who` ("this job") on instances of these types; nothing if all fits.

    A version whose last part only is another one is the same.
    """
    return [line for line in (_versions(image, found, who), _processors(image, instance_kinds, found, who)) if line]


def variables(image: Image, found: Interpreter) -> dict[str, str]:
    """PyTorch's own switches for scripts that are older than it."""
    return dict(_OLD_LOAD) if _loads_all(image, found) else {}


def _versions(image: Image, found: Interpreter, who: str) -> str:
    asked = image.asked
    if asked is None or (_version(asked.torch) == _version(found.torch) and asked.python == found.version):
        return ""
    torch = found.torch.partition("+")[0]
    here = f"PyTorch {torch} on Python {found.version}" if torch else f"Python {found.version} without PyTorch"
    line = f"The image asks for PyTorch {asked.torch} on Python {asked.python}; {who} runs {here}."
    if _loads_all(image, found):
        line += (
            f" torch.load reads whole models as it did in {asked.torch}, unless weights_only says otherwise "
            "(TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1)."
        )
    return line


def _processors(image: Image, instance_kinds: Iterable[str], found: Interpreter, who: str) -> str:
    counts = {name: instance_types.gpus(name) for name in instance_kinds}
    asked = [f"{name} has {count} GPU(s)" for name, count in counts.items() if count]
    if image.asked is not None and image.asked.gpu:
        asked.append("the image is one for GPUs")
    if not asked:
        return ""
    text = " and ".join(asked)
    text = text[0].upper() + text[1:] if text.startswith("the ") else text
    if not instance_types.machine_gpus():
        return f"{text}; this machine has no NVIDIA GPU, so {who} runs on its CPUs."
    if found.torch.endswith("+cpu"):
        return f"{text}; the PyTorch here is built for CPUs ({found.torch}) and uses none."
    return ""


def _loads_all(image: Image, found: Interpreter) -> bool:
    if image.asked is None or not found.torch:
        return False
    return _version(image.asked.torch) < _WEIGHTS_ONLY <= _version(found.torch)


def _version(text: str) -> tuple[int, ...]:
    """The first two parts of a version, as numbers."""
    parts = text.partition("+")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())
