"""The region that a host of S3's names: what calls are in that sign none, or sign nothing at all"""

from __future__ import annotations

import functools
import re

DEFAULT_REGION = "us-east-1"
"""Of hosts that name none: the global one, this cloud's own address."""
_LONGEST_HOST = 260
_S3_HOST = re.compile(
    r"(?:.*\.)?s3(?:-fips)?(?:\.dualstack)?[.-](?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?(?::\d+)?",
    re.IGNORECASE,
)


@functools.lru_cache(maxsize=1024)
def host_region(host: str) -> str:
    """The region of `s3.REGION.amazonaws.com`, `s3-REGION.amazonaws.com`, and of a bucket's hosts below these."""
    found = _S3_HOST.fullmatch(host) if len(host) <= _LONGEST_HOST else None
    return found["region"].lower() if found else DEFAULT_REGION
