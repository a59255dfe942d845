"""A project's bill from what AWS tells and a table of prices: collected, priced, compared"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.bill import price_usages
from sagehound.pipeline.cost.collect import NEVER_COUNTED, cloud_now, collect
from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.cost.usage import Usages
from sagehound.pipeline.cost.ways import ways_of
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.packaged import REGION, packaged_prices
from sagehound.pipeline.pricing.prices import PriceTable, Use
from sagehound.pipeline.pricing.query import ask_prices, connect_price_list, read_offers

Prices = Callable[[Usages], PriceTable]
"""A table that has what was used."""
_SHARED = (
    "The local cloud's instances share the processors of one machine: the times were measured there, whatever type "
    "was asked for."
)


def summarise(
    clients: Clients, names: Names, *, prices: Prices | None = None, since: datetime | None = None, run: str = ""
) -> CostSummary:
    """The bill of a project, or of what one run made of it, with its comparisons."""
    now = cloud_now(clients)
    with aws_step("cost"):
        usages = collect(clients, replace(names, run=run), since, now)
    usages.not_counted.append(NEVER_COUNTED)
    table = (prices or packaged(clients))(usages)
    moments = [one.since for one in usages.running] + [now]
    bill = price_usages(
        usages,
        table,
        charged=clients.place.charged,
        at=now,
        clock=clients.clock.sentence_for(moments),
        notes=[_SHARED] if clients.place.one_machine and (usages.jobs or usages.trainings) else [],
    )
    return CostSummary.of(bill)


def packaged(clients: Clients) -> Prices:
    """The table in the package; of a region other than its own it says so on the bill."""

    def table(usages: Usages) -> PriceTable:
        if clients.region != REGION:
            usages.not_counted.append(
                f"that {clients.region} has other prices than {REGION}: the table in the package knows only those; "
                "`sagehound cost --prices aws` reads its own"
            )
        return packaged_prices()

    return table


def from_aws(region: str, profile: str) -> Prices:
    """AWS's Price List, asked for what was used, for the same types in other ways of training, and for other types."""

    def table(usages: Usages) -> PriceTable:
        types = {item.removeprefix("ml.") for use, item in usages.needed() if use in (Use.TRAINING, Use.EC2)}
        elsewhere = [pair for each in sorted(types) for pair in ways_of(each)]
        compared = [(Use.TRAINING, item) for item in packaged_prices().items(Use.TRAINING)]
        return ask_prices(connect_price_list(profile), region, [*usages.needed(), *elsewhere, *compared])

    return table


def from_files(paths: Sequence[Path], region: str) -> Prices:
    """Offer files that were downloaded, over the table in the package where that is the region's."""

    def table(_: Usages) -> PriceTable:
        found = read_offers(paths, region)
        return found.over(packaged_prices()) if region == REGION else found

    return table


def chosen(given: str, region: str, profile: str) -> Prices | None:
    """The prices that --prices names: table (None), aws, or a file or folder of offer files."""
    if given in ("", "table"):
        return None
    if given == "aws":
        return from_aws(region, profile)
    path = Path(given)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise StepFailed(
            "cost",
            f"--prices {given}: neither table nor aws, and no offer file of AWS's Price List is there",
            "It is table, aws, or a file or folder with AWS's offer files (index.json).",
        )
    return from_files(files, region)
