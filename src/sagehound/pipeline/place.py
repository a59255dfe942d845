"""What is true of the place where a run's AWS calls go: said once where the connection is made, read by the steps.

A step never asks which place it is: it reads the fact that it depends on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Facts of AWS in one region, or of a local cloud."""

    name: str
    """What reports call it."""
    charged: bool
    """Whether what is used there is paid for."""
    one_machine: bool
    """Whether all instances share the processors of one machine, so that times say little about other places."""
    installs_requirements: bool
    """Whether containers lack what the classifier needs, and install the requirements.txt that is shipped."""
    first_pause: float
    """Seconds until something is asked for the second time: how often an account may ask is limited on AWS."""
    longest_pause: float
    pause_growth: float
    look_seconds: float
    """Seconds between two looks at what changes under a load; a look is several calls."""
    settling_seconds: float
    """How long a change of IAM may take until it counts everywhere; 0: it counts at once."""
    instance_start_seconds: float
    """How long new instances of an endpoint may take to serve."""
    job_metric_seconds: int
    """Seconds between two values of a job's metric in CloudWatch."""
    metrics_at_once: bool
    """Whether CloudWatch has every count as soon as the call is answered, and not minutes later."""
    console_at_once: bool
    """Whether EC2 tells an instance's console as it is written, and not minutes later."""
    records_every_call: bool
    """Whether the event history has every call at once, those that read and write data too."""
    root_has_keys: bool
    """Whether the root user has access keys by design, which open nothing but this place."""

    def pauses(self) -> Iterator[float]:
        """Seconds between questions about the same thing: short at first, longer as it lasts."""
        pause = self.first_pause
        while True:
            yield pause
            pause = min(pause * self.pause_growth, self.longest_pause)


LOCAL_CLOUD = Place(
    name="the local cloud",
    charged=False,
    one_machine=True,
    installs_requirements=False,
    first_pause=0.05,
    longest_pause=0.5,
    pause_growth=1.2,
    look_seconds=0.5,
    settling_seconds=0.0,
    instance_start_seconds=13.0,
    job_metric_seconds=1,
    metrics_at_once=True,
    console_at_once=True,
    records_every_call=True,
    root_has_keys=True,
)


def aws_in(region: str) -> Place:
    """AWS itself in a region."""
    return Place(
        name=f"AWS, {region}",
        charged=True,
        one_machine=False,
        installs_requirements=True,
        first_pause=2.0,
        longest_pause=20.0,
        pause_growth=1.3,
        look_seconds=5.0,
        settling_seconds=90.0,
        instance_start_seconds=900.0,
        job_metric_seconds=60,
        metrics_at_once=False,
        console_at_once=False,
        records_every_call=False,
        root_has_keys=False,
    )
