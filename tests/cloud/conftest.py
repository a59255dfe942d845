"""Fixtures of the tests that speak to the local cloud."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.people import People
from tests.cloud_process import CloudProcess


@pytest.fixture
def people(cloud: CloudProcess) -> Iterator[People]:
    """Users and roles on the shared server, with the policies that a test gives them."""
    made = People(cloud)
    yield made
    made.remove()
