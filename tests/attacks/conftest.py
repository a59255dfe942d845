"""Fixtures of the attacks: people with rights, and a bucket that none of them may touch."""

from __future__ import annotations

import uuid
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


@pytest.fixture
def vault(cloud: CloudProcess) -> Iterator[str]:
    """A bucket with one object, `secret`; its name."""
    s3, name = cloud.client("s3"), f"vault-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="secret", Body=b"kept")
    yield name
    s3.delete_bucket_policy(Bucket=name)
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)
