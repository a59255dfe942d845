"""The whole walk: check, upload, features, tune, train, deploy, ask, function, secure, scale, report, cost."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sagehound.errors import StepFailed
from sagehound.pipeline.admission import admit
from sagehound.pipeline.cleanup import delete_belongings, find_belongings
from sagehound.pipeline.clients import Clients, CloudClock
from sagehound.pipeline.code import Code, find_code
from sagehound.pipeline.cost.step import cost
from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.deploy import Endpoint, Placement, deploy
from sagehound.pipeline.features import FeatureChannel, features_for, uses_features
from sagehound.pipeline.function import DeployedFunction, Trial, deploy_function
from sagehound.pipeline.function_denial import prove_denial
from sagehound.pipeline.function_event import stored_picture
from sagehound.pipeline.instance import InstanceModel, train_on_instance
from sagehound.pipeline.intake.manifest import DataManifest, ManifestEntry
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.invoke import Answer, Question, invoke
from sagehound.pipeline.load.plan import FunctionTarget
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.quotas import check_quotas, wanted_by
from sagehound.pipeline.reporting import Reported, report
from sagehound.pipeline.scaling import Asked, Scaling, scale
from sagehound.pipeline.scaling_demo import Shown, peak_plan, show_scaling
from sagehound.pipeline.scaling_requests import check_endpoint_bounds, check_function_bounds, is_burstable
from sagehound.pipeline.secure.results import Findings
from sagehound.pipeline.secure.step import secure
from sagehound.pipeline.train import TrainedModel, train
from sagehound.pipeline.tune import space_of, tune
from sagehound.pipeline.tuning_job import Tuning
from sagehound.pipeline.upload import StoredData, upload
from sagehound.settings import PipelineSettings


@dataclass(frozen=True)
class Options:
    """What a person may ask of a run beside the settings."""

    mirror: bool = False
    again: bool = False
    anyway: bool = False
    instance: bool = False
    """Whether an EC2 instance trains too, as a person would by hand, to compare."""
    delete: bool = False
    report: Path | None = None
    """Where the report goes; None writes none."""
    scale_demo: bool | None = None
    """Whether scaling is shown under a load; None: where ``faster`` is there, so that it lasts a minute."""
    faster: Callable[[float], Clients] | None = None
    """Starts the cloud anew with a clock of this speed, and connects to it: only for a cloud that the run owns."""


@dataclass(frozen=True)
class Walk:
    """What a whole run gave; ``models`` and ``endpoints`` in the order single, several instances."""

    data: StoredData
    features: FeatureChannel | None
    tuning: Tuning
    models: list[TrainedModel]
    instance: InstanceModel | None
    endpoints: list[Endpoint]
    answers: list[Answer]
    function: DeployedFunction
    findings: Findings
    scaling: Scaling
    shown: Shown | None
    cost: CostSummary


def run(
    clients: Clients,
    settings: PipelineSettings,
    source: str,
    cache: Path,
    reporter: Reporter,
    options: Options = Options(),
) -> Walk:
    """Every step in order; each finds what an earlier run made. Raises StepFailed at the step that fails."""
    # What cannot be searched, shown or is not there is refused before the pictures are looked at.
    space_of(settings)
    check_endpoint_bounds(settings.scale)
    check_function_bounds(settings.scale)
    _why_not_shown(clients, settings, options)
    codes = [
        find_code(settings.tune.entry_point, settings.tune.source_dir, "tune", clients.place),
        find_code(settings.train.entry_point, settings.train.source_dir, "train", clients.place),
    ]
    _check_quotas(clients, settings, codes, reporter)
    with reporter.step("check") as step:
        manifest = take_in(source, settings.data, cache, reporter, clients.s3)
        step.done(manifest.describe(), name=manifest.name, digest=manifest.digest, counts=manifest.counts)
    names = Names.of(settings, clients.account_id)
    with reporter.step("upload") as step:
        workers, mirror = settings.upload_workers, options.mirror
        data = upload(clients, names, manifest, reporter, step, workers=workers, mirror=mirror)
    features = features_for(clients, names, settings, data, codes, reporter)
    with reporter.step("tune") as step:
        again, anyway = options.again, options.anyway
        tuning = tune(clients, names, settings, data, features, reporter, step, again=again, anyway=anyway)
    models = _train_both(clients, names, settings, data, features, tuning, reporter, again=options.again)
    on_instance = None
    if options.instance:
        with reporter.step("instance") as step:
            tuned, again = tuning.hyperparameters, options.again
            on_instance = train_on_instance(clients, names, settings, data, reporter, step, tuned=tuned, again=again)
    with reporter.step("deploy") as step:
        for model in models:
            admit(model, data, reporter, anyway=options.anyway)
        places = (names.endpoint, names.multi_endpoint)
        placements = [Placement(place, model) for place, model in zip(places, models, strict=False)]
        endpoints = deploy(clients, names, settings.deploy, settings.train, placements, step)
    answers: list[Answer] = []
    if settings.invoke_pictures:
        questions = pictures_to_ask(manifest, settings.invoke_pictures)
        with reporter.step("invoke") as step:
            also = endpoints[1].name if len(endpoints) > 1 else ""
            answers = invoke(clients, endpoints[0].name, questions, step, also=also)
    function = _put_in_front(clients, names, settings, endpoints[0].name, data, reporter)
    with reporter.step("secure") as step:
        findings = secure(clients, names, settings, step)
    if not clients.place.settling_seconds:
        # Where a policy counts only later, the function's callers would be denied long after it is given back.
        with reporter.step("denial") as step:
            prove_denial(clients, function, step)
    clients, scaling, shown = _scale(clients, names, settings, data, endpoints[0].name, function, reporter, options)
    if options.report is not None:
        with reporter.step("report") as step:
            trained = [model.job_name for model in models]
            jobs = Reported(
                data.uri, tuning.name, trained, features.job_name if features else None, shown.loads if shown else ()
            )
            report(clients, names, jobs, options.report, step)
    with reporter.step("cost") as step:
        spent = cost(clients, names, step, brief=True)
    if options.delete:
        with reporter.step("delete") as step:
            delete_belongings(clients, find_belongings(clients, names), step)
    return Walk(
        data, features, tuning, models, on_instance, endpoints, answers, function, findings, scaling, shown, spent
    )


def _check_quotas(clients: Clients, settings: PipelineSettings, codes: list[Code], reporter: Reporter) -> None:
    """Refuse what the account may not have, before anything is sent or paid for."""
    steps = ["tune", "train", "deploy"]
    if any(uses_features(settings, code) for code in codes):
        steps.append("features")
    several = settings.multi_instance_count > 1
    most = max(settings.train.instance_count, settings.multi_instance_count)
    wanted = wanted_by(settings, steps, instance_count=most, endpoints=2 if several else 1)
    check_quotas(clients, wanted, reporter, "quotas")


def _put_in_front(
    clients: Clients, names: Names, settings: PipelineSettings, endpoint: str, data: StoredData, reporter: Reporter
) -> DeployedFunction:
    """The function before the first endpoint, tried with a picture of the test split as it lies in the bucket."""
    with reporter.step("function") as step:
        trial = Trial(stored_picture(clients, names, data), len(data.classes))
        return deploy_function(clients, names, settings.function, endpoint, reporter, step, trial=trial)


def _scale(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    data: StoredData,
    endpoint: str,
    function: DeployedFunction,
    reporter: Reporter,
    options: Options,
) -> tuple[Clients, Scaling, Shown | None]:
    """Register what scales, and show it under a load: on a fast clock where the cloud is the run's own.

    Only from here on is that clock fast, so the times and billable seconds of the jobs before are real ones. The
    clients are those to go on with.
    """
    why_not = _why_not_shown(clients, settings, options)
    if not why_not and options.faster is not None and settings.scale.demo_speed != clients.clock.speed:
        with reporter.step("clock") as step:
            clients = options.faster(settings.scale.demo_speed)
            step.done(f"the cloud is started anew, {clients.clock.sentence()}", speed=clients.clock.speed)
    with reporter.step("scale") as step:
        asked = Asked()
        if is_burstable(settings.deploy.instance_type):
            # The walk goes on with what scales; `sagehound scale` refuses.
            reporter.note(
                f"{settings.deploy.instance_type} is burstable, which AWS does not scale: only the function is"
            )
            asked = Asked(function=f"{function.name}:{function.alias}")
        if asked.both or function.provisioned:
            scaling = scale(clients, names, settings, reporter, step, asked)
        else:
            scaling = Scaling([], [], [])
            step.done("nothing scales")
    if why_not:
        reporter.note(f"scaling is registered and not shown under a load: {why_not}")
        return clients, scaling, None
    called = FunctionTarget(function.name, function.alias) if function.provisioned else None
    with reporter.step("load") as step:
        shown = show_scaling(clients, names, settings.scale, settings.load, data.name, endpoint, called, reporter, step)
    return clients, scaling, shown


def _why_not_shown(clients: Clients, settings: PipelineSettings, options: Options) -> str:
    """Why scaling is not shown under a load; empty where it is. Raises StepFailed where it cannot be, and must."""
    if options.scale_demo is None and options.faster is None:
        return (
            "in real time that takes half an hour, and instances; --scale-demo does it here, `sagehound load` any load"
        )
    if options.scale_demo is False:
        return "that is what --no-scale-demo says"
    speed = settings.scale.demo_speed if options.faster else clients.clock.speed
    try:
        if is_burstable(settings.deploy.instance_type):
            raise StepFailed(
                "scale", f"AWS scales no {settings.deploy.instance_type}", "Deploy on ml.m5.large to see it."
            )
        peak_plan(settings.scale, settings.load, CloudClock(speed), clients.place)
    except StepFailed as error:
        if options.scale_demo:
            raise
        return f"{error.cause}. {error.hint}"
    return ""


def _train_both(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    data: StoredData,
    features: FeatureChannel | None,
    tuning: Tuning,
    reporter: Reporter,
    *,
    again: bool,
) -> list[TrainedModel]:
    """The model of the settings' instances, and where that is asked for the one of several, with the same values."""
    counts = [settings.train.instance_count]
    if settings.multi_instance_count > 1 and settings.multi_instance_count not in counts:
        counts.append(settings.multi_instance_count)
    models = []
    for count in counts:
        with reporter.step("train" if count == 1 else f"train x{count}") as step:
            models.append(
                train(
                    clients,
                    names,
                    settings,
                    data,
                    features,
                    reporter,
                    step,
                    tuned=tuning.hyperparameters,
                    instance_count=count,
                    again=again,
                )
            )
    return models


def pictures_to_ask(manifest: DataManifest, count: int) -> list[Question]:
    """``count`` pictures of the test split, of as many classes as possible, the same for the same data."""
    by_class: dict[str, list[ManifestEntry]] = defaultdict(list)
    for entry in manifest.pictures:
        if entry.split == "test":
            by_class[entry.label].append(entry)
    if not by_class:
        raise StepFailed("invoke", "the test split is empty", "Set invoke_pictures = 0, or give a test/ folder.")
    chance = random.Random(manifest.digest)
    labels = sorted(by_class)
    chance.shuffle(labels)
    chosen: list[ManifestEntry] = []
    turn = 0
    while len(chosen) < min(count, sum(len(entries) for entries in by_class.values())):
        entries = by_class[labels[turn % len(labels)]]
        if turn // len(labels) < len(entries):
            chosen.append(entries[turn // len(labels)])
        turn += 1
    return [Question(str(entry.path), entry.label) for entry in chosen]
