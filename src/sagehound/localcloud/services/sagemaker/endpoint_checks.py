"""Decisions about deployments without any effect: what is refused, what is retained, what a new capacity means."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import endpoint_capture
from sagehound.localcloud.services.sagemaker.endpoint_status import (
    ENDPOINT,
    Record,
    is_serverless,
    unsupported,
    variant_id,
)
from sagehound.localcloud.services.sagemaker.needs import IsTarget
from sagehound.localcloud.services.sagemaker.providers import Providers


def check_deployment_config(config: dict[str, Any] | None) -> None:
    """Refuse what is not done here: an update shifts all traffic at once, when the new fleet is healthy."""
    if config is None:
        return
    for member in ("RollingUpdatePolicy", "AutoRollbackConfiguration"):
        if config.get(member):
            raise unsupported(f"DeploymentConfig.{member}")
    routing = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    if routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise unsupported(f"TrafficRoutingConfiguration.Type {routing['Type']}")


def check_serverless(variant: Record) -> None:
    """What does not go together with ServerlessConfig in a variant, and what is not done here."""
    name, config = variant["VariantName"], variant["ServerlessConfig"]
    for member in ("InstanceType", "InitialInstanceCount", "VolumeSizeInGB"):
        if member in variant:
            raise validation(f"{member} cannot be specified together with ServerlessConfig for variant {name}.")
    if config["MemorySizeInMB"] % 1024:
        raise validation("MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120, 6144.")
    if "ProvisionedConcurrency" in config:
        raise unsupported("ProvisionedConcurrency of a ServerlessConfig")


def check_serverless_config(config: Record) -> None:
    """What AWS does not offer for serverless endpoints.

    https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html#serverless-endpoints-how-it-works-exclusions
    """
    if len(config["ProductionVariants"]) > 1:
        raise validation("An endpoint configuration with ServerlessConfig has one production variant.")
    if endpoint_capture.enabled(config.get("DataCaptureConfig", {"EnableCapture": False})):
        raise validation("DataCaptureConfig is not supported for serverless endpoints.")


def check_quotas(deployment: Record, region: str, providers: Providers, replaces: Record | None = None) -> None:
    """ResourceLimitExceeded when the settings' quota of an instance type would be exceeded.

    During a blue-green update both fleets count; `replaces` is the deployment that `deployment` changes in place.
    """
    used: Counter[str] = Counter()
    for record in providers.store.list(ENDPOINT, region):
        if record["EndpointStatus"] not in ("Failed", "Deleting"):
            for member in ("Deployment", "PendingDeployment"):
                used.update(_instances(record.get(member)))
    wanted = _instances(deployment)
    wanted.subtract(_instances(replaces))
    for instance_type, delta in wanted.items():
        quota = f"{instance_type} for endpoint usage"
        limit = providers.settings.quotas.get(quota)
        if limit is not None and delta > 0 and used[instance_type] + delta > limit:
            raise AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{quota}' is {limit} Instances, with current utilization of "
                f"{used[instance_type]} Instances and a request delta of {delta} Instances. Please use AWS Service "
                "Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS "
                "support to request an increase for this quota.",
            )


def check_targets(deployment: Record, record: Record, region: str, is_target: IsTarget) -> None:
    """ValidationException when an update changes the instance type of a scalable target, or leaves it out.

    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html: deregister it before, and after it
    register it again. AWS's own sentence is not known."""
    after = {variant["VariantName"]: variant.get("InstanceType") for variant in deployment["Variants"]}
    for variant in record["Deployment"]["Variants"]:
        name = variant["VariantName"]
        if after.get(name) != variant.get("InstanceType") and is_target(region, variant_id(record, variant)):
            raise validation(
                f'The variant "{name}" is registered with Application Auto Scaling: deregister it as a scalable target '
                "before an update that changes its instance type or removes it."
            )


def retain(deployment: Record, current: Record, excluded: set[str]) -> None:
    """RetainAllVariantProperties: variants that stay keep their count and weight, unless they are excluded."""
    before = {variant["VariantName"]: variant for variant in current["Variants"]}
    for variant in deployment["Variants"]:
        old = before.get(variant["VariantName"])
        if old is None:
            continue
        if "DesiredInstanceCount" not in excluded and not (is_serverless(variant) or is_serverless(old)):
            variant["InstanceCount"] = old["InstanceCount"]
        if "DesiredWeight" not in excluded:
            variant["Weight"] = old["Weight"]


def scaled(deployment: Record, desired: list[dict[str, Any]], config_name: str) -> Record:
    """The deployment with DesiredWeightsAndCapacities; a weight becomes current when the instances are there."""
    after = copy.deepcopy(deployment)
    variants = {variant["VariantName"]: variant for variant in after["Variants"]}
    unknown = [one["VariantName"] for one in desired if one["VariantName"] not in variants]
    if unknown:
        names = ", ".join(f'"{name}"' for name in unknown)
        raise validation(
            f'The variant name(s) {names} is/are not present within endpoint configuration "{config_name}".'
        )
    for one in desired:
        if one.get("ServerlessUpdateConfig"):
            raise unsupported("ServerlessUpdateConfig")
        variant = variants[one["VariantName"]]
        if "DesiredWeight" in one:
            variant["DesiredWeight"] = one["DesiredWeight"]
        if "DesiredInstanceCount" in one:
            if is_serverless(variant):
                raise validation(f"Variant {one['VariantName']} is serverless: it has no DesiredInstanceCount.")
            if one["DesiredInstanceCount"] < 1:
                raise validation(f"DesiredInstanceCount of variant {one['VariantName']} must be at least 1.")
            variant["InstanceCount"] = one["DesiredInstanceCount"]
    if not any(variant.get("DesiredWeight", variant["Weight"]) for variant in after["Variants"]):
        raise validation("At least one production variant must have a weight above 0.")
    return after


def _instances(deployment: Record | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for variant in deployment["Variants"] if deployment else []:
        if not is_serverless(variant):
            counts[variant["InstanceType"]] += variant["InstanceCount"]
    return counts
