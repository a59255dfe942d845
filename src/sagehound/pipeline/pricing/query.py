"""Today's prices from AWS: the Price List's GetProducts, asked for what a bill needs and for nothing else"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.pricing.offers import (
    NotAnOffer,
    Product,
    prices_of,
    products_of_answer,
    products_of_offer,
    published,
)
from sagehound.pipeline.pricing.prices import PRICE_LIST, PriceTable, Use, table_of

_HOME = "us-east-1"
"""GetProducts answers in a few regions only, and there for all of them."""

_SERVICES: Mapping[Use, tuple[str, Mapping[str, str]]] = {
    **{use: ("AmazonSageMaker", {"instanceName": "{item}"}) for use in (Use.TRAINING, Use.HOSTING, Use.NOTEBOOK)},
    **{use: ("AmazonSageMaker", {"productFamily": "Storage"}) for use in (Use.TRAINING_STORAGE, Use.NOTEBOOK_STORAGE)},
    Use.EC2: ("AmazonEC2", {"instanceType": "{item}", "operatingSystem": "Linux", "tenancy": "Shared"}),
    Use.EBS: ("AmazonEC2", {"volumeApiName": "{item}", "productFamily": "Storage"}),
    Use.IPV4: ("AmazonVPC", {"group": "VPCPublicIPv4Address"}),
    **{
        use: ("AWSLambda", {})
        for use in (
            *(Use.LAMBDA_REQUESTS, Use.LAMBDA_DURATION, Use.LAMBDA_PROVISIONED),
            Use.LAMBDA_PROVISIONED_DURATION,
        )
    },
    Use.S3_STORAGE: ("AmazonS3", {"productFamily": "Storage", "volumeType": "Standard"}),
    Use.S3_WRITES: ("AmazonS3", {"group": "S3-API-Tier1"}),
    Use.S3_READS: ("AmazonS3", {"group": "S3-API-Tier2"}),
    Use.ALARM: ("AmazonCloudWatch", {"productFamily": "Alarm"}),
}
"""Where a price is: the service, and what narrows its products down ({item} is an instance type). What an answer
holds is told by its usage types all the same, so a filter that is too wide only costs pages."""


def connect_price_list(profile: str) -> Any:
    """A boto3 client of AWS's Price List with the person's own keys; raises StepFailed without any."""
    import boto3
    import botocore.exceptions

    try:
        session = boto3.Session(profile_name=profile or None)
    except botocore.exceptions.ProfileNotFound as error:
        raise StepFailed("cost", str(error), "Give --profile one that `aws configure list-profiles` names.") from error
    if session.get_credentials() is None:
        raise StepFailed(
            "cost",
            "AWS's Price List needs AWS credentials, and none were found",
            "Run `aws configure`; or use the table in the package, without --prices.",
        )
    return session.client("pricing", region_name=_HOME)


def ask_prices(price_list: Any, region: str, wanted: Iterable[tuple[Use, str]]) -> PriceTable:
    """The prices of these uses and items as AWS has them now; what it has no price for is not in the table."""
    questions = dict.fromkeys(_question(use, item) for use, item in wanted)
    with aws_step("cost"):
        try:
            prices = [
                price
                for service, filters in questions
                for price in prices_of(_ask(price_list, service, {"regionCode": region, **dict(filters)}), region)
            ]
        except NotAnOffer as error:
            raise StepFailed("cost", f"AWS's Price List: {error}", "Use the table in the package.") from error
    return table_of(region, f"{datetime.now(UTC):%Y-%m-%d}", PRICE_LIST, prices)


def read_offers(paths: Iterable[Path], region: str) -> PriceTable:
    """The prices in offer files that were downloaded from AWS's Price List; raises StepFailed for another file."""
    prices = []
    dates = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
            prices += list(prices_of(products_of_offer(text), region))
            dates.append(published(text))
        except (NotAnOffer, UnicodeDecodeError, OSError) as error:
            raise StepFailed(
                "cost",
                f"{path}: {error}",
                "Give offer files as AWS writes them: "
                f"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonSageMaker/current/{region}/index.json",
            ) from error
    return table_of(region, min(dates, default=""), "offer files of AWS's Price List", prices)


def _question(use: Use, item: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    service, filters = _SERVICES[use]
    return service, tuple((name, value.format(item=item)) for name, value in filters.items())


def _ask(price_list: Any, service: str, filters: Mapping[str, str]) -> Iterator[Product]:
    asked = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()]
    pages = price_list.get_paginator("get_products").paginate(
        ServiceCode=service, Filters=asked, FormatVersion="aws_v1"
    )
    for page in pages:
        yield from products_of_answer(page["PriceList"])
