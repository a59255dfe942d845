"""AWS's own hosts through the proxy: boto3 without an endpoint, every style of S3's names, signatures, streams."""

from __future__ import annotations

import hashlib
import http.client
import io
import ssl
import urllib.error
import urllib.request
import uuid
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, SSLError

from tests.cloud_process import CloudProcess
from tests.interception.support import bundle, client, open_tls, open_tunnel, public_bucket


def _name(prefix: str = "proxied") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def _fetch(cloud: CloudProcess, url: str) -> bytes:
    context = ssl.create_default_context(cafile=str(bundle(cloud)))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": cloud.endpoint_url, "http": cloud.endpoint_url}),
        urllib.request.HTTPSHandler(context=context),
    )
    with opener.open(url, timeout=60) as answer:
        return bytes(answer.read())


@pytest.fixture(scope="module")
def bucket(cloud: CloudProcess) -> str:
    name = _name()
    client(cloud, "s3").create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize(
    ("service", "region", "call"),
    [
        ("sts", "us-east-1", "get_caller_identity"),
        ("sts", "eu-west-1", "get_caller_identity"),
        ("iam", "eu-central-1", "list_roles"),
        ("s3", "us-west-2", "list_buckets"),
        ("sagemaker", "us-east-1", "list_endpoints"),
        ("logs", "us-east-1", "describe_log_groups"),
        ("cloudwatch", "us-east-1", "list_metrics"),
        ("lambda", "us-east-1", "list_functions"),
        ("ec2", "us-east-1", "describe_instances"),
        ("ssm", "us-east-1", "describe_instance_information"),
        ("cloudtrail", "us-east-1", "lookup_events"),
    ],
)
def test_every_service_is_found_under_its_own_hosts(cloud: CloudProcess, service: str, region: str, call: str) -> None:
    answer = getattr(client(cloud, service, region_name=region), call)()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_global_host_of_sts_is_the_same_account(cloud: CloudProcess) -> None:
    sts = client(cloud, "sts", endpoint_url="https://sts.amazonaws.com")
    assert sts.get_caller_identity()["Account"] == cloud.account_id


def test_dual_stack_and_fips_hosts_are_the_same_services(cloud: CloudProcess, bucket: str) -> None:
    for options in ({"use_dualstack_endpoint": True}, {"use_fips_endpoint": True}):
        s3 = client(cloud, "s3", config=Config(**options))
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] >= 0
        assert client(cloud, "sts", config=Config(**options)).get_caller_identity()["Account"] == cloud.account_id


def test_the_record_tells_the_call_as_one_without_the_proxy(cloud: CloudProcess) -> None:
    mark = uuid.uuid4().hex
    config = Config(user_agent_extra=mark)
    client(cloud, "iam", region_name="eu-west-1", config=config).list_users()
    cloud.client("iam", config=config).list_users()
    found: list[dict[str, Any]] = []
    while len(found) < 2:  # a record follows its answer
        found = [call for call in cloud.calls() if mark in (call.get("user_agent") or "")]
    proxied, direct = found
    assert proxied["action"] == "iam:ListUsers"
    assert proxied["source"] == "127.0.0.1"
    differing = {"time", "request_id", "user_agent", "milliseconds"}
    assert {**proxied, **dict.fromkeys(differing)} == {**direct, **dict.fromkeys(differing)}


def test_what_a_tls_call_may_is_told_from_a_plain_one(cloud: CloudProcess) -> None:
    name = public_bucket(cloud, _name("public"), secure__breed=b"affenpinscher")
    assert _fetch(cloud, f"https://{name}.s3.amazonaws.com/secure/breed") == b"affenpinscher"
    for url in (f"http://{name}.s3.amazonaws.com/secure/breed", f"{cloud.endpoint_url}/{name}/secure/breed"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            _fetch(cloud, url)
        assert refused.value.code == 403


@pytest.mark.parametrize(
    "form",
    [
        "https://s3-us-west-1.amazonaws.com/{bucket}/d/dogImages.zip",
        "https://s3.us-west-1.amazonaws.com/{bucket}/d/dogImages.zip",
        "https://s3.amazonaws.com/{bucket}/d/dogImages.zip",
        "https://{bucket}.s3.amazonaws.com/d/dogImages.zip",
        "https://{bucket}.s3-us-west-1.amazonaws.com/d/dogImages.zip",
        "https://{bucket}.s3.us-west-1.amazonaws.com/d/dogImages.zip",
        "https://{bucket}.s3.dualstack.us-west-1.amazonaws.com/d/dogImages.zip",
        "http://{bucket}.s3.amazonaws.com/d/dogImages.zip",
        "http://s3-us-west-1.amazonaws.com/{bucket}/d/dogImages.zip",
        "https://s3.cn-north-1.amazonaws.com.cn/{bucket}/d/dogImages.zip",
    ],
)
def test_a_public_object_is_read_by_each_of_its_addresses(cloud: CloudProcess, public: str, form: str) -> None:
    assert _fetch(cloud, form.format(bucket=public)) == b"zip of dogs"


@pytest.fixture(scope="module")
def public(cloud: CloudProcess) -> str:
    return public_bucket(cloud, _name("public"), **{"d/dogImages.zip": b"zip of dogs"})


def test_a_bucket_with_dots_fails_over_tls_as_on_aws_and_works_by_its_path(cloud: CloudProcess) -> None:
    name = public_bucket(cloud, _name("with") + ".dots.in.it", key=b"content")
    with pytest.raises(urllib.error.URLError, match="Hostname mismatch"):
        _fetch(cloud, f"https://{name}.s3.amazonaws.com/key")
    assert _fetch(cloud, f"https://s3.amazonaws.com/{name}/key") == b"content"
    assert client(cloud, "s3").get_object(Bucket=name, Key="key")["Body"].read() == b"content"


@pytest.mark.parametrize("style", ["virtual", "path"])
@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_addresses_work_at_aws_hosts(cloud: CloudProcess, bucket: str, version: str, style: str) -> None:
    config = Config(signature_version=version, s3={"addressing_style": style})
    s3 = client(cloud, "s3", config=config)
    key = f"folder/{version} {style}+ü.txt"
    where = {"Bucket": bucket, "Key": key}
    put = s3.generate_presigned_url("put_object", Params=where)
    assert put.startswith("https://")
    assert ".amazonaws.com/" in put
    context = ssl.create_default_context(cafile=str(bundle(cloud)))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": cloud.endpoint_url}), urllib.request.HTTPSHandler(context=context)
    )
    request = urllib.request.Request(put, data=b"by address", method="PUT", headers={"Content-Type": ""})
    assert opener.open(request, timeout=60).status == 200
    assert _fetch(cloud, s3.generate_presigned_url("get_object", Params=where)) == b"by address"
    wrong = s3.generate_presigned_url("get_object", Params=where).replace(bucket, bucket + "x", 1)
    with pytest.raises(urllib.error.HTTPError) as refused:
        _fetch(cloud, wrong)
    assert refused.value.code in (403, 404)


@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 3_000_000, 20_000_000])
def test_uploads_and_downloads_of_every_size_are_whole(cloud: CloudProcess, bucket: str, size: int) -> None:
    s3 = client(cloud, "s3")
    content = (hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1))[:size]
    sent: list[dict[str, Any]] = []
    s3.meta.events.register("before-send.s3.*", lambda request, **_: sent.append(dict(request.headers)))
    s3.put_object(Bucket=bucket, Key=f"size-{size}", Body=io.BytesIO(content))
    told = {name.lower(): value if isinstance(value, str) else value.decode() for name, value in sent[-1].items()}
    # What boto3 does over TLS only: a body that is not signed, in chunks, its checksum behind it.
    assert told["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert told["expect"] == "100-continue"
    assert s3.get_object(Bucket=bucket, Key=f"size-{size}")["Body"].read() == content
    head = s3.head_object(Bucket=bucket, Key=f"size-{size}")
    assert head["ContentLength"] == size


def test_many_parts_at_once_go_through(cloud: CloudProcess, bucket: str) -> None:
    s3 = client(cloud, "s3", config=Config(max_pool_connections=10))
    content = b"".join(hashlib.sha256(str(number).encode()).digest() * 32768 for number in range(24))
    s3.upload_fileobj(io.BytesIO(content), bucket, "many parts")
    target = io.BytesIO()
    s3.download_fileobj(bucket, "many parts", target)
    assert target.getvalue() == content


def test_a_connection_is_kept_for_the_next_call(cloud: CloudProcess) -> None:
    with open_tls(cloud, "sts.us-east-1.amazonaws.com") as secure:
        for _ in range(3):
            secure.sendall(b"GET / HTTP/1.1\r\nHost: sts.us-east-1.amazonaws.com\r\n\r\n")
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            assert answer.status == 403
            assert b"AccessDenied" in answer.read()


def test_http_1_1_is_what_is_agreed_on(cloud: CloudProcess) -> None:
    context = ssl.create_default_context(cafile=str(bundle(cloud)))
    context.set_alpn_protocols(["h2", "http/1.1"])
    host = "s3.us-east-1.amazonaws.com"
    with context.wrap_socket(open_tunnel(cloud, f"{host}:443"), server_hostname=host) as secure:
        assert secure.selected_alpn_protocol() == "http/1.1"
        assert secure.version() == "TLSv1.3"


def test_a_service_that_is_not_here_is_named_in_its_own_protocol(cloud: CloudProcess) -> None:
    for service, call, parameters in (
        ("dynamodb", "list_tables", {}),
        ("sns", "list_topics", {}),
        ("route53", "list_hosted_zones", {}),
        ("eks", "list_clusters", {}),
        ("bedrock-runtime", "converse", {"modelId": "x"}),
        ("ecr", "describe_repositories", {}),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(client(cloud, service), call)(**parameters)
        assert refused.value.response["Error"]["Code"] == "NotImplemented"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert "does not implement" in refused.value.response["Error"]["Message"]


def test_without_the_bundle_nobody_trusts_this_cloud(cloud: CloudProcess) -> None:
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        client(cloud, "sts", verify=True).get_caller_identity()


def test_the_bundle_of_another_cloud_is_not_enough(cloud: CloudProcess, own_cloud: CloudProcess) -> None:
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        client(cloud, "sts", verify=str(bundle(own_cloud))).get_caller_identity()
    assert client(own_cloud, "sts").get_caller_identity()["Account"] == own_cloud.account_id


def test_a_call_that_signs_no_region_is_in_that_of_its_host(cloud: CloudProcess, public: str) -> None:
    mark, before = f"?mark={uuid.uuid4().hex}", len(cloud.calls())
    _fetch(cloud, f"https://{public}.s3.eu-west-3.amazonaws.com/d/dogImages.zip{mark}")
    signed = client(cloud, "s3", region_name="ap-south-1", config=Config(signature_version="s3", user_agent_extra=mark))
    signed.head_object(Bucket=public, Key="d/dogImages.zip")
    regions: list[str] = []
    while len(regions) < 2:  # a record follows its answer
        regions = [
            call["region"] for call in cloud.calls()[before:] if call.get("region") in ("eu-west-3", "ap-south-1")
        ]
    assert regions == ["eu-west-3", "ap-south-1"]


def test_signed_calls_over_plain_http_go_by_way_of_the_proxy_too(cloud: CloudProcess, bucket: str) -> None:
    s3 = client(cloud, "s3", use_ssl=False)
    assert s3.meta.endpoint_url.startswith("http://s3.")
    key = "plain/ü +%25.txt"
    s3.put_object(Bucket=bucket, Key=key, Body=b"content" * 100_000)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"content" * 100_000
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="plain/")["Contents"]] == [key]
    assert client(cloud, "sts", use_ssl=False).get_caller_identity()["Account"] == cloud.account_id
