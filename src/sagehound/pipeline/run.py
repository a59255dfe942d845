"""The whole walk: check the pictures, upload, train, deploy, ask the endpoint, and where asked to, delete."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from sagehound.errors import StepFailed
from sagehound.pipeline.cleanup import delete_belongings, find_belongings
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import Endpoint, deploy
from sagehound.pipeline.intake.manifest import DataManifest, ManifestEntry
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.invoke import Answer, Question, invoke
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.train import TrainedModel, train
from sagehound.pipeline.upload import StoredData, upload
from sagehound.settings import PipelineSettings


@dataclass(frozen=True)
class Walk:
    """What a whole run gave."""

    data: StoredData
    model: TrainedModel
    endpoint: Endpoint
    answers: list[Answer]


def run(
    clients: Clients,
    settings: PipelineSettings,
    source: str,
    cache: Path,
    reporter: Reporter,
    *,
    mirror: bool = False,
    again: bool = False,
    delete: bool = False,
) -> Walk:
    """Every step in order; each finds what an earlier run made. Raises StepFailed at the step that fails."""
    with reporter.step("check") as step:
        manifest = take_in(source, settings.data, cache, reporter, clients.s3)
        step.done(manifest.describe(), name=manifest.name, digest=manifest.digest, counts=manifest.counts)
    names = Names.of(settings, clients.account_id)
    with reporter.step("upload") as step:
        data = upload(clients, names, manifest, reporter, step, workers=settings.upload_workers, mirror=mirror)
    with reporter.step("train") as step:
        model = train(clients, names, settings.train, data, reporter, step, again=again)
    with reporter.step("deploy") as step:
        endpoint = deploy(clients, names, settings.deploy, settings.train, model, step)
    answers: list[Answer] = []
    if settings.invoke_pictures:
        with reporter.step("invoke") as step:
            answers = invoke(clients, endpoint.name, pictures_to_ask(manifest, settings.invoke_pictures), step)
    if delete:
        with reporter.step("delete") as step:
            delete_belongings(clients, names, find_belongings(clients, names), step)
    return Walk(data, model, endpoint, answers)


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
