"""What the python of an instance has that strangers' scripts want: torchvision beside any PyTorch."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sagehound.localcloud.instances import stand_ins

SCRIPT = "import sys, torchvision; print(sys.prefix); print(torchvision.models.resnet18().fc.in_features)"


def test_torchvision_is_imported_beside_a_pytorch_for_which_it_was_not_built(tmp_path: Path) -> None:
    stand_ins.put(tmp_path, stand_ins.Inside("/opt", "/usr/bin/python3"))
    python = tmp_path / "opt/pytorch/bin/python3"
    done = subprocess.run([python, "-c", SCRIPT], env={}, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == [str(tmp_path / "opt/pytorch"), "512"], done.stderr
