"""Configurations of buckets: what is put is told, what is absent is named as S3 names it."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.cloud.s3_support import new_bucket, refusal
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    return new_bucket(s3)


def policy_of(bucket: str, effect: str, **more: Any) -> dict[str, Any]:
    resource = f"arn:aws:s3:::{bucket}/secret/*"
    statement = {"Effect": effect, "Principal": "*", "Action": "s3:GetObject", "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_policies(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    policy = policy_of(bucket, "Deny")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    s3.delete_bucket_policy(Bucket=bucket)
    assert refusal(s3.get_bucket_policy, Bucket=bucket)[0] == "NoSuchBucketPolicy"


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"Version": "2012-10-17"}',
        json.dumps(policy_of("another-bucket", "Deny")),
        json.dumps(policy_of("BUCKET", "Perhaps")),
        json.dumps(policy_of("BUCKET", "Deny", Action="iam:PassRole")),
    ],
)
def test_policies_that_are_none(s3: Any, bucket: str, text: str) -> None:
    refused = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=text.replace("BUCKET", bucket))
    assert refused == ("MalformedPolicy", 400)


def test_a_public_policy_needs_the_block_gone(s3: Any) -> None:
    bucket = new_bucket(s3)
    text = json.dumps(policy_of(bucket, "Allow"))
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=text) == ("AccessDenied", 403)
    s3.delete_public_access_block(Bucket=bucket)
    assert refusal(s3.get_public_access_block, Bucket=bucket) == ("NoSuchPublicAccessBlockConfiguration", 404)
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True


def test_public_access_block(s3: Any) -> None:
    bucket = new_bucket(s3)
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert (found["BlockPublicAcls"], found["BlockPublicPolicy"]) == (True, False)


def test_encryption(s3: Any, bucket: str) -> None:
    def algorithm() -> str:
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        return str(rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])

    assert algorithm() == "AES256"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/mine"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert algorithm() == "aws:kms"
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "aws:kms"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert algorithm() == "AES256"


def test_tags(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)
    tags = [{"Key": "team", "Value": "dogs"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refusal(s3.get_bucket_tagging, Bucket=bucket)[0] == "NoSuchTagSet"


def test_ownership_and_acls(s3: Any, bucket: str) -> None:
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    acl = s3.get_bucket_acl(Bucket=bucket)
    assert [(grant["Grantee"]["ID"], grant["Permission"]) for grant in acl["Grants"]] == [
        (acl["Owner"]["ID"], "FULL_CONTROL")
    ]
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert refusal(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == ("AccessControlListNotSupported", 400)


def test_lifecycle_rules_are_kept(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [rule]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    moving = {**rule, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}
    refused = refusal(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={"Rules": [moving]})
    assert refused == ("NotImplemented", 501)


def test_cors_is_kept_and_answered(cloud: CloudProcess, s3: Any, bucket: str) -> None:
    assert refusal(s3.get_bucket_cors, Bucket=bucket) == ("NoSuchCORSConfiguration", 404)
    rule = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://*.example.com"], "AllowedHeaders": ["x-*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]
    origin = "https://shop.example.com"

    def preflight(**headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", cloud.port)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("OPTIONS", f"/{bucket}/k", headers=named)
        return connection.getresponse()

    asked = {"Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "x-amz-date"}
    allowed = preflight(Origin=origin, **asked)
    assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (200, origin)
    assert preflight(Origin="https://evil.test", **asked).status == 403
    assert preflight(Origin=origin, Access_Control_Request_Method="DELETE").status == 403
    s3.delete_bucket_cors(Bucket=bucket)
    assert preflight(Origin=origin, **asked).status == 403


def test_what_no_bucket_has(s3: Any, bucket: str) -> None:
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert refusal(s3.get_bucket_website, Bucket=bucket) == ("NoSuchWebsiteConfiguration", 404)
    assert refusal(s3.get_bucket_replication, Bucket=bucket) == ("ReplicationConfigurationNotFoundError", 404)
    assert refusal(s3.get_object_lock_configuration, Bucket=bucket)[0] == "ObjectLockConfigurationNotFoundError"
    website = {"IndexDocument": {"Suffix": "index.html"}}
    assert refusal(s3.put_bucket_website, Bucket=bucket, WebsiteConfiguration=website) == ("NotImplemented", 501)
