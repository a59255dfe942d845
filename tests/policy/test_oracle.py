"""The engine against an independent one: the npm package @cloud-copilot/iam-simulate, on cases made from a seed.

The package is not ours and not shipped (its licence is the AGPL): `make oracle` installs it into a folder that git
ignores, and one node process answers all cases.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.policy.operators import NEGATED
from tests.policy.cases import SESSION, Case, make

FOLDER = Path(__file__).parents[2] / ".oracle"
PACKAGE = FOLDER / "node_modules" / "@cloud-copilot" / "iam-simulate"
VERDICTS = {"Allowed": "allowed", "ExplicitlyDenied": "explicitDeny", "ImplicitlyDenied": "implicitDeny"}
COMPARED = 4000

Statement = dict[str, Any]


def simulation(case: Case) -> dict[str, Any]:
    """A case as the package wants it."""
    found: dict[str, Any] = {
        "request": {
            "principal": case.principal or {"type": "Anonymous"},
            "action": case.action,
            "resource": {"resource": case.resource, "accountId": case.resource_account},
            "contextVariables": case.context,
        },
        "identityPolicies": [{"name": f"policy{at}", "policy": policy} for at, policy in enumerate(case.identity)],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if case.boundary is not None:
        found["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": case.boundary}]
    if case.session is not None:
        found["sessionPolicy"] = case.session
    if case.resource_policy is not None:
        found["resourcePolicy"] = case.resource_policy
    return found


def verdicts(cases: list[Case]) -> list[str]:
    """The package's verdicts, by one process."""
    lines = "".join(json.dumps(simulation(case)) + "\n" for case in cases)
    command = ["node", str(Path(__file__).with_name("oracle.mjs")), str(FOLDER)]
    answer = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in answer.stdout.splitlines()]
    refused = [
        (found["error"], simulation(case)) for case, found in zip(cases, answers, strict=True) if "error" in found
    ]
    assert not refused, f"{len(refused)} cases are none: {refused[0]}"
    return [VERDICTS[found["verdict"]] for found in answers]


def documents(case: Case) -> Iterator[tuple[dict[str, Any], Statement]]:
    """(policy, statement) of everything in a case."""
    for policy in (*case.identity, case.boundary, case.session, case.resource_policy):
        if policy is not None:
            listed = policy["Statement"]
            for statement in listed if isinstance(listed, list) else [listed]:
                yield policy, statement


def conditions(case: Case) -> Iterator[tuple[str, str, list[str]]]:
    """(plain operator, key, values) of every condition in a case; keys and operators in lower case."""
    for _, statement in documents(case):
        for operator, keys in statement.get("Condition", {}).items():
            plain = operator.rpartition(":")[2].lower().removesuffix("ifexists")
            for key, values in keys.items():
                listed = values if isinstance(values, list) else [values]
                yield plain, key.lower(), [str(value) for value in listed]


def lacks_a_value(case: Case, element: Any) -> bool:
    """Whether an element has a variable that has no value in this request."""
    known = {key.lower() for key, value in case.context.items() if isinstance(value, str)}
    used = {key.lower() for key in re.findall(r"\$\{([^}*?$,]+)\}", json.dumps(element))}
    return not used <= known


def excluded(case: Case) -> str | None:
    """Why a case is not compared: a class in which the package does not do what AWS documents."""
    facts = {key.lower(): value for key, value in case.context.items()}
    # In 2008-10-17 variables "aren't recognized as variables and are instead treated as literal strings in the policy";
    # the package replaces them there too.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    if any(
        policy["Version"] == "2008-10-17" and "${" in json.dumps(statement) for policy, statement in documents(case)
    ):
        return "variable in a policy of a version that has none"
    # A variable without a value is "effectively null": nothing is equal to it or like it, and inverted operators do
    # match. The package lets them not match. The same holds for NotResource.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value
    if any(name in NEGATED and lacks_a_value(case, values) for name, _, values in conditions(case)):
        return "inverted operator, variable without a value"
    if any(lacks_a_value(case, statement.get("NotResource", "")) for _, statement in documents(case)):
        return "NotResource, variable without a value"
    # "When you specify an incomplete ARN ..., AWS automatically completes the ARN by adding wildcard characters". The
    # package does so under Resource, and under NotResource lets a completed ARN except what it does not match.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
    for _, statement in documents(case):
        if any(arn != "*" and arn.count(":") < 5 for arn in _listed(statement.get("NotResource", []))):
            return "NotResource, incomplete ARN"
    # Dates are "either W3C ISO 8601 or epoch (UNIX) time", which counts seconds. The package reads milliseconds, so a
    # number and a date cannot be compared there.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_Date
    for name, key, values in conditions(case):
        if name.startswith("date") and key in facts and len({text.isdigit() for text in [*values, facts[key]]}) > 1:
            return "number of seconds compared with a date"
    # 0.0.0.0/0 is every IPv4 address ("a value in the standard CIDR format"), where the package finds none; and
    # NotIpAddress means "all IP addresses except the specified", also those of the other version of the protocol.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IPAddress
    for name, key, values in conditions(case):
        if any(text.endswith("/0") for text in values):
            return "network of no bits"
        if name == "notipaddress" and ":" in facts.get(key, "") and any("/" not in text for text in values):
            return "NotIpAddress, an IPv6 address and a single IPv4 address"
    # "${*}" and its like "have fixed values"; the package keeps them as they are where there are no wildcards.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
    for name, _, values in conditions(case):
        if name.startswith("string") and not name.endswith("like") and any("${*}" in text for text in values):
            return "special character in an operator without wildcards"
    # "Permissions granted directly to a session are not limited by an implicit deny in an identity-based policy, a
    # permissions boundary, or session policy", nor are those granted to everyone. The package applies session policies.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
    if case.session is not None and case.same_account and grants_directly(case):
        return "session policy, and a resource policy that grants to the session itself"
    # A Deny whose NotPrincipal lists Bob and his account denies the others of that account. The package spares them,
    # and says in its source that this is to be found out.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    for _, statement in documents(case):
        listed = statement.get("NotPrincipal", {})
        aws = _listed(listed.get("AWS", [])) if isinstance(listed, dict) else []
        if statement["Effect"] == "Deny" and any(re.fullmatch(r"\d{12}|arn:aws:iam::\d{12}:root", one) for one in aws):
            return "Deny with a NotPrincipal that lists an account"
    return None


def grants_directly(case: Case) -> bool:
    """Whether the resource policy allows the session itself, or everyone."""
    for policy, statement in documents(case):
        if policy is case.resource_policy and statement["Effect"] == "Allow":
            people = statement.get("Principal", "*")
            if people == "*" or {"*", SESSION} & set(_listed(people.get("AWS", []))):
                return True
    return False


def _listed(values: Any) -> list[str]:
    return [values] if isinstance(values, str) else values


@pytest.mark.local_only
def test_the_engine_agrees_with_an_independent_one() -> None:
    if not PACKAGE.is_dir() or shutil.which("node") is None:
        pytest.skip("the independent evaluator is not installed: `make oracle` does it (needs node and npm)")
    made = make(2026, COMPARED * 2)
    compared = [case for case in made if excluded(case) is None][:COMPARED]
    left_out = Counter(filter(None, map(excluded, made)))
    assert len(compared) == COMPARED, left_out
    ours = [case.decide().verdict for case in compared]
    assert min(Counter(ours).values()) > COMPARED // 10, "cases that are hardly ever allowed, or denied, show little"
    differing = [
        (simulation(case), answer, expected)
        for case, answer, expected in zip(compared, ours, verdicts(compared), strict=True)
        if answer != expected
    ]
    assert not differing, f"{len(differing)} of {COMPARED}, the first: {json.dumps(differing[0])}"
