"""The table of prices in the package: us_east_1.toml, with the source and the date of every group"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from functools import cache
from importlib.resources import files

from sagehound.pipeline.pricing.prices import UNITS, Price, PriceTable, Unit, Use, table_of

REGION = "us-east-1"


class DamagedTable(ValueError):
    """The table is not as it should be; the text says what."""


@cache
def packaged_prices() -> PriceTable:
    """The prices that came with the package."""
    return parse_table(files(__package__).joinpath("us_east_1.toml").read_text(encoding="utf-8"))


def parse_table(text: str) -> PriceTable:
    """A table in TOML; raises DamagedTable for an unknown use, unit or source, and for what is no price."""
    try:
        found = tomllib.loads(text)
        sources = found["sources"]
        prices = [
            Price(_use(group), item, _amount(usd, item), sources[group["source"]])
            for group in found["prices"]
            for item, usd in group["usd"].items()
        ]
        return table_of(found["region"], found["table"], "came with the package", prices)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedTable(f"a table of prices lacks {error}") from error


def _use(group: dict[str, str]) -> Use:
    use, unit = group["use"], group["unit"]
    if use not in set(Use) or unit not in set(Unit) or UNITS[Use(use)] is not Unit(unit):
        raise DamagedTable(f"{use} is not priced by the {unit}")
    return Use(use)


def _amount(usd: object, item: str) -> Decimal:
    # A number of TOML would have passed through binary: prices are texts.
    if not isinstance(usd, str) or not usd.replace(".", "", 1).isdecimal():
        raise DamagedTable(f"the price of {item or 'an item'} is {usd!r}, and no text with a number")
    return Decimal(usd)
