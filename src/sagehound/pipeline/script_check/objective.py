"""Checks of the value that a tuner is given: whether it is the loss of a picture, and of which split"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sagehound.pipeline.script_check.printed import USUAL, Line, compiled, lines, matched
from sagehound.pipeline.script_check.script import Function, Scope, Script, inside, iterated, method
from sagehound.pipeline.script_check.splits import Frames, Splits
from sagehound.pipeline.script_check.totals import Division, bare, divisions
from sagehound.pipeline.script_check.warning import Job, ScriptWarning

# Counted over recorded tuning jobs of public projects whose objective was floored or scaled by the batch.
MISLED = "in 49 recorded searches with such a value, 12 chose a truly worse job and 16 a job no better than chance"
LONGEST_WALK = 400


def wrong_totals(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """Sums over batches that are floored, or divided by the wrong number."""
    for division in divisions(script):
        line = getattr(division.node, "lineno", 1)
        shown = ast.unparse(division.node)
        target = division.target or f"{division.what} = "
        repaired = f"{target.removesuffix(' = ')} = {division.total} / len({division.loader}.dataset)"
        scaled = division.by == "batches" and division.added in ("sum", "count")
        if division.floors:
            yield _floored(division, line, shown, scaled, repaired)
        elif scaled and division.what == "loss":
            text = (
                f"`{shown}` divides a sum over pictures by the number of batches: the value is the loss times the "
                f"batch size. A tuner then compares batch sizes, not models: {MISLED}."
            )
            yield ScriptWarning(line, "batch-scaled-loss", text, f"Divide by the pictures: `{repaired}`.")
        elif scaled:
            text = (
                f"`{shown}` divides the right answers by the number of batches: the value is the right answers of a "
                "batch, and grows with the batch size, instead of the share of right answers."
            )
            yield ScriptWarning(line, "batch-scaled-accuracy", text, f"Divide by the pictures: `{repaired}`.")
        elif division.by == "pictures" and division.added == "mean":
            text = (
                f"`{shown}` divides by the number of pictures what is a sum of the batches' means: the value is the "
                "loss divided by the batch size; where that is tuned, the largest looks best whatever it learned."
            )
            fixed = f"{target.removesuffix(' = ')} = {division.total} / len({division.loader})"
            yield ScriptWarning(
                line,
                "mean-divided-twice",
                text,
                f"Divide by the batches: `{fixed}`, or add `loss.item() * "
                "inputs.size(0)` for each batch and keep this division.",
            )


def _floored(division: Division, line: int, shown: str, scaled: bool, repaired: str) -> ScriptWarning:
    if division.what == "loss":
        scale = " and is the loss times the batch size, not the loss of a picture" if scaled else ""
        text = (
            f"`{shown}` is floored to a whole number{scale}. Models that differ by less than 1 look the same to a "
            f"tuner: {MISLED}."
        )
        fixed = repaired if scaled or division.by == "pictures" else shown.replace("//", "/")
        return ScriptWarning(line, "floored-loss", text, f"Divide with `/`: `{fixed}`.")
    text = f"`{shown}` is floored to a whole number" + (
        " and counts right answers of a batch, not their share: it says how large the batch is."
        if scaled
        else ": a share of right answers below 1 becomes 0."
    )
    return ScriptWarning(line, "floored-accuracy", text, f"Divide with `/`: `{repaired}`.")


def whole_numbers(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """A printed loss that goes through int(), floor() or a format without decimals."""
    for line in matched(script, job.objective_regex or USUAL):
        for value, spec in line.values:
            rounds = isinstance(value, ast.Call) and script.full_name(value.func) in (
                "int", "math.floor", "math.ceil", "numpy.floor", "numpy.ceil"
            )  # fmt: skip
            rounds = rounds or (
                isinstance(value, ast.Call) and script.full_name(value.func) == "round" and len(value.args) == 1
            )
            shown = ast.unparse(value)
            if "loss" in shown.lower() and (rounds or spec.endswith((".0f", "d"))):
                text = (
                    f"`{shown}` is printed as a whole number{f' (format {spec!r})' if not rounds else ''}. The tuner "
                    "reads what is printed: models that differ by less than 1 look the same to it."
                )
                name = bare(value.args[0]) if rounds and isinstance(value, ast.Call) and value.args else shown
                yield ScriptWarning(line.call.lineno, "whole-number-loss", text, f"Print `{{{name or 'loss'}:.6f}}`.")


def tuned_on_test(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """An objective whose last printed value comes from the test split."""
    regex = job.objective_regex or (USUAL if job.tuned else "")
    found = matched(script, regex) if regex else []
    walk = list(executed(script, script.tree, {}))
    last: tuple[int, Line, Frames] | None = None
    for line in found:
        places = [(place, frames) for place, (call, frames) in enumerate(walk) if call is line.call]
        if places and (last is None or places[-1][0] > last[0]):
            last = (places[-1][0], line, places[-1][1])
    if last is not None and _split(script, last[1], last[2]) == "test":
        text = (
            "The objective that the tuner reads here is measured on the test pictures. The hyperparameters are then "
            "fitted to them, and no pictures are left that say how good the model is on new ones."
        )
        advice = "Measure the objective on the validation pictures (`valid`), and the test pictures once, after tuning."
        yield ScriptWarning(last[1].call.lineno, "tuned-on-test", text, advice)


def executed(script: Script, scope: Scope, frames: Frames) -> Iterator[tuple[ast.Call, Frames]]:
    """The calls in the order in which they run, from the module down through the script's own functions."""
    left = [LONGEST_WALK]

    def walk(scope: Scope, frames: Frames) -> Iterator[tuple[ast.Call, Frames]]:
        calls = [n for n in inside(scope) if isinstance(n, ast.Call)]
        for call in sorted(calls, key=lambda c: (c.lineno, c.col_offset)):
            left[0] -= 1
            if left[0] < 0:
                return
            yield call, frames
            function = script.local(call)
            if function is not None and function not in frames:
                yield from walk(function, {**frames, function: call})

    yield from walk(scope, frames)


def _split(script: Script, line: Line, frames: Frames) -> str:
    """The split that the printed values were summed over: in loops beside the line, or in a function that it calls."""
    scope = script.scope(line.call)
    split = _summed(script, scope, frames)
    if split or not isinstance(scope, (*Function, ast.Module)):
        return split
    for value, _ in line.values:
        for name in [n for n in ast.walk(value) if isinstance(n, ast.Name)]:
            for given, _place in script.values(name):
                function = script.local(given) if isinstance(given, ast.Call) else None
                if function is not None and isinstance(given, ast.Call):
                    return _summed(script, function, {**frames, function: given})
    return ""


def _summed(script: Script, scope: Scope, frames: Frames) -> str:
    splits = Splits(script)
    found: set[str] = set()
    for loop in inside(scope):
        if isinstance(loop, ast.For) and any(isinstance(n, ast.AugAssign) for n in inside(loop)):
            if any(method(n) == "range" for n in [loop.iter]):
                continue
            found |= set(splits.of(iterated(loop), frames)) or {"unknown"}
    return found.pop() if len(found) == 1 else ""


def never_printed(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """An objective that no line of a script that stands alone can match."""
    regex = compiled(job.objective_regex)
    if not job.objective_regex or regex is None or not script.stands_alone or matched(script, job.objective_regex):
        return
    said = [line for line in lines(script) if "loss" in line.text.lower() or "acc" in line.text.lower()]
    if not said:
        return
    nearest = said[-1].text.strip().split("\n")[0][:80]
    text = (
        f"No line that the script prints matches the objective's regex `{job.objective_regex}`: every trial would end "
        "as Failed, without a value."
    )
    yield ScriptWarning(
        said[-1].call.lineno, "objective-never-printed", text, f"The script prints `{nearest}`: match that."
    )
