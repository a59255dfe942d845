"""Condition operators one by one: what a request says against what a policy asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagehound.localcloud.policy.decision import Policies, Query, decide
from sagehound.localcloud.policy.document import compile_policy
from sagehound.localcloud.policy.principals import from_arn
from tests.policy.cases import USER

CONTEXT: dict[str, str | list[str]] = {
    "aws:username": "alice",
    "aws:PrincipalArn": USER,
    "aws:CurrentTime": "2026-11-22T12:00:00Z",
    "aws:EpochTime": "1795348800",
    "aws:SourceIp": "10.1.2.3",
    "aws:SecureTransport": "true",
    "aws:MultiFactorAuthAge": "120",
    "aws:TagKeys": ["team", "cost"],
    "aws:PrincipalTag/stars": "a*b",
    "aws:PrincipalTag/empty": "",
    "s3:none": [],
}


def holds(condition: Any, *, effect: str = "Allow", version: str = "2012-10-17") -> bool:
    """Whether a statement with this condition applies to the request."""
    statement = {"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition}
    policy = compile_policy(json.dumps({"Version": version, "Statement": statement}))
    decision = decide(Query("s3:GetObject", "arn:aws:s3:::b/k", CONTEXT, from_arn(USER)), Policies((policy,)))
    return decision.verdict != "implicitDeny"


@pytest.mark.parametrize(
    ("operator", "key", "values", "expected"),
    [
        ("StringEquals", "AWS:UserName", ["bob", "alice"], True),
        ("StringEquals", "aws:username", "Alice", False),
        ("StringEquals", "aws:username", "al*", False),
        ("StringEquals", "aws:absent", "alice", False),
        ("StringEqualsIgnoreCase", "aws:username", "ALICE", True),
        ("StringNotEquals", "aws:username", ["bob", "alice"], False),
        ("StringNotEquals", "aws:username", ["bob", "eve"], True),
        ("StringNotEquals", "aws:absent", "alice", True),
        ("StringNotEqualsIgnoreCase", "aws:username", "ALICE", False),
        ("StringLike", "aws:username", "a?i*e", True),
        ("StringLike", "aws:username", "a[l]ice", False),
        ("StringLike", "aws:username", "*b*", False),
        ("StringNotLike", "aws:username", "b*", True),
        ("StringEqualsIfExists", "aws:absent", "x", True),
        ("StringEqualsIfExists", "aws:username", "x", False),
        ("StringEquals", "aws:PrincipalTag/empty", "", True),
        ("NumericEquals", "aws:MultiFactorAuthAge", "120.0", True),
        ("NumericEquals", "aws:MultiFactorAuthAge", 120, True),
        ("NumericNotEquals", "aws:MultiFactorAuthAge", ["1", "2"], True),
        ("NumericLessThan", "aws:MultiFactorAuthAge", "121", True),
        ("NumericLessThan", "aws:MultiFactorAuthAge", "120", False),
        ("NumericLessThanEquals", "aws:MultiFactorAuthAge", "120", True),
        ("NumericGreaterThan", "aws:MultiFactorAuthAge", "-1.5e1", True),
        ("NumericGreaterThanEquals", "aws:MultiFactorAuthAge", "120.5", False),
        ("DateEquals", "aws:CurrentTime", "2026-11-22T13:00:00+01:00", True),
        ("DateEquals", "aws:CurrentTime", "1795348800", True),
        ("DateEquals", "aws:EpochTime", "2026-11-22T12:00:00Z", True),
        ("DateNotEquals", "aws:CurrentTime", "2026-11-22", True),
        ("DateGreaterThan", "aws:CurrentTime", "2026-11", True),
        ("DateLessThan", "aws:CurrentTime", "2026-11-22T12:00:00.001Z", True),
        ("DateLessThanEquals", "aws:CurrentTime", "2026-11-22T11:59:59Z", False),
        ("DateGreaterThanEquals", "aws:CurrentTime", "2026-11-22T12:00:00Z", True),
        ("Bool", "aws:SecureTransport", "True", True),
        ("Bool", "aws:SecureTransport", True, True),
        ("Bool", "aws:SecureTransport", "false", False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "true", True),
        ("BinaryEquals", "aws:username", "alice", True),
        ("IpAddress", "aws:SourceIp", ["127.0.0.0/8", "10.0.0.0/8"], True),
        ("IpAddress", "aws:SourceIp", "10.1.2.3", True),
        ("IpAddress", "aws:SourceIp", "0.0.0.0/0", True),
        ("IpAddress", "aws:SourceIp", "::/0", False),
        ("NotIpAddress", "aws:SourceIp", "10.1.0.0/16", False),
        ("NotIpAddress", "aws:SourceIp", "2001:db8::/32", True),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:user/*", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam:*::user/*", False),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*", True),
        ("ArnNotEquals", "aws:PrincipalArn", USER, False),
        ("Null", "aws:absent", "true", True),
        ("Null", "aws:username", True, False),
        ("Null", "aws:username", False, True),
        ("Null", "s3:none", "true", True),
        ("Null", "aws:absent", [], False),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["cost"], True),
        ("ForAnyValue:StringEquals", "aws:absent", ["cost"], False),
        ("ForAnyValue:StringEqualsIfExists", "aws:absent", ["cost"], False),
        ("ForAllValues:StringLike", "aws:TagKeys", ["t*", "c*"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringEquals", "aws:absent", ["team"], True),
        ("ForAllValues:StringEquals", "s3:none", ["team"], True),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["team"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["team"], False),
        ("ForAnyValue:StringEquals", "aws:username", ["alice"], True),
        ("StringEquals", "aws:TagKeys", ["team", "cost"], False),
        ("StringNotEquals", "aws:TagKeys", ["x"], False),
    ],
)
def test_operators(operator: str, key: str, values: Any, expected: bool) -> None:
    assert holds({operator: {key: values}}) is expected
    assert holds({operator: {key: values}}, effect="Deny") is expected


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("StringEquals", "aws:username", "${aws:USERNAME}", True),
        ("StringLike", "aws:PrincipalArn", "*/${aws:username}", True),
        ("StringEquals", "aws:username", "${aws:PrincipalTag/team, 'alice'}", True),
        ("StringEquals", "aws:username", "${aws:PrincipalTag/team}", False),
        ("StringNotEquals", "aws:username", "${aws:PrincipalTag/team}", True),
        ("StringEquals", "aws:username", "${aws:TagKeys}", False),
        ("StringEquals", "aws:PrincipalTag/empty", "${aws:absent, ''}", True),
        ("StringEquals", "aws:PrincipalTag/empty", "${aws:absent, '}", False),
        ("StringEquals", "aws:PrincipalTag/empty", "${aws:absent, x}", False),
        ("StringLike", "aws:PrincipalTag/stars", "a${*}b", True),
        ("StringLike", "aws:username", "a${*}", False),
        ("StringLike", "aws:username", "a${?}ice", False),
        ("StringEquals", "aws:PrincipalTag/stars", "a${*}b", True),
        ("StringLike", "aws:PrincipalTag/stars", "${aws:PrincipalTag/stars}", True),
        ("StringLike", "aws:username", "${aws:PrincipalTag/stars}", False),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/team/${aws:username}", True),
        ("Bool", "aws:SecureTransport", "${aws:SecureTransport}", True),
        ("NumericEquals", "aws:MultiFactorAuthAge", "${aws:MultiFactorAuthAge}", False),
    ],
)
def test_variables(operator: str, key: str, value: str, expected: bool) -> None:
    assert holds({operator: {key: value}}) is expected


def test_an_older_version_has_no_variables() -> None:
    assert not holds({"StringEquals": {"aws:username": "${aws:username}"}}, version="2008-10-17")


def test_what_a_variable_stands_for_is_never_a_pattern() -> None:
    text = {"StringLike": {"aws:username": "${aws:PrincipalTag/stars}"}}
    assert not holds(text)
    context = {"aws:username": "axxb", "aws:PrincipalTag/stars": "a*b"}
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": text}
    policy = compile_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    assert not decide(Query("s3:GetObject", "arn:aws:s3:::b/k", context, from_arn(USER)), Policies((policy,))).allowed


@pytest.mark.parametrize(
    "condition",
    [
        {"StringResembles": {"aws:username": "alice"}},
        {"NumericEquals": {"aws:MultiFactorAuthAge": "1_20"}},
        {"NumericLessThan": {"aws:MultiFactorAuthAge": "nan"}},
        {"NumericNotEquals": {"aws:username": "5"}},
        {"DateGreaterThan": {"aws:CurrentTime": "yesterday"}},
        {"DateGreaterThan": {"aws:username": "2026-01-01"}},
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}},
        {"NotIpAddress": {"aws:username": "10.0.0.0/8"}},
        {"Bool": {"aws:SecureTransport": "yes"}},
        {"Bool": {"aws:username": "true"}},
        {"ArnLike": {"aws:PrincipalArn": "*"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*:user/*"}},
        {"ArnNotLike": {"aws:username": "arn:aws:iam::*:user/*"}},
    ],
)
def test_what_is_not_understood_denies_and_never_allows(condition: Any) -> None:
    assert not holds(condition)
    assert holds(condition, effect="Deny")


def test_all_operators_must_hold() -> None:
    assert holds({"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:SecureTransport": "true"}})
    assert not holds({"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:SecureTransport": "false"}})
    assert not holds({"StringEquals": {"aws:username": "alice", "aws:absent": "x"}})
