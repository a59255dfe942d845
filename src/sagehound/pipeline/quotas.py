"""The account's quotas of SageMaker instances, looked at before the first job: what AWS would refuse is refused now.

New accounts have 0 of most types. AWS names a quota by type and use, as in "ml.g5.xlarge for spot training job usage";
its code is different for each, so the quotas are listed until all names are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.progress import Reporter
from sagehound.settings import PipelineSettings

SERVICE = "sagemaker"
_PAGE = 100
_NOT_ANSWERED = ("UnknownOperationException", "NotImplemented")
_NOT_ALLOWED = ("AccessDenied", "AccessDeniedException")


@dataclass(frozen=True)
class Wanted:
    """So many instances of a type at the same time, for a use as AWS calls it."""

    instance_type: str
    use: str
    count: int

    @property
    def quota(self) -> str:
        """QuotaName."""
        return f"{self.instance_type} for {self.use} usage"


@dataclass(frozen=True)
class Quota:
    """A quota as it applies to the account."""

    name: str
    code: str
    value: float


def wanted_by(
    settings: PipelineSettings, steps: Sequence[str], *, instance_count: int = 0, endpoints: int = 1
) -> list[Wanted]:
    """What these steps (features, tune, train, deploy) need at the same time: jobs one after another, by type the most.

    ``instance_count`` (0: the settings') is that of the training.
    """
    tune, train, features, deploy = settings.tune, settings.train, settings.features, settings.deploy
    needed = {
        "features": (features.instance_type, features.instance_count),
        "tune": (tune.instance_type, tune.instance_count * tune.max_parallel_jobs),
        "train": (train.instance_type, instance_count or train.instance_count),
    }
    job = "spot training job" if settings.spot.enabled else "training job"
    most: dict[str, int] = {}
    for instance_type, count in (needed[step] for step in steps if step in needed):
        most[instance_type] = max(most.get(instance_type, 0), count)
    found = [Wanted(instance_type, job, count) for instance_type, count in most.items()]
    if "deploy" in steps:
        found.append(Wanted(deploy.instance_type, "endpoint", deploy.instance_count * endpoints))
    return found


def check_quotas(clients: Clients, wanted: Sequence[Wanted], reporter: Reporter, step: str) -> None:
    """Raise StepFailed of ``step`` where a quota is below what is wanted, with the command that asks for more.

    An AWS that does not answer for quotas, as the local cloud, is told by its answer: nothing is checked there.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = applied_quotas(clients, [one.quota for one in wanted])
    except ClientError as error:
        code, message = error_of(error)
        if code in _NOT_ALLOWED:
            reporter.note(f"the quotas of the account cannot be looked at before the first job: {message}")
        elif code not in _NOT_ANSWERED:
            raise StepFailed(step, f"ListServiceQuotas was refused with {code}: {message}", "Try again.") from error
        return
    except BotoCoreError as error:
        reporter.note(f"the quotas of the account cannot be looked at before the first job: {error}")
        return
    for one in wanted:
        quota = found.get(one.quota)
        if quota is not None and quota.value < one.count:
            raise _too_low(one, quota, clients.region, step)


def applied_quotas(clients: Clients, names: Iterable[str]) -> dict[str, Quota]:
    """The quotas of these names, as far as AWS lists them for the account; raises boto3's errors."""
    missing, found = set(names), dict[str, Quota]()
    pages = clients.quotas.get_paginator("list_service_quotas").paginate(
        ServiceCode=SERVICE, PaginationConfig={"PageSize": _PAGE}
    )
    for entry in (entry for page in pages for entry in page["Quotas"]):
        if entry["QuotaName"] in missing:
            found[entry["QuotaName"]] = _quota(entry)
            missing.remove(entry["QuotaName"])
        if not missing:
            break
    return found


def _quota(entry: dict[str, Any]) -> Quota:
    return Quota(entry["QuotaName"], entry["QuotaCode"], float(entry["Value"]))


def _too_low(wanted: Wanted, quota: Quota, region: str, step: str) -> StepFailed:
    home = "https://console.aws.amazon.com/servicequotas/home"
    return StepFailed(
        step,
        f"the account may have {quota.value:g} instances of '{quota.name}' in {region}, and {wanted.count} are wanted",
        f"Ask for more: aws service-quotas request-service-quota-increase --service-code {SERVICE} --quota-code "
        f"{quota.code} --desired-value {wanted.count} --region {region} (or {home}/services/{SERVICE}/quotas/"
        f"{quota.code}?region={region}). Or take another instance type, or fewer instances, in pipeline.toml.",
    )
