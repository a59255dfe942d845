"""Objects in the project's bucket and its alarms, as usage"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sagehound.pipeline.bucket import made_here
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import GIB, exact_seconds, stored
from sagehound.pipeline.cost.usage import Running, Usage, Usages
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use

_READS = (
    "S3: requests beyond one write for each object (reads by jobs, lists, parts of large objects), "
    "and objects that are deleted already"
)

_FREE_ALARMS = "CloudWatch's free tier: ten alarms cost nothing"


def storage_usages(clients: Clients, names: Names, since: datetime | None, now: datetime) -> Usages:
    """What lies in the bucket, each object since it was written, and the writes that brought it there."""
    found = Usages()
    ours = made_here(clients, names)
    if ours is None:
        return found
    sizes: dict[str, int] = {}
    kept: dict[str, Decimal] = {}
    oldest: dict[str, datetime] = {}
    writes = 0
    prefix = "" if ours else f"{names.project}/"
    for page in clients.s3.get_paginator("list_objects_v2").paginate(Bucket=names.bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            begin = entry["LastModified"]
            kind = entry.get("StorageClass", "STANDARD")
            sizes[kind] = sizes.get(kind, 0) + entry["Size"]
            span = exact_seconds(now - max(begin, since or begin))
            kept[kind] = kept.get(kind, Decimal(0)) + stored(entry["Size"], span)
            oldest[kind] = min(oldest.get(kind, begin), begin)
            writes += since is None or begin >= since
    for kind, size in sizes.items():
        gib = Decimal(size) / GIB
        what = f"s3://{names.bucket}, {gib * 1024:,.1f} MB in {kind}"
        span = exact_seconds(now - max(oldest[kind], since or oldest[kind]))
        found.entries.append(Usage("storage", what, Use.S3_STORAGE, kind, kept[kind], span, 1, names.bucket))
        found.running.append(Running(what, Use.S3_STORAGE, kind, gib, oldest[kind], resource=names.bucket))
    if writes:
        what = f"s3://{names.bucket}, {writes:,} objects written"
        found.entries.append(Usage("storage", what, Use.S3_WRITES, "", Decimal(writes), None, 1, names.bucket))
        found.not_counted.append(_READS)
    return found


def alarm_usages(clients: Clients, names: Names, resources: list[str], since: datetime | None, now: datetime) -> Usages:
    """The alarms of target tracking on the project's endpoints and functions, told as their names begin."""
    found = Usages()
    for resource in resources:
        pages = clients.cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"TargetTracking-{resource}"
        )
        alarms = [one for page in pages for one in page["MetricAlarms"]]
        if not alarms:
            continue
        begins = [one["AlarmConfigurationUpdatedTimestamp"] for one in alarms]
        spans = [exact_seconds(now - max(begin, since or begin)) for begin in begins]
        what = f"{len(alarms)} alarms of {resource.strip('/:')}"
        used = sum(spans, Decimal(0))
        found.entries.append(Usage("scaling", what, Use.ALARM, "", used, max(spans), len(alarms), resource))
        found.running.append(Running(what, Use.ALARM, "", Decimal(len(alarms)), min(begins), resource=resource))
        if _FREE_ALARMS not in found.not_counted:
            found.not_counted.append(_FREE_ALARMS)
    return found
