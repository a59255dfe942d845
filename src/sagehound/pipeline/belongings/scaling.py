"""What scales endpoints and functions: found by the tag of the scalable target, or by what it scales, and removed"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagehound.pipeline.belongings.thing import Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.scaling_cleanup import ScalingPlace, remove_scaling, scaling_places

_NAMESPACE = {Kind.ENDPOINT: "sagemaker", Kind.FUNCTION: "lambda"}
_DETAIL = "policies, alarms"


def find_scaling(clients: Clients, scope: Scope, scaled: Iterable[Thing]) -> Iterator[Thing]:
    """The scalable targets of these endpoints and functions, and those that carry a tag of the scope themselves."""
    owners = {(_NAMESPACE[one.kind], one.name): one for one in scaled if one.kind in _NAMESPACE}
    for place, tags in scaling_places(clients):
        one = owners.get((place.namespace, place.owner))
        # What scales something goes with it, whoever registered it.
        owner = (one.project, one.run) if one else scope.owner(tags())
        if owner is not None:
            yield Thing(Kind.SCALING, place.resource_id, *owner, detail=_DETAIL, parts=_parts(place))


def remove(clients: Clients, thing: Thing) -> None:
    """Schedules, policies with their alarms, and the target; the capacity stays as it is at that moment."""
    remove_scaling(clients, place_of(thing))


def place_of(thing: Thing) -> ScalingPlace:
    """Where Application Auto Scaling keeps it."""
    namespace, dimension = thing.parts
    return ScalingPlace(namespace, thing.name, dimension)


def _parts(place: ScalingPlace) -> tuple[str, str]:
    return place.namespace, place.dimension
