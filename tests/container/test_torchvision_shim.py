"""torchvision beside a PyTorch that its C++ operators were not built for: imported, used, said once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from sagehound.localcloud.container import own_python
from sagehound.localcloud.container.own_python import OwnPython

LINE = "torchvision's C++ operators were built for another PyTorch"

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def broken() -> None:
    """The plain import fails: what all of this is about."""
    done = subprocess.run(
        [sys.executable, "-c", "import torchvision"], cwd="/", capture_output=True, text=True, check=False
    )
    if "operator torchvision::nms does not exist" not in done.stderr:
        pytest.skip(f"torchvision is not here, or needs no help: {done.stderr[-200:]}")


@pytest.fixture
def own(tmp_path: Path) -> OwnPython:
    return made(tmp_path, sys.executable)


def made(folder: Path, python: str) -> OwnPython:
    return own_python.make(folder / "own", asyncio.run(own_python.interpreter(python)), folder / "shared")


def run(own: OwnPython, folder: Path, code: str, *, ends: int = 0, **files: str) -> tuple[list[str], str]:
    """The lines that a script has printed, and its errors."""
    (folder / "train.py").write_text(code)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    given = {"PATH": f"{own.path}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run(
        [own.python, "train.py"], cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == ends, done.stderr
    return done.stdout.splitlines(), done.stderr


MODELS = """
import torch
from torchvision import models
with torch.device("meta"):
    for name in ("resnet18", "resnet50", "vgg19", "inception_v3"):
        print(name, getattr(models, name)(weights=None)(torch.zeros(2, 3, 299, 299)) is not None)
net = models.resnet18(weights=None).eval()
with torch.no_grad():
    print(tuple(net(torch.zeros(1, 3, 64, 64)).shape))
"""


@pytest.mark.usefixtures("broken")
def test_models_are_made_and_run(own: OwnPython, tmp_path: Path) -> None:
    lines, errors = run(own, tmp_path, MODELS)
    assert lines == ["resnet18 True", "resnet50 True", "vgg19 True", "inception_v3 True", "(1, 1000)"]
    assert errors.count(LINE) == 1


PICTURES = """
import os, sys
import torch
from PIL import Image
from torchvision import datasets, transforms
from torchvision.transforms import v2

def loader(method):
    first = transforms.Compose([
        transforms.RandomResizedCrop(32), transforms.RandomHorizontalFlip(), transforms.ColorJitter(0.1),
        transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
    ])
    folder = datasets.ImageFolder("pictures", first)
    return torch.utils.data.DataLoader(folder, 2, num_workers=2, multiprocessing_context=method)

if __name__ == "__main__":
    for breed in ("beagle", "boxer"):
        os.makedirs("pictures/" + breed)
        for number in range(3):
            Image.new("RGB", (48, 40), (number, 9, 9)).save("pictures/%s/%d.png" % (breed, number))
    for method in ("fork", "spawn"):
        batches = list(loader(method))
        labels = torch.cat([labels for _, labels in batches])
        print(method, [tuple(pictures.shape) for pictures, _ in batches], labels.sum().item())
    scaled = v2.ToDtype(torch.float32, scale=True)
    second = v2.Compose([v2.PILToTensor(), v2.Resize((16, 16)), scaled, v2.RandomRotation(9)])
    print(tuple(second(Image.new("RGB", (48, 40))).shape))
"""


@pytest.mark.usefixtures("broken")
def test_pictures_are_loaded_by_workers_of_every_kind_and_it_is_said_once(own: OwnPython, tmp_path: Path) -> None:
    lines, errors = run(own, tmp_path, PICTURES)
    shapes = [(2, 3, 32, 32)] * 3
    assert lines == [f"fork {shapes} 3", f"spawn {shapes} 3", "(3, 16, 16)"]
    assert errors.count(LINE) == 1


@pytest.mark.usefixtures("broken")
def test_the_operators_themselves_say_that_they_are_missing(own: OwnPython, tmp_path: Path) -> None:
    code = "import torch, torchvision\ntorchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)"
    _, errors = run(own, tmp_path, code, ends=1)
    assert "Couldn't load custom C++ ops" in errors


@pytest.mark.usefixtures("broken")
def test_a_script_that_defines_them_itself_is_left_alone(own: OwnPython, tmp_path: Path) -> None:
    code = (
        "import torch\nlibrary = torch.library.Library('torchvision', 'DEF')\n"
        "library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "library.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "import torchvision; print('imported')"
    )
    lines, errors = run(own, tmp_path, code)
    assert (lines, LINE in errors) == (["imported"], False)


def test_a_module_of_that_name_of_the_users_own_is_the_users(own: OwnPython, tmp_path: Path) -> None:
    lines, errors = run(own, tmp_path, "import torchvision; print(torchvision.MINE)", torchvision="MINE = 'mine'")
    assert (lines, errors) == (["mine"], "")


def test_scripts_without_it_pay_nothing(own: OwnPython, tmp_path: Path) -> None:
    lines, _ = run(own, tmp_path, "import sys; print(not {'torch', 'torchvision'} & set(sys.modules))")
    assert lines == ["True"]


def test_where_it_is_not_installed_the_error_says_the_way_out(tmp_path: Path) -> None:
    venv.EnvBuilder(with_pip=False).create(tmp_path / "bare")
    own = made(tmp_path, str(tmp_path / "bare/bin/python"))
    for statement, way_out in {
        "import torchvision": "requirements.txt, or install sagehound[vision]",
        "from torchvision.models import resnet50": "requirements.txt, or install sagehound[vision]",
        "import smdebug.pytorch as smd": "name smdebug, numpy<2 and pandas<2.3 in requirements.txt",
    }.items():
        _, errors = run(own, tmp_path, statement, ends=1)
        name = "smdebug" if "smdebug" in statement else "torchvision"
        assert f"ModuleNotFoundError: No module named '{name}' (" in errors.splitlines()[-1]
        assert way_out in errors.splitlines()[-1]
    asked = (
        "import importlib.util, pkgutil\nprint(importlib.util.find_spec('torchvision'))\n"
        "try:\n    import torchvision\nexcept ImportError as error:\n    print(type(error).__name__, error.name)\n"
    )
    assert run(own, tmp_path, asked)[0] == ["None", "ModuleNotFoundError torchvision"]
