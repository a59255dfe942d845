"""The proof fails where it should: a permission too many, a call that is denied, a resource that was not touched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names
from sagehound.pipeline.secure.catalogue import actions_of
from sagehound.pipeline.secure.events import Use
from sagehound.pipeline.secure.gathering import Role, read_role
from sagehound.pipeline.secure.proof import Proof, of_documents, of_role, prove
from sagehound.pipeline.secure.statements import Document
from sagehound.pipeline.secure.used import Usage

ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs"
BUCKET = "arn:aws:s3:::pictures"
INVOKE = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": ENDPOINT}
LIST = {
    "Effect": "Allow",
    "Action": "s3:ListBucket",
    "Resource": BUCKET,
    "Condition": {"StringLike": {"s3:prefix": "p1/*"}},
}


def document(*statements: dict[str, Any]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def used(*pairs: tuple[str, str]) -> Usage:
    usage = Usage(datetime.now(UTC), datetime.now(UTC), whole=True, calls=len(pairs))
    for action, resource in pairs:
        usage.add(Use(action, resource, allowed=True))
    return usage


@pytest.fixture
def holding(clients: Clients, names: Names) -> Any:
    """`holding(document)`: a role that holds this policy, as IAM has it."""

    def make(policy: Document) -> Role:
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        clients.iam.create_role(RoleName=names.function_role, AssumeRolePolicyDocument=json.dumps(document(trust)))
        clients.iam.put_role_policy(RoleName=names.function_role, PolicyName="held", PolicyDocument=json.dumps(policy))
        found = read_role(clients.iam, names.function_role)
        assert found is not None
        return found

    return make


def test_what_is_as_it_should_be(clients: Clients, holding: Any) -> None:
    wanted = document(INVOKE, LIST)
    calls = used(("sagemaker:InvokeEndpoint", ENDPOINT), ("s3:ListBucket", BUCKET))
    for simulate in (of_role(clients.iam, holding(wanted)), of_documents(clients.iam, [wanted])):
        proof = prove(simulate, [wanted], calls, applied=True)
        assert (proof.failures, proof.unproved) == ([], [])
        assert sorted(proof.allowed) == [("s3:ListBucket", BUCKET), ("sagemaker:InvokeEndpoint", ENDPOINT)]
        assert len(proof.denied) == len(actions_of("s3")) + len(actions_of("sagemaker")) - 2
        assert sorted(proof.elsewhere) == [
            ("s3:ListBucket", "arn:aws:s3:::elsewhere-pictures"),
            ("sagemaker:InvokeEndpoint", ENDPOINT.replace("dogs", "elsewhere-dogs")),
        ]
        assert proof.text == f"2 calls allowed, {len(proof.denied)} other actions denied, 2 denied on another resource"


@pytest.mark.parametrize(
    ("more", "failure"),
    [
        ({"Action": "sagemaker:DeleteEndpoint", "Resource": ENDPOINT}, "sagemaker:DeleteEndpoint is not needed"),
        ({"Action": "sagemaker:ListEndpoints", "Resource": "*"}, "sagemaker:ListEndpoints is not needed"),
        ({"Action": "sagemaker:InvokeEndpoint", "Resource": "*"}, "endpoint/elsewhere-dogs, which the run did not"),
    ],
)
def test_a_permission_too_many(clients: Clients, holding: Any, more: dict[str, Any], failure: str) -> None:
    role = holding(document(INVOKE, {"Effect": "Allow", **more}))
    calls = used(("sagemaker:InvokeEndpoint", ENDPOINT))
    proof = prove(of_role(clients.iam, role), [document(INVOKE)], calls, applied=True)
    assert len(proof.failures) == 1
    assert failure in proof.failures[0]
    assert proof.text.endswith(", 1 WRONG")


@pytest.mark.parametrize(
    "held",
    [
        document({**INVOKE, "Resource": f"{ENDPOINT}-2"}),
        document(INVOKE, {"Effect": "Deny", "Action": "sagemaker:*", "Resource": "*"}),
        document({**INVOKE, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "dogs"}}}),
    ],
)
def test_a_call_that_is_denied(clients: Clients, holding: Any, held: Document) -> None:
    calls = used(("sagemaker:InvokeEndpoint", ENDPOINT))
    proof = prove(of_role(clients.iam, holding(held)), [document(INVOKE)], calls, applied=True)
    assert proof.failures == [f"sagemaker:InvokeEndpoint on {ENDPOINT} was called by the run and is denied"]


def test_a_condition_that_cannot_be_filled_is_said(clients: Clients) -> None:
    limited = document({**INVOKE, "Condition": {"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}})
    simulate = of_documents(clients.iam, [limited])
    proof = prove(simulate, [limited], used(("sagemaker:InvokeEndpoint", ENDPOINT)), applied=False)
    assert (proof.allowed, proof.failures) == ([], [])
    assert proof.unproved == [f"sagemaker:InvokeEndpoint on {ENDPOINT}: its condition cannot be filled from the policy"]
    assert proof.text.endswith("other actions would be denied, 1 would be denied on another resource, 1 not proved")


def test_what_another_policy_allowed_is_not_asked(clients: Clients) -> None:
    """A bucket's own policy let the call through: the role's need not."""
    proof = prove(
        of_documents(clients.iam, [document(INVOKE)]),
        [document(INVOKE)],
        used(("s3:GetObject", f"{BUCKET}/a"), ("sagemaker:InvokeEndpoint", ENDPOINT)),
        applied=False,
    )
    assert isinstance(proof, Proof)
    assert proof.allowed == [("sagemaker:InvokeEndpoint", ENDPOINT)]
    assert proof.failures == []
