"""From what was called to the least policy: patterns, resources of the next run, conditions, what is never widened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sagehound.pipeline.secure import catalogue
from sagehound.pipeline.secure.conditions import context_for
from sagehound.pipeline.secure.events import Use, unseen
from sagehound.pipeline.secure.findings import Finding
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.generalise import generalise
from sagehound.pipeline.secure.grants import check_policy, names_everything
from sagehound.pipeline.secure.kept import SOMETIMES
from sagehound.pipeline.secure.minimal import minimal_document, needs_of
from sagehound.pipeline.secure.patterns import covers, meet
from sagehound.pipeline.secure.plan import plan_of
from sagehound.pipeline.secure.statements import Policy, Statement
from sagehound.pipeline.secure.unused import check_unused, kept_unused
from sagehound.pipeline.secure.used import Usage

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
BUCKET = "arn:aws:s3:::pictures"
ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs"
GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/dogs"


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any], name: str = "given", arn: str = "") -> Policy:
    return Policy(name, {"Version": "2012-10-17", "Statement": list(statements)}, arn)


def role(*policies: Policy, ours: bool = False, suffix: str = "", trust: dict[str, Any] | None = None) -> Role:
    arn = "arn:aws:iam::123456789012:role/dogs"
    return Role("dogs", arn, NOW, None, {}, trust or {"Statement": []}, policies, ours, suffix)


def usage(*uses: tuple[str, str] | Use, whole: bool = True) -> Usage:
    found = Usage(NOW, NOW, whole, calls=len(uses))
    for use in uses:
        found.add(use if isinstance(use, Use) else Use(*use, allowed=True))
    return found


def least(holder: Role, used: Usage, project: str = "p1") -> Any:
    document = minimal_document(holder.policies, needs_of(holder, used), project)
    return document and document["Statement"]


@pytest.mark.parametrize(
    ("pattern", "other", "covered", "meeting"),
    [
        ("*", "anything", True, True),
        ("a*", "a*", True, True),
        ("a*", "ab*", True, True),
        ("ab*", "a*", False, True),
        ("a?c", "abc", True, True),
        ("a?c", "a*c", False, True),
        ("a*c", "b*c", False, False),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b", False, False),
        ("*x*", "*y*", False, True),
        ("", "", True, True),
        ("a*", "", False, False),
    ],
)
def test_patterns_cover_and_meet(pattern: str, other: str, covered: bool, meeting: bool) -> None:
    assert covers(pattern, other) is covered
    assert meet(pattern, other) is meeting
    assert meet(other, pattern) is meeting


@pytest.mark.parametrize(
    ("action", "used", "expected"),
    [
        ("s3:GetObject", {f"{BUCKET}/p1/data/a.png", f"{BUCKET}/p1/jobs/x/model.tar.gz"}, {f"{BUCKET}/p1/*"}),
        ("s3:GetObject", {f"{BUCKET}/other/config.json"}, {f"{BUCKET}/other/config.json"}),
        ("s3:GetObject", {f"{BUCKET}/other/a/1.png", f"{BUCKET}/other/a/2.png"}, {f"{BUCKET}/other/a/*"}),
        ("s3:GetObject", {f"{BUCKET}/x/1", f"{BUCKET}/y/1"}, {f"{BUCKET}/x/*", f"{BUCKET}/y/*"}),
        ("s3:GetObject", {f"{BUCKET}/in/data*"}, {f"{BUCKET}/in/*"}),
        ("s3:GetObject", {f"{BUCKET}/one.json", f"{BUCKET}/two.json"}, {f"{BUCKET}/one.json", f"{BUCKET}/two.json"}),
        ("s3:ListBucket", {BUCKET}, {BUCKET}),
        ("logs:PutLogEvents", {f"{GROUP}:log-stream:2026/11/23/[1]ab"}, {f"{GROUP}:*"}),
        ("logs:CreateLogGroup", {f"{GROUP}:log-stream:"}, {f"{GROUP}:*"}),
        ("sagemaker:InvokeEndpoint", {ENDPOINT}, {ENDPOINT}),
        (
            "sagemaker:DescribeTrainingJob",
            {"arn:aws:sagemaker:us-east-1:123456789012:training-job/p1-train-0a1b2c3d4e5f"},
            {"arn:aws:sagemaker:us-east-1:123456789012:training-job/p1-*"},
        ),
        (
            "sagemaker:DescribeTrainingJob",
            {"arn:aws:sagemaker:us-east-1:123456789012:training-job/pytorch-training-2024-08-29-16-19-34-530"},
            {"arn:aws:sagemaker:us-east-1:123456789012:training-job/pytorch-training-*"},
        ),
        (
            "sagemaker:DescribeTrainingJob",
            {"arn:aws:sagemaker:us-east-1:123456789012:training-job/nightly"},
            {"arn:aws:sagemaker:us-east-1:123456789012:training-job/nightly"},
        ),
        ("cloudwatch:PutMetricData", {"*"}, {"*"}),
        ("ecr:GetAuthorizationToken", {"*"}, {"*"}),
    ],
)
def test_resources_of_the_next_run(action: str, used: set[str], expected: set[str]) -> None:
    assert generalise(action, used, "p1") == expected


def test_the_usual_choice_becomes_two_statements() -> None:
    full = policy(allow("sagemaker:*"), name="AmazonSageMakerFullAccess", arn="arn:aws:iam::aws:policy/x")
    basic = policy(allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]), name="basic")
    used = usage(
        ("sagemaker:InvokeEndpoint", ENDPOINT),
        ("logs:CreateLogStream", f"{GROUP}:log-stream:a"),
        ("logs:PutLogEvents", f"{GROUP}:log-stream:a"),
    )
    assert least(role(full, basic), used) == [
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{GROUP}:*"),
        allow("sagemaker:InvokeEndpoint", ENDPOINT),
    ]


def test_nothing_is_wider_than_it_was_granted() -> None:
    narrow = role(policy(allow("s3:GetObject", [f"{BUCKET}/p1/data/*", f"{BUCKET}/p1/code/*"])))
    used = usage(("s3:GetObject", f"{BUCKET}/p1/data/a"), ("s3:GetObject", f"{BUCKET}/p1/data/b"))
    assert least(narrow, used) == [allow("s3:GetObject", f"{BUCKET}/p1/data/*")]
    exact = role(policy(allow("s3:GetObject", f"{BUCKET}/p1/data/a")))
    assert least(exact, usage(("s3:GetObject", f"{BUCKET}/p1/data/a"))) == [
        allow("s3:GetObject", f"{BUCKET}/p1/data/a")
    ]
    except_secrets = {"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/p1/secret/*"}
    assert least(role(policy(except_secrets)), usage(("s3:GetObject", f"{BUCKET}/p1/data/a"))) == [
        allow("s3:GetObject", f"{BUCKET}/p1/data/a")
    ]
    assert least(role(policy(allow("s3:PutObject", f"{BUCKET}/*"))), usage(("s3:GetObject", f"{BUCKET}/a"))) is None


def test_a_call_without_a_resource_is_allowed_by_a_statement_that_excludes_some() -> None:
    excluding = {"Effect": "Allow", "Action": "sagemaker:*", "NotResource": "arn:aws:sagemaker:*:*:domain/*"}
    assert least(role(policy(excluding)), usage(("sagemaker:ListEndpoints", "*"))) == [allow("sagemaker:ListEndpoints")]


def test_conditions_and_denials_stay() -> None:
    condition = {"StringLike": {"s3:prefix": "p1/*"}}
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": f"{BUCKET}/p1/secret/*"}
    given = role(policy(allow(["s3:ListBucket", "s3:GetBucketAcl"], BUCKET, Condition=condition), deny))
    assert least(given, usage(("s3:ListBucket", BUCKET))) == [allow("s3:ListBucket", BUCKET, Condition=condition), deny]


def test_the_statement_that_decided_is_the_one_that_is_kept() -> None:
    """A condition is not in the history: where another statement let the call through, that one is needed."""
    limited = allow("s3:ListBucket", BUCKET, Sid="Limited", Condition={"StringLike": {"s3:prefix": "p1/*"}})
    open_one = allow("s3:*", "*", Sid="Open")
    given = role(policy(limited, name="mine"), policy(open_one, name="wide", arn="arn:aws:iam::1:policy/wide"))
    by_the_open_one = Use("s3:ListBucket", BUCKET, True, "arn:aws:iam::1:policy/wide", "Open")
    by_the_limited = Use("s3:ListBucket", BUCKET, True, "mine", "Limited")
    assert least(given, usage(by_the_open_one)) == [allow("s3:ListBucket", BUCKET)]
    assert least(given, usage(by_the_limited)) == [
        allow("s3:ListBucket", BUCKET, Condition={"StringLike": {"s3:prefix": "p1/*"}})
    ]


def test_what_the_event_history_of_aws_does_not_show_is_kept_as_granted() -> None:
    """On AWS data events need a trail; management events of the same statement are still told apart."""
    given = role(policy(allow(["sagemaker:InvokeEndpoint", "sagemaker:DeleteEndpoint"], "*")))
    described = usage(("sagemaker:DescribeEndpoint", ENDPOINT), whole=False)
    assert least(given, described) == [allow("sagemaker:InvokeEndpoint")]
    assert least(given, usage(("sagemaker:DescribeEndpoint", ENDPOINT))) is None
    excluding = role(policy({"Effect": "Allow", "NotAction": ["s3:*", "dynamodb:*", "iam:*"], "Resource": "*"}))
    (kept,) = least(excluding, usage(("sagemaker:DescribeEndpoint", ENDPOINT), whole=False))[:1]
    assert "sagemaker:InvokeEndpoint" in kept["Action"]
    assert not {"s3:GetObject", "iam:PassRole", "sagemaker:CreateEndpoint"} & set(kept["Action"])
    everything = role(policy(allow("s3:*", f"{BUCKET}/*")))
    kept = least(everything, usage(("s3:GetBucketAcl", BUCKET), whole=False))
    assert "s3:GetObject" in kept[0]["Action"]
    assert "s3:DeleteBucket" not in kept[0]["Action"]
    assert {statement["Resource"] for statement in kept} == {f"{BUCKET}/*"}
    assert [unseen(action) for action in ("s3:PutObject", "iam:PassRole", "sagemaker:CreateEndpoint")] == [
        *(True, True, False)
    ]


def finding(code: str, about: str) -> Finding:
    return Finding("HIGH", code, "role dogs", "it is", "for a reason", "out", about)


def test_a_policy_without_a_finding_stays_and_the_managed_one_goes() -> None:
    mine = policy(allow("sagemaker:InvokeEndpoint", ENDPOINT), name="p1-function")
    full = policy(allow("sagemaker:*"), name="AmazonSageMakerFullAccess", arn="arn:aws:iam::aws:policy/x")
    plan = plan_of(
        role(mine, full),
        usage(Use("sagemaker:InvokeEndpoint", ENDPOINT, True, "arn:aws:iam::aws:policy/x", "statement 1")),
        [finding("full-access-policy", "AmazonSageMakerFullAccess")],
        "p1",
        "123456789012",
    )
    assert plan is not None
    assert (plan.put, plan.remove, plan.detach) == ({}, (), (full,))
    assert plan.after == {"p1-function": mine.document}
    assert plan.diff() == ["- attached arn:aws:iam::aws:policy/x (1 statement)"]


def test_nothing_is_derived_for_a_role_that_never_called() -> None:
    full = policy(allow("sagemaker:*"), name="wide")
    assert plan_of(role(full), usage(), [finding("action-wildcard", "wide")], "p1", "123456789012") is None


def test_an_inline_policy_of_which_nothing_is_needed_goes() -> None:
    idle, busy = policy(allow("s3:*"), name="idle"), policy(allow("sagemaker:*"), name="busy")
    plan = plan_of(
        role(idle, busy),
        usage(("sagemaker:InvokeEndpoint", ENDPOINT)),
        [finding("action-wildcard", "idle"), finding("action-wildcard", "busy")],
        "p1",
        "123456789012",
    )
    assert plan is not None
    assert plan.remove == ("idle",)
    assert plan.after == {"busy": {"Version": "2012-10-17", "Statement": [allow("sagemaker:InvokeEndpoint", ENDPOINT)]}}


def test_what_the_pipeline_grants_for_aws_is_not_called_unused() -> None:
    images = allow(["ecr:GetAuthorizationToken"])
    data = allow(["s3:GetObject", "s3:AbortMultipartUpload", "s3:DeleteObject"], f"{BUCKET}/p1/*")
    ours = role(policy(images, data, name="p1-training"), ours=True, suffix="-training")
    used = usage(("s3:GetObject", f"{BUCKET}/p1/a"))
    (found,) = check_unused(ours, used)
    assert found.evidence[0]["unused"] == ["s3:DeleteObject"]
    assert "between 2026-11-23 02:00 and 2026-11-23 02:00 UTC (1 call)" in found.what
    assert [kept.action for kept in kept_unused(ours, used)] == ["ecr:GetAuthorizationToken", "s3:AbortMultipartUpload"]
    plan = plan_of(ours, used, [found], "p1", "123456789012")
    assert plan is not None
    assert plan.put["p1-training"]["Statement"] == [
        images | {"Action": "ecr:GetAuthorizationToken"},
        allow(["s3:AbortMultipartUpload", "s3:GetObject"], f"{BUCKET}/p1/*"),
    ]
    theirs = role(policy(images, data, name="somebody-training"))
    (found,) = check_unused(theirs, used)
    assert len(found.evidence[0]["unused"]) == 3


def test_every_reason_is_about_an_action_that_aws_lists() -> None:
    assert [kept.action for kept in SOMETIMES if catalogue.details(kept.action) is None] == []
    assert all(kept.reason.endswith(".") for kept in SOMETIMES)


@pytest.mark.parametrize(
    ("statement", "codes"),
    [
        (allow("sagemaker:InvokeEndpoint", ENDPOINT), {}),
        (allow("cloudwatch:PutMetricData"), {}),
        (allow("ecr:GetAuthorizationToken"), {}),
        (allow("sagemaker:ListEndpoints"), {}),
        (allow("logs:PutLogEvents", "arn:aws:logs:*:*:log-group:/aws/sagemaker/*"), {}),
        (allow("*"), {"action-wildcard": "CRITICAL", "pass-role": "CRITICAL"}),
        (allow("s3:*", f"{BUCKET}/*"), {"action-wildcard": "MEDIUM"}),
        (allow("s3:Get*"), {"action-wildcard": "MEDIUM"}),
        (allow("sagemaker:*"), {"action-wildcard": "HIGH"}),
        (allow("sagemaker:DescribeEndpoint"), {"resource-wildcard": "LOW"}),
        (allow("sagemaker:DeleteEndpoint"), {"resource-wildcard": "MEDIUM"}),
        (allow("sagemaker:DeleteEndpoint", Condition={"Bool": {"a": "true"}}), {"resource-wildcard": "LOW"}),
        (allow("s3:PutBucketPolicy", "arn:aws:s3:::*"), {"resource-wildcard": "HIGH"}),
        (allow("iam:PassRole"), {"pass-role": "CRITICAL"}),
        (
            allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}),
            {"pass-role": "HIGH"},
        ),
        (allow("iam:PassRole", "arn:aws:iam::123456789012:role/dogs"), {}),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, {"allow-by-exclusion": "CRITICAL"}),
        (
            {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": f"{BUCKET}/a"},
            {"allow-by-exclusion": "HIGH"},
        ),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, {}),
    ],
)
def test_what_is_too_wide(statement: dict[str, Any], codes: dict[str, str]) -> None:
    given = policy(statement)
    found = {one.code: one.severity for one in check_policy(role(given), given)}
    if "NotAction" in statement:
        found.pop("pass-role", None)
    assert found == codes


def test_an_arn_that_names_nothing() -> None:
    everything = (
        "*",
        "arn:aws:s3:::*",
        "arn:aws:sagemaker:*:*:endpoint/*",
        "arn:aws:logs:*:*:*",
        "arn:aws:logs:*:*:log-group:*",
    )
    something = (ENDPOINT, f"{BUCKET}/*", "arn:aws:sagemaker:*:*:endpoint/p1-*", f"{GROUP}:*")
    assert [names_everything(pattern) for pattern in everything] == [True] * len(everything)
    assert [names_everything(pattern) for pattern in something] == [False] * len(something)


def test_a_context_in_which_a_condition_holds() -> None:
    assert context_for({"StringLike": {"s3:prefix": ["p1/*"]}}) == [
        {"ContextKeyName": "s3:prefix", "ContextKeyType": "string", "ContextKeyValues": ["p1/x"]}
    ]
    assert context_for({"Bool": {"aws:SecureTransport": "true"}, "NumericLessThan": {"s3:max-keys": "10"}}) == [
        {"ContextKeyName": "aws:SecureTransport", "ContextKeyType": "boolean", "ContextKeyValues": ["true"]},
        {"ContextKeyName": "s3:max-keys", "ContextKeyType": "numeric", "ContextKeyValues": ["9"]},
    ]
    assert context_for({"Null": {"aws:TagKeys": "true"}}) == []
    assert context_for({"StringEquals": {"aws:userid": "${aws:userid}"}}) is None
    assert context_for({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}) is None


def test_a_statement_is_named_by_its_sid_or_its_place() -> None:
    assert Statement({"Sid": "Mine"}, 1).name == "Mine"
    assert [one.name for one in policy(allow("a:B"), allow("c:D")).statements] == ["statement 1", "statement 2"]
