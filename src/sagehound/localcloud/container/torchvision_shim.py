"""Lets `import torchvision` work beside a PyTorch for which its C++ operators were not built

The wheel of the registry is built for CUDA. Beside a PyTorch for CPUs its library cannot be loaded, and then its Python
stops at the first operator that it wants to describe. The schemas of those operators are all that it needs: models,
transforms and datasets use none of them.

This file is copied into a job's own python, which imports it at its start: until torchvision is imported it does
nothing, and imports nothing that every start has not imported anyhow. It runs on every Python that may be a job's.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # what type checkers take for true
    from typing import Any

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
"""The operators that torchvision's Python describes without asking whether its library is there."""
WAYS_OUT = {
    "torchvision": "name torchvision in requirements.txt, or install sagehound[vision] where the local cloud runs",
    "smdebug": "name smdebug, numpy<2 and pandas<2.3 in requirements.txt",
}
"""What AWS's PyTorch images have, although it is no part of PyTorch, and how it comes here."""
SAID = os.path.join(sys.prefix, "torchvision-said")
_kept: "Any" = []
"""Schemas go when nobody holds their library."""


class Finder:
    """Finds torchvision as the other finders do, and sees to its operators before its code runs."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """The spec of torchvision; where it is missing, the way out in the error of its import."""
        if name not in WAYS_OUT:
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if name == "torchvision":
                        prepare_first(spec)
                    return spec
        if only_asked():
            return None
        message = f"No module named {name!r} (AWS's PyTorch images have it, this python has not: {WAYS_OUT[name]})"
        raise ModuleNotFoundError(message, name=name)


def prepare_first(spec: "Any") -> None:
    """Let the operators be looked after when the module's code is about to run; not those of another torchvision."""
    import importlib.machinery

    folder = os.path.dirname(spec.origin or "")
    loader = spec.loader
    if not isinstance(loader, importlib.machinery.SourceFileLoader) or not os.path.isfile(
        os.path.join(folder, "_meta_registrations.py")
    ):
        return
    plain = loader.exec_module

    def exec_module(module: "Any") -> None:
        define_missing(folder)
        plain(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


def define_missing(folder: str) -> None:
    """Define the schemas that the import of torchvision would miss, and say so once."""
    import importlib
    import re

    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return  # which torchvision itself will say
    if loads(torch, folder):
        return
    with open(os.path.join(folder, "_meta_registrations.py"), encoding="utf-8") as file:
        described = re.findall(
            r"""register_fake\(["']torchvision::(\w+)|impl_abstract\(["']torchvision::(\w+)""", file.read()
        )
    there = torch.ops.torchvision
    names = [name for pair in described for name in pair if name in SCHEMAS and not hasattr(there, name)]
    if not names:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in dict.fromkeys(names):
        library.define(SCHEMAS[name])
    _kept.append(library)
    say(
        f"torchvision's C++ operators were built for another PyTorch than the {torch.__version__} here: nms, roi_align "
        "and torchvision.io's picture files are not there; models, transforms and datasets are."
    )


def loads(torch: "Any", folder: str) -> bool:
    """Whether torchvision's library can be loaded here, as torchvision tries it."""
    import importlib.machinery

    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = os.path.join(folder, "_C" + suffix)
        if os.path.isfile(path):
            try:
                torch.ops.load_library(path)
            except (ImportError, OSError):
                return False
            return True
    return False


def say(line: str) -> None:
    """One line of the log, however many processes of the job import torchvision."""
    try:
        os.close(os.open(SAID, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return
    except OSError:
        pass  # said more than once is better than never
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def only_asked() -> bool:
    """Whether somebody asks if there is a torchvision (importlib.util.find_spec) and does not import it."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__") == "importlib._bootstrap":
        frame = frame.f_back
    return frame.f_globals.get("__name__") == "importlib.util"


sys.meta_path.insert(0, Finder())
