"""Checks of the loops that train and evaluate: how often they run, over how much, with or without gradients"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sagehound.pipeline.script_check.script import Script, does, dotted, inside, iterated, method
from sagehound.pipeline.script_check.warning import Job, ScriptWarning

NO_GRADIENTS = ("no_grad", "inference_mode", "set_grad_enabled")
# Networks of torchvision and timm whose layers hold BatchNorm statistics.
WITH_BATCH_NORM: tuple[str, ...] = (
    "resne",
    "densenet",
    "efficientnet",
    "mobilenet",
    "mnasnet",
    "shufflenet",
    "googlenet",
    "inception",
)
WITH_BATCH_NORM += ("regnet", "_bn", "xception", "dla", "hrnet")
HEADS = ("fc", "classifier", "head", "last_linear", "heads")


def loops_cut_short(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """Loops over epochs or batches that end after the first, whatever the number of epochs says."""
    for loop in script.loops:
        trains = does(loop, "backward")
        over_epochs = isinstance(loop.target, ast.Name) and "epoch" in loop.target.id.lower()
        if not trains and not over_epochs:
            continue
        for statement in loop.body:
            if isinstance(statement, ast.Break | ast.Return):
                word = "break" if isinstance(statement, ast.Break) else "return"
                what = "epoch" if over_epochs else "batch"
                text = f"`{word}` stands in the loop itself: the loop over the {what}s ends after the first {what}."
                yield ScriptWarning(
                    statement.lineno, "one-pass", text, f"Indent `{word}` by one level less, or remove it."
                )
            elif isinstance(statement, ast.If) and over_epochs:
                yield from _break_by_epoch(script, loop, statement)
            elif isinstance(statement, ast.If) and trains:
                yield from _part_of_the_pictures(script, statement)


def _break_by_epoch(script: Script, loop: ast.For, statement: ast.If) -> Iterator[ScriptWarning]:
    leaves = any(isinstance(child, ast.Break) for child in statement.body)
    test = statement.test
    if (
        not leaves
        or not isinstance(test, ast.Compare)
        or len(test.ops) != 1
        or dotted(test.left) != dotted(loop.target)
    ):
        return
    limit = _number(script, test.comparators[0])
    start, stop, over = _range(script, loop.iter)
    if limit is None or not isinstance(test.ops[0], ast.Eq | ast.GtE | ast.Gt):
        return
    epochs = int(limit) - start + 1 + isinstance(test.ops[0], ast.Gt)
    if epochs < 1 or (stop is None and epochs > 1) or (stop is not None and stop - start <= epochs):
        return
    text = (
        f"`if {ast.unparse(test)}: break` ends the training after {epochs} epoch{'s' if epochs > 1 else ''}, but "
        f"the loop is {over}. One epoch gives 50 to 60 % on the dog breeds, or chance."
    )
    yield ScriptWarning(
        statement.lineno, "one-epoch", text, "Remove the two lines, and set the number of epochs itself."
    )


def _range(script: Script, node: ast.expr) -> tuple[int, float | None, str]:
    """Where a loop over range() starts and stops (None where only the job knows)."""
    if isinstance(node, ast.Call) and method(node) in ("tqdm", "trange") and node.args:
        node = node if method(node) == "trange" else node.args[0]
    if not isinstance(node, ast.Call) or method(node) not in ("range", "trange") or not node.args:
        return 0, None, f"over `{ast.unparse(node)}`"
    start = _number(script, node.args[0]) if len(node.args) > 1 else 0
    stop = _number(script, node.args[min(1, len(node.args) - 1)])
    told = f"over `{ast.unparse(node)}`" if stop is None else f"meant for {stop - int(start or 0):.0f} epochs"
    return int(start or 0), stop, told


def _number(script: Script, node: ast.expr) -> float | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        left, right = _number(script, node.left), _number(script, node.right)
        if left is None or right is None:
            return None
        return left + right if isinstance(node.op, ast.Add) else left - right
    value = script.value(node)
    plain = isinstance(value, ast.Constant) and isinstance(value.value, int | float)
    return float(value.value) if plain and isinstance(value, ast.Constant) else None  # type: ignore[arg-type]


def _part_of_the_pictures(script: Script, statement: ast.If) -> Iterator[ScriptWarning]:
    test = statement.test
    leaves = any(isinstance(child, ast.Break) for child in statement.body)
    if not leaves or not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Gt | ast.GtE):
        return
    bound = test.comparators[0]
    if isinstance(bound, ast.BinOp) and isinstance(bound.op, ast.Mult):
        for side in (script.value(bound.left), script.value(bound.right)):
            if isinstance(side, ast.Constant) and isinstance(side.value, float) and 0 < side.value < 1:
                text = (
                    f"`if {ast.unparse(test)}: break` leaves the loop over the batches after {side.value:.0%} of the "
                    "pictures: each epoch trains, and is measured, on that part only."
                )
                yield ScriptWarning(
                    statement.lineno, "part-of-the-pictures", text, "Remove the two lines to use all pictures."
                )


def gradients_in_evaluation(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """An evaluation that keeps what only a backward pass needs."""
    if any(method(call) == "set_grad_enabled" and _is_false(call) for call in script.calls):
        return
    for function in script.functions.values():
        if not does(function, "eval") or any(_names(d) in NO_GRADIENTS for d in function.decorator_list):
            continue
        models = {dotted(c.func.value) for c in inside(function) if method(c) == "eval" and isinstance(c, ast.Call)
                  and isinstance(c.func, ast.Attribute)}  # fmt: skip
        callers = [call for call in script.calls if script.local(call) is function]
        if callers and all(_without_gradients(script, call) for call in callers):
            continue
        for loop in [n for n in inside(function) if isinstance(n, ast.For)]:
            forward = [
                n
                for n in inside(loop)
                if isinstance(n, ast.Call) and dotted(n.func) in models and not _without_gradients(script, n)
            ]
            inner = forward and next((a for a in script.above(forward[0]) if isinstance(a, ast.For)), None) is loop
            if not forward or not inner:
                continue
            backward = [n for n in inside(loop) if method(n) == "backward"]
            phased = backward and all(any(isinstance(a, ast.If) for a in _up_to(script, b, loop)) for b in backward)
            if backward and not phased:
                continue
            yield _with_gradients(loop, forward[0], bool(backward))
            break


def _with_gradients(loop: ast.For, forward: ast.Call, phased: bool) -> ScriptWarning:
    called = ast.unparse(forward)
    text = (
        f"`{called}` runs with gradients where the model is only evaluated: every layer's output is kept for a "
        "backward pass that never comes, which costs memory (large batches run out of it) and time."
    )
    if phased:
        with_ = 'with torch.set_grad_enabled(phase == "train"):'
    else:
        with_ = (
            f"with torch.no_grad():` around `for {ast.unparse(loop.target).strip('()')} in {ast.unparse(loop.iter)}:"
        )
    return ScriptWarning(forward.lineno, "evaluation-with-gradients", text, f"Put `{with_}` " + "around it." * phased)


def _up_to(script: Script, node: ast.AST, loop: ast.For) -> Iterator[ast.AST]:
    for above in script.above(node):
        if above is loop:
            return
        yield above


def _without_gradients(script: Script, node: ast.AST) -> bool:
    return any(
        isinstance(above, ast.With) and any(_names(item.context_expr) in NO_GRADIENTS for item in above.items)
        for above in script.above(node)
    )


def _names(node: ast.expr) -> str:
    return method(node) if isinstance(node, ast.Call) else dotted(node).rpartition(".")[2]


def _is_false(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value is False


def drifting_batch_norm(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """A frozen network in train mode: its weights stand still, its BatchNorm statistics do not."""
    networks = [call for call in script.calls if _has_batch_norm(script, call)]
    freezes, thaws = False, script.says("unfreeze")
    for node in script.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            if node.targets[0].attr == "requires_grad":
                is_false = isinstance(node.value, ast.Constant) and node.value.value is False
                freezes, thaws = freezes or is_false, thaws or not (is_false or _of_head(script, node))
        elif isinstance(node, ast.Call) and method(node) == "requires_grad_":
            freezes, thaws = freezes or _is_false(node), thaws or not (_is_false(node) or _of_head(script, node))
    calls = [c for c in script.calls if isinstance(c.func, ast.Attribute) and c.func.attr in ("train", "eval")]
    trained = [c for c in calls if method(c) == "train" and isinstance(c.func, ast.Attribute)
               and isinstance(c.func.value, ast.Name) and not (c.args and _is_false(c))]  # fmt: skip
    names = {dotted(c.func).rpartition(".")[0] for c in trained}
    elsewhere = [c for c in calls if dotted(c.func).rpartition(".")[0] not in names]
    trained = [c for c in trained if any(word in dotted(c.func).lower() for word in ("model", "net"))]
    if not networks or not freezes or thaws or not trained or elsewhere or script.says("batchnorm"):
        return
    text = (
        f"`{ast.unparse(trained[0])}` puts the frozen layers in train mode, too: their weights stand still, but their "
        "BatchNorm statistics move with every batch, so the model that is evaluated and served is not the one that the "
        "head was trained on."
    )
    model = dotted(trained[0].func).rpartition(".")[0]
    advice = f"After it: `[m.eval() for m in {model}.modules() if isinstance(m, torch.nn.BatchNorm2d)]`."
    yield ScriptWarning(trained[0].lineno, "batch-norm-drifts", text, advice)


def _of_head(script: Script, node: ast.AST) -> bool:
    """Whether a loop over the parameters of a last layer stands around it: no BatchNorm is thawed there."""
    return any(
        isinstance(above, ast.For) and any(f".{head}." in ast.unparse(above.iter) for head in HEADS)
        for above in script.above(node)
    )


def _has_batch_norm(script: Script, call: ast.Call) -> bool:
    name = script.full_name(call.func).lower()
    if name.startswith("torchvision.models.") or "models." in name:
        return any(word in name for word in WITH_BATCH_NORM)
    first = call.args[0] if call.args else None
    named = isinstance(first, ast.Constant) and isinstance(first.value, str)
    if method(call) in ("create_model", "load") and isinstance(first, ast.Constant) and named:
        texts = [str(a.value).lower() for a in call.args if isinstance(a, ast.Constant)]
        return any(word in text for text in texts for word in WITH_BATCH_NORM)
    return False


def training_loops(script: Script) -> Iterator[ast.For]:
    """The innermost loops that hold a backward pass: one turn is one batch."""
    for loop in script.loops:
        inner = any(isinstance(n, ast.For) and n is not loop and does(n, "backward") for n in inside(loop))
        if does(loop, "backward") and not inner and method(iterated(loop)) != "range":
            yield loop
