"""When scheduled actions are due: every form of expression, time zones, and the changes to summer time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.application_autoscaling.schedule import due, parse


def after(expression: str, moment: str, zone: str | None = None) -> str | None:
    """The next moment after one, both in UTC."""
    found = parse(expression, zone).next(seconds(moment), 0.0)
    return None if found is None else datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M")


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        ("at(2026-11-23T09:36:00)", "2026-11-23 00:00", "2026-11-23 09:36"),
        ("at(2026-11-23T9:36:00)", "2026-11-23 10:00", None),
        ("cron(0 8 * * ? *)", "2026-11-23 08:00", "2026-11-24 08:00"),
        ("cron(0/15 * * * ? *)", "2026-11-23 08:16", "2026-11-23 08:30"),
        ("cron(30 9-17/4 ? * MON-FRI *)", "2026-11-27 17:30", "2026-11-30 09:30"),
        ("cron(0 0 ? * FRI-MON *)", "2026-11-24 00:00", "2026-11-27 00:00"),
        ("cron(0 0 L * ? *)", "2028-02-01 00:00", "2028-02-29 00:00"),
        ("cron(0 0 15W * ? *)", "2026-11-01 00:00", "2026-11-16 00:00"),
        ("cron(0 0 1W * ? *)", "2026-07-31 12:00", "2026-08-03 00:00"),
        ("cron(0 0 31W * ? *)", "2026-05-01 00:00", "2026-05-29 00:00"),
        ("cron(0 0 ? * MON#2 *)", "2026-11-10 00:00", "2026-12-14 00:00"),
        ("cron(0 0 ? * 6L *)", "2026-11-01 00:00", "2026-11-27 00:00"),
        ("cron(0 0 ? * L *)", "2026-11-23 00:00", "2026-11-28 00:00"),
        ("cron(0 12 29 FEB ? *)", "2026-11-23 00:00", "2028-02-29 12:00"),
        ("cron(0 12 1,15 1 ? 2027-2028)", "2027-01-15 12:00", "2028-01-01 12:00"),
        ("cron(0 12 1 1 ? 2025)", "2026-01-01 00:00", None),
        ("cron(0 12 31 2 ? *)", "2026-01-01 00:00", None),
    ],
)
def test_the_next_moment(expression: str, moment: str, expected: str | None) -> None:
    assert after(expression, moment) == expected


def test_time_zones_and_summer_time() -> None:
    assert after("at(2026-07-01T09:00:00)", "2026-01-01 00:00", "Europe/Berlin") == "2026-07-01 07:00"
    daily = "cron(30 2 * * ? *)"
    # On 2026-03-29 there is no 02:30 in Berlin, on 2026-10-25 there are two.
    assert after(daily, "2026-03-28 02:00", "Europe/Berlin") == "2026-03-30 00:30"
    first = after(daily, "2026-10-24 02:00", "Europe/Berlin")
    assert first == "2026-10-25 00:30"
    assert after(daily, first, "Europe/Berlin") == "2026-10-26 01:30"


def test_rates_count_from_their_beginning() -> None:
    rate = parse("rate(5 minutes)", None)
    assert rate.next(1000.0, 1000.0) == 1300.0
    assert rate.next(1299.0, 1000.0) == 1300.0
    assert rate.next(1300.0, 1000.0) == 1600.0
    assert parse("rate(1 day)", None).next(0.0, 0.0) == 86_400.0


def test_a_rate_does_not_wait_for_a_creation_that_a_clock_put_back_has_not_reached() -> None:
    rate = parse("rate(1 minute)", None)
    assert due(rate, 1000.0, 4600.0, None, None) == 1060.0
    assert due(rate, 1060.5, 4600.0, None, None) == 1120.5


def test_schedules_at_the_end_of_time_are_looked_at_like_others() -> None:
    end = datetime(9999, 12, 31, 20, tzinfo=UTC)
    assert due(parse("cron(0 0 * * ? *)", "Asia/Tokyo"), 1000.0, 1000.0, end, None) is None
    assert due(parse("rate(999999999 days)", None), 1000.0, 1000.0, end, None) == end.timestamp()


def test_start_and_end_bound_a_schedule() -> None:
    start, end = datetime.fromtimestamp(5000, UTC), datetime.fromtimestamp(5400, UTC)
    rate = parse("rate(5 minutes)", None)
    assert due(rate, 1000.0, 1000.0, start, end) == 5000.0
    assert due(rate, 5000.0, 1000.0, start, end) == 5300.0
    assert due(rate, 5300.0, 1000.0, start, end) is None
    assert due(rate, 5300.0, 1000.0, None, None) == 5500.0


@pytest.mark.parametrize(
    "expression",
    ["cron(0 8 ? * ? *)", "cron(0/0 8 ? * MON *)", "cron(0 8 0W * ? *)", "cron(0 8 ? * 8L *)", "at()",
     f"rate(1{400 * '0'} days)"],
)  # fmt: skip
def test_nonsense_is_refused(expression: str) -> None:
    with pytest.raises(AwsError, match="is not valid"):
        parse(expression, None)
