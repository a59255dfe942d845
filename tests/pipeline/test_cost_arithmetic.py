"""How AWS counts: known usages against bills that were computed by hand, and what holds for every usage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.pipeline.cost.arithmetic import (
    billed_at_most,
    billed_milliseconds,
    cents,
    ec2_seconds,
    exact_seconds,
    gb_seconds,
    in_five_minutes,
    money,
    provisioned_gb_seconds,
    stored,
    training_seconds,
    volume,
)
from sagehound.pipeline.cost.timeline import Change, Period, after, agreeing, instance_seconds, periods, runs
from sagehound.pipeline.pricing.prices import Price, Use

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def price(use: Use, usd: str) -> Price:
    return Price(use, "", Decimal(usd), "by hand")


@pytest.mark.parametrize(
    ("usd", "billable", "instances", "expected"),
    [
        ("0.230", 1217, 1, "0.08"),  # 1217 x 0.230 / 3600 = 0.0777527...
        ("0.230", 1173, 5, "0.37"),  # 1173 x 5 x 0.230 / 3600 = 0.3747083...
        ("0.736", 2580, 1, "0.53"),  # 43 min: 2580 x 0.736 / 3600 = 0.5274666...
        ("3.825", 3600, 4, "15.30"),  # 4 hours of 3.825
        ("0.115", 1, 1, "0.00"),  # one second, no minimum: 0.0000319...
    ],
)
def test_trainings_cost_billable_seconds_times_instances(
    usd: str, billable: int, instances: int, expected: str
) -> None:
    assert cents(money(price(Use.TRAINING, usd), training_seconds(billable, instances))) == Decimal(expected)


def test_spot_training_pays_the_billable_seconds_and_no_others() -> None:
    # BillableTimeInSeconds 100 of TrainingTimeInSeconds 500: 80 % saved, says AWS. 100 x 2 x 0.736 / 3600 = 0.040888...
    assert cents(money(price(Use.TRAINING, "0.736"), training_seconds(100, 2))) == Decimal("0.04")


@pytest.mark.parametrize(
    ("seconds", "billed"),
    [([5], 60), ([60], 60), (["60.2"], 61), ([3600], 3600), ([10, 10, 100], 220), ([], 0)],
)
def test_ec2_bills_seconds_with_a_minute_at_each_start(seconds: list[str], billed: int) -> None:
    assert ec2_seconds(Decimal(one) for one in seconds) == billed


def test_lambda_bills_each_call_up_to_the_next_millisecond() -> None:
    assert billed_milliseconds([Decimal("12.01"), Decimal("12"), Decimal("0.4")]) == 13 + 12 + 1
    # 3,000,000 calls of 120 ms with 1536 MB: 3e6 x 0.120 x 1.5 = 540,000 GB-s; x 0.0000166667 = 9.000018,
    # and 3,000,000 x 0.0000002 = 0.60: together 9.60.
    used = gb_seconds(Decimal(3_000_000 * 120), 1536)
    assert used == 540_000
    duration = money(price(Use.LAMBDA_DURATION, "0.0000166667"), used)
    requests = money(price(Use.LAMBDA_REQUESTS, "0.0000002"), Decimal(3_000_000))
    assert cents(duration) == Decimal("9.00")
    assert cents(duration + requests) == Decimal("9.60")


@given(st.lists(st.decimals(min_value="0.001", max_value=900_000, places=3), min_size=1, max_size=30))
def test_what_is_billed_at_most_is_never_less_than_what_is_billed(durations: list[Decimal]) -> None:
    at_most = billed_at_most(sum(durations, Decimal(0)), len(durations))
    exact = billed_milliseconds(durations)
    assert exact <= at_most < exact + len(durations)


def test_no_call_is_billed_nothing() -> None:
    assert billed_at_most(Decimal(0), 0) == 0


def test_provisioned_concurrency_is_billed_in_steps_of_five_minutes() -> None:
    assert in_five_minutes(Decimal(1)) == 300
    assert in_five_minutes(Decimal(300)) == 300
    assert in_five_minutes(Decimal("300.01")) == 600
    # 2 environments of 512 MB for a month: 2 x 0.5 x 2,628,000 s x 0.0000041667 = 10.9500876
    used = provisioned_gb_seconds(Decimal(2 * 2_628_000), 512)
    assert cents(money(price(Use.LAMBDA_PROVISIONED, "0.0000041667"), used)) == Decimal("10.95")


def test_a_gb_month_is_2_to_the_30_bytes_for_730_hours() -> None:
    month = Decimal(730 * 3600)
    # 10 GB for a month at 0.023 = 0.23; 30 GB of gp3 on two instances for half a month: 30 x 2 x 0.5 x 0.08 = 2.40
    assert cents(money(price(Use.S3_STORAGE, "0.023"), stored(10 * 2**30, month))) == Decimal("0.23")
    assert cents(money(price(Use.EBS, "0.08"), volume(30, month / 2, 2))) == Decimal("2.40")
    # three alarms for 73 hours: 3 x 0.1 x 0.10 = 0.03
    assert cents(money(price(Use.ALARM, "0.10"), Decimal(3 * 73 * 3600))) == Decimal("0.03")


@given(
    st.sampled_from(list(Use)),
    st.decimals(min_value=0, max_value=1_000_000, places=6),
    st.decimals(min_value=0, max_value=1_000_000, places=6),
)
def test_money_grows_with_use_and_adds_up(use: Use, one: Decimal, more: Decimal) -> None:
    asked = price(use, "0.115")
    together = money(asked, one + more)
    assert together >= money(asked, one) >= 0
    assert abs(together - money(asked, one) - money(asked, more)) < Decimal("1e-15")


@given(st.lists(st.decimals(min_value=0, max_value=10_000, places=3), max_size=20))
def test_each_start_of_an_instance_costs_a_minute_or_its_own_time(seconds: list[Decimal]) -> None:
    billed = ec2_seconds(seconds)
    assert billed >= max(sum(seconds, Decimal(0)), Decimal(60 * len(seconds)))
    assert billed <= sum(seconds, Decimal(0)) + 60 * len(seconds)


def test_instances_are_counted_from_change_to_change() -> None:
    # one for 10 minutes, three for 20, one for 30: 10 + 60 + 30 = 100 instance-minutes
    spans = periods([Change(at(0), 1), Change(at(10), 3), Change(at(30), 1)])
    assert instance_seconds(spans, at(60)) == 100 * 60
    assert [span.count for span in spans] == [1, 3, 1]
    # what is deleted ends there, and what would come afterwards never was: 10 + 3 x 5 = 25
    assert instance_seconds(periods([Change(at(0), 1), Change(at(10), 3), Change(at(30), 1)], at(15)), at(60)) == 1500


def test_capacity_zero_costs_nothing() -> None:
    spans = periods([Change(at(0), 2), Change(at(10), 0), Change(at(50), 1)])
    assert instance_seconds(spans, at(60)) == (2 * 10 + 10) * 60


def test_a_change_that_nobody_told_comes_with_the_last_change_of_the_resource() -> None:
    told = [Change(at(0), 1), Change(at(10), 2)]
    assert agreeing(told, 2, at(40)) == told
    assert agreeing(told, 3, at(40)) == [*told, Change(at(40), 3)]
    assert agreeing([], 3, at(40)) == [Change(at(40), 3)]


def test_only_what_lies_after_a_moment_is_counted() -> None:
    spans = [Period(at(0), at(10), 1), Period(at(10), at(30), 2), Period(at(30), None, 1)]
    assert instance_seconds(after(spans, at(20)), at(40)) == (2 * 10 + 10) * 60
    assert after(spans, None) == spans


def test_runs_pair_starts_with_stops() -> None:
    spans = runs([at(0), at(30)], [at(10), at(11)])
    assert spans == [Period(at(0), at(10), 1), Period(at(30), None, 1)]
    assert runs([at(0)], [], at(7)) == [Period(at(0), at(7), 1)]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 9)), min_size=1, max_size=12), st.integers(500, 900))
def test_no_order_of_changes_counts_more_than_the_most_at_all_times(changes: list[tuple[int, int]], end: int) -> None:
    spans = periods([Change(at(minute), count) for minute, count in changes])
    begin = min(minute for minute, _ in changes)
    most = max(count for _, count in changes)
    assert 0 <= instance_seconds(spans, at(end)) <= most * (end - begin) * 60


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=4000)))
def test_a_time_span_loses_nothing(span: timedelta) -> None:
    assert exact_seconds(span) * 1_000_000 == span // timedelta(microseconds=1)
    assert exact_seconds(-span - timedelta(microseconds=1)) == 0
