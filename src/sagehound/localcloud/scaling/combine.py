"""Several policies of one scalable target, and its bounds: one decision out of all of theirs.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html: "scale out
the scalable target if any of the target tracking policies are ready for scale out, but scale it in only if all of the
target tracking policies (with the scale-in portion enabled) are ready to scale in"; of several capacities the largest
is taken, "for both scale in and scale out". Step scaling waits for nobody (API_PutScalingPolicy): "if the step scaling
policy initiates a scale-in activity before the target tracking policy is ready to scale in, the scale-in activity will
not be blocked".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sagehound.localcloud.scaling.decision import Capacity, Decision


@dataclass(frozen=True, slots=True)
class Vote:
    """What one policy decided. `must_agree`: a target tracking policy with its scale-in enabled, which the scale-in of
    target tracking waits for; that of a `step` policy, which speaks only when its alarm does, does not."""

    policy: str
    decision: Decision
    must_agree: bool = True
    step: bool = False


@dataclass(frozen=True, slots=True)
class Combined:
    """The decision, and the policy that it comes from ("" where none changes anything)."""

    decision: Decision
    policy: str = ""


def combine(capacity: Capacity, votes: Sequence[Vote], caller: str) -> Combined:
    """The largest scale-out that any policy asks for; otherwise the smallest scale-in, if all who must agree do;
    otherwise what the policy that was called says."""
    asked = [(vote.decision.desired, vote) for vote in votes if vote.decision.desired is not None]
    outs = [(desired, vote) for desired, vote in asked if desired > capacity.desired]
    ins = [(desired, vote) for desired, vote in asked if desired < capacity.desired]
    agreeing = {vote.policy for _, vote in ins}
    against = [vote for vote in votes if vote.must_agree and vote.policy not in agreeing]
    possible = outs or [(desired, vote) for desired, vote in ins if vote.step or not against]
    if possible:
        desired, winner = max(possible, key=lambda pair: pair[0])
        return Combined(replace(winner.decision, desired=capacity.bounded(desired)), winner.policy)
    if ins:
        names = ", ".join(vote.policy for vote in against)
        return Combined(Decision(None, f"no scale-in: not ready are {names} ({against[0].decision.cause})"))
    told = next((vote for vote in votes if vote.policy == caller), None)
    return Combined(told.decision, told.policy) if told else Combined(Decision(None, "there is no such policy"))


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
