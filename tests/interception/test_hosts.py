"""Whose a host is, how it is written, and what its certificate says."""

from __future__ import annotations

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.session import get_session

from sagehound.localcloud.interception.absent_services import PREFIXES, absent_service
from sagehound.localcloud.interception.hosts import Authority, certified_names, is_aws, is_served, parse_authority
from sagehound.localcloud.interception.rules import Rules, is_local, is_this_machine

OURS = (
    *("application-autoscaling", "cloudtrail", "cloudwatch", "ec2", "iam", "lambda", "logs", "s3", "sagemaker"),
    *("sagemaker-runtime", "ssm", "sts"),
)


@pytest.mark.parametrize("service", OURS)
def test_no_endpoint_of_our_services_is_taken_for_another_service(service: str) -> None:
    session = get_session()
    hosts = set()
    assert session.get_service_model(service).endpoint_prefix in PREFIXES
    for region in ("us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"):
        for options in ({}, {"use_dualstack_endpoint": True}, {"use_fips_endpoint": True}):
            try:
                url = session.create_client(
                    service,
                    region_name=region,
                    aws_access_key_id="x",
                    aws_secret_access_key="x",
                    config=Config(**options),
                ).meta.endpoint_url
            except BotoCoreError:  # not every service has every variant in every region
                continue
            hosts.add(url.split("//")[1])
    assert len(hosts) >= 2
    for host in hosts:
        assert is_aws(host), host
        assert absent_service(host) is None, host


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("dynamodb.us-east-1.amazonaws.com", "dynamodb"),
        ("api.ecr.eu-west-1.amazonaws.com:443", "api.ecr"),
        ("featurestore-runtime.sagemaker.us-east-1.amazonaws.com", "featurestore-runtime.sagemaker"),
        ("12.s3-control.us-east-1.amazonaws.com", "12.s3-control"),
        ("bucket.s3.amazonaws.com", None),
        ("us-east-1.s3-us-west-1.amazonaws.com", None),
        ("dynamodb.s3.us-east-1.amazonaws.com", None),
        ("abc.lambda-url.us-east-1.on.aws", None),
        ("127.0.0.1:4566", None),
        ("bucket.localhost:4566", None),
        ("amazonaws.com.example.com", None),
        ("x" * 5000 + ".amazonaws.com", None),
    ],
)
def test_a_host_tells_its_service(host: str, service: str | None) -> None:
    assert absent_service(host) == service


def test_aws_is_what_ends_in_its_domains_and_nothing_that_looks_like_it() -> None:
    for host in (
        "sts.amazonaws.com",
        "b.s3.cn-north-1.amazonaws.com.cn",
        "x.us-east-1.api.aws",
        "a.lambda-url.x.on.aws",
    ):
        assert is_aws(host), host
    for host in ("amazonaws.com.evil.example", "notamazonaws.com", "aws.amazon.com", "example.com", "awsapi.aws"):
        assert not is_served(host), host


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3.amazonaws.com:443", Authority("s3.amazonaws.com", 443)),
        ("S3.AmazonAWS.com.:443", Authority("s3.amazonaws.com", 443)),
        ("[::1]:80", Authority("::1", 80)),
        ("[2001:DB8::0:1]:443", Authority("2001:db8::1", 443)),
        ("user:password@s3.amazonaws.com:443", None),
        ("s3.amazonaws.com", None),
        ("s3.amazonaws.com:", None),
        ("s3.amazonaws.com:0", None),
        ("s3.amazonaws.com:65536", None),
        ("s3.amazonaws.com:44३", None),
        ("s3.amazonaws.com:-1", None),
        ("::1:443", None),
        ("[::1:443", None),
        ("[s3.amazonaws.com]:443", None),
        ("/", None),
        ("", None),
        (":443", None),
        ("a..b:443", None),
        ("a b:443", None),
        ("a\0b:443", None),
        ("ä.example:443", None),
        ("a" * 64 + ".example:443", None),
        ("a." * 127 + "b:443", None),
    ],
)
def test_a_host_and_its_port_are_read_strictly(text: str, found: Authority | None) -> None:
    assert parse_authority(text) == found


def test_a_port_may_be_left_out_where_one_is_usual() -> None:
    assert parse_authority("example.com", 80) == Authority("example.com", 80)
    assert parse_authority("example.com:", 80) == Authority("example.com", 80)
    assert parse_authority("[::1]", 80) == Authority("::1", 80)


def test_a_buckets_certificate_has_one_label_to_spare() -> None:
    assert certified_names("sts.amazonaws.com") == ["sts.amazonaws.com"]
    for host in ("b.s3.us-east-1.amazonaws.com", "b.with.dots.s3.us-east-1.amazonaws.com"):
        assert certified_names(host) == ["s3.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com"]
    assert certified_names("b.s3-us-west-1.amazonaws.com")[1] == "*.s3-us-west-1.amazonaws.com"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "x.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1"),
        *("::ffff:127.0.0.1", "::ffff:7f00:1", "2002:7f00:1::", "fd00:ec2::254", "224.0.0.1", "255.255.255.255"),
        *("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1"),
    ],
)
def test_this_machine_is_known_by_all_its_spellings(host: str) -> None:
    assert is_this_machine(host)
    assert Rules("pass").decide(Authority(host, 443), "127.0.0.1").fate == "refused"


def test_other_hosts_are_for_clients_of_this_machine_and_where_the_setting_says_so() -> None:
    other, ours = Authority("pypi.org", 443), Authority("s3.amazonaws.com", 443)
    for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert is_local(peer)
        assert Rules("pass").decide(other, peer).fate == "passed"
        assert Rules("refuse").decide(other, peer).fate == "refused"
        assert Rules("refuse").decide(ours, peer).fate == "served"
    for peer in ("192.0.2.1", "2001:db8::1", "nonsense", "", None):
        assert Rules("pass").decide(other, peer).status == 403
        assert Rules("pass").decide(ours, peer).fate == "served"
    assert Rules("pass").decide(Authority("db.rds.amazonaws.com", 3306), "127.0.0.1").fate == "refused"
