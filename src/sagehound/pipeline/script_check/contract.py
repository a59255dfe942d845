"""Checks of what SageMaker asks of a script: the options that it is started with, and where the model is left"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from sagehound.pipeline.script_check.loops import training_loops
from sagehound.pipeline.script_check.script import Script, dotted, method
from sagehound.pipeline.script_check.splits import destination
from sagehound.pipeline.script_check.warning import Job, ScriptWarning

FRACTIONS = re.compile(r"(^|_)(lr|learning_rate|momentum|dropout|weight_decay|gamma|eps|beta\d?)$")
OTHER_WAYS = ("sm_hp", "argv", "hyperparameters", "click", "fire", "sm_training_env", "sm_user_args")
SAVES: tuple[str, ...] = (
    "save",
    "save_model",
    "save_pretrained",
    "export",
    "dump",
    "copy",
    "copyfile",
    "move",
    "copytree",
    "save_file",
)
SAVES += ("write_bytes", "onnx_export", "save_checkpoint", "export_model")
MODEL_DIR = ("sm_model_dir", "/opt/ml/model", "model_dir", "model-dir", "modeldir")


def options(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """Hyperparameters that the script does not take, cannot read, or takes and never uses."""
    declared = [call for call in script.calls if method(call) == "add_argument"]
    parses = [call for call in script.calls if method(call) in ("parse_args", "parse_known_args")]
    literal = all(isinstance(a, ast.Constant) for call in declared for a in call.args)
    if declared and parses and literal and script.stands_alone:
        for name in job.tuned:
            yield from _tuned(script, name, declared, parses[0])
    for call in declared:
        yield from _whole_fraction(call)


def _tuned(script: Script, name: str, declared: list[ast.Call], parse: ast.Call) -> Iterator[ScriptWarning]:
    names = {str(a.value): call for call in declared for a in call.args if isinstance(a, ast.Constant)}
    option = names.get(f"--{name}") or (names.get(f"-{name}") if len(name) == 1 else None)
    if option is None:
        # argparse takes a beginning for the whole where only one option begins so
        begun = [call for long, call in names.items() if long.startswith(f"--{name}")]
        option = begun[0] if len(begun) == 1 else None
    if option is None:
        near = [n for n in names if n.lstrip("-").replace("-", "_") == name.replace("-", "_")]
        strict = method(parse) == "parse_args"
        text = (
            f"The job passes `--{name}`, which the script does not declare"
            + (f" (it declares `{near[0]}`)" if near else "")
            + (": every trial ends as Failed (unrecognized arguments)." if strict else ": its value is never used.")
        )
        advice = f'`parser.add_argument("--{name}", type={_type(name)})`, or tune it under the name that is declared.'
        yield ScriptWarning(parse.lineno, "option-not-declared", text, advice)
        return
    dest = destination(option)
    if not any(k.arg in ("type", "action") for k in option.keywords) and not _cast(script, dest):
        text = f"`--{name}` is declared without a type, so its value is a string: computing with it fails."
        yield ScriptWarning(option.lineno, "option-without-type", text, f"`type={_type(name)}`.")
    used = any(isinstance(n, ast.Attribute) and n.attr == dest for n in script.nodes)
    whole = (
        any(dotted(call.func) == "vars" for call in script.calls) or script.says("__dict__") or script.says("_asdict")
    )
    by_text = any(text == dest for text, _ in script.strings())
    if not used and not whole and not by_text:
        text = (
            f"`--{name}` is declared and tuned, but `args.{dest}` is used nowhere: every trial trains the same model."
        )
        yield ScriptWarning(option.lineno, "option-not-used", text, f"Use `args.{dest}` where its value belongs.")


def _type(name: str) -> str:
    return "float" if FRACTIONS.search(name.replace("-", "_").lower()) else "int"


def _cast(script: Script, dest: str) -> bool:
    """Whether the script itself turns the option's text into something, or it may well stay text."""
    numeric = FRACTIONS.search(dest.lower()) or dest.lower() in ("batch_size", "epochs", "test_batch_size")
    if not numeric:
        return True
    return any(
        method(call) in ("int", "float", "eval", "literal_eval") and any(
            isinstance(n, ast.Attribute) and n.attr == dest for n in ast.walk(call))
        for call in script.calls
    )  # fmt: skip


def _whole_fraction(call: ast.Call) -> Iterator[ScriptWarning]:
    dest = destination(call)
    for keyword in call.keywords:
        if keyword.arg == "type" and dotted(keyword.value) == "int" and FRACTIONS.search(dest.lower()):
            text = f"`type=int` for {dest.replace('_', ' ')}: a value such as 0.01 ends the script (invalid int value)."
            yield ScriptWarning(keyword.value.lineno, "fraction-as-int", text, "`type=float`.")


def model_not_saved(script: Script, job: Job) -> Iterator[ScriptWarning]:
    """A training that leaves no model where SageMaker takes it from."""
    loops = list(training_loops(script))
    if not loops or not script.stands_alone:
        return
    saves = [call for call in script.calls if method(call) in SAVES and _is_save(script, call)]
    known = any(script.says(word) for word in MODEL_DIR)
    advice = '`torch.save(model.state_dict(), os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))`'
    if not saves:
        text = (
            "The model is trained and never saved: the job's model.tar.gz will be empty, and nothing can be deployed."
        )
        yield ScriptWarning(loops[-1].lineno, "model-not-saved", text, f"At the end: {advice}.")
    elif not known:
        text = (
            f"`{ast.unparse(saves[-1])}` saves the model elsewhere than in SM_MODEL_DIR (/opt/ml/model): what lies "
            "elsewhere is lost when the job ends, and its model.tar.gz will be empty."
        )
        yield ScriptWarning(saves[-1].lineno, "model-saved-elsewhere", text, f"{advice}.")


def _is_save(script: Script, call: ast.Call) -> bool:
    """A call that writes something: `torch.save`, `model.save`, a function of the script; not `logging.debug`."""
    return isinstance(call.func, ast.Attribute) or script.local(call) is not None or dotted(call.func) in script.aliases
