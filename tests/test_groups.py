"""Groups of tests: a group's tests run in one worker, or a suite of clients would be begun by each of them."""

from __future__ import annotations

import pytest

from tests.groups import group_of


def test_the_tests_of_a_group_are_one_piece_of_work() -> None:
    """And tests of no group are pieces by themselves."""
    suite = "tests/clients/v2/test_v2.py::test_scenario"
    assert group_of(f"{suite}[tuning.py]") == group_of(f"{suite}[mpi.py]") == "clients-v2"
    assert group_of("tests/test_groups.py::test_one") != group_of("tests/test_groups.py::test_two")


def test_each_test_of_a_group_is_where_its_group_is(request: pytest.FixtureRequest) -> None:
    """What the marks say and what the scheduler reads is the same."""
    marked = {
        item.nodeid.partition("@")[0]: mark.args[0]
        for item in request.session.items
        if (mark := item.get_closest_marker("xdist_group")) is not None
    }
    assert {nodeid: group_of(nodeid) for nodeid in marked} == marked
