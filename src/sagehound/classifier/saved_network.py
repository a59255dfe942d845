"""model.pth without torch: the head of a network that torch has saved is replaced in its file.

torch.save writes a zip archive: `data.pkl`, a pickle that names for each tensor the record that holds its values, and
the records, `data/0` and so on, as plain bytes.
"""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.linear_head import LinearHead


class _Records(pickle.Unpickler):
    """Reads which record holds which tensor: makes no tensor, and calls nothing that the file names."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda record, *_: record
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a network's file")

    def persistent_load(self, pid: Any) -> Any:
        return pid[2]


def replace_head(network_file: Path, head: LinearHead, path: Path) -> None:
    """Write the network of `network_file` (a model.pth of this classifier) with another head to `path`.

    Raises BadDataset where the file is no such network, or its head has other sizes.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(network_file) as old, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as new:
            members = old.infolist()
            pickled = next(member.filename for member in members if member.filename.endswith("/data.pkl"))
            folder = pickled.removesuffix("data.pkl")
            with old.open(pickled) as file:
                state = _Records(file).load()["state"]
            replaced = {f"{folder}data/{state[name]}": values.tobytes() for name, values in head.state().items()}
            for member in members:
                content = old.read(member)
                values = replaced.get(member.filename, content)
                if len(values) != len(content):
                    raise BadDataset(f"{network_file} has a head of other sizes: run extract_features.py again")
                new.writestr(member, values)
    except (zipfile.BadZipFile, pickle.UnpicklingError, StopIteration, LookupError, TypeError, EOFError) as error:
        raise BadDataset(f"{network_file} is no network of this classifier ({error})") from error
    os.replace(temporary, path)
