"""Laws of decisions, whatever the policies: denies only narrow, allows only widen, order is nothing."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.localcloud.policy.document import compile_policy
from tests.policy.cases import Case, Maker

SEEDS = st.integers(min_value=0, max_value=2**32)
MANY = settings(max_examples=400, deadline=None)


def _case(seed: int) -> Case:
    return Maker(seed).case()


def _policy(seed: int, case: Case, effect: str, *, of_resource: bool = False) -> dict[str, Any]:
    """Another policy that may well be about the case's request, all its statements with one effect."""
    made = Maker(seed).policy(case.action, case.resource, of_resource)
    listed = made["Statement"] if isinstance(made["Statement"], list) else [made["Statement"]]
    return {**made, "Statement": [{**statement, "Effect": effect} for statement in listed]}


def _shuffled(policy: dict[str, Any] | None, order: random.Random) -> dict[str, Any] | None:
    if policy is None or not isinstance(policy["Statement"], list):
        return policy
    return {**policy, "Statement": order.sample(policy["Statement"], len(policy["Statement"]))}


@MANY
@given(SEEDS, SEEDS)
def test_a_deny_added_never_widens(seed: int, other: int) -> None:
    case = _case(seed)
    narrower = replace(case, identity=[*case.identity, _policy(other, case, "Deny")])
    assert case.decide().allowed or not narrower.decide().allowed
    if case.decide().verdict == "explicitDeny":
        assert narrower.decide().verdict == "explicitDeny" or not case.principal


@MANY
@given(SEEDS, SEEDS)
def test_a_deny_added_to_the_resource_never_widens(seed: int, other: int) -> None:
    case = _case(seed)
    if case.resource_policy is None:
        return
    listed = case.resource_policy["Statement"]
    more = _policy(other, case, "Deny", of_resource=True)["Statement"]
    statements = [*(listed if isinstance(listed, list) else [listed]), *more]
    narrower = replace(case, resource_policy={**case.resource_policy, "Statement": statements})
    assert case.decide().allowed or not narrower.decide().allowed


@MANY
@given(SEEDS)
def test_an_allow_removed_never_widens(seed: int) -> None:
    case = _case(seed)
    for at in range(len(case.identity)):
        rest = [policy for index, policy in enumerate(case.identity) if index != at]
        if all(statement.allow for statement in _compiled(case.identity[at])):
            assert case.decide().allowed or not replace(case, identity=rest).decide().allowed


@MANY
@given(SEEDS, SEEDS)
def test_an_allow_added_never_narrows(seed: int, other: int) -> None:
    case = _case(seed)
    wider = replace(case, identity=[*case.identity, _policy(other, case, "Allow")])
    assert wider.decide().allowed or not case.decide().allowed


@MANY
@given(SEEDS, SEEDS)
def test_boundaries_and_session_policies_never_widen(seed: int, other: int) -> None:
    case = _case(seed)
    without = replace(case, boundary=None, session=None).decide()
    assert without.allowed or not case.decide().allowed
    bounded = replace(case, boundary=_policy(other, case, "Allow"))
    assert replace(case, boundary=None).decide().allowed or not bounded.decide().allowed


@MANY
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_statements_and_policies_is_nothing(seed: int, order: random.Random) -> None:
    case = _case(seed)
    mixed = replace(
        case,
        identity=[_shuffled(policy, order) for policy in order.sample(case.identity, len(case.identity))],
        boundary=_shuffled(case.boundary, order),
        session=_shuffled(case.session, order),
        resource_policy=_shuffled(case.resource_policy, order),
    )
    assert mixed.decide().verdict == case.decide().verdict


@MANY
@given(SEEDS)
def test_the_case_of_keys_and_actions_is_nothing(seed: int) -> None:
    case = _case(seed)
    shouted = replace(
        case, action=case.action.upper(), context={key.upper(): value for key, value in case.context.items()}
    )
    assert shouted.decide().verdict == case.decide().verdict


@MANY
@given(st.text(), st.text())
def test_any_text_is_compiled_and_none_of_it_allows(document: str, name: str) -> None:
    policy = compile_policy(document, name)
    assert policy.error or not policy.statements


def _compiled(policy: dict[str, Any]) -> Any:
    return compile_policy(json.dumps(policy)).statements
