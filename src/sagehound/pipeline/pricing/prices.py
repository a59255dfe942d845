"""Prices by what is used: what one unit costs, where that figure comes from, and what to do where there is none"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Use(StrEnum):
    """What AWS bills, one price each; an item (an instance type, a storage class) tells prices of one use apart."""

    TRAINING = "training"
    HOSTING = "hosting"
    NOTEBOOK = "notebook"
    TRAINING_STORAGE = "training-storage"
    NOTEBOOK_STORAGE = "notebook-storage"
    EC2 = "ec2"
    EBS = "ebs"
    IPV4 = "ipv4"
    LAMBDA_REQUESTS = "lambda-requests"
    LAMBDA_DURATION = "lambda-duration"
    LAMBDA_PROVISIONED = "lambda-provisioned"
    LAMBDA_PROVISIONED_DURATION = "lambda-provisioned-duration"
    S3_STORAGE = "s3-storage"
    S3_WRITES = "s3-writes"
    S3_READS = "s3-reads"
    ALARM = "alarm"


class Unit(StrEnum):
    """What a price is for one of."""

    HOUR = "hour"
    GB_SECOND = "GB-second"
    GB_MONTH = "GB-month"
    REQUEST = "request"
    MONTH = "month"


UNITS: Mapping[Use, Unit] = {
    **dict.fromkeys((Use.TRAINING, Use.HOSTING, Use.NOTEBOOK, Use.EC2, Use.IPV4), Unit.HOUR),
    **dict.fromkeys((Use.TRAINING_STORAGE, Use.NOTEBOOK_STORAGE, Use.EBS, Use.S3_STORAGE), Unit.GB_MONTH),
    **dict.fromkeys((Use.LAMBDA_REQUESTS, Use.S3_WRITES, Use.S3_READS), Unit.REQUEST),
    **dict.fromkeys((Use.LAMBDA_DURATION, Use.LAMBDA_PROVISIONED, Use.LAMBDA_PROVISIONED_DURATION), Unit.GB_SECOND),
    Use.ALARM: Unit.MONTH,
}
"""The unit in which AWS prices each use."""


@dataclass(frozen=True)
class Price:
    """What one unit of something costs, in US dollars."""

    use: Use
    item: str
    usd: Decimal
    source: str

    @property
    def unit(self) -> Unit:
        """What it is the price of."""
        return UNITS[self.use]

    @property
    def number(self) -> str:
        """``0.115``: dollars for one unit."""
        return _plain(self.usd)

    def words(self) -> str:
        """``0.115 an hour``; small ones for a million."""
        if self.unit in (Unit.REQUEST, Unit.GB_SECOND):
            return f"{_plain(self.usd * 1_000_000)} a million {'requests' if self.unit is Unit.REQUEST else 'GB-s'}"
        return f"{self.number} {_UNIT_WORDS[self.unit]}"


_UNIT_WORDS = {Unit.HOUR: "an hour", Unit.GB_MONTH: "a GB-month", Unit.MONTH: "a month"}


PRICE_LIST = "AWS Price List, now"
"""The origin of prices that AWS has just told."""


@dataclass(frozen=True)
class PriceTable:
    """The prices of one region."""

    region: str
    dated: str
    """When they were put together, or read, as a date."""
    origin: str
    """Where they come from, in a few words."""
    prices: Mapping[tuple[Use, str], Price] = field(default_factory=dict)

    def find(self, use: Use, item: str = "") -> Price | None:
        """The price, or None where the table has none."""
        return self.prices.get((use, item))

    def items(self, use: Use) -> list[str]:
        """The items of a use that have a price, the cheapest first."""
        found = [price for (one, _), price in self.prices.items() if one is use]
        return [price.item for price in sorted(found, key=lambda price: (price.usd, price.item))]

    def over(self, other: PriceTable) -> PriceTable:
        """These prices, and where one is missing that of the other table."""
        origin = f"{self.origin}; what they lack {other.origin}, {other.dated}"
        return PriceTable(self.region, self.dated, origin, {**other.prices, **self.prices})

    def why_missing(self, use: Use, item: str) -> str:
        """That there is no such price, and the way out."""
        what = f"{use} on {item}" if item else str(use)
        way_out = (
            f"is it offered in {self.region}?"
            if self.origin == PRICE_LIST
            else "`sagehound cost --prices aws` reads AWS's own Price List"
        )
        return f"{what}: no price in the table of {self.dated} ({self.origin}, {self.region}); {way_out}"


def table_of(region: str, dated: str, origin: str, prices: Iterable[Price]) -> PriceTable:
    """A table of these prices; of two for the same thing the later one holds."""
    return PriceTable(region, dated, origin, {(price.use, price.item): price for price in prices})


def _plain(value: Decimal) -> str:
    """A number as people write it: no exponent, cents, and no zeros behind them that say nothing."""
    whole, _, digits = f"{value.normalize():f}".partition(".")
    return f"{whole}.{digits:0<2}"
