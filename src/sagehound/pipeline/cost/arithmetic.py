"""How AWS counts: seconds, GB-seconds and GB-months from what was used, in decimals and without asking anybody"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

from sagehound.pipeline.pricing.prices import Price, Unit

HOUR = Decimal(3600)
MONTH = Decimal(730) * HOUR
"""A month as AWS's own calculators have it: 730 hours."""
GIB = Decimal(2**30)
EC2_MINIMUM = Decimal(60)
_PROVISIONED_STEP = Decimal(300)


def money(price: Price, quantity: Decimal) -> Decimal:
    """What a quantity costs, exact: seconds of what is priced by the hour or the month, GB-seconds, requests."""
    divisor = {Unit.HOUR: HOUR, Unit.MONTH: MONTH, Unit.GB_MONTH: MONTH}.get(price.unit, Decimal(1))
    return price.usd * quantity / divisor


def cents(amount: Decimal) -> Decimal:
    """An amount as a bill has it: halves of a cent go up."""
    return amount.quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")


def exact_seconds(span: timedelta) -> Decimal:
    """A time span in seconds, without what binary fractions do to it; one that runs backwards is none."""
    micros = span.days * 86_400_000_000 + span.seconds * 1_000_000 + span.microseconds
    return Decimal(max(0, micros)) / 1_000_000


def training_seconds(billable: float, instances: int) -> Decimal:
    """Instance-seconds of a training job: BillableTimeInSeconds times the instances, as AWS says.

    Billed per second, without a minimum. Of a job on managed spot instances BillableTimeInSeconds has the discount
    in it already, so that the on-demand price is the right one.
    """
    return Decimal(str(billable)) * instances


def ec2_seconds(runs: Iterable[Decimal]) -> Decimal:
    """Billed seconds of an EC2 instance that ran so often and so long: whole seconds, at least 60 after each start."""
    return sum((max(EC2_MINIMUM, whole(run)) for run in runs), Decimal(0))


def billed_milliseconds(durations: Iterable[Decimal]) -> Decimal:
    """Milliseconds that Lambda bills for calls that took so many: each is rounded up to the next."""
    return sum((whole(duration) for duration in durations), Decimal(0))


def billed_at_most(total: Decimal, calls: int) -> Decimal:
    """Milliseconds that Lambda bills at most for calls of which only the sum is known: one more for each, less the
    part that the sum has."""
    return whole(total) + max(0, calls - 1) if calls else Decimal(0)


def gb_seconds(milliseconds: Decimal, memory_mb: int) -> Decimal:
    """GB-seconds of so many milliseconds of a function with that memory."""
    return milliseconds / 1000 * Decimal(memory_mb) / 1024


def provisioned_gb_seconds(environment_seconds: Decimal, memory_mb: int) -> Decimal:
    """GB-seconds of environments that were kept ready for so many seconds together."""
    return environment_seconds * Decimal(memory_mb) / 1024


def in_five_minutes(seconds: Decimal) -> Decimal:
    """How long provisioned concurrency is billed: up to the next five minutes."""
    return (seconds / _PROVISIONED_STEP).to_integral_value(ROUND_CEILING) * _PROVISIONED_STEP


def stored(size: int | Decimal, seconds: Decimal) -> Decimal:
    """GB-seconds of so many bytes kept for so long; AWS's GB of storage is 2^30 bytes."""
    return Decimal(size) / GIB * seconds


def volume(gib: int, seconds: Decimal, count: int = 1) -> Decimal:
    """GB-seconds of volumes of a size in GiB."""
    return Decimal(gib) * count * seconds


def whole(value: Decimal) -> Decimal:
    """Rounded up to a whole number."""
    return value.to_integral_value(ROUND_CEILING)
