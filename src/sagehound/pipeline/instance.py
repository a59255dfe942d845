"""Instance: training on an EC2 instance, which does by itself what a person would type there, and then ends itself.

Launched with user data, watched by its console until it is terminated; of all that was made only the model stays.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.errors import Interrupted, SettingsError, StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.code import Code, find_code, warn_of_script
from sagehound.pipeline.hyperparameters import told
from sagehound.pipeline.instance_console import Console, ConsoleReader
from sagehound.pipeline.instance_machine import (
    Machine,
    age,
    find_image,
    launch,
    launched_with,
    project_machines,
    terminate,
    watched,
)
from sagehound.pipeline.instance_plan import InstancePlan, launch_request, run_name
from sagehound.pipeline.instance_result import InstanceResult, forget_result, read_result
from sagehound.pipeline.instance_role import ensure_group, ensure_profile, has_role, remove_group, remove_profile
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.training_job import ship
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings

_MINIMUM_BILLED = 60.0
_LAST_LINES = 15
_KILLED = 137
"""128 + SIGKILL, as shells have it."""
_ARCHIVE = re.compile(r"^(?:s3://[^/]+/.*[^/]|https?://[^/]+/.+)$")


@dataclass(frozen=True)
class InstanceModel:
    """What a training on an instance gave, and what it took."""

    result: InstanceResult
    instance_id: str
    """Empty where the model was there already."""
    instance_type: str
    seconds: float
    """From the launch until the instance was terminated; 0.0 where the model was there already."""

    @property
    def billable_seconds(self) -> float:
        """EC2 bills Linux instances by the second, a minute at least."""
        return max(self.seconds, _MINIMUM_BILLED) if self.instance_id else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``) and the report."""
        return {
            **self.result.as_dict(),
            "instance_id": self.instance_id,
            "instance_type": self.instance_type,
            "instance_seconds": self.seconds,
            "billable_seconds": self.billable_seconds,
            "reused": not self.instance_id,
        }


def train_on_instance(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    data: StoredData | None,
    reporter: Reporter,
    step: Step,
    *,
    tuned: Mapping[str, Any] | None = None,
    again: bool = False,
    everything: bool = False,
) -> InstanceModel:
    """The model that an instance trains for these settings; that of an earlier instance where there is one.

    ``data`` may be None where instance.archive names a zip. ``again`` trains anew, ``everything`` shows the machine's
    own boot too. Whatever happens, the instance, its role and its security group are gone at the end; on Ctrl-C too.
    Raises StepFailed with the console's last lines where the work on the instance fails.
    """
    code = find_code(settings.train.entry_point, settings.train.source_dir, "instance", clients.place)
    warn_of_script(
        code, reporter, instance_type=settings.instance.instance_type, instance_count=1, distribution="",
        objective_regex=settings.tune.objective_regex,
    )  # fmt: skip
    plan = instance_plan(names, settings, code, data, tuned)
    run = run_name(names, plan)
    with aws_step("instance"):
        result = None if again else read_result(clients, names, run)
        if result is not None and result.status == 0 and not project_machines(clients, names, run=run):
            if has_role(clients, run):
                # The command that launched its instance was killed before it could clean up.
                remove_surroundings(clients, names, run)
            model = InstanceModel(result, "", plan.instance_type, 0.0)
            step.done(f"{run}  {_told(model)}  (earlier)", **model.as_dict())
            return model
        model = _on_a_machine(clients, names, plan, run, code, reporter, everything=everything)
    step.done(f"{model.instance_id} ({model.instance_type})  {_told(model)}", **model.as_dict())
    step.lines = [_taken(model), f"model: {model.result.model_uri or model.result.uri}"]
    return model


def instance_plan(
    names: Names, settings: PipelineSettings, code: Code, data: StoredData | None, tuned: Mapping[str, Any] | None
) -> InstancePlan:
    """The training that the settings describe; raises SettingsError for a hyperparameter that nobody knows."""
    own = settings.instance
    if own.archive and not _ARCHIVE.match(own.archive):
        raise SettingsError(
            f"instance.archive {own.archive!r} is no address of a zip",
            "Use s3://BUCKET/KEY or an https address; a folder or zip of this machine goes with `sagehound upload`.",
        )
    if data is None and not own.archive:
        raise StepFailed("instance", "there are no pictures", "Run `sagehound upload`, or set instance.archive.")
    return InstancePlan(
        program=code.program,
        code_digest=code.bundle.digest,
        code_key=names.code_key(code.bundle.digest),
        hyperparameters=told(settings.train, ours=code.ours, tuned=tuned),
        data_prefix=names.data_prefix(data.name) if data is not None and not own.archive else "",
        data_digest=data.digest if data is not None and not own.archive else "",
        archive=own.archive,
        image=own.image,
        instance_type=own.instance_type,
        limit_seconds=own.max_runtime_seconds,
        key_name=own.key_name,
        subnet_id=own.subnet_id,
    )


def remove_surroundings(clients: Clients, names: Names, run: str, ended: str = "") -> None:
    """Remove a training's profile, role and security group, unless another instance than ``ended`` has them."""
    if any(machine.instance_id != ended for machine in project_machines(clients, names, run=run)):
        return
    remove_profile(clients, run)
    remove_group(clients, run)


def _on_a_machine(
    clients: Clients,
    names: Names,
    plan: InstancePlan,
    run: str,
    code: Code,
    reporter: Reporter,
    *,
    everything: bool,
) -> InstanceModel:
    """Launch or join the training's instance, watch it to its end, and remove what it was surrounded by."""
    instance_id, token = "", uuid.uuid4().hex
    try:
        if there := project_machines(clients, names, run=run):
            instance_id = there[0].instance_id
            reporter.note(f"{instance_id} does this already: its console follows", instance_id=instance_id)
        else:
            instance_id = _launch(clients, names, plan, run, code, token, reporter)
        machine, seconds, lines = _watch(clients, instance_id, reporter, everything=everything)
        if machine is not None and machine.state == "stopped":
            terminate(clients, instance_id)
    except KeyboardInterrupt:
        raise _called_off(clients, names, run, instance_id, token) from None
    except BaseException:
        _abandon(clients, names, run, instance_id, token, reporter)
        raise
    remove_surroundings(clients, names, run, instance_id)
    result = read_result(clients, names, run)
    if machine is None or result is None or result.status != 0:
        raise _failed(plan, run, machine, result, lines)
    return InstanceModel(result, instance_id, machine.instance_type, seconds)


def _launch(
    clients: Clients, names: Names, plan: InstancePlan, run: str, code: Code, token: str, reporter: Reporter
) -> str:
    """Id of the instance, launched after all that it needs is there."""
    image_id = find_image(clients, plan.image)
    ship(clients, names, code.bundle)
    forget_result(clients, names, run)
    ensure_profile(clients, names, plan, run)
    group_id = ensure_group(clients, names, plan, run)
    request = launch_request(plan, names, run, clients.region, image_id=image_id, group_id=group_id, token=token)
    instance_id = launch(clients, request)
    late = "" if clients.place.console_at_once else "; AWS gives the console late, minutes after the lines were written"
    reporter.note(
        f"{instance_id} is launched: {plan.instance_type} with {image_id}{late}",
        instance_id=instance_id,
        instance_type=plan.instance_type,
        image_id=image_id,
    )
    return instance_id


def _watch(
    clients: Clients, instance_id: str, reporter: Reporter, *, everything: bool
) -> tuple[Machine | None, float, list[str]]:
    """Tell the console's lines as they come, until the instance has ended: its last state, its seconds, the lines."""
    console, reader = Console(everything=everything), ConsoleReader(clients, instance_id)
    machine, seconds, lines = None, 0.0, list[str]()
    for machine in watched(clients, instance_id):
        seconds = age(clients, machine)
        for line in console.new_lines(reader.window(), last=machine.ended):
            reporter.log(line)
            lines.append(line)
    return machine, seconds, lines


def _called_off(clients: Clients, names: Names, run: str, instance_id: str, token: str) -> StepFailed:
    """Ctrl-C: end the instance, remove what is around it, and say so; a second one leaves that to a later command."""
    try:
        ended = _end(clients, names, run, instance_id, token)
    except KeyboardInterrupt:
        left = f"{instance_id or 'an instance or its role'} may be left"
        return Interrupted("instance", f"interrupted twice; {left}", "Run `sagehound instance terminate`.")
    what = f"{ended} is terminated" if ended else "no instance was launched"
    return Interrupted("instance", f"interrupted; {what}, nothing is left of it", "Run the same command again.")


def _abandon(clients: Clients, names: Names, run: str, instance_id: str, token: str, reporter: Reporter) -> None:
    """Something failed on the way: nothing that costs money stays. What cannot be removed is said, not hidden."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _end(clients, names, run, instance_id, token)
    except (BotoCoreError, ClientError) as error:
        reporter.note(
            f"{instance_id or run} could not be removed ({error}); `sagehound instance terminate` does it", run=run
        )


def _end(clients: Clients, names: Names, run: str, instance_id: str, token: str) -> str:
    """End the instance and remove what surrounds it; its id, found by its token where RunInstances was cut short."""
    ended = instance_id or next(iter(launched_with(clients, token)), "")
    if ended:
        terminate(clients, ended)
    remove_surroundings(clients, names, run, ended)
    return ended


def _failed(
    plan: InstancePlan, run: str, machine: Machine | None, result: InstanceResult | None, lines: list[str]
) -> StepFailed:
    said = "\n".join(lines[-_LAST_LINES:])
    said = f"\n{said}" if said else ""
    if machine is not None and machine.state == "stopped":
        return StepFailed(
            "instance", f"{machine.instance_id} was stopped, so it is terminated", "Run the same command again."
        )
    if result is None:
        reason = f" ({machine.reason})" if machine is not None and machine.reason else ""
        return StepFailed(
            "instance",
            f"the instance of {run} ended{reason} and has left no outcome{said}",
            "What it said last stands above; run it again with --boot to see the machine's own boot too.",
        )
    why, hint = "", "Repair what the lines above name; run it again."
    if sum(result.seconds.values()) >= plan.limit_seconds:
        why, hint = ": it took longer than instance.max_runtime_seconds", "Set instance.max_runtime_seconds higher."
    elif result.status == _KILLED:
        why = f": it was killed, as a program is that needs more memory than {plan.instance_type} has"
        hint = "Set a larger instance.instance_type, or a smaller train.batch_size."
    return StepFailed("instance", f"the work on the instance ended with status {result.status}{why}{said}", hint)


def _told(model: InstanceModel) -> str:
    return "  ".join([*model.result.figures(), f"trained in {model.result.train_seconds:.1f} s"])


def _taken(model: InstanceModel) -> str:
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in model.result.seconds.items())
    return f"{model.seconds:.1f} s from launch to termination ({phases}), {model.billable_seconds:.0f} s billable"
