"""The bounds of a capacity, as targets and scheduled actions set them."""

from __future__ import annotations

from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.application_autoscaling.needs import Scalable


def check_bounds(scalable: Scalable, minimum: int | None, maximum: int | None) -> None:
    """Refuse a minimum that the service does not have, and a maximum below it; None where nothing is said."""
    least = scalable.minimum
    if minimum is not None and minimum < least:
        raise validation(f"Minimum capacity cannot be less than {least}")
    if maximum is not None and maximum < least:
        raise validation(f"Maximum capacity cannot be less than {least}")
    if minimum is not None and maximum is not None and maximum < minimum:
        raise validation("Maximum capacity cannot be less than minimum capacity")
