"""AWS's Price List as AWS writes it: products and terms of GetProducts or of an offer file become prices"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from sagehound.pipeline.pricing.prices import Price, Use

_REGION = r"(?:[A-Z]{2,4}\d?-)?"
_RULES: tuple[tuple[str, re.Pattern[str], Use, str], ...] = tuple(
    (service, re.compile(_REGION + pattern + "$"), use, item)
    for service, pattern, use, item in (
        ("AmazonSageMaker", r"Train:(?P<item>ml\.[\w.-]+)", Use.TRAINING, ""),
        ("AmazonSageMaker", r"Host:(?P<item>ml\.[\w.-]+)", Use.HOSTING, ""),
        ("AmazonSageMaker", r"Notebk:(?P<item>ml\.[\w.-]+)", Use.NOTEBOOK, ""),
        ("AmazonSageMaker", r"Train:VolumeUsage\.gp2", Use.TRAINING_STORAGE, ""),
        ("AmazonSageMaker", r"Notebk:VolumeUsage\.gp2", Use.NOTEBOOK_STORAGE, ""),
        ("AmazonEC2", r"BoxUsage:(?P<item>[\w.-]+)", Use.EC2, ""),
        ("AmazonEC2", r"EBS:VolumeUsage\.(?P<item>gp3|st1|sc1)", Use.EBS, ""),
        ("AmazonEC2", r"EBS:VolumeUsage\.gp2", Use.EBS, "gp2"),
        ("AmazonVPC", r"PublicIPv4:InUseAddress", Use.IPV4, ""),
        ("AWSLambda", r"Request", Use.LAMBDA_REQUESTS, ""),
        ("AWSLambda", r"Lambda-GB-Second", Use.LAMBDA_DURATION, ""),
        ("AWSLambda", r"Lambda-Provisioned-Concurrency", Use.LAMBDA_PROVISIONED, ""),
        ("AWSLambda", r"Lambda-Provisioned-GB-Second", Use.LAMBDA_PROVISIONED_DURATION, ""),
        ("AmazonS3", r"TimedStorage-ByteHrs", Use.S3_STORAGE, "STANDARD"),
        ("AmazonS3", r"Requests-Tier1", Use.S3_WRITES, ""),
        ("AmazonS3", r"Requests-Tier2", Use.S3_READS, ""),
        ("AmazonCloudWatch", r"CW:AlarmMonitorUsage", Use.ALARM, ""),
    )
)
"""(service, usage type, use, item): only a usage type says surely what a product is, behind the region's letters."""

_PLAIN: Mapping[Use, Mapping[str, str]] = {
    Use.EC2: {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"},
    Use.S3_STORAGE: {"volumeType": "Standard"},
}
"""What tells products of one usage type apart: licences and dedicated hosts, and what watches over tiered storage."""


_DATE = len("2026-11-23")


class NotAnOffer(ValueError):
    """What was read is no part of AWS's Price List; the text says why."""


Product = Mapping[str, Any]
"""{"product": {"sku", "attributes"}, "terms": {"OnDemand": {...}}}, as GetProducts has it."""


def products_of_answer(price_list: Iterable[str]) -> Iterator[Product]:
    """The products of GetProducts' PriceList, whose entries are JSON in texts."""
    for text in price_list:
        yield _checked(text)


def products_of_offer(text: str) -> Iterator[Product]:
    """The products of an offer file (index.json), where products and terms lie apart."""
    offer = _checked(text)
    try:
        on_demand = offer["terms"].get("OnDemand", {})
        for sku, product in offer["products"].items():
            service = {"serviceCode": product["attributes"].get("servicecode", offer.get("offerCode", ""))}
            yield {**service, "product": product, "terms": {"OnDemand": on_demand.get(sku, {})}}
    except (KeyError, AttributeError, TypeError) as error:
        raise NotAnOffer(f"no offer file of AWS's Price List: {type(error).__name__} {error}") from error


def published(text: str) -> str:
    """The date on which AWS published an offer file."""
    told = _checked(text).get("publicationDate")
    if not isinstance(told, str) or len(told) < _DATE:
        raise NotAnOffer("no offer file of AWS's Price List: it has no publicationDate")
    return told[:_DATE]


def prices_of(products: Iterable[Product], region: str) -> Iterator[Price]:
    """What those products cost that a run may use, on demand and in the region; others are passed over."""
    for entry in products:
        try:
            price = _price(entry, region)
        except (KeyError, AttributeError, TypeError, InvalidOperation) as error:
            raise NotAnOffer(f"a product of the Price List has no {error}") from error
        if price is not None:
            yield price


def _checked(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise NotAnOffer(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise NotAnOffer("no JSON object")
    return found


def _price(entry: Product, region: str) -> Price | None:
    attributes = entry["product"].get("attributes", {})
    if attributes.get("regionCode", region) != region:
        return None
    known = _known(attributes.get("servicecode") or entry.get("serviceCode", ""), attributes.get("usagetype", ""))
    if known is None:
        return None
    use, item = known
    if any(attributes.get(name, value) != value for name, value in _PLAIN.get(use, {}).items()):
        return None
    usd = _first_tier(entry["terms"].get("OnDemand", {}))
    if usd is None:
        return None
    sku = entry["product"]["sku"]
    return Price(use, item, usd, f"AWS Price List, {attributes['usagetype']}, SKU {sku}")


def _known(service: str, usage_type: str) -> tuple[Use, str] | None:
    for of, pattern, use, item in _RULES:
        if of == service and (match := pattern.match(usage_type)):
            return use, item or match.groupdict().get("item", "")
    return None


def _first_tier(on_demand: Mapping[str, Any]) -> Decimal | None:
    """The price that counts from the first unit on; None where the product has none in dollars."""
    for term in on_demand.values():
        for dimension in term["priceDimensions"].values():
            # A product without tiers has no beginRange in some offers.
            if Decimal(dimension.get("beginRange") or 0) == 0 and "USD" in dimension["pricePerUnit"]:
                return Decimal(dimension["pricePerUnit"]["USD"])
    return None
