"""Endpoints of a project, as usage: instances from their creation to now, or to their deletion, with every scaling"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import whole
from sagehound.pipeline.cost.history import Call, History
from sagehound.pipeline.cost.metrics import metric_sum
from sagehound.pipeline.cost.scalings import scaled_changes
from sagehound.pipeline.cost.timeline import Change, Period, after, agreeing, instance_seconds, periods, span_words
from sagehound.pipeline.cost.usage import Running, Usage, Usages, carries, carries_event
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use

_IDLE_DAYS = 1
_SAME = timedelta(seconds=60)


def endpoint_usages(clients: Clients, names: Names, history: History, since: datetime | None, now: datetime) -> Usages:
    """The project's endpoints that are there, and those that are gone as far as CloudTrail says what they were."""
    found = Usages()
    there: dict[str, datetime] = {}
    for endpoint in _tagged(clients, names):
        there[endpoint["EndpointName"]] = endpoint["CreationTime"]
        found.add(_of_endpoint(clients, endpoint, since, now))
    found.add(_deleted(names, history, there, since, now))
    return found


def _of_endpoint(clients: Clients, endpoint: Mapping[str, Any], since: datetime | None, now: datetime) -> Usages:
    found = Usages()
    name = endpoint["EndpointName"]
    if endpoint["EndpointStatus"] == "Failed":
        found.not_counted.append(f"endpoint {name}: it failed ({endpoint.get('FailureReason', 'no reason told')})")
        return found
    describe = partial(clients.sagemaker.describe_endpoint_config, EndpointConfigName=endpoint["EndpointConfigName"])
    config = answer_unless(describe, "ValidationException")
    if config is None:
        lost = f"its configuration {endpoint['EndpointConfigName']} is deleted, which names its instance type"
        found.not_counted.append(f"endpoint {name}, which is there and costs: {lost}")
        return found
    types = {one["VariantName"]: one for one in config["ProductionVariants"]}
    idle = _idle(clients, name, endpoint, now)
    if config["CreationTime"] > endpoint["CreationTime"]:
        found.not_counted.append(f"endpoint {name}: what it had before its update; all of its time counts as it is now")
    for variant in endpoint.get("ProductionVariants", config["ProductionVariants"]):
        wanted = types.get(variant["VariantName"], {})
        if "InstanceType" not in wanted:
            found.not_counted.append(f"endpoint {name}, variant {variant['VariantName']}: serverless, billed per call")
            continue
        begin = endpoint["CreationTime"]
        changes = [Change(begin, int(wanted["InitialInstanceCount"]))]
        changes += scaled_changes(clients, "sagemaker", f"endpoint/{name}/variant/{variant['VariantName']}")
        count = int(variant.get("CurrentInstanceCount", wanted["InitialInstanceCount"]))
        if endpoint["EndpointStatus"] == "InService":
            # What the activities do not explain (a change by hand) came with the last change of the endpoint.
            changes = agreeing(changes, count, endpoint["LastModifiedTime"])
        found.entries += _entries(name, wanted["InstanceType"], after(periods(changes), since), now)
        found.running.append(
            Running(f"endpoint {name}", Use.HOSTING, wanted["InstanceType"], Decimal(count), begin, idle, name)
        )
    return found


def _entries(name: str, instance_type: str, spans: list[Period], now: datetime, ended: str = "") -> Iterator[Usage]:
    """One entry a variant: its wall clock, and the seconds of all of its instances."""
    if not spans:
        return
    most, least = max(one.count for one in spans), min(one.count for one in spans)
    counted = str(most) if most == least else f"{least} to {most}"
    seconds = sum((one.seconds(now) for one in spans), Decimal(0))
    # Billed per second: a part of one counts as a whole.
    used = whole(instance_seconds(spans, now))
    yield Usage(
        "endpoint", f"{name}, {counted} x {instance_type}{ended}", Use.HOSTING, instance_type, used, seconds, most, name
    )


def _deleted(
    names: Names, history: History, there: Mapping[str, datetime], since: datetime | None, now: datetime
) -> Usages:
    """Endpoints that were made and deleted: what the events of their creation say."""
    found = Usages()
    for made in history.all_of("CreateEndpoint"):
        for name in _ours(names, made):
            if name in there and made.moment >= there[name] - _SAME:
                continue  # the one that is there now; one of the same name may have gone before it
            gone = next((one for one in history.of(name, "DeleteEndpoint") if one.moment >= made.moment), None)
            if gone is not None and since is not None and gone.moment <= since:
                continue
            variants = _variants(history, made)
            until = f"endpoint {name}, deleted at {gone.moment:%Y-%m-%d %H:%M}" if gone else f"endpoint {name}, gone"
            if not variants or gone is None:
                found.not_counted.append(f"{until}: CloudTrail does not say what instances it had, and until when")
                continue
            for variant in variants:
                spans = after(periods([Change(made.moment, int(variant["initialInstanceCount"]))], gone.moment), since)
                ended = ", deleted (scaling not counted)"
                found.entries += _entries(name, variant["instanceType"], spans, now, ended)
    return found


def _ours(names: Names, made: Call) -> set[str]:
    """The endpoint that a CreateEndpoint made, where its tags or else its name say that it is the project's."""
    tags = made.request.get("tags")
    name = made.request.get("endpointName", "")
    if tags is not None and name:
        return {str(name)} if carries_event(tags, names) else set()
    return {names.endpoint, names.multi_endpoint} & made.names


def _variants(history: History, made: Call) -> list[Mapping[str, Any]]:
    """The variants of the configuration that an endpoint was made with, as its own event tells them."""
    wanted = made.request.get("endpointConfigName", "")
    for call in history.of(wanted, "CreateEndpointConfig") if wanted else []:
        found = [one for one in call.request.get("productionVariants", []) if "instanceType" in one]
        if found:
            return found
    return []


def _idle(clients: Clients, name: str, endpoint: Mapping[str, Any], now: datetime) -> str:
    """That nobody has asked an endpoint anything for a day, or since it is there; empty where somebody has."""
    begin = max(now - timedelta(days=_IDLE_DAYS), endpoint["CreationTime"])
    if now - begin < timedelta(minutes=10):
        return ""
    calls = 0.0
    for variant in endpoint.get("ProductionVariants", []):
        dimensions = {"EndpointName": name, "VariantName": variant["VariantName"]}
        calls += metric_sum(clients, "AWS/SageMaker", "Invocations", dimensions, begin, now)
    return f"no call in {span_words(now - begin)}" if calls == 0 else ""


def _tagged(clients: Clients, names: Names) -> Iterator[dict[str, Any]]:
    """DescribeEndpoint of those that carry the project's tag, whatever they are called."""
    sagemaker = clients.sagemaker
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        for summary in page["Endpoints"]:
            arn = summary["EndpointArn"]
            # One that was deleted since the list was made has no tags any more.
            told = answer_unless(partial(sagemaker.list_tags, ResourceArn=arn), "ValidationException")
            if told is None or not carries(told["Tags"], names):
                continue
            describe = partial(sagemaker.describe_endpoint, EndpointName=summary["EndpointName"])
            if (found := answer_unless(describe, "ValidationException")) is not None:
                yield found
