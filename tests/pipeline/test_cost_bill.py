"""A bill of known usages, to the cent as computed by hand; prices that are missing; what holds for every bill."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.pipeline.cost.bill import Bill, dollars, merged, price_usages
from sagehound.pipeline.cost.comparisons import estimated_seconds, others, several
from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.cost.table import bill_lines
from sagehound.pipeline.cost.usage import InstanceTraining, Job, Running, Usage, Usages
from sagehound.pipeline.cost.ways import Ways, ways
from sagehound.pipeline.pricing.packaged import packaged_prices
from sagehound.pipeline.pricing.prices import PriceTable, Use, table_of

MONTH = Decimal(730 * 3600)
ONE = Job("dogs-train-1", "train", "ml.m5.xlarge", 1, Decimal(1174), Decimal(1217), Decimal(1000))
FIVE = Job("dogs-train-5", "train x5", "ml.m5.xlarge", 5, Decimal(1181), Decimal(5865), Decimal(1010))

SMALL = InstanceTraining("dogs-instance-1", "i-1", "t2.small", Decimal("70.4"), Decimal(71), Decimal("29.3"))


def used(use: Use, item: str, quantity: str, step: str = "train", resource: str = "dogs", what: str = "") -> Usage:
    return Usage(step, what or f"{resource}, {item}", use, item, Decimal(quantity), Decimal(1), 1, resource)


KNOWN = [
    # two trials on ml.g4dn.xlarge: (1150 + 1250) x 0.736 / 3600 = 0.490666...
    used(Use.TRAINING, "ml.g4dn.xlarge", "1150", "tune", "dogs-hpo"),
    used(Use.TRAINING, "ml.g4dn.xlarge", "1250", "tune", "dogs-hpo"),
    # one and five instances of ml.m5.xlarge: 1217 x 0.23 / 3600 = 0.077752..., 5865 x 0.23 / 3600 = 0.374708...
    used(Use.TRAINING, "ml.m5.xlarge", "1217", "train", "dogs-train-1"),
    used(Use.TRAINING, "ml.m5.xlarge", "5865", "train x5", "dogs-train-5"),
    # their volumes of 30 GB: 30 x (1217 + 5865) s x 0.14 / 2,628,000 = 0.011318...
    used(Use.TRAINING_STORAGE, "", str(30 * (1217 + 5865)), "train"),
    # a notebook ml.m5.xlarge for eight hours: 8 x 0.23 = 1.84
    used(Use.NOTEBOOK, "ml.m5.xlarge", str(8 * 3600), "notebook"),
    # t2.small on EC2 for 90 minutes: 1.5 x 0.023 = 0.0345
    used(Use.EC2, "t2.small", str(90 * 60), "instance"),
    # two endpoints ml.m5.large for a day: 2 x 24 x 0.115 = 5.52
    used(Use.HOSTING, "ml.m5.large", str(2 * 24 * 3600), "endpoint"),
    # 2 environments of 512 MB ready for a day: 2 x 0.5 x 86,400 x 0.0000041667 = 0.36000288
    used(Use.LAMBDA_PROVISIONED, "", "86400", "function"),
    # 100,000 requests: 0.02; of 80 ms at 512 MB in ready environments: 4,000 GB-s x 0.0000097222 = 0.0388888
    used(Use.LAMBDA_REQUESTS, "", "100000", "function"),
    used(Use.LAMBDA_PROVISIONED_DURATION, "", "4000", "function"),
    # 1.2 GB in S3 for a month: 0.0276; 8,351 writes: 0.041755
    used(Use.S3_STORAGE, "STANDARD", str(Decimal("1.2") * MONTH), "storage"),
    used(Use.S3_WRITES, "", "8351", "storage"),
]
# 0.490667 + 0.077753 + 0.374708 + 0.011318 + 1.84 + 0.0345 + 5.52 + 0.360003 + 0.02 + 0.038889 + 0.0276 + 0.041755
# = 8.837193
BY_HAND = "8.84"


def bill_of(entries: list[Usage], table: PriceTable | None = None, running: list[Running] | None = None) -> Bill:
    return price_usages(Usages(entries, running or []), table or packaged_prices(), charged=False)


def test_a_known_list_of_usages_costs_what_was_computed_by_hand() -> None:
    bill = bill_of(KNOWN)
    assert bill.as_dict()["usd_in_cents"] == BY_HAND
    assert f"{bill.usd:.6f}" == "8.837193"
    sums = {step: f"{amount:.4f}" for step, amount in bill.steps().items()}
    assert sums["tune"] == "0.4907"
    assert sums["endpoint"] == "5.5200"
    assert sums["function"] == "0.4189"


def test_trials_of_a_tuning_are_one_line() -> None:
    lines = bill_of(KNOWN).lines
    (tune,) = [line for line in lines if line.usage.step == "tune"]
    assert tune.usage.quantity == 2400
    assert tune.usage.what == "dogs-hpo, 2 times ml.g4dn.xlarge"
    # in the order of a run
    steps = list(dict.fromkeys(line.usage.step for line in lines))
    assert steps == ["tune", "train", "train x5", "notebook", "instance", "endpoint", "function", "storage"]


def test_a_type_without_a_price_is_told_and_left_out_of_the_sum() -> None:
    strange = used(Use.TRAINING, "ml.x9.huge", "3600", resource="odd")
    bill = bill_of([*KNOWN, strange])
    assert bill.usd == bill_of(KNOWN).usd
    (missing,) = bill.missing
    assert "training on ml.x9.huge" in missing
    assert "--prices aws" in missing
    (line,) = [line for line in bill.lines if line.price is None]
    assert line.usd is None
    text = "\n".join(bill_lines(CostSummary.of(bill)))
    assert "no price: training on ml.x9.huge" in text
    assert "for what has a price" in bill.sentence()


def test_a_table_without_the_type_leaves_no_hidden_zero() -> None:
    table = packaged_prices()
    poorer = table_of("us-east-1", "x", "x", [one for one in table.prices.values() if one.item != "ml.m5.large"])
    bill = bill_of(KNOWN, poorer)
    # without the endpoints: 8.837193 - 5.52
    assert f"{bill.usd:.6f}" == "3.317193"
    assert any("hosting on ml.m5.large" in one for one in bill.missing)


def test_in_the_local_cloud_nothing_was_charged_and_on_aws_something_is() -> None:
    assert "nothing was charged: on AWS this would have cost $8.84" in bill_of(KNOWN).sentence()
    assert "nothing was charged" not in replace(bill_of(KNOWN), charged=True).sentence()


def test_what_runs_is_told_with_an_hour_and_a_month() -> None:
    running = [Running("endpoint dogs", Use.HOSTING, "ml.m5.large", Decimal(2), idle="no call in 24 h")]
    bill = bill_of([], running=running)
    # 2 x 0.115 = 0.23 an hour; x 730 = 167.90 a month
    assert bill.an_hour == Decimal("0.23")
    assert bill.a_month == Decimal("167.90")
    text = "\n".join(bill_lines(CostSummary.of(bill)))
    assert "no call in 24 h" in text
    assert "$167.90" in text


def test_what_runs_is_told_with_its_type_and_its_age() -> None:
    since = datetime(2026, 11, 23, 12, tzinfo=UTC)
    running = [Running("endpoint dogs", Use.HOSTING, "ml.m5.large", Decimal(1), since)]
    bill = price_usages(Usages([], running), packaged_prices(), charged=False, at=since + timedelta(hours=26))
    (line,) = [one for one in bill_lines(CostSummary.of(bill)) if "endpoint dogs" in one]
    assert "endpoint dogs, ml.m5.large" in line
    assert " 26 h " in line


def priced(found: Ways | None) -> dict[tuple[str, str, str], str]:
    """(way, type, what was measured) -> money."""
    assert found is not None
    return {(one.what, one.instance_type, one.name): f"{one.usd:.6f}" for one in found.found}


def test_a_job_and_an_ec2_training_stand_beside_each_other_with_what_they_took() -> None:
    found = ways(ONE, SMALL, packaged_prices())
    # 1217 x 0.230 / 3600, 71 x 0.023 / 3600, 1217 x 0.192 / 3600; a notebook costs as much as a job. There is no
    # ml.t2.small, neither for jobs nor for notebooks.
    assert priced(found) == {
        ("training job", "ml.m5.xlarge", "dogs-train-1"): "0.077753",
        ("EC2 instance", "t2.small", "dogs-instance-1"): "0.000454",
        ("EC2 instance", "m5.xlarge", ""): "0.064907",
        ("notebook instance", "ml.m5.xlarge", ""): "0.077753",
    }
    text = "\n".join(bill_lines(CostSummary.of(replace(bill_of([]), jobs=[ONE], trainings=[SMALL]))))
    job, instance = [line.split() for line in text.splitlines() if line.endswith(" measured")][:2]
    assert job[:6] == ["training", "job", "ml.m5.xlarge", "1,000", "1,174", "1,217"]
    assert instance[:6] == ["EC2", "instance", "t2.small", "29", "70", "71"]
    assert "m5.xlarge costs $0.192 an hour on EC2; as ml.m5.xlarge $0.23 an hour in a training job" in text
    assert "EC2 costs 17 % less" in text
    assert "t2.small and ml.m5.xlarge are different machines" in text
    told = CostSummary.of(replace(bill_of([]), jobs=[ONE], trainings=[SMALL])).as_dict()["ec2_or_sagemaker"]
    assert [one["measured"] for one in told["ways"]] == [True, True, False, False]
    assert told["ways"][1]["script_seconds"] == "29.3"


def test_features_that_were_extracted_before_are_told_beside_the_instance_that_does_all_of_it() -> None:
    features = Job("dogs-features-1", "features", "ml.m5.xlarge", 1, Decimal(300), Decimal(300), Decimal(280))
    other = replace(features, name="dogs-features-0", seconds=Decimal(9))
    built = replace(ONE, features="s3://dogs/dogs/jobs/dogs-features-1/output/model/", seconds=Decimal(100))
    built = replace(built, billable=Decimal(100))
    bill = replace(bill_of([]), jobs=[other, features, built], trainings=[SMALL])
    found = CostSummary.of(bill).ways
    assert found is not None
    assert [one.name for one in found.found if one.measured] == ["dogs-features-1", "dogs-train-1", "dogs-instance-1"]
    # 400 x 0.230 / 3600 = 0.025556, against 71 x 0.023 / 3600 = 0.000454
    (told,) = [one for one in found.sentences() if "extracted once" in one]
    assert "400 s and $0.0256" in told
    assert "in 70 s and for $0.000454" in told
    # One that reads pictures has no such job before it.
    alone = CostSummary.of(replace(bill, jobs=[features, ONE])).ways
    assert alone is not None
    assert not any("extracted" in one for one in alone.sentences())


def test_of_the_same_type_nothing_has_to_be_computed_for_ec2() -> None:
    found = ways(ONE, replace(SMALL, instance_type="m5.xlarge"), packaged_prices())
    assert found is not None
    assert [(one.what, one.measured) for one in found.found] == [
        ("training job", True),
        ("EC2 instance", True),
        ("notebook instance", False),
    ]
    assert not any("different machines" in one for one in found.sentences())


def test_the_least_that_ec2_bills_is_told_and_elsewhere_the_time_counts() -> None:
    short = replace(SMALL, instance_type="m5.large", seconds=Decimal("19.2"), billable=Decimal(60))
    found = ways(None, short, packaged_prices())
    # 60 x 0.096 / 3600, and 20 x 0.115 / 3600 in a job or on a notebook
    assert list(priced(found).values()) == ["0.001600", "0.000639", "0.000639"]
    assert found is not None
    assert any("EC2 bills at least 60 s, and not 19" in one for one in found.sentences())


def test_a_spot_job_pays_less_and_the_other_ways_take_the_time_that_it_took() -> None:
    spot = replace(ONE, seconds=Decimal(500), billable=Decimal(100))
    # 100 x 0.230 / 3600; 500 x 0.192 / 3600; 500 x 0.230 / 3600
    assert list(priced(ways(spot, None, packaged_prices())).values()) == ["0.006389", "0.026667", "0.031944"]


def test_without_a_training_or_a_price_nothing_is_compared() -> None:
    assert ways(None, None, packaged_prices()) is None
    assert ways(replace(ONE, instance_type="ml.x9.huge"), None, packaged_prices()) is None


def test_one_against_five() -> None:
    found = several([ONE, FIVE], packaged_prices())
    assert found is not None
    # 5865 / 1217 = 4.819..., 1181 / 1174 = 1.00596...
    assert f"{found.bill_ratio:.3f}" == "4.819"
    assert f"{found.time_ratio:.4f}" == "1.0060"
    assert several([ONE], packaged_prices()) is None
    assert several([ONE, replace(FIVE, instance_type="ml.g4dn.xlarge")], packaged_prices()) is None


def test_other_types_are_estimates_between_bounds_and_the_own_type_is_what_was_measured() -> None:
    # 174 s stay, 1000 s of four processors are 500 s of eight, or 2000 s of two
    assert estimated_seconds(ONE, 4, 8) == (Decimal(674), Decimal(1174))
    assert estimated_seconds(ONE, 4, 2) == (Decimal(1174), Decimal(2174))
    found = {other.instance_type: other for other in others(ONE, packaged_prices())}
    own = found["ml.m5.xlarge"]
    assert own.measured
    assert own.seconds == (1174, 1174)
    assert f"{own.usd[0]:.6f}" == "0.077753"
    # 1174 to 2174 s of 0.115 an hour: 0.0375 to 0.0694
    assert [f"{one:.4f}" for one in found["ml.m5.large"].usd] == ["0.0375", "0.0694"]
    assert all(other.measured == (name == "ml.m5.xlarge") for name, other in found.items())
    assert found["ml.g4dn.xlarge"].gpus == 1
    text = "\n".join(bill_lines(CostSummary.of(replace(bill_of([]), jobs=[ONE]))))
    assert "Estimates, not measurements" in text
    assert "NVIDIA T4 not counted" in text


@pytest.mark.parametrize("columns", [96, 120, 140])
def test_a_narrow_terminal_gets_lines_that_fit(columns: int) -> None:
    summary = CostSummary.of(replace(bill_of(KNOWN), jobs=[ONE, FIVE], trainings=[SMALL]))
    lines = bill_lines(summary, columns)
    assert max(map(len, lines)) <= columns
    # Nothing of it is lost: it only goes on in the next line.
    wide = " ".join(bill_lines(summary)).split()
    assert {word for line in lines for word in line.split()} >= {word for word in wide if word.startswith("$")}


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "$0"),
        ("0.0000004", "< $0.000001"),
        ("0.000032", "$0.000032"),
        ("0.0778", "$0.0778"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_amounts_as_people_read_them(amount: str, shown: str) -> None:
    assert dollars(Decimal(amount)) == shown


ENTRIES = st.lists(
    st.builds(
        used,
        st.sampled_from([Use.TRAINING, Use.HOSTING]),
        st.sampled_from(["ml.m5.large", "ml.m5.xlarge"]),
        st.integers(0, 10**7).map(str),
        st.sampled_from(["tune", "train", "endpoint"]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=12,
)


@given(ENTRIES, ENTRIES)
def test_the_bill_of_two_lists_is_the_sum_of_their_bills(one: list[Usage], other: list[Usage]) -> None:
    assert abs(bill_of([*one, *other]).usd - bill_of(one).usd - bill_of(other).usd) < Decimal("1e-12")


@given(ENTRIES)
def test_merging_loses_nothing(entries: list[Usage]) -> None:
    assert sum(one.quantity for one in merged(entries)) == sum(one.quantity for one in entries)
    assert len(merged(entries)) <= len(entries)
