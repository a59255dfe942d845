"""The histogram of a load: percentiles within one per cent of the exact ones, whatever is put in."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.pipeline.load.histogram import Histogram


def exact(values: list[float], percent: float) -> float:
    """Nearest rank."""
    return sorted(values)[max(1, math.ceil(percent / 100 * len(values) - 1e-9)) - 1]


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(st.lists(st.floats(0.2, 3.6e6), min_size=1, max_size=300), st.floats(0.1, 100))
@settings(max_examples=200, deadline=None)
def test_a_percentile_is_within_one_per_cent_of_the_exact_one(values: list[float], percent: float) -> None:
    assert filled(values).percentile(percent) == pytest.approx(exact(values, percent), rel=0.01)


def test_many_latencies_take_little_memory_and_stay_exact() -> None:
    chance = random.Random(1)
    values = [chance.lognormvariate(3, 1.2) for _ in range(100_000)]
    histogram = filled(values)
    for percent in (50, 90, 99, 99.9, 99.99):
        assert histogram.percentile(percent) == pytest.approx(exact(values, percent), rel=0.005)
    assert histogram.as_dict()["max"] == round(max(values), 3)
    assert histogram.as_dict()["mean"] == pytest.approx(sum(values) / len(values), rel=1e-4)
    assert len(list(histogram.values())) < 2500


def test_nothing_has_no_percentile() -> None:
    assert Histogram().percentile(99) is None
    assert Histogram().as_dict() == {}


@given(st.lists(st.floats(0, 1e5), max_size=50), st.lists(st.floats(0, 1e5), max_size=50))
@settings(max_examples=100, deadline=None)
def test_two_that_are_merged_are_one(left: list[float], right: list[float]) -> None:
    merged = filled(left)
    merged.merge(filled(right))
    together = filled([*left, *right])
    assert list(merged.values()) == list(together.values())
    assert (merged.count, merged.most, merged.least) == (together.count, together.most, together.least)


def test_the_correction_adds_what_a_waiting_caller_did_not_send() -> None:
    # 99 answers after 10 ms and one after 1,000: every 10 ms of that second a request was not sent.
    corrected = filled([10.0] * 99 + [1000.0]).corrected(10.0)
    assert corrected.count == pytest.approx(199, abs=1)
    assert corrected.percentile(99) == pytest.approx(980, rel=0.02)
    assert filled([10.0] * 99 + [1000.0]).percentile(99) == pytest.approx(10, rel=0.01)


def test_a_correction_by_no_interval_changes_nothing() -> None:
    plain = filled([1.0, 5.0])
    assert list(plain.corrected(0.0).values()) == list(plain.values())


@given(st.lists(st.floats(0.01, 2e3), min_size=1, max_size=20), st.floats(0.9, 50))
@settings(max_examples=100, deadline=None)
def test_a_correction_is_what_one_by_one_comes_to(values: list[float], interval: float) -> None:
    plain = filled(values)
    one_by_one = filled(values)
    for value, times in list(plain.values()):
        for number in range(1, int((value - interval) / interval) + 1):
            one_by_one.add(value - number * interval, times)
    corrected = plain.corrected(interval)
    assert corrected.count == one_by_one.count
    assert corrected.total == pytest.approx(one_by_one.total, rel=1e-6)
    for percent in (10, 50, 90, 99):
        # A value that lies between two buckets may be counted in either.
        assert corrected.percentile(percent) == pytest.approx(one_by_one.percentile(percent), rel=0.02)


def test_a_correction_of_long_waits_by_a_short_interval_takes_no_longer() -> None:
    # One by one these would be two thousand million.
    corrected = filled([0.01] * 1000 + [60_000.0 + 500 * number for number in range(300)]).corrected(0.01)
    assert corrected.count > 2e9
    assert corrected.percentile(50) == pytest.approx(30_000 + 500 * 75, rel=0.2)
