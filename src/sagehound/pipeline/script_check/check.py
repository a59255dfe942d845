"""Every check of a script, in the order of its lines"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sagehound.pipeline.script_check import contract, instances, loops, objective, pictures
from sagehound.pipeline.script_check.script import Script
from sagehound.pipeline.script_check.warning import Job, ScriptWarning

Check = Callable[[Script, Job], Iterator[ScriptWarning]]

CHECKS: tuple[Check, ...] = (
    objective.wrong_totals,
    objective.whole_numbers,
    objective.tuned_on_test,
    objective.never_printed,
    loops.loops_cut_short,
    loops.gradients_in_evaluation,
    loops.drifting_batch_norm,
    pictures.not_normalized,
    pictures.trained_on_test,
    instances.gpu_not_used,
    instances.same_training_everywhere,
    contract.options,
    contract.model_not_saved,
)


def check_script(
    source: str,
    *,
    instance_type: str,
    instance_count: int,
    distribution: str,
    objective_regex: str = "",
    tuned: Sequence[str] = (),
) -> list[ScriptWarning]:
    """What to repair in a training script before it is run, by reading it alone: it is never run or imported.

    A source that is no Python, or nested too deeply to be read, gives one warning that says so; nothing is raised. A
    warning is left out where the script may be right: a module of its own could do what is missing in this file.
    """
    try:
        script = Script(source)
        job = Job(instance_type, instance_count, distribution, objective_regex, tuple(tuned))
        return sorted({warning for check in CHECKS for warning in check(script, job)})
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = getattr(error, "msg", None) or str(error)
        text = f"This is no Python of version 3: {reason}. The job would end at once."
        return [ScriptWarning(line, "not-python", text, "Commands of a notebook (`!pip`, `%cd`) belong in no script.")]
    except (RecursionError, MemoryError):
        text = "The script is nested too deeply to be checked."
        return [ScriptWarning(1, "not-checked", text, "Split its longest expression.")]
