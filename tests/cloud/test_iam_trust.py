"""What other services ask of IAM and STS: does a role trust them, and keys for their jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.call import Call, Caller, Credential, HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam.service import IAM
from sagehound.localcloud.services.iam.trust import trusts_caller
from sagehound.localcloud.services.sts.service import STS
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

pytestmark = pytest.mark.local_only

ACCOUNT = "123456789012"
ROOT = Caller(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, "AKIAROOT", is_root=True)
CALL = Call("iam", "", "us-east-1", ACCOUNT, ROOT, "id", HttpRequest("POST", "/", "", {}, "http", "", lambda: None))  # type: ignore[arg-type, return-value]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "cloud.sqlite")
    yield made
    made.close()


@pytest.fixture
def iam(store: Store) -> IAM:
    return IAM(store, Clock(), ACCOUNT, Credential("AKIAROOT", "secret", ROOT))


@pytest.fixture
def sts(store: Store, iam: IAM) -> STS:
    return STS(store, Clock(), ACCOUNT, iam, "us-east-1")


def role(iam: IAM, *statements: dict[str, Any], path: str = "/") -> str:
    """The ARN of a role with this trust policy."""
    filled = [{"Effect": "Allow", "Action": "sts:AssumeRole", **statement} for statement in statements]
    document = json.dumps({"Version": "2012-10-17", "Statement": filled})
    request = {"RoleName": "r", "Path": path, "AssumeRolePolicyDocument": document}
    arn: str = iam.roles.CreateRole(CALL, request)["Role"]["Arn"]
    return arn


SAGEMAKER: dict[str, Any] = {"Principal": {"Service": "sagemaker.amazonaws.com"}}
BOTH: dict[str, Any] = {"Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}}


@pytest.mark.parametrize(
    "statements",
    [
        [SAGEMAKER],
        [BOTH],
        [{**SAGEMAKER, "Action": ["sts:TagSession", "sts:*"]}],
        [{**SAGEMAKER, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}],
        [{"Principal": {"AWS": ACCOUNT}}, SAGEMAKER],
    ],
)
def test_a_role_that_trusts_the_service(iam: IAM, statements: list[dict[str, Any]]) -> None:
    arn = role(iam, *statements, path="/service-role/")
    iam.role_trust(arn, "sagemaker.amazonaws.com")
    with pytest.raises(AwsError, match="Could not assume role"):
        iam.role_trust(arn, "ec2.amazonaws.com")


@pytest.mark.parametrize(
    "statements",
    [
        [{"Principal": {"Service": "lambda.amazonaws.com"}}],
        [{"Principal": {"AWS": "*"}}],
        [{**SAGEMAKER, "Action": "sts:TagSession"}],
        [{**SAGEMAKER, "Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}}],
        [{**SAGEMAKER, "Condition": {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}}],
        [SAGEMAKER, {**BOTH, "Effect": "Deny"}],
    ],
)
def test_a_role_that_does_not(iam: IAM, statements: list[dict[str, Any]]) -> None:
    arn = role(iam, *statements)
    with pytest.raises(AwsError) as caught:
        iam.role_trust(arn, "sagemaker.amazonaws.com")
    assert (caught.value.code, caught.value.message) == (
        "ValidationException",
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role.",
    )


def test_a_role_is_its_whole_arn(iam: IAM) -> None:
    arn = role(iam, SAGEMAKER, path="/service-role/")
    for other in (arn.replace("/service-role", ""), arn.replace(ACCOUNT, "999999999999"), "no-arn", ""):
        with pytest.raises(AwsError, match="Could not assume role"):
            iam.role_trust(other, "sagemaker.amazonaws.com")


def test_keys_for_a_job_are_of_the_role(iam: IAM, sts: STS) -> None:
    arn = role(iam, SAGEMAKER)
    keys = sts.issue(arn, "SageMaker", 7200)
    assert sorted(keys) == ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken"]
    found = sts.credentials.find(keys["AccessKeyId"])
    assert found is not None
    assert (found.secret_access_key, found.session_token) == (keys["SecretAccessKey"], keys["SessionToken"])
    assert found.expiration == keys["Expiration"].timestamp()
    assert found.caller.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/SageMaker"
    assert found.caller.session["RoleArn"] == arn
    assert found.caller.user_id.startswith("AROA")
    assert found.caller.user_id.endswith(":SageMaker")
    assert not found.caller.is_root


def test_there_are_no_keys_of_a_role_that_is_gone(iam: IAM, sts: STS) -> None:
    arn = role(iam, SAGEMAKER)
    iam.roles.DeleteRole(CALL, {"RoleName": "r"})
    with pytest.raises(AwsError, match="AccessDenied"):
        sts.issue(arn, "SageMaker", 3600)


async def test_sessions_outlive_the_process_and_are_pruned_a_week_after_their_end(
    store: Store, iam: IAM, sts: STS
) -> None:
    keys = sts.issue(role(iam, SAGEMAKER), "job", 3600)["AccessKeyId"]
    again = STS(store, Clock(), ACCOUNT, iam, "us-east-1")
    await again.start()
    assert again.credentials.find(keys) is not None

    class Later(Clock):
        def time(self) -> float:
            return super().time() + 8 * 24 * 3600

    later = STS(store, Later(), ACCOUNT, iam, "us-east-1")
    assert later.credentials.find(keys) is not None
    await later.start()
    assert later.credentials.find(keys) is None


EVERYBODY: dict[str, Any] = {"Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
USER = f"arn:aws:iam::{ACCOUNT}:user/dogs"


def trusts(*statements: dict[str, Any], arn: str = USER, action: str = "sts:AssumeRole") -> bool:
    """Whether a trust policy of these statements lets somebody of the account in."""
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return trusts_caller(document, arn, ACCOUNT, action, {"sts:ExternalId": "x", "aws:PrincipalAccount": ACCOUNT})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"STS:ExternalId": ["x", "y"]}}, True),
        ({"StringEquals": {"sts:ExternalId": "X"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ({"NumericEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ({"NumericLessThan": {"sts:ExternalId": "5"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ({"StringEquals": {"sts:ExternalId": "x"}, "StringLike": {"sts:ExternalId": "y"}}, False),
        ({"StringEquals": {"sts:ExternalId": "${sts:ExternalId}"}}, True),
    ],
)
def test_conditions_of_a_trust_policy(condition: dict[str, Any], expected: bool) -> None:
    assert trusts({"Effect": "Allow", **EVERYBODY, "Condition": condition}) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"StringResembles": {"sts:ExternalId": "x"}},
        {"NumericEquals": {"aws:PrincipalAccount": "twelve digits"}},
        {"NumericNotEquals": {"sts:ExternalId": "5"}},
        {"IpAddress": {"aws:PrincipalAccount": "10.0.0.0/8"}},
        {"DateLessThan": {"sts:ExternalId": "never"}},
    ],
)
def test_what_is_not_understood_never_lets_anybody_in(condition: dict[str, Any]) -> None:
    allow = {"Effect": "Allow", **EVERYBODY}
    assert trusts(allow)
    assert not trusts({**allow, "Condition": condition})
    assert not trusts(allow, {"Effect": "Deny", **EVERYBODY, "Condition": condition})


@pytest.mark.parametrize("condition", ["x", [], {"StringEquals": "x"}, {"StringEquals": {"sts:ExternalId": {}}}])
def test_what_is_no_condition_lets_nobody_in_by_any_statement(condition: Any) -> None:
    allow = {"Effect": "Allow", **EVERYBODY}
    assert not trusts(allow, {**allow, "Condition": condition})


def test_a_session_is_trusted_by_its_role_whatever_the_path() -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/trainer/job"
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    for named in (
        f"arn:aws:iam::{ACCOUNT}:role/trainer",
        f"arn:aws:iam::{ACCOUNT}:role/path/trainer",
        ACCOUNT,
        session,
    ):
        assert trusts({**allow, "Principal": {"AWS": named}}, arn=session)
    for named in (
        f"arn:aws:iam::{ACCOUNT}:role/trainer2",
        "arn:aws:iam::999999999999:role/trainer",
        USER,
        "999999999999",
    ):
        assert not trusts({**allow, "Principal": {"AWS": named}}, arn=session)


def test_nobody_of_another_account_is_trusted_as_one_of_ours() -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **EVERYBODY}]})
    assert not trusts_caller(document, "arn:aws:iam::999999999999:user/dogs", ACCOUNT, "sts:AssumeRole", {})
