"""S3 under IAM: bucket policies, callers without a name, each key of a deletion, and what is told of missing keys."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config

from tests.cloud.people import People, allow, document, statement
from tests.cloud.test_iam_users import refusal
from tests.cloud_process import CloudProcess

OPEN = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}


@pytest.fixture
def bucket(cloud: CloudProcess) -> Iterator[str]:
    """A bucket with one object, `in/dog`."""
    s3, name = cloud.client("s3"), f"authorised-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="in/dog", Body=b"woof")
    yield name
    s3.delete_bucket_policy(Bucket=name)
    versions = s3.list_object_versions(Bucket=name)
    for version in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=name)


def arn(bucket: str, key: str = "") -> str:
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def put_policy(cloud: CloudProcess, bucket: str, *statements: dict[str, Any]) -> None:
    cloud.client("s3").put_bucket_policy(Bucket=bucket, Policy=document(*statements))


def anonymous(cloud: CloudProcess) -> Any:
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 1})
    return boto3.client("s3", endpoint_url=cloud.endpoint_url, region_name=cloud.region, config=config)


class TestIdentityPolicies:
    def test_reading_is_not_writing(self, people: People, bucket: str) -> None:
        s3 = people.user(allow("s3:GetObject", arn(bucket, "*"))).client("s3")
        assert s3.get_object(Bucket=bucket, Key="in/dog")["Body"].read() == b"woof"
        assert s3.head_object(Bucket=bucket, Key="in/dog")["ContentLength"] == 4
        for method, params in (
            ("put_object", {"Key": "in/cat", "Body": b"miaow"}),
            ("delete_object", {"Key": "in/dog"}),
            ("list_objects_v2", {}),
            ("get_object_tagging", {"Key": "in/dog"}),
            ("create_multipart_upload", {"Key": "in/cat"}),
            ("get_bucket_policy", {}),
        ):
            assert refusal(getattr(s3, method), Bucket=bucket, **params)[:2] == ("AccessDenied", 403)

    def test_a_head_has_no_words(self, people: People, bucket: str) -> None:
        s3 = people.user().client("s3")
        assert refusal(s3.head_object, Bucket=bucket, Key="in/dog")[:2] == ("403", 403)
        assert refusal(s3.head_bucket, Bucket=bucket)[:2] == ("403", 403)

    def test_a_prefix(self, people: People, bucket: str) -> None:
        condition = {"StringLike": {"s3:prefix": ["in/*"]}}
        s3 = people.user(allow("s3:ListBucket", arn(bucket), Condition=condition)).client("s3")
        assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="in/")["Contents"]] == ["in/dog"]
        for asked in ({}, {"Prefix": "out/"}, {"Prefix": ""}):
            assert refusal(s3.list_objects_v2, Bucket=bucket, **asked)[0] == "AccessDenied"

    def test_a_prefix_by_name(self, people: People, bucket: str) -> None:
        person = people.user(allow(["s3:PutObject", "s3:GetObject"], arn(bucket, "home/${aws:username}/*")))
        s3 = person.client("s3")
        s3.put_object(Bucket=bucket, Key=f"home/{person.name}/mine", Body=b"x")
        assert refusal(s3.put_object, Bucket=bucket, Key="home/other/mine", Body=b"x")[0] == "AccessDenied"

    def test_a_copy_reads_its_source(self, people: People, bucket: str) -> None:
        person = people.user(allow("s3:PutObject", arn(bucket, "*")))
        asked = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "in/dog"}}
        assert "s3:GetObject" in refusal(person.client("s3").copy_object, **asked)[2]
        person.may(allow(["s3:PutObject", "s3:GetObject"], arn(bucket, "*")))
        person.client("s3").copy_object(**asked)

    def test_a_multipart_upload(self, people: People, bucket: str) -> None:
        s3 = people.user(allow("s3:PutObject", arn(bucket, "*"))).client("s3")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        named = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
        etag = s3.upload_part(**named, PartNumber=1, Body=b"x" * 100)["ETag"]
        assert refusal(s3.list_parts, **named)[0] == "AccessDenied"
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})

    def test_versions_are_another_permission(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        root = cloud.client("s3")
        root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        version = root.put_object(Bucket=bucket, Key="in/dog", Body=b"grr")["VersionId"]
        s3 = people.user(allow(["s3:GetObject", "s3:DeleteObject"], arn(bucket, "*"))).client("s3")
        s3.get_object(Bucket=bucket, Key="in/dog")
        for method in (s3.get_object, s3.delete_object):
            assert "Version" in refusal(method, Bucket=bucket, Key="in/dog", VersionId=version)[2]
        s3.delete_object(Bucket=bucket, Key="in/dog")

    def test_tags_and_lists_of_an_object_need_their_own(self, people: People, bucket: str) -> None:
        s3 = people.user(allow("s3:PutObject", arn(bucket, "*"))).client("s3")
        named = {"Bucket": bucket, "Key": "tagged", "Body": b"x"}
        assert "s3:PutObjectTagging" in refusal(s3.put_object, **named, Tagging="a=b")[2]
        assert "s3:PutObjectAcl" in refusal(s3.put_object, **named, ACL="bucket-owner-full-control")[2]
        s3.put_object(**named)

    def test_encryption_may_be_demanded(self, people: People, bucket: str) -> None:
        condition = {"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}
        s3 = people.user(allow("s3:PutObject", arn(bucket, "*"), Condition=condition)).client("s3")
        assert refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x")[0] == "AccessDenied"
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")

    def test_tags_of_an_object(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        condition = {"StringEquals": {"s3:ExistingObjectTag/kind": "public"}}
        s3 = people.user(allow("s3:GetObject", arn(bucket, "*"), Condition=condition)).client("s3")
        assert refusal(s3.get_object, Bucket=bucket, Key="in/dog")[0] == "AccessDenied"
        tags = {"TagSet": [{"Key": "kind", "Value": "public"}]}
        cloud.client("s3").put_object_tagging(Bucket=bucket, Key="in/dog", Tagging=tags)
        s3.get_object(Bucket=bucket, Key="in/dog")

    def test_a_presigned_url_is_worth_its_signer(self, people: People, bucket: str) -> None:
        person = people.user(allow("s3:GetObject", arn(bucket, "*")))
        url = person.client("s3").generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "in/dog"})
        assert requests.get(url, timeout=60).content == b"woof"
        person.may(document(statement("Deny", "s3:*")))
        assert requests.get(url, timeout=60).status_code == 403

    def test_a_large_body_is_not_awaited(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        """Who may not put is told before the body is sent: the client asks with Expect: 100-continue."""
        url = people.user().client("s3").generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
        connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
        connection.putrequest("PUT", url.removeprefix(cloud.endpoint_url))
        connection.putheader("Content-Length", str(10**9))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        assert connection.getresponse().status == 403
        connection.close()


class TestMissingKeys:
    """Whether a key is there is told to whom may list the bucket."""

    @pytest.mark.parametrize("may_list", [False, True])
    def test_of_reads(self, people: People, bucket: str, may_list: bool) -> None:
        statements = [statement("Allow", "s3:GetObject", arn(bucket, "*"))]
        if may_list:
            statements.append(statement("Allow", "s3:ListBucket", arn(bucket)))
        person = people.user(document(*statements))
        s3 = person.client("s3")
        code, status, message = refusal(s3.get_object, Bucket=bucket, Key="missing")
        assert (code, status) == (("NoSuchKey", 404) if may_list else ("AccessDenied", 403))
        assert may_list or f's3:ListBucket on resource: "{arn(bucket)}"' in message
        assert refusal(s3.head_object, Bucket=bucket, Key="missing")[1] == (404 if may_list else 403)

    def test_of_a_copy_s_source(self, people: People, bucket: str) -> None:
        person = people.user(allow(["s3:GetObject", "s3:PutObject"], arn(bucket, "*")))
        asked = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "missing"}}
        assert refusal(person.client("s3").copy_object, **asked)[0] == "AccessDenied"

    def test_a_bucket_that_is_not_there_is_denied_alike(self, people: People, bucket: str) -> None:
        s3 = people.user().client("s3")
        answers = {refusal(s3.list_objects_v2, Bucket=name)[:2] for name in (bucket, f"{bucket}-none")}
        assert answers == {("AccessDenied", 403)}


class TestDeletingMany:
    def test_each_key_is_asked_for(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        root = cloud.client("s3")
        for key in ("in/cat", "out/cat", "out/dog"):
            root.put_object(Bucket=bucket, Key=key, Body=b"x")
        person = people.user(allow("s3:DeleteObject", arn(bucket, "out/*")))
        keys = ["in/cat", "out/cat", "in/dog", "out/dog"]
        answer = person.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        assert [entry["Key"] for entry in answer["Deleted"]] == ["out/cat", "out/dog"]
        assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [
            ("in/cat", "AccessDenied"),
            ("in/dog", "AccessDenied"),
        ]
        assert f'on resource: "{arn(bucket, "in/cat")}"' in answer["Errors"][0]["Message"]
        assert [item["Key"] for item in root.list_objects_v2(Bucket=bucket)["Contents"]] == ["in/cat", "in/dog"]
        (call,) = person.calls()
        assert {(entry["verdict"], entry["resource"]) for entry in call["authorised"]} == {
            ("allowed", arn(bucket, "out/*")),
            ("implicitDeny", arn(bucket, "in/*")),
        }


class TestBucketPolicies:
    def test_a_user_that_is_named_needs_no_other(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        person, other = people.user(), people.user()
        named = statement("Allow", "s3:GetObject", arn(bucket, "*"), Principal={"AWS": person.arn})
        put_policy(cloud, bucket, named)
        person.client("s3").get_object(Bucket=bucket, Key="in/dog")
        assert refusal(other.client("s3").get_object, Bucket=bucket, Key="in/dog")[0] == "AccessDenied"
        cloud.client("s3").delete_bucket_policy(Bucket=bucket)
        assert refusal(person.client("s3").get_object, Bucket=bucket, Key="in/dog")[0] == "AccessDenied"

    def test_the_account_is_left_to_its_own_policies(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        account = {"AWS": f"arn:aws:iam::{cloud.account_id}:root"}
        put_policy(cloud, bucket, statement("Allow", "s3:*", arn(bucket, "*"), Principal=account))
        s3 = people.user().client("s3")
        assert refusal(s3.get_object, Bucket=bucket, Key="in/dog")[0] == "AccessDenied"

    def test_it_denies_whom_their_own_policies_allow(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        person = people.user(allow("s3:*"))
        denied = statement("Deny", "s3:GetObject", arn(bucket, "in/*"), Principal="*", Sid="KeepOut")
        put_policy(cloud, bucket, denied)
        _, _, message = refusal(person.client("s3").get_object, Bucket=bucket, Key="in/dog")
        assert message.endswith("with an explicit deny in a resource-based policy")
        (call,) = person.calls()
        (decided,) = call["authorised"]
        assert (decided["policy"], decided["statement"]) == (f"policy of {arn(bucket)}", "KeepOut")

    def test_all_but_one(self, people: People, bucket: str, cloud: CloudProcess) -> None:
        """NotPrincipal denies everybody who is not listed: an administrator too."""
        person, other = people.user(allow("s3:*")), people.user(allow("s3:*"))
        keep = [person.arn, f"arn:aws:iam::{cloud.account_id}:root"]
        put_policy(cloud, bucket, statement("Deny", "s3:*", arn(bucket, "*"), NotPrincipal={"AWS": keep}))
        person.client("s3").get_object(Bucket=bucket, Key="in/dog")
        assert refusal(other.client("s3").get_object, Bucket=bucket, Key="in/dog")[0] == "AccessDenied"

    def test_it_reaches_past_a_session_policy_for_the_session_only(
        self, people: People, bucket: str, cloud: CloudProcess
    ) -> None:
        """A policy that names the session grants whatever the session policy says; one that names the role does not."""
        role = people.role()
        session = people.session(role, Policy=allow("iam:ListUsers"))
        for principal, allowed in ((role, False), (session.arn, True)):
            put_policy(
                cloud, bucket, statement("Allow", "s3:GetObject", arn(bucket, "*"), Principal={"AWS": principal})
            )
            if allowed:
                session.client("s3").get_object(Bucket=bucket, Key="in/dog")
            else:
                assert "no session policy" in refusal(session.client("s3").get_object, Bucket=bucket, Key="in/dog")[2]


class TestNobody:
    """Callers without a signature."""

    def policy(self, bucket: str, action: str = "s3:GetObject", **members: Any) -> dict[str, Any]:
        return statement("Allow", action, arn(bucket, "in/*"), Principal="*", **members)

    def test_a_public_bucket_is_read(self, bucket: str, cloud: CloudProcess) -> None:
        s3 = anonymous(cloud)
        assert refusal(s3.get_object, Bucket=bucket, Key="in/dog") == ("AccessDenied", 403, "Access Denied")
        cloud.client("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=OPEN)
        put_policy(cloud, bucket, self.policy(bucket))
        assert s3.get_object(Bucket=bucket, Key="in/dog")["Body"].read() == b"woof"
        assert requests.get(f"{cloud.endpoint_url}/{bucket}/in/dog", timeout=60).content == b"woof"
        for method, params in (
            ("get_object", {"Key": "in/missing"}),
            ("get_object", {"Key": "other"}),
            ("put_object", {"Key": "in/dog", "Body": b"x"}),
            ("delete_object", {"Key": "in/dog"}),
            ("list_objects_v2", {}),
            ("put_bucket_tagging", {"Tagging": {"TagSet": []}}),
        ):
            assert refusal(getattr(s3, method), Bucket=bucket, **params) == ("AccessDenied", 403, "Access Denied")

    def test_a_bucket_that_is_not_there_is_told_to_anybody(self, cloud: CloudProcess) -> None:
        s3, name = anonymous(cloud), f"missing-{uuid.uuid4().hex[:12]}"
        for method, params in (("get_object", {"Key": "x"}), ("put_object", {"Key": "x"}), ("list_objects_v2", {})):
            assert refusal(getattr(s3, method), Bucket=name, **params)[:2] == ("NoSuchBucket", 404)
        assert refusal(s3.create_bucket, Bucket=name)[:2] == ("AccessDenied", 403)
        assert refusal(s3.list_buckets)[:2] == ("AccessDenied", 403)

    def test_block_public_access_closes_it(self, bucket: str, people: People, cloud: CloudProcess) -> None:
        root, s3 = cloud.client("s3"), anonymous(cloud)
        root.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=OPEN)
        put_policy(cloud, bucket, self.policy(bucket))
        s3.get_object(Bucket=bucket, Key="in/dog")
        closed = {**OPEN, "RestrictPublicBuckets": True}
        root.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=closed)
        assert refusal(s3.get_object, Bucket=bucket, Key="in/dog")[0] == "AccessDenied"
        people.user().client("s3").get_object(Bucket=bucket, Key="in/dog")  # those of the account stay in

    @pytest.mark.parametrize(
        ("condition", "public"),
        [
            ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
            ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
            ({"StringLike": {"aws:UserAgent": "*"}}, True),
            ({"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}, True),
            ({"StringEquals": {"aws:PrincipalAccount": "123456789012"}}, False),
            ({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}, True),
        ],
    )
    def test_what_a_condition_makes_of_a_public_policy(
        self, bucket: str, cloud: CloudProcess, condition: dict[str, Any], public: bool
    ) -> None:
        """Block Public Access, which new buckets have, refuses what is public in spite of its condition."""
        put = cloud.client("s3").put_bucket_policy
        policy = document(self.policy(bucket, Condition=condition))
        if public:
            assert refusal(put, Bucket=bucket, Policy=policy)[0] == "AccessDenied"
        else:
            put(Bucket=bucket, Policy=policy)
            assert not cloud.client("s3").get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]

    def test_writing_is_let_in_alike(self, bucket: str, cloud: CloudProcess) -> None:
        cloud.client("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=OPEN)
        put_policy(cloud, bucket, self.policy(bucket, "s3:PutObject"))
        anonymous(cloud).put_object(Bucket=bucket, Key="in/cat", Body=b"miaow")
        assert cloud.client("s3").get_object(Bucket=bucket, Key="in/cat")["Body"].read() == b"miaow"

    def test_other_services_know_nobody(self, cloud: CloudProcess) -> None:
        config = Config(signature_version=UNSIGNED, retries={"max_attempts": 1})
        options = {"endpoint_url": cloud.endpoint_url, "region_name": cloud.region, "config": config}
        assert refusal(boto3.client("sagemaker", **options).list_models)[0] == "MissingAuthenticationTokenException"
        assert refusal(boto3.client("iam", **options).list_users)[0] == "MissingAuthenticationToken"


def test_a_form_is_worth_its_signer(people: People, bucket: str) -> None:
    person = people.user()
    post = person.client("s3").generate_presigned_post(bucket, "in/form")
    send = {"url": post["url"], "data": post["fields"], "files": {"file": b"x"}, "timeout": 60}
    answer = requests.post(**send)
    assert (answer.status_code, "s3:PutObject" in answer.text) == (403, True)
    person.may(allow("s3:PutObject", arn(bucket, "in/*")))
    assert requests.post(**send).status_code == 204


def test_the_record_keeps_no_secret(people: People, bucket: str, cloud: CloudProcess) -> None:
    person = people.session(people.role(allow("s3:GetObject")))
    person.client("s3").get_object(Bucket=bucket, Key="in/dog")
    text = json.dumps(person.calls())
    assert person.keys["AccessKeyId"] in text
    assert person.keys["SecretAccessKey"] not in text
    assert person.keys["SessionToken"] not in text
