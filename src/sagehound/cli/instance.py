"""The commands for training on an EC2 instance: instance train, list, terminate."""

from __future__ import annotations

from typing import Annotated

import typer

from sagehound.cli.opening import opened
from sagehound.cli.options import (
    AgainOption,
    ConfigOption,
    DataDirOption,
    EntryPointOption,
    JsonOption,
    PlanOption,
    ProfileOption,
    RegionOption,
    SetOption,
    SourceDirOption,
    TargetOption,
    own_script,
)
from sagehound.errors import StepFailed

app = typer.Typer(
    help="Train on an EC2 instance that does by itself what one would type there, and then ends itself.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def train(
    archive: Annotated[
        str,
        typer.Option(
            "--archive", help="A zip that the instance fetches instead of the uploaded pictures.", metavar="URL"
        ),
    ] = "",
    instance_type: Annotated[str, typer.Option("--instance-type", help="EC2 instance type.", metavar="TYPE")] = "",
    from_tuning: Annotated[
        bool, typer.Option("--from-tuning", help="Take the hyperparameters of the last tuning's best trial.")
    ] = False,
    console: Annotated[
        bool, typer.Option("--console/--no-console", help="Show what the instance writes, as it comes.")
    ] = True,
    boot: Annotated[bool, typer.Option("--boot", help="Show the machine's own boot too.")] = False,
    entry_point: EntryPointOption = "",
    source_dir: SourceDirOption = "",
    again: AgainOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    plan: PlanOption = False,
) -> None:
    """Launch an instance that fetches data and code, trains, uploads the model and is gone; Ctrl-C terminates it."""
    from sagehound.pipeline.code import is_ours
    from sagehound.pipeline.instance import train_on_instance
    from sagehound.pipeline.tuning_job import best_of_latest
    from sagehound.pipeline.upload import stored_data

    given = own_script("train", entry_point, source_dir)
    # As texts: a value that begins like a number, or holds a quote, is still a text.
    own = {"archive": archive, "instance_type": instance_type}
    said = [f"instance.{name}={value}" for name, value in own.items() if value]
    with opened(
        config,
        [*(overrides or []), *said],
        target,
        data_dir,
        as_json,
        console,
        given=given,
        plan=plan,
        profile=profile,
        region=region,
    ) as here:
        data = None
        if not here.settings.instance.archive:
            data = stored_data(here.clients, here.names, here.settings.data.name, step="instance")
        tuned = None
        if from_tuning:
            ours = is_ours(here.settings.train.entry_point, here.settings.train.source_dir)
            tuned = best_of_latest(here.clients, here.names, ours=ours).hyperparameters
        with here.reporter.step("instance") as step:
            train_on_instance(
                here.clients,
                here.names,
                here.settings,
                data,
                here.reporter,
                step,
                tuned=tuned,
                again=again,
                everything=boot,
            )


@app.command("list")
def list_(
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """The project's instances that exist, and those that have ended in the last hour: state, type, age, training."""
    from sagehound.pipeline.aws_errors import aws_step
    from sagehound.pipeline.instance_machine import age, project_machines

    with (
        opened(config, overrides, target, data_dir, as_json, profile=profile, region=region) as here,
        here.reporter.step("instances") as step,
    ):
        with aws_step("instance"):
            machines = project_machines(here.clients, here.names, ended=True)
        ages = [age(here.clients, machine) for machine in machines]
        living = sum(not machine.ended for machine in machines)
        step.lines = [
            f"{one.instance_id}  {one.state}  {one.instance_type}  launched {seconds / 60:.0f} min ago  {one.run}"
            for one, seconds in zip(machines, ages, strict=True)
        ]
        step.done(
            f"{living} that exist{'s' if living == 1 else ''}",
            instances=[
                {
                    "instance_id": one.instance_id,
                    "state": one.state,
                    "instance_type": one.instance_type,
                    "launched": one.launched.isoformat(),
                    "run": one.run,
                }
                for one in machines
            ],
        )


@app.command()
def terminate(
    instances: Annotated[list[str] | None, typer.Argument(help="Their ids (default: all of the project).")] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the project's instances, and remove the roles and security groups that were made for them."""
    from sagehound.pipeline.instance_cleanup import delete_instances, find_instances

    with (
        opened(config, overrides, target, data_dir, as_json, profile=profile, region=region) as here,
        here.reporter.step("terminate") as step,
    ):
        found = find_instances(here.clients, here.names)
        if instances:
            unknown = set(instances) - {machine.instance_id for machine in found.machines}
            if unknown:
                raise StepFailed(
                    "terminate",
                    f"project {here.names.project} has no instance {', '.join(sorted(unknown))}",
                    "`sagehound instance list` names those that exist.",
                )
            found = found.only(instances)
        delete_instances(here.clients, found)
        step.lines = found.lines()
        step.done(f"{len(step.lines)} things removed" if step.lines else "nothing to end", removed=step.lines)
