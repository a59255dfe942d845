"""A bill with its comparisons: what the command, the report and machines are given"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.cost.bill import Bill
from sagehound.pipeline.cost.comparisons import ESTIMATED, Other, Several, others, several
from sagehound.pipeline.cost.ways import Ways, ways


@dataclass(frozen=True)
class CostSummary:
    """Everything that is told of a run's cost."""

    bill: Bill
    ways: Ways | None
    several: Several | None
    others: list[Other]
    estimated: str = ESTIMATED
    """What the figures of other types are, and are not."""

    @classmethod
    def of(cls, bill: Bill) -> CostSummary:
        """The comparisons that the bill's own trainings allow: the last one of each kind."""
        alone = [job for job in bill.jobs if job.step == "train" and job.instance_count == 1]
        last = alone[-1] if alone else None
        extracted = [job for job in bill.jobs if last and job.step == "features" and f"/{job.name}/" in last.features]
        return cls(
            bill,
            ways(
                last, bill.trainings[-1] if bill.trainings else None, bill.table, extracted[-1] if extracted else None
            ),
            several(bill.jobs, bill.table),
            others(last, bill.table) if last else [],
        )

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``)."""
        return {
            **self.bill.as_dict(),
            "ec2_or_sagemaker": self.ways.as_dict() if self.ways else None,
            "one_or_several": self.several.as_dict() if self.several else None,
            "other_types": [other.as_dict() for other in self.others],
        }
