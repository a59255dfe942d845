"""What programs have left in their /opt/ml while they are still at work there."""

from __future__ import annotations

import shutil
from pathlib import Path

from sagehound.localcloud.services.sagemaker import job_files


def test_a_folder_that_goes_while_it_is_listed_keeps_no_other_back(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        folder = tmp_path / f"checkpoints/checkpoint-{number}"
        folder.mkdir(parents=True)
        (folder / "model.pt").touch()
    (tmp_path / "checkpoints/last").touch()
    found = job_files.leaves(tmp_path, "checkpoints")
    assert next(found)[0] == "last"
    shutil.rmtree(tmp_path / "checkpoints/checkpoint-2")
    (tmp_path / "checkpoints/checkpoint-2").touch()
    shutil.rmtree(tmp_path / "checkpoints/checkpoint-1")
    assert [name for name, _ in found] == ["checkpoint-3/model.pt"]
