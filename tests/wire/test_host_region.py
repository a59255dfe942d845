"""The region that a host names."""

from __future__ import annotations

import pytest

from sagehound.localcloud.wire.host_region import host_region


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("s3-us-west-1.amazonaws.com", "us-west-1"),
        ("s3.eu-central-1.amazonaws.com:443", "eu-central-1"),
        ("bucket.s3.us-west-2.amazonaws.com", "us-west-2"),
        ("eu-west-1.s3.dualstack.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
        ("with.dots.s3-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("eu-west-1.s3.amazonaws.com", "us-east-1"),
        ("127.0.0.1:4566", "us-east-1"),
        ("s3.eu-west-1.amazonaws.com.example.com", "us-east-1"),
        ("", "us-east-1"),
        ("a." * 5000 + "s3.eu-west-1.amazonaws.com", "us-east-1"),
    ],
)
def test_a_host_of_s3_tells_its_region(host: str, region: str) -> None:
    assert host_region(host) == region
