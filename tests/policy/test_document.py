"""Documents compiled: what a statement covers, and what is no policy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagehound.localcloud.policy.decision import Policies, Query, decide
from sagehound.localcloud.policy.document import Policy, compile_policy
from sagehound.localcloud.policy.principals import from_arn
from sagehound.localcloud.policy.text import context_keys, statements
from tests.policy.cases import USER

KEY = "arn:aws:s3:::dogs/alice/a:b.jpg"


def policy(*statements: dict[str, Any], version: str = "2012-10-17", name: str = "") -> Policy:
    """A compiled policy of these statements; each allows everything but for what it says."""
    filled = []
    for statement in statements:
        whole = {"Effect": "Allow", "Action": "*", "Resource": "*", **statement}
        filled.append({element: value for element, value in whole.items() if value is not None})
    return compile_policy(json.dumps({"Version": version, "Statement": filled}), name)


def allowed(one: Policy, action: str = "s3:GetObject", resource: str = KEY, **context: Any) -> bool:
    """Whether it lets alice."""
    return decide(Query(action, resource, context, from_arn(USER)), Policies((one,))).allowed


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("s3:GetObject", True),
        ("S3:getobject", True),
        ("s3:*", True),
        ("s3:Get?bject", True),
        ("s3:Get", False),
        ("s3:GetObjectAcl", False),
        ("*", True),
        (["lambda:*", "s3:G*t"], True),
        ("s3:[G]etObject", False),
    ],
)
def test_actions(pattern: Any, expected: bool) -> None:
    assert allowed(policy({"Action": pattern})) is expected
    assert allowed(policy({"Action": None, "NotAction": pattern})) is not expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("arn:aws:s3:::dogs/*", True),
        ("arn:aws:s3:::dogs/alice/a:b.jpg", True),
        ("arn:aws:s3:::Dogs/*", False),
        ("arn:*:s3:*:*:d?gs/*.jpg", True),
        ("arn:aws:s3*", True),
        ("arn:aws:s3", True),
        ("arn:aws:*:dogs/*", False),
        ("arn:aws:s3:::*:b.jpg", True),
        ("arn:aws:s3:::dogs/*/*/*", False),
        ("arn:aws:s3:::dogs/${aws:username}/*", True),
        ("arn:aws:s3:::dogs/${aws:PrincipalTag/team}/*", False),
        ("arn:aws:s3:::dogs/${aws:PrincipalTag/team, 'alice'}/*", True),
        ("arn:aws:s3:${region}:dogs/*", False),
        ("arn:aws:s3:::${*}", False),
        ("*", True),
        (["arn:aws:sqs:*:*:*", "arn:aws:s3:::*"], True),
    ],
)
def test_resources(pattern: Any, expected: bool) -> None:
    context = {"aws:username": "alice", "region": "::"}
    assert allowed(policy({"Resource": pattern}), **context) is expected
    # What a missing variable might have excepted is not allowed either.
    missing = isinstance(pattern, str) and "team}" in pattern
    assert allowed(policy({"Resource": None, "NotResource": pattern}), **context) is (not expected and not missing)


def test_the_variable_of_a_resource_is_text() -> None:
    home = policy({"Resource": "arn:aws:s3:::dogs/${aws:username}/*"})
    assert not allowed(home, **{"aws:username": "*"})
    assert not allowed(home, **{"aws:username": "al?ce"})
    assert not allowed(home, **{"aws:username": ["alice"]})
    older = policy({"Resource": "arn:aws:s3:::dogs/${aws:username}/*"}, version="2008-10-17")
    assert not allowed(older, **{"aws:username": "alice"})


def test_a_deny_excepts_nothing_by_a_variable_without_a_value() -> None:
    deny = {"Effect": "Deny", "Resource": None, "NotResource": "arn:aws:s3:::dogs/${aws:username}/*"}
    guarded = policy({}, deny)
    assert allowed(guarded, **{"aws:username": "alice"})
    assert not allowed(guarded, **{"aws:username": "bob"})
    assert not allowed(guarded)


def test_only_everything_matches_a_call_without_a_resource() -> None:
    assert allowed(policy({}), "sagemaker:ListEndpoints", "*")
    assert not allowed(policy({"Resource": "arn:aws:sagemaker:*:*:*"}), "sagemaker:ListEndpoints", "*")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        "{}",
        '{"Statement": "x"}',
        '{"Version": "2020-01-01", "Statement": []}',
        '{"Statement": [{"Effect": "Allow", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "allow", "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Effect": "Deny"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "NotAction": "s3:*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": [1], "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": {"a": 1}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Conditions": {}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": []}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": "x"}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"a:b": null}}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Principal": {"Everybody": "*"}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Principal": {"AWS": 5}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Principal": "alice"}]}',
    ],
)
def test_what_is_no_policy_denies_everything(document: str) -> None:
    broken, everything = compile_policy(document, "broken"), policy({})
    assert broken.error
    question = Query("s3:GetObject", KEY, {}, from_arn(USER))
    decision = decide(question, Policies((everything, broken)))
    assert (decision.verdict, decision.by, decision.policy) == ("explicitDeny", "identity-based policy", "broken")
    assert decide(question, Policies((everything,)), broken).verdict == "explicitDeny"
    assert decide(question, Policies((everything,), boundary=broken)).by == "permissions boundary"


def test_a_policy_without_statements_says_nothing() -> None:
    assert compile_policy('{"Statement": []}').statements == ()
    assert not allowed(compile_policy('{"Statement": []}'))


def test_documents_are_compiled_once() -> None:
    text = json.dumps({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
    assert compile_policy(text, "a") is compile_policy(text, "a")
    assert compile_policy(text, "b").name == "b"


def test_no_pattern_takes_exponential_time() -> None:
    """Forty wildcards against a text that nearly matches: a naive expression would not end in this century."""
    pattern, text = "a*" * 40 + "b", "a" * 200
    slow = policy({"Resource": f"arn:aws:s3:::{pattern}", "Condition": {"StringLike": {"aws:username": pattern}}})
    assert not allowed(slow, resource=f"arn:aws:s3:::{text}", **{"aws:username": text})
    assert allowed(slow, resource=f"arn:aws:s3:::{text}b", **{"aws:username": text + "b"})
    actions = policy({"Action": "s3:" + pattern})
    assert not allowed(actions, "s3:" + text)


@pytest.mark.parametrize("piece", ["${", "${a,", "${" + " " * 50 + ",", "${a}", "*?", "${*}"])
def test_no_text_of_variables_takes_quadratic_time(piece: str) -> None:
    """As long a document as IAM takes; what is quadratic does not end before the time limit of a test."""
    text = piece * (130_000 // len(piece))
    long = {"Resource": f"arn:aws:s3:::{text}", "Condition": {"StringLike": {"aws:username": text}}}
    assert not allowed(policy(long), **{"aws:username": "x" * 1000, "a": "y"})
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **long}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    assert set(context_keys(statements(document))) <= {"aws:username", "a"}
