"""Several policies of one scalable target, and its bounds: one decision out of all of theirs.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html: "scale out
the scalable target if any of the target tracking policies are ready for scale out, but scale it in only if all of the
target tracking policies (with the scale-in portion enabled) are ready to scale in"; of several capacities the largest
is taken, "for both scale in and scale out".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sagehound.localcloud.scaling.decision import Capacity, Decision


@dataclass(frozen=True, slots=True)
class Vote:
    """What one policy decided. `must_agree`: a target tracking policy with its scale-in enabled, which every scale-in
    waits for; a step policy speaks only when its alarm does."""

    policy: str
    decision: Decision
    must_agree: bool = True


@dataclass(frozen=True, slots=True)
class Combined:
    """The decision, and the policy that it comes from ("" where none changes anything)."""

    decision: Decision
    policy: str = ""


def combine(capacity: Capacity, votes: Sequence[Vote]) -> Combined:
    """The largest scale-out that any policy asks for; otherwise the smallest scale-in, if all who must agree do."""
    asked = [(vote.decision.desired, vote) for vote in votes if vote.decision.desired is not None]
    outs = [(desired, vote) for desired, vote in asked if desired > capacity.desired]
    ins = [(desired, vote) for desired, vote in asked if desired < capacity.desired]
    if outs or ins:
        agreeing = {vote.policy for _, vote in ins}
        against = [vote for vote in votes if vote.must_agree and vote.policy not in agreeing]
        if not outs and against:
            names = ", ".join(vote.policy for vote in against)
            return Combined(Decision(None, f"no scale-in: not ready are {names} ({against[0].decision.cause})"))
        desired, winner = max(outs or ins, key=lambda pair: pair[0])
        return Combined(replace(winner.decision, desired=capacity.bounded(desired)), winner.policy)
    told = next((vote for vote in votes if vote.decision.not_scaled is not None), votes[0] if votes else None)
    return Combined(told.decision, told.policy) if told else Combined(Decision(None, "there is no policy"))


def within_bounds(capacity: Capacity) -> Decision:
    """What a change of the bounds asks for at once, whatever the policies say, in AWS's words."""
    if capacity.desired < capacity.minimum:
        return Decision(capacity.minimum, f"minimum capacity was set to {capacity.minimum}")
    if capacity.desired > capacity.maximum:
        return Decision(capacity.maximum, f"maximum capacity was set to {capacity.maximum}")
    return Decision(None, f"the capacity is within {capacity.minimum} to {capacity.maximum}")


def with_schedule(capacity: Capacity, minimum: int | None, maximum: int | None) -> Capacity:
    """The bounds that a scheduled action sets; one that it leaves out stays, and gives way where they would cross."""
    low = capacity.minimum if minimum is None else minimum
    high = capacity.maximum if maximum is None else maximum
    if low > high:
        low, high = (low, low) if maximum is None else (high, high)
    return replace(capacity, minimum=low, maximum=high)
