"""What serves where the user gives no function: the defaults of AWS's PyTorch inference container."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
ANY = "*/*"
TEXT_TYPES = frozenset({JSON, CSV})
"""The two types whose body reaches input_fn as str."""


class UnsupportedFormat(Exception):
    """A content type that the default functions cannot read or write; answered with 415."""

    status_code = 415

    def __init__(self, content_type: str | None) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\n\n"
            "Please implement input_fn to to deserialize the request data or an output_fn to serialize the response. "
            "For more information, see the SageMaker Python SDK README."
        )


class ModelLoadError(Exception):
    """The file of the artefact is not what the default model_fn loads."""


def model_fn(model_dir: str) -> Any:
    """Load model.pt, otherwise the one .pt or .pth file of the artefact, as TorchScript."""
    import torch

    path = Path(model_dir) / "model.pt"
    if not path.exists():
        files = sorted(path for path in Path(model_dir).iterdir() if path.suffix in {".pt", ".pth"} and path.is_file())
        if len(files) != 1:
            raise ValueError(
                f"Exactly one .pth or .pt file is required for PyTorch models: {[file.name for file in files]}"
            )
        path = files[0]
    try:
        model = torch.jit.load(str(path), map_location=_device())  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ModelLoadError(
            f"Failed to load {path}. Please ensure model is saved using torchscript. (It is loaded so where the script "
            f"has no model_fn. {error})"
        ) from error
    return model.to(_device())


def input_fn(data: str | bytes, content_type: str | None) -> Any:
    """The body as a tensor: JSON and CSV as float32, NPY in its own type."""
    import numpy as np
    import torch

    array = decode(data, content_type)
    return torch.from_numpy(array.astype(np.float32) if content_type in TEXT_TYPES else array).to(_device())


def predict_fn(data: Any, model: Any) -> Any:
    """Call the model in evaluation mode without gradients."""
    import torch

    device = _device()
    model = model.to(device)
    model.eval()
    with torch.no_grad():
        return model(data.to(device))


def output_fn(prediction: Any, accept: str) -> bytes:
    """The prediction in the first type of `accept` that can be written."""
    array = prediction
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    for content_type in _acceptable(accept):
        if content_type in {JSON, CSV, NPY}:
            return encode(array, content_type)
    raise UnsupportedFormat(accept)


def decode(data: str | bytes, content_type: str | None) -> np.ndarray[Any, Any]:
    """A body as an array; UnsupportedFormat for other types than JSON, CSV and NPY."""
    import numpy as np

    if content_type == NPY:
        return np.load(io.BytesIO(data.encode() if isinstance(data, str) else data), allow_pickle=False)  # type: ignore[no-any-return]
    text = data if isinstance(data, str) else data.decode()
    if content_type == JSON:
        return np.array(json.loads(text))
    if content_type == CSV:
        return np.genfromtxt(io.StringIO(text), delimiter=",")
    raise UnsupportedFormat(content_type)


def encode(value: Any, content_type: str) -> bytes:
    """An array, or anything that `tolist` or JSON can take, as JSON, CSV or NPY."""
    import numpy as np

    if content_type == NPY:
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(value), allow_pickle=False)
        return buffer.getvalue()
    plain = value.tolist() if hasattr(value, "tolist") else value
    if content_type == JSON:
        return json.dumps(plain, default=_plain).encode()
    out = io.StringIO()
    rows = np.atleast_1d(np.asarray(plain, dtype=object))
    csv.writer(out, lineterminator="\n").writerows(row if np.ndim(row) else [row] for row in rows)
    return out.getvalue().encode()


def _device() -> str:
    """A GPU when the instance has one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _acceptable(accept: str) -> list[str]:
    return [part.split(";")[0].strip().lower() for part in accept.split(",")]
