"""The sentence of a failed script reaches the job, whatever its data are called."""

from pathlib import Path

import pytest

from sagehound.classifier.entry_points.failures import FAILURE_LIMIT, failures_told
from sagehound.classifier.preprocessing import UnreadablePicture


def test_a_name_that_is_no_utf_8_is_told_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = b"train/caf\xe9.jpg".decode(errors="surrogateescape")
    with pytest.raises(SystemExit), failures_told({"SM_OUTPUT_DIR": str(tmp_path)}):
        raise UnreadablePicture(name, "x" * 5000)
    told = (tmp_path / "failure").read_text(encoding="utf-8")
    assert told.startswith("train/caf?.jpg is not a readable picture")
    assert len(told) == FAILURE_LIMIT
    assert "train/caf?.jpg" in capsys.readouterr().err
