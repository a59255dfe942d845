"""Checks of what the network is shown: normalized as it was trained, and from the training folder"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sagehound.pipeline.script_check.loops import training_loops
from sagehound.pipeline.script_check.script import Script, dotted, iterated, method, names_in
from sagehound.pipeline.script_check.splits import Splits
from sagehound.pipeline.script_check.warning import Job, ScriptWarning

# ImageNet's mean and deviation, which every network of torchvision was trained with.
NORMALIZE = "transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])"
TO_TENSOR = ("ToTensor", "PILToTensor", "ToImage", "ToDtype", "ConvertImageDtype")


def not_normalized(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """A pretrained network that is shown pictures in another range than it was trained on."""
    composes = [call for call in script.calls if method(call) == "Compose" and call.args]
    lists = [(call, call.args[0].elts) for call in composes if isinstance(call.args[0], ast.List | ast.Tuple)]
    if not _pretrained(script) or len(lists) != len(composes) or _normalizes_elsewhere(script, composes):
        return
    bare: list[ast.Call] = []
    for compose, elements in lists:
        steps = [script.value(element) for element in elements]
        names = [method(step) or dotted(step).rpartition(".")[2] for step in steps]
        plain = all(isinstance(step, ast.Call) and script.local(step) is None for step in steps)
        if (
            plain
            and any(n in TO_TENSOR for n in names)
            and not any("normal" in n.lower() or n == "Lambda" for n in names)
        ):
            bare.append(compose)
    if not bare:
        return
    lines = ", ".join(str(call.lineno) for call in bare[1:])
    text = (
        "The pictures are not normalized, but the network is pretrained on normalized ones: it sees another contrast "
        "than it knows, and learns slower and less (frozen networks reach 73 to 82 % on the dog breeds with it)."
    )
    more = f" The same in line{'s' * (',' in lines)} {lines}." if lines else ""
    yield ScriptWarning(bare[0].lineno, "not-normalized", text, f"After `ToTensor()`: `{NORMALIZE}`.{more}")


def _pretrained(script: Script) -> bool:
    for call in script.calls:
        name = script.full_name(call.func)
        if not (name.startswith(("torchvision.models", "timm.")) or "models." in name):
            continue
        for keyword in call.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value in (None, False)
            if keyword.arg in ("pretrained", "weights") and not off:
                return True
    return False


def _normalizes_elsewhere(script: Script, composes: list[ast.Call]) -> bool:
    """Whether a name with "normaliz" stands outside the lists of Compose, or a mean and a deviation are applied."""
    listed = {node for compose in composes for node in ast.walk(compose)}
    for elements in [compose.args[0] for compose in composes]:
        for element in ast.walk(elements):
            listed |= set(ast.walk(script.value(element))) if isinstance(element, ast.Name) else set()
    names = [name.lower() for node in script.nodes if node not in listed for name in names_in(node)]
    steps = {
        id(target)
        for node in script.nodes
        if isinstance(node, ast.Assign) and node.value in listed
        for target in node.targets
    }
    assigned = {n.id.lower() for n in script.nodes if isinstance(n, ast.Name) and id(n) in steps}
    if any("normaliz" in name and name not in assigned for name in names):
        return True
    of_weights = any(
        method(call) == "transforms" or dotted(call.func).endswith("resolve_data_config") for call in script.calls
    )
    return of_weights or (any(n.endswith("mean") for n in names) and any(n.endswith("std") for n in names))


def trained_on_test(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """A training loop whose pictures come from the test folder."""
    splits = Splits(script)
    for loop in training_loops(script):
        over = iterated(loop)
        found = splits.of(over)
        if isinstance(over, ast.Subscript) and not isinstance(over.slice, ast.Constant):
            held = splits.item(over.value, "train")
            found = splits.of(held) if held is not None else {}
        if set(found) == {"test"}:
            text = (
                "The training loop goes over the pictures of the test folder. The training folder is not used, and the "
                "test accuracy is then measured on pictures that the model has seen: it says nothing about new ones."
            )
            advice = "Read the training pictures from the training folder: `root=os.path.join(data, 'train')`."
            yield ScriptWarning(found["test"], "trained-on-test", text, advice)
