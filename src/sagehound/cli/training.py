"""Commands from pictures in the bucket to an endpoint: features, tune, train, deploy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from sagehound.cli.opening import Opened, opened
from sagehound.cli.options import (
    AgainOption,
    AnywayOption,
    ConfigOption,
    DataDirOption,
    EntryPointOption,
    JsonOption,
    PlanOption,
    ProfileOption,
    RegionOption,
    SetOption,
    SourceDirOption,
    SpotOption,
    TargetOption,
    VerboseOption,
    own_script,
)
from sagehound.errors import StepFailed

if TYPE_CHECKING:
    from sagehound.pipeline.deploy import Placement


def features(
    config: ConfigOption = None,
    overrides: SetOption = None,
    again: AgainOption = False,
    spot: SpotOption = False,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Send the uploaded pictures through the frozen backbone, once for all trials and trainings."""
    from sagehound.pipeline.features import extract_features
    from sagehound.pipeline.quotas import check_quotas, wanted_by
    from sagehound.pipeline.upload import stored_data

    given = {"spot": spot}
    with (
        opened(
            config,
            overrides,
            target,
            data_dir,
            as_json,
            verbose,
            given=given,
            plan=plan,
            profile=profile,
            region=region,
        ) as here,
        here.reporter.step("features") as step,
    ):
        check_quotas(here.clients, wanted_by(here.settings, ["features"]), here.reporter, "features")
        data = stored_data(here.clients, here.names, here.settings.data.name, step="features")
        extract_features(here.clients, here.names, here.settings, data, here.reporter, step, again=again)


def tune(
    config: ConfigOption = None,
    overrides: SetOption = None,
    entry_point: EntryPointOption = "",
    source_dir: SourceDirOption = "",
    again: AgainOption = False,
    anyway: AnywayOption = False,
    spot: SpotOption = False,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Search hyperparameters on the uploaded pictures: trials, one after another or some at once."""
    from sagehound.pipeline import tune as step_module
    from sagehound.pipeline.code import find_code
    from sagehound.pipeline.features import features_for
    from sagehound.pipeline.quotas import check_quotas, wanted_by
    from sagehound.pipeline.upload import stored_data

    given = own_script("tune", entry_point, source_dir) | {"spot": spot}
    with opened(
        config, overrides, target, data_dir, as_json, verbose, given=given, plan=plan, profile=profile, region=region
    ) as here:
        clients, settings, reporter = here.clients, here.settings, here.reporter
        step_module.space_of(settings)
        code = find_code(settings.tune.entry_point, settings.tune.source_dir, "tune", clients.place)
        check_quotas(clients, wanted_by(settings, ["tune"]), reporter, "tune")
        data = stored_data(clients, here.names, settings.data.name, step="tune")
        features = features_for(clients, here.names, settings, data, [code], reporter)
        with reporter.step("tune") as step:
            step_module.tune(clients, here.names, settings, data, features, reporter, step, again=again, anyway=anyway)


def train(
    config: ConfigOption = None,
    overrides: SetOption = None,
    from_tuning: Annotated[
        bool, typer.Option("--from-tuning", help="Take the hyperparameters of the last tuning's best trial.")
    ] = False,
    instance_count: Annotated[
        int, typer.Option("--instance-count", help="Instances that train one model (default: the settings').", min=0)
    ] = 0,
    entry_point: EntryPointOption = "",
    source_dir: SourceDirOption = "",
    again: AgainOption = False,
    spot: SpotOption = False,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train on the uploaded pictures (data.name, or the latest upload)."""
    from sagehound.pipeline import train as step_module
    from sagehound.pipeline.code import find_code
    from sagehound.pipeline.features import features_for
    from sagehound.pipeline.quotas import check_quotas, wanted_by
    from sagehound.pipeline.tuning_job import best_of_latest
    from sagehound.pipeline.upload import stored_data

    given = own_script("train", entry_point, source_dir) | {"spot": spot}
    with opened(
        config, overrides, target, data_dir, as_json, verbose, given=given, plan=plan, profile=profile, region=region
    ) as here:
        clients, settings, reporter = here.clients, here.settings, here.reporter
        code = find_code(settings.train.entry_point, settings.train.source_dir, "train", clients.place)
        count = instance_count or settings.train.instance_count
        check_quotas(clients, wanted_by(settings, ["train"], instance_count=count), reporter, "train")
        data = stored_data(clients, here.names, settings.data.name)
        tuned = None
        if from_tuning:
            tuning = best_of_latest(clients, here.names, ours=code.ours)
            tuned = tuning.hyperparameters
            shown = ", ".join(f"{name} {value}" for name, value in tuned.items())
            reporter.note(f"from {tuning.best_job}: {shown}", tuning_job_name=tuning.name, hyperparameters=tuned)
        features = features_for(clients, here.names, settings, data, [code], reporter)
        with reporter.step("train" if count == 1 else f"train x{count}") as step:
            step_module.train(
                clients,
                here.names,
                settings,
                data,
                features,
                reporter,
                step,
                tuned=tuned,
                instance_count=count,
                again=again,
            )


def deploy(
    job: Annotated[str, typer.Option("--job", help="Training job (default: the latest completed one).")] = "",
    from_instance: Annotated[
        bool, typer.Option("--from-instance", help="Take the model of the last training on an EC2 instance.")
    ] = False,
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="Endpoint's name (default: the project's; several instances: NAME-multi).")
    ] = "",
    anyway: AnywayOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a trained model behind an endpoint, unless it is no better than guessing."""
    from sagehound.pipeline import deploy as step_module
    from sagehound.pipeline.quotas import check_quotas, wanted_by

    with (
        opened(config, overrides, target, data_dir, as_json, plan=plan, profile=profile, region=region) as here,
        here.reporter.step("deploy") as step,
    ):
        if job and from_instance:
            raise StepFailed("deploy", "--job and --from-instance exclude each other", "Give one of them.")
        clients, settings, names = here.clients, here.settings, here.names
        check_quotas(clients, wanted_by(settings, ["deploy"]), here.reporter, "deploy")
        placement = _of_instance(here, anyway) if from_instance else _of_job(here, job, anyway)
        if endpoint:
            placement = dataclasses.replace(placement, endpoint_name=endpoint)
        step_module.deploy(clients, names, settings.deploy, settings.train, [placement], step)


def _of_job(here: Opened, job: str, anyway: bool) -> Placement:
    """The named training job's model, or that of the latest, for the endpoint that it has usually."""
    from sagehound.pipeline.admission import admit, data_of
    from sagehound.pipeline.aws_errors import aws_step
    from sagehound.pipeline.deploy import Placement
    from sagehound.pipeline.train import latest_model

    clients, names, usual = here.clients, here.names, here.settings.train.instance_count
    model = latest_model(clients, names, job, instance_count=usual)
    with aws_step("deploy"):
        data = data_of(clients, names, clients.sagemaker.describe_training_job(TrainingJobName=model.job_name))
    admit(model, data, here.reporter, anyway=anyway)
    several = bool(job) and model.instance_count not in (1, usual)
    return Placement(names.multi_endpoint if several else names.endpoint, model)


def _of_instance(here: Opened, anyway: bool) -> Placement:
    """The model of the last EC2 training, for the project's endpoint."""
    from sagehound.pipeline.admission import admit_result
    from sagehound.pipeline.deploy import Placement
    from sagehound.pipeline.instance_result import latest_result

    result = latest_result(here.clients, here.names)
    admit_result(result, here.reporter, anyway=anyway)
    return Placement(here.names.endpoint, result)
