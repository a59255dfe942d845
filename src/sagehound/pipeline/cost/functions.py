"""Lambda functions of a project, as usage: requests and durations of CloudWatch, and environments kept ready"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.belongings.functions import find_functions
from sagehound.pipeline.belongings.thing import Scope
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import billed_at_most, gb_seconds, in_five_minutes, provisioned_gb_seconds
from sagehound.pipeline.cost.history import Call, History
from sagehound.pipeline.cost.metrics import metric_sum
from sagehound.pipeline.cost.scalings import scaled_changes
from sagehound.pipeline.cost.timeline import Change, after, agreeing, periods
from sagehound.pipeline.cost.usage import Running, Usage, Usages
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use

_NOT_OF_CALLS = (
    "Lambda's free tier: 1,000,000 requests and 400,000 GB-seconds a month cost nothing",
    "the start of each environment (INIT), which AWS bills like a call since August 2025: CloudWatch has no sum of it",
)
_PUT = ("PutProvisionedConcurrencyConfig", "PutProvisionedConcurrencyConfig20190930")
_SAME = timedelta(seconds=2)


def function_usages(clients: Clients, names: Names, history: History, since: datetime | None, now: datetime) -> Usages:
    """The project's functions; of those that are deleted what is left in CloudWatch has no memory size any more."""
    found = Usages()
    functions = [one.name for one in find_functions(clients, Scope(names))]
    for name in functions:
        # One may have been deleted since the list was made.
        used = answer_unless(partial(_of_function, clients, name, history, since, now), "ResourceNotFoundException")
        found.add(used or Usages())
    if found.entries:
        found.not_counted += _NOT_OF_CALLS
    for call in history.all_of("DeleteFunction", "DeleteFunction20150331"):
        if names.function in call.names and names.function not in functions:
            if since is not None and call.moment <= since:
                continue
            moment = f"{call.moment:%Y-%m-%d %H:%M}"
            found.not_counted.append(f"function {names.function}, deleted at {moment}: its memory size is gone with it")
    return found


def _of_function(clients: Clients, name: str, history: History, since: datetime | None, now: datetime) -> Usages:
    found = Usages()
    configuration = clients.lambda_.get_function_configuration(FunctionName=name)
    memory = int(configuration["MemorySize"])
    arm = "arm64" in configuration.get("Architectures", [])
    if arm:
        found.not_counted.append(f"function {name}: it runs on arm64, and only prices of x86 are known")
        return found
    begin = since or _oldest(now)
    calls = int(metric_sum(clients, "AWS/Lambda", "Invocations", {"FunctionName": name}, begin, now))
    if calls:
        found.entries += _calls(clients, name, memory, calls, begin, now)
    for configured in _provisioned(clients, name):
        found.add(_kept_ready(clients, name, memory, configured, history, since, now))
    return found


def _calls(clients: Clients, name: str, memory: int, calls: int, begin: datetime, now: datetime) -> Iterator[Usage]:
    """Requests and GB-seconds; calls that an environment kept ready has taken have a lower price of their own."""
    milliseconds = Decimal(str(metric_sum(clients, "AWS/Lambda", "Duration", {"FunctionName": name}, begin, now)))
    billed = billed_at_most(milliseconds, calls)
    ready = sum(
        metric_sum(
            clients,
            "AWS/Lambda",
            "ProvisionedConcurrencyInvocations",
            {"FunctionName": name, "Resource": f"{name}:{alias}"},
            begin,
            now,
        )
        for alias in _aliases(clients, name)
    )
    # CloudWatch has one sum of durations: the calls are taken to be equally long.
    share = min(Decimal(1), Decimal(str(ready)) / calls)
    seconds = milliseconds / 1000
    yield Usage("function", f"{name}, {calls:,} requests", Use.LAMBDA_REQUESTS, "", Decimal(calls), None, 1, name)
    if share < 1:
        used = gb_seconds(billed * (1 - share), memory)
        what = f"{name}, {memory} MB, {used:.3f} GB-s"
        yield Usage("function", what, Use.LAMBDA_DURATION, "", used, seconds * (1 - share), 1, name)
    if share > 0:
        used = gb_seconds(billed * share, memory)
        what = f"{name}, {memory} MB, {used:.3f} GB-s in environments kept ready"
        yield Usage("function", what, Use.LAMBDA_PROVISIONED_DURATION, "", used, seconds * share, 1, name)


def _kept_ready(
    clients: Clients,
    name: str,
    memory: int,
    configured: dict[str, Any],
    history: History,
    since: datetime | None,
    now: datetime,
) -> Usages:
    """Environments kept ready, from when they were asked for; billed in steps of five minutes."""
    found = Usages()
    alias = configured["FunctionArn"].rpartition(":")[2]
    count = int(configured.get("RequestedProvisionedConcurrentExecutions", 0))
    changed = _moment(configured["LastModified"])
    changes = [one for one in scaled_changes(clients, "lambda", f"function:{name}:{alias}") if one.moment <= now]
    if (first := asked_before(history.of(name, *_PUT), changes, alias)) is not None:
        wanted = first.request.get("provisionedConcurrentExecutions")
        if wanted is None:
            until = f"{min(changes).moment:%H:%M:%S}"
            found.not_counted.append(
                f"environments of {name}:{alias} kept ready before {until}, when they first scaled"
            )
        else:
            changes.append(Change(first.moment, int(wanted)))
    spans = after(periods(agreeing(changes, count, changed)), since)
    if not spans:
        return found
    wall = sum((one.seconds(now) for one in spans), Decimal(0))
    # The time as a whole is rounded up; each change of the number ends one step and begins another.
    environments = sum((in_five_minutes(one.seconds(now)) * one.count for one in spans[-1:]), Decimal(0))
    environments += sum((one.seconds(now) * one.count for one in spans[:-1]), Decimal(0))
    used = provisioned_gb_seconds(environments, memory)
    most = max(one.count for one in spans)
    what = f"{name}:{alias}, {most} x {memory} MB kept ready, {used:,.0f} GB-s"
    found.entries.append(Usage("function", what, Use.LAMBDA_PROVISIONED, "", used, wall, most, name))
    per_second = provisioned_gb_seconds(Decimal(count), memory)
    since_when = spans[0].begin
    found.running.append(
        Running(
            f"{count} environments of {name}:{alias} kept ready",
            Use.LAMBDA_PROVISIONED,
            "",
            per_second,
            since_when,
            resource=name,
        )
    )
    return found


def asked_before(calls: Sequence[Call], changes: Sequence[Change], alias: str) -> Call | None:
    """The request for environments that came before scaling set any; scaling tells only what it has set itself."""
    asked = [one for one in calls if one.request.get("qualifier", alias) == alias]
    return asked[0] if asked and changes and asked[0].moment < min(changes).moment - _SAME else None


def _aliases(clients: Clients, name: str) -> list[str]:
    pages = clients.lambda_.get_paginator("list_aliases").paginate(FunctionName=name)
    return [one["Name"] for page in pages for one in page["Aliases"]]


def _provisioned(clients: Clients, name: str) -> list[dict[str, Any]]:
    pages = clients.lambda_.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName=name)
    return [one for page in pages for one in page["ProvisionedConcurrencyConfigs"]]


def _moment(text: str) -> datetime:
    """Lambda writes 2026-11-23T08:00:00+0000."""
    return datetime.fromisoformat(text)


def _oldest(now: datetime) -> datetime:
    """Where nobody says since when: as far back as CloudWatch keeps hours, 455 days."""
    return now - timedelta(days=455)
