"""A bill with its comparisons: what the command, the report and machines are given"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.cost.bill import Bill
from sagehound.pipeline.cost.comparisons import ESTIMATED, Other, SameType, Several, as_dict, others, same_type, several


@dataclass(frozen=True)
class CostSummary:
    """Everything that is told of a run's cost."""

    bill: Bill
    same: SameType | None
    several: Several | None
    others: list[Other]
    estimated: str = ESTIMATED
    """What the figures of other types are, and are not."""

    @classmethod
    def of(cls, bill: Bill) -> CostSummary:
        """The comparisons that the bill's own jobs allow."""
        alone = [job for job in bill.jobs if job.step == "train" and job.instance_count == 1]
        last = alone[-1] if alone else None
        return cls(
            bill,
            same_type(last, bill.table) if last else None,
            several(bill.jobs, bill.table),
            others(last, bill.table) if last else [],
        )

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``)."""
        return {
            **self.bill.as_dict(),
            "ec2_or_sagemaker": as_dict(self.same),
            "one_or_several": as_dict(self.several),
            "other_types": [
                {
                    "instance_type": other.instance_type,
                    "seconds": [f"{one:.3f}" for one in other.seconds],
                    "usd": [f"{one:.6f}" for one in other.usd],
                    "estimate": not other.measured,
                }
                for other in self.others
            ],
        }
