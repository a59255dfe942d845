"""What planned calls would cost: each job by the hour and at most, what stands by itself by the hour and the month"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sagehound.pipeline.cost.arithmetic import HOUR, MONTH, cents, money
from sagehound.pipeline.plan_calls import Call
from sagehound.pipeline.pricing.packaged import packaged_prices
from sagehound.pipeline.pricing.prices import PriceTable, Use
from sagehound.settings import PipelineSettings

_DEFAULT_RUNTIME = 86_400


def estimate_lines(calls: list[Call], settings: PipelineSettings, table: PriceTable | None = None) -> list[str]:
    """A line for each call that begins to cost money: by the hour, since nobody knows before how long a job takes."""
    prices = table or packaged_prices()
    lines = [line for call in calls for line in _lines(call, prices, settings)]
    if not lines:
        return ["cost: nothing that is billed by time"]
    where = "" if settings.region == prices.region else f", and not those of {settings.region}"
    spot = "; on spot instances less, and AWS bills them so" if settings.spot.enabled else ""
    return [f"cost, in US dollars, with the prices of {prices.region} of {prices.dated}{where}{spot}:", *lines]


def _lines(call: Call, prices: PriceTable, settings: PipelineSettings) -> Iterator[str]:
    params = call.params
    if call.operation == "CreateTrainingJob":
        yield _job(params["TrainingJobName"], params["ResourceConfig"], params, 1, 1, prices)
    elif call.operation == "CreateHyperParameterTuningJob":
        trial, search = params["TrainingJobDefinition"], params["HyperParameterTuningJobConfig"]
        resources, at_once = trial["HyperParameterTuningResourceConfig"], search["ResourceLimits"]
        yield _job(
            params["HyperParameterTuningJobName"],
            resources,
            trial,
            _trials(search),
            at_once["MaxParallelTrainingJobs"],
            prices,
        )
    elif call.operation == "CreateEndpointConfig":
        for variant in params["ProductionVariants"]:
            what = f"{variant['InitialInstanceCount']} x {variant['InstanceType']}"
            yield _standing(f"an endpoint with {params['EndpointConfigName']}, {what}", Use.HOSTING, variant, prices)
    elif call.operation == "CreateNotebookInstance":
        one = {"InstanceType": params["InstanceType"], "InitialInstanceCount": 1}
        what = f"a notebook on {params['InstanceType']}, while it is not stopped"
        yield _standing(what, Use.NOTEBOOK, one, prices)
    elif call.operation == "RunInstances":
        price = prices.find(Use.EC2, params["InstanceType"])
        if price is None:
            yield f"  an instance: {prices.why_missing(Use.EC2, params['InstanceType'])}"
        else:
            limit = settings.instance.max_runtime_seconds
            most = f"at most {cents(money(price, Decimal(limit)))} (instance.max_runtime_seconds {limit:,})"
            yield f"  an instance: {params['InstanceType']}, {money(price, HOUR):.4f} an hour, {most}"
    elif call.operation == "PutProvisionedConcurrencyConfig":
        price = prices.find(Use.LAMBDA_PROVISIONED)
        if price is not None:
            count, memory = params["ProvisionedConcurrentExecutions"], settings.function.memory_size
            hour = money(price, HOUR * count * Decimal(memory) / 1024)
            yield _told(f"{count} environments of {params['FunctionName']} kept ready, {memory} MB", hour)


def _trials(search: Mapping[str, Any]) -> int:
    """How many jobs a search makes at most; a grid has as many as it has combinations, and no limit of its own."""
    if search["Strategy"] == "Grid":
        return math.prod(len(one["Values"]) for one in search["ParameterRanges"]["CategoricalParameterRanges"])
    return int(search["ResourceLimits"]["MaxNumberOfTrainingJobs"])


def _job(
    name: str, resources: Mapping[str, Any], job: Mapping[str, Any], trials: int, at_once: int, prices: PriceTable
) -> str:
    instances, kind = resources["InstanceCount"], resources["InstanceType"]
    price = prices.find(Use.TRAINING, kind)
    if price is None:
        return f"  {name}: {prices.why_missing(Use.TRAINING, kind)}"
    runtime = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DEFAULT_RUNTIME)
    most = money(price, Decimal(runtime) * instances * trials)
    hour = money(price, HOUR * instances * at_once)
    many = f"{trials} trials, {at_once} at once, " if trials > 1 else ""
    return (
        f"  {name}: {many}{instances} x {kind}, {hour:.4f} an hour, at most {cents(most)} "
        f"(MaxRuntimeInSeconds {runtime:,})"
    )


def _standing(what: str, use: Use, variant: Mapping[str, Any], prices: PriceTable) -> str:
    price = prices.find(use, variant["InstanceType"])
    if price is None:
        return f"  {what}: {prices.why_missing(use, variant['InstanceType'])}"
    return _told(what, money(price, HOUR * variant["InitialInstanceCount"]))


def _told(what: str, hour: Decimal) -> str:
    return f"  {what}: {hour:.4f} an hour, {cents(hour * MONTH / HOUR)} a month while it is there"
