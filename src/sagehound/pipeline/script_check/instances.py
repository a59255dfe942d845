"""Checks of the instances that are rented: a GPU that is never used, several that all train the same"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sagehound.pipeline.script_check.loops import training_loops
from sagehound.pipeline.script_check.script import Script, dotted, inside, method
from sagehound.pipeline.script_check.warning import Job, ScriptWarning

GPU_TYPES = ("ml.g", "ml.p")
NO_DISTRIBUTION = ("", "none", "null", "{}")
MOVES = ("to", "cuda", "to_device", "set_default_device")


def gpu_not_used(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """A GPU instance for a script that computes on the CPU."""
    loops = list(training_loops(script))
    if not job.instance_type.startswith(GPU_TYPES) or not script.stands_alone or not loops:
        return
    moves = [call for call in script.calls if method(call) in MOVES or any(k.arg == "device" for k in call.keywords)]
    if moves and (script.says("cuda") or script.says("accelerator")):
        yield from _pictures_left_behind(script, job, loops)
        return
    text = (
        f"Nothing here is moved to the GPU: {job.instance_type} is paid for and computes on its CPU, which takes as "
        "long as ml.m5.xlarge (1,150 to 1,250 s for the usual epoch on both)."
    )
    advice = (
        '`device = torch.device("cuda" if torch.cuda.is_available() else "cpu")`, `model = model.to(device)`, and in '
        "each loop `inputs, labels = inputs.to(device), labels.to(device)`; or take a CPU instance."
    )
    yield ScriptWarning(loops[0].lineno, "gpu-not-used", text, advice)


def _pictures_left_behind(script: Script, job: Job, loops: list[ast.For]) -> Iterator[ScriptWarning]:
    """A model that is moved without its pictures, or they without it: the first forward pass fails."""
    moves = [call for call in script.calls if method(call) in ("to", "cuda") and isinstance(call.func, ast.Attribute)]
    targets = {node for loop in script.loops for node in ast.walk(loop.target)}
    shown = {node.id for node in targets if isinstance(node, ast.Name)}
    others = [call for call in moves if dotted(call.func).rpartition(".")[0] not in shown]
    model = [call for call in others if _is_model(call) and not (call.args and _is_cpu(call.args[0]))]
    for loop in loops:
        forward = _forward(loop)
        if forward is None or script.says("device_map"):
            continue
        name = ast.unparse(forward.args[0])
        stored = {n.id for n in _body(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        fails = (
            f"`{ast.unparse(forward)}` fails on {job.instance_type} (expected all tensors to be on the same device)."
        )
        if model and name not in stored and "oader" in ast.unparse(loop.iter):
            advice = f"Before it: `{name} = {name}.to(device)`, and the same for the labels."
            text = f"The model is moved to the GPU, `{name}` is not: {fails}"
            yield ScriptWarning(forward.lineno, "pictures-not-moved", text, advice)
            return
        if not others and any(dotted(call.func) in (f"{name}.to", f"{name}.cuda") for call in moves):
            network = dotted(forward.func)
            text = f"`{name}` is moved to the GPU, the model is not: {fails}"
            advice = f"Before the optimizer is made: `{network} = {network}.to(device)`."
            yield ScriptWarning(forward.lineno, "model-not-moved", text, advice)
            return


def _forward(loop: ast.For) -> ast.Call | None:
    """The call of the model with what the loop gives, by its own name."""
    targets = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    for node in _body(loop):
        one = isinstance(node, ast.Call) and dotted(node.func) in ("model", "net") and len(node.args) == 1
        if one and isinstance(node, ast.Call) and isinstance(node.args[0], ast.Name) and node.args[0].id in targets:
            return node
    return None


def _body(loop: ast.For) -> list[ast.AST]:
    return [node for statement in loop.body for node in inside(statement)]


def _is_model(call: ast.Call) -> bool:
    moved = dotted(call.func).lower()
    return "model" in moved or "net" in moved


def _is_cpu(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "cpu"


def same_training_everywhere(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """Several instances that do not know of each other."""
    if job.instance_count < 2 or not script.stands_alone or _distributes(script):
        return
    set_up = job.distribution.strip().lower() not in NO_DISTRIBUTION
    loops = list(training_loops(script))
    if not loops:
        return
    count = job.instance_count
    started = f"`distribution` starts this script on {count} instances, but the script" if set_up else "The script"
    text = (
        f"{started} never calls torch.distributed: {count} instances train the same model {count} times, in the same "
        f"time, for {count} x the bill (1,159 s billed as 5,865 s on five)."
    )
    advice = (
        "`torch.distributed.init_process_group(...)`, a `DistributedSampler` for the loader and "
        "`model = torch.nn.parallel.DistributedDataParallel(model)`"
        + ("" if set_up else ', and `distribution={"torch_distributed": {"enabled": True}}`')
        + "; or one instance."
    )
    yield ScriptWarning(loops[0].lineno, "same-training-everywhere", text, advice)


def _distributes(script: Script) -> bool:
    """Whether anything of torch.distributed (or a wrapper of it) is called; that it is imported does not count."""
    for call in script.calls:
        name = script.full_name(call.func)
        if name.startswith(("torch.distributed.", "smdistributed", "horovod", "hvd")):
            return True
        if method(call) in (
            "init_process_group",
            "DistributedDataParallel",
            "DDP",
            "DistributedSampler",
            "fully_shard",
        ):
            return True
    return False
