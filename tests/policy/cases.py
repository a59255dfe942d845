"""Cases for the policy engine, made from a seed: a request, who makes it, and every kind of policy that has a say."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.policy.decision import Decision, Policies, Query, decide
from sagehound.localcloud.policy.document import Policy, compile_policy
from sagehound.localcloud.policy.principals import ANONYMOUS, Principal, from_arn, service_principal

ACCOUNT, OTHER = "123456789012", "999999999999"
USER = f"arn:aws:iam::{ACCOUNT}:user/team/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/trainer"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/trainer/job"
SERVICES = ("sagemaker.amazonaws.com", "lambda.amazonaws.com")
CANONICAL = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"

OBJECTS = [f"arn:aws:s3:::dogs/{key}" for key in ("train/a.jpg", "alice/x", "ml/x", "a$b", "what?", "deep/er/a.jpg")]
REQUESTS: dict[str, list[str]] = {
    "s3:GetObject": [*OBJECTS, "arn:aws:s3:::cats/a.jpg"],
    "s3:PutObject": OBJECTS,
    "s3:ListBucket": ["arn:aws:s3:::dogs", "arn:aws:s3:::cats"],
    "sagemaker:InvokeEndpoint": [f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/{name}" for name in ("dog-1", "cat")],
    "sagemaker:CreateTrainingJob": [f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/t1"],
    "sagemaker:ListEndpoints": ["*"],
    "iam:PassRole": [ROLE, f"arn:aws:iam::{ACCOUNT}:role/other"],
    "lambda:InvokeFunction": [f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:dogs"],
    "logs:PutLogEvents": [f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/x:log-stream:y"],
    "sqs:SendMessage": [f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"],
    "sts:AssumeRole": [f"arn:aws:iam::{ACCOUNT}:role/target"],
}
ACTIONS = [
    *REQUESTS,
    "*",
    "s3:*",
    "S3:get*",
    "s3:?etObject",
    "s3:*Object",
    "sagemaker:*Endpoint*",
    "sagemaker:Create*",
    "iam:Pass*",
    "lambda:*",
    "logs:Put*",
    "sqs:*",
    "sts:Assume*",
]
RESOURCES = [
    "*",
    "arn:aws:s3:::dogs",
    "arn:aws:s3:::dogs/*",
    "arn:aws:s3:::dogs*",
    "arn:aws:s3:::dogs/train/*",
    "arn:aws:s3:::*/a*",
    "arn:aws:s3:::d?gs/*.jpg",
    "arn:aws:s3:::dogs/${aws:username}/*",
    "arn:aws:s3:::dogs/${aws:PrincipalTag/team, 'ml'}/*",
    "arn:aws:s3:::dogs/a${$}b",
    "arn:aws:s3:::dogs/what${?}",
    "arn:aws:s3:::dogs/${*}",
    "arn:*:s3:*:*:dogs/*",
    f"arn:aws:sagemaker:*:{ACCOUNT}:endpoint/dog-*",
    "arn:aws:sagemaker:us-east-1:*:training-job/*",
    "arn:aws:sagemaker:*:*:*",
    f"arn:aws:iam::{ACCOUNT}:role/*",
    ROLE,
    "arn:aws:lambda:*:*:function:d*",
    "arn:aws:logs:*:*:log-group:/aws/*",
    "arn:aws:sqs:us-east-?:*:j*",
    "arn:aws:sts::*:*",
    "arn:aws:s3*",
    "arn:aws:sqs:*",
]
ROLES = [ROLE, f"arn:aws:iam::{ACCOUNT}:role/other"]
PEOPLE = [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", OTHER, USER, f"arn:aws:iam::{OTHER}:user/eve", *ROLES, SESSION]

NAMES = ["alice", "Alice", "bob", "ml", "a*", "ops"]
TEXTS = [*NAMES, "al*", "?lice", "${aws:username}", "${aws:PrincipalTag/team, 'ml'}", "m${*}", "a${*}", "*"]
ARNS = [SESSION, USER, ROLE, f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"]
ARN_PATTERNS = [*ARNS, "arn:aws:iam::*:user/*", "arn:aws:*::*:*", f"arn:aws:iam::{ACCOUNT}:user/team/${{aws:username}}"]
DATES = ["2026-11-22T00:00:00Z", "2026-11-22T01:00:00+01:00", "2027-01-01", "2026-06-15T12:30:00.500Z", "1795392000"]
NUMBERS = ["0", "5", "10", "10.0", "10.5", "-3", "1000"]
ASKED_NUMBERS = [*NUMBERS, 5, 10.5]
NETWORKS = ["10.0.0.0/8", "10.1.2.3", "127.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"]
ADDRESSES = ["10.1.2.3", "127.0.0.1", "8.8.8.8", "2001:db8::1"]
BYTES = ["QmluYXJ5", "b3RoZXI="]

STRINGS = [
    f"String{name}" for name in ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")
]
ORDERS = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]


@dataclass(frozen=True)
class Family:
    """Context keys of one type: what a request may say, and what a policy may ask."""

    keys: tuple[str, ...]
    operators: list[str]
    said: list[str]
    asked: list[Any]
    several: bool = False


FAMILIES = [
    Family(("aws:username", "aws:PrincipalTag/team", "aws:userid"), STRINGS, NAMES, TEXTS),
    Family(("aws:TagKeys", "aws:CalledVia"), STRINGS, NAMES, TEXTS, several=True),
    Family(("aws:MultiFactorAuthAge",), [f"Numeric{name}" for name in ORDERS], NUMBERS, ASKED_NUMBERS),
    Family(("aws:CurrentTime", "aws:TokenIssueTime"), [f"Date{name}" for name in ORDERS], DATES, DATES),
    Family(("aws:SecureTransport", "aws:ViaAWSService"), ["Bool"], ["true", "false"], ["true", "false", "True", True]),
    Family(("aws:SourceIp",), ["IpAddress", "NotIpAddress"], ADDRESSES, NETWORKS),
    Family(
        ("aws:PrincipalArn", "aws:SourceArn"),
        ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        ARNS,
        ARN_PATTERNS,
    ),
    Family(("aws:PrincipalOrgID",), ["BinaryEquals"], BYTES, BYTES),
]


@dataclass(frozen=True)
class Case:
    """One request and its policies, as documents."""

    principal: str
    """An ARN, a service, or empty for nobody known."""
    action: str
    resource: str
    resource_account: str
    context: dict[str, Any]
    identity: list[dict[str, Any]]
    boundary: dict[str, Any] | None
    session: dict[str, Any] | None
    resource_policy: dict[str, Any] | None

    @property
    def who(self) -> Principal:
        """The principal as the engine knows it."""
        if not self.principal:
            return ANONYMOUS
        if not self.principal.startswith("arn:"):
            return service_principal(self.principal)
        return from_arn(self.principal, role_arn=ROLE if self.principal == SESSION else "")

    @property
    def query(self) -> Query:
        """The question that is put to the engine."""
        return Query(self.action, self.resource, self.context, self.who)

    @property
    def policies(self) -> Policies:
        """What the principal carries, compiled."""
        identity = tuple(_compiled(document) for document in self.identity)
        session = None if self.session is None else (_compiled(self.session),)
        return Policies(identity, None if self.boundary is None else _compiled(self.boundary), session)

    @property
    def same_account(self) -> bool:
        """Whether resource and principal are of one account."""
        return self.who.account_id == self.resource_account

    def decide(self) -> Decision:
        """The engine's answer."""
        attached = None if self.resource_policy is None else _compiled(self.resource_policy)
        return decide(self.query, self.policies, attached, same_account=self.same_account)


def _compiled(document: dict[str, Any]) -> Policy:
    policy = compile_policy(json.dumps(document))
    assert not policy.error, (policy.error, document)
    return policy


class Maker:
    """Makes cases; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def case(self) -> Case:
        """The next case."""
        draw = self.random
        action = draw.choice(list(REQUESTS))
        resource = draw.choice(REQUESTS[action])
        principal = draw.choices([USER, SESSION, *SERVICES, ""], [8, 8, 1, 1, 1])[0]
        known = principal.startswith("arn:")
        return Case(
            principal=principal,
            action=action,
            resource=resource,
            resource_account=ACCOUNT if draw.random() < 0.85 else OTHER,
            context=self._context(),
            identity=[self.policy(action, resource) for _ in range(draw.choice([0, 1, 1, 2]))] if known else [],
            boundary=self.policy(action, resource) if known and draw.random() < 0.3 else None,
            session=self.policy(action, resource) if principal == SESSION and draw.random() < 0.3 else None,
            resource_policy=self.policy(action, resource, True) if draw.random() < (0.4 if known else 0.95) else None,
        )

    def _context(self) -> dict[str, Any]:
        draw, context = self.random, dict[str, Any]()
        for family in FAMILIES:
            for key in family.keys:
                if draw.random() < 0.6:
                    some = draw.sample(family.said, draw.randint(1, 3)) if family.several else draw.choice(family.said)
                    context[self._cased(key)] = some
        return context

    def _cased(self, key: str) -> str:
        return key.lower() if "/" not in key and self.random.random() < 0.2 else key

    def policy(self, action: str, resource: str, of_resource: bool = False) -> dict[str, Any]:
        """A policy of one to three statements that may be about this request."""
        draw = self.random
        statements = [self._statement(action, resource, of_resource) for _ in range(draw.randint(1, 3))]
        policy: dict[str, Any] = {"Version": "2012-10-17" if draw.random() < 0.9 else "2008-10-17"}
        policy["Statement"] = statements[0] if len(statements) == 1 and draw.random() < 0.3 else statements
        return policy

    def _statement(self, action: str, resource: str, of_resource: bool) -> dict[str, Any]:
        draw = self.random
        statement: dict[str, Any] = {"Effect": draw.choices(["Allow", "Deny"], [4, 1])[0]}
        statement[draw.choices(["Action", "NotAction"], [6, 1])[0]] = self._some(
            [action, "*", f"{action[:-3]}*"] if draw.random() < 0.6 else ACTIONS
        )
        statement[draw.choices(["Resource", "NotResource"], [6, 1])[0]] = self._some(
            [resource, "*"] if draw.random() < 0.5 else RESOURCES
        )
        if of_resource:
            statement[draw.choices(["Principal", "NotPrincipal"], [6, 1])[0]] = self._principal()
        if draw.random() < 0.4:
            statement["Condition"] = self._condition()
        return statement

    def _some(self, values: list[Any]) -> Any:
        found = self.random.sample(values, self.random.randint(1, min(3, len(values))))
        return found[0] if len(found) == 1 and self.random.random() < 0.5 else found

    def _principal(self) -> Any:
        draw = self.random
        kinds: dict[str, Any] = {
            "AWS": self._some(["*"] if draw.random() < 0.3 else PEOPLE),
            "Service": self._some(list(SERVICES)),
            "Federated": "accounts.google.com",
            "CanonicalUser": CANONICAL,
        }
        chosen = draw.choices(
            [["*"], ["AWS"], ["AWS", "Service"], ["Service"], ["Federated"], ["CanonicalUser"]], [2, 8, 2, 2, 1, 1]
        )[0]
        return "*" if chosen == ["*"] else {kind: kinds[kind] for kind in chosen}

    def _condition(self) -> dict[str, Any]:
        draw, condition = self.random, dict[str, Any]()
        for _ in range(draw.randint(1, 2)):
            family = draw.choice(FAMILIES)
            key = self._cased(draw.choice(family.keys))
            if draw.random() < 0.1:
                condition["Null"] = {key: draw.choice(["true", "false"])}
                continue
            operator = draw.choice(family.operators)
            if draw.random() < 0.2:
                operator += "IfExists"
            if draw.random() < (0.8 if family.several else 0.1):
                operator = f"{draw.choice(['ForAllValues', 'ForAnyValue'])}:{operator}"
            condition.setdefault(operator, {})[key] = self._some(family.asked)
        return condition


def make(seed: int, count: int) -> list[Case]:
    """So many cases."""
    maker = Maker(seed)
    return [maker.case() for _ in range(count)]
