"""The network as files that lack their head: what a trained head is put into to be an artefact. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.artefact import add_head, check_onnx
from sagehound.classifier.linear_head import LinearHead
from sagehound.classifier.saved_network import replace_head


@dataclass(frozen=True)
class HeadlessNetwork:
    """A frozen backbone in both forms, and what it makes of known pixels."""

    backbone_file: Path
    """ONNX: pixels to features."""
    network_file: Path
    """model.pth with an untrained head."""
    probe: NDArray[np.float32]
    """Features of onnx_graph.probe_pixels, as torch finds them: [pictures, feature_count]."""

    def complete(self, head: LinearHead, model_dir: Path) -> float:
        """Write model.onnx and model.pth; the largest difference between the two, as a share of the largest logit.

        Raises ExportMismatch where they do not agree, BadDataset where the files are not of this head's network.
        """
        model_dir.mkdir(parents=True, exist_ok=True)
        add_head(self.backbone_file, head, model_dir / "model.onnx")
        replace_head(self.network_file, head, model_dir / "model.pth")
        return check_onnx(model_dir / "model.onnx", head.logits(self.probe))
