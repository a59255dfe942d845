"""The authoriser in Python: questions inside operations, what services do with a role, and many keys as one entry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.authorization.summary import summary
from sagehound.localcloud.call import Call, Caller, HttpRequest
from sagehound.localcloud.cloud import Cloud
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire.authentication import ANONYMOUS
from sagehound.settings import LocalCloudSettings

ACCOUNT = "123456789012"
BUCKET = "arn:aws:s3:::pictures"
TRUST = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str, resource: str = "*", **members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **members}


async def _nothing() -> Any:
    yield b""


class Account:
    """A cloud that does not listen, with a role."""

    def __init__(self, folder: Path) -> None:
        self.cloud = Cloud(LocalCloudSettings(), folder, lambda: "http://127.0.0.1:1")
        self.records = folder / "calls.jsonl"
        self.authoriser = self.cloud.authoriser
        self.role = f"arn:aws:iam::{ACCOUNT}:role/service-role/worker"
        self.ask("iam", "CreateRole", RoleName="worker", Path="/service-role/", AssumeRolePolicyDocument=policy(TRUST))

    def ask(self, service: str, operation: str, **params: Any) -> Any:
        http = HttpRequest("POST", "/", "", {}, "http", "127.0.0.1", _nothing)
        call = Call(service, operation, "us-east-1", ACCOUNT, self.cloud.root.caller, "id", http)
        return self.cloud.services[service].operations[operation](call, params)

    def give(self, *statements: dict[str, Any]) -> None:
        """The role's only policy."""
        self.ask("iam", "PutRolePolicy", RoleName="worker", PolicyName="work", PolicyDocument=policy(*statements))

    def session(self, **options: Any) -> Caller:
        keys = self.ask("sts", "AssumeRole", RoleArn=self.role, RoleSessionName="s1", **options)["Credentials"]
        found = self.cloud.services["sts"].credentials.find(keys["AccessKeyId"])  # type: ignore[attr-defined]
        caller: Caller = found.caller
        return caller

    def denied(self, action: str, resource: str, context: dict[str, Any] | None = None) -> str | None:
        return self.authoriser.denied(
            self.role, "job-1", action, resource, context, region="us-east-1", via="sagemaker.amazonaws.com"
        )

    def record(self) -> dict[str, Any]:
        last: dict[str, Any] = json.loads(self.records.read_text().splitlines()[-1])
        return last


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    made = Account(tmp_path)
    yield made
    made.cloud.recorder.close()
    made.cloud.store.close()


class TestWhatServicesDoWithARole:
    def test_a_sentence_or_nothing(self, account: Account) -> None:
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/job-1"
        assert account.denied("s3:GetObject", f"{BUCKET}/in/dog") == (
            f"User: {session} is not authorized to perform: s3:GetObject on resource: {BUCKET}/in/dog "
            "because no identity-based policy allows the s3:GetObject action"
        )
        account.give(allow("s3:GetObject", f"{BUCKET}/in/*"))
        assert account.denied("s3:GetObject", f"{BUCKET}/in/dog") is None
        assert account.denied("s3:GetObject", f"{BUCKET}/out/dog") is not None

    def test_it_is_recorded_as_a_call_of_the_role(self, account: Account) -> None:
        account.give(allow("s3:GetObject", f"{BUCKET}/in/*", Sid="Read"))
        account.denied("s3:GetObject", f"{BUCKET}/in/*")
        record = account.record()
        assert (record["caller"], record["session_issuer"], record["via"]) == (
            f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/job-1",
            account.role,
            "sagemaker.amazonaws.com",
        )
        assert (record["action"], record["resource"], record["status"]) == ("s3:GetObject", f"{BUCKET}/in/*", 200)
        assert record["authorised"][0]["statement"] == "Read"
        account.denied("s3:PutObject", f"{BUCKET}/in/*")
        record = account.record()
        assert (record["status"], record["error"], record["refused_by"]) == (403, "AccessDenied", "authorise")

    def test_conditions_and_the_bucket_s_policy_count(self, account: Account) -> None:
        account.give(allow("s3:ListBucket", BUCKET, Condition={"StringLike": {"s3:prefix": "in/*"}}), allow("s3:Get*"))
        assert account.denied("s3:ListBucket", BUCKET, {"s3:prefix": "in/dogs"}) is None
        assert account.denied("s3:ListBucket", BUCKET, {"s3:prefix": "out/"}) is not None
        account.ask("s3", "CreateBucket", Bucket="pictures")
        assert account.denied("s3:GetObject", f"{BUCKET}/dog") is None
        deny = {**allow("s3:GetObject", f"{BUCKET}/*"), "Effect": "Deny", "Principal": "*"}
        account.ask("s3", "PutBucketPolicy", Bucket="pictures", Policy=policy(deny))
        told = account.denied("s3:GetObject", f"{BUCKET}/dog")
        assert told is not None
        assert told.endswith("with an explicit deny in a resource-based policy")

    def test_a_role_that_is_gone_may_nothing(self, account: Account) -> None:
        account.give(allow("*"))
        assert account.denied("s3:GetObject", f"{BUCKET}/dog") is None
        account.ask("iam", "DeleteRolePolicy", RoleName="worker", PolicyName="work")
        account.ask("iam", "DeleteRole", RoleName="worker")
        assert account.denied("s3:GetObject", f"{BUCKET}/dog") is not None

    def test_another_path_is_another_role(self, account: Account) -> None:
        account.give(allow("*"))
        other = account.role.replace("/service-role", "")
        asked = ("s3:GetObject", f"{BUCKET}/dog")
        assert account.authoriser.denied(other, "s", *asked, region="us-east-1", via="x") is not None


class TestQuestionsOfOperations:
    def test_nobody_needs_a_policy_of_the_resource(self, account: Account) -> None:
        authorised: list[dict[str, str]] = []
        function = "arn:aws:lambda:us-east-1:1:function:f"
        with pytest.raises(AwsError) as refused:
            account.authoriser.require(
                ANONYMOUS,
                "us-east-1",
                "lambda:InvokeFunctionUrl",
                function,
                service="lambda",
                authorised=authorised,
            )
        assert (refused.value.code, refused.value.status) == ("AccessDeniedException", 403)
        assert [(entry["resource"], entry["verdict"]) for entry in authorised] == [(function, "implicitDeny")]

    def test_root_may_and_nobody_is_asked(self, account: Account) -> None:
        authorised: list[dict[str, str]] = []
        asked = "us-east-1", "iam:PassRole", account.role
        account.authoriser.require(account.cloud.root.caller, *asked, service="iam", authorised=authorised)
        assert authorised == []

    def test_a_caller_without_a_key_is_not_taken_for_another(self, account: Account) -> None:
        """What is remembered by access key must not be shared by those who have none."""
        account.give(allow("iam:ListUsers"))
        session = account.session()
        arn = f"arn:aws:iam::{ACCOUNT}:user/other"
        for _ in range(2):
            keyless = Caller(session.arn, session.user_id, ACCOUNT, "", session=session.session)
            account.authoriser.require(keyless, "us-east-1", "iam:ListUsers", "*", service="iam")
            stranger = Caller(arn, "AIDAOTHER", ACCOUNT, "")
            with pytest.raises(AwsError, match="user/other is not authorized"):
                account.authoriser.require(stranger, "us-east-1", "iam:ListUsers", "*", service="iam")


class Tags:
    """Objects whose tags say which they are; remembers which ones were looked up."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def resource_tags(self, arn: str) -> dict[str, str]:
        self.asked.append(arn)
        return {"Which": arn.rpartition("/")[2]}


class TestTagsOfObjects:
    @pytest.mark.parametrize("key", ["aws:ResourceTag/which", "s3:ExistingObjectTag/Which", "S3:RESOURCETAG/WHICH"])
    def test_are_looked_up_once_where_a_policy_speaks_of_them(self, account: Account, key: str) -> None:
        tags = Tags()
        account.authoriser.add_resource_tags("s3", tags)
        condition = {"StringEquals": {key: ["dog", "cat"]}, "Null": {key: "false"}}
        account.give(allow("s3:GetObject", f"{BUCKET}/*", Condition=condition))
        objects = [f"{BUCKET}/{name}" for name in ("dog", "cat", "bird")]
        asked = account.role, "job-1", "s3:GetObject", objects, f"{BUCKET}/*"
        found = account.authoriser.denied_among(*asked, region="us-east-1", via="sagemaker.amazonaws.com")
        assert found is not None
        assert (found[0], tags.asked) == (objects[2], objects)

    def test_are_not_looked_up_for_the_tags_of_who_asks(self, account: Account) -> None:
        tags = Tags()
        account.authoriser.add_resource_tags("s3", tags)
        absent = {"Null": {"aws:PrincipalTag/team": "true", "aws:RequestTag/team": "true"}}
        account.give(allow("s3:GetObject", f"{BUCKET}/*", Condition=absent))
        assert account.denied("s3:GetObject", f"{BUCKET}/dog") is None
        assert tags.asked == []


class TestRemembered:
    def test_rights_are_the_same_until_a_record_changes(self, account: Account) -> None:
        effective = account.cloud.services["iam"].effective  # type: ignore[attr-defined]
        account.give(allow("s3:GetObject"))
        session = account.session()
        first = effective.rights_of(session)
        assert effective.rights_of(session) is first
        account.ask("s3", "CreateBucket", Bucket="pictures")
        assert effective.rights_of(session) is first
        account.give(allow("s3:PutObject"))
        assert effective.rights_of(session) is not first

    def test_two_sessions_of_a_role_keep_their_own_policies(self, account: Account) -> None:
        account.give(allow("s3:*"))
        narrow = account.session(Policy=policy(allow("s3:ListBucket")))
        wide = account.session()
        require = account.authoriser.require
        for _ in range(2):
            require(wide, "us-east-1", "s3:GetObject", f"{BUCKET}/dog", service="s3")
            with pytest.raises(AwsError, match="no session policy"):
                require(narrow, "us-east-1", "s3:GetObject", f"{BUCKET}/dog", service="s3")


def test_many_decisions_of_one_kind_are_one_entry() -> None:
    def entry(resource: str, verdict: str = "allowed") -> dict[str, str]:
        return {"action": "a", "resource": resource, "verdict": verdict, "by": "b", "policy": "p", "statement": "s"}

    found = summary([entry("x/in/1"), entry("x/out/1", "implicitDeny"), entry("x/in/2"), entry("x/in/1")])
    assert found == [entry("x/in/*"), entry("x/out/1", "implicitDeny")]
    assert summary([entry("x/1"), entry("x/1")]) == [entry("x/1")]
    assert summary([entry("dogs"), entry("dogs/2")]) == [entry("dogs*")]
    assert summary([]) == []
