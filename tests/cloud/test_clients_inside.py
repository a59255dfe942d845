"""Inside functions, instances and notebooks AWS's own hosts are this cloud: presigned addresses, STS, the aws CLI."""

from __future__ import annotations

import hashlib
import json
import textwrap
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.cloud.ec2_instances import Machines
from tests.cloud.hosting import TRUST
from tests.cloud.lambda_functions import Bench
from tests.cloud.notebooks import Browser, Notebooks
from tests.cloud_process import CloudProcess

pytestmark = pytest.mark.timeout(400)
STS = "https://sts.us-east-1.amazonaws.com"


@dataclass
class Parcel:
    """An object of the cloud, and the address that AWS's own clients give it."""

    bucket: str
    key: str
    content: bytes
    url: str


@pytest.fixture
def parcel(cloud: CloudProcess) -> Parcel:
    bucket, key = f"inside-{uuid.uuid4().hex[:12]}", "a folder/parcel.bin"
    content = uuid.uuid4().bytes * 1000
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=content)
    signer = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id=cloud.access_key, aws_secret_access_key=cloud.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )  # fmt: skip
    url = str(signer.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}))
    assert url.startswith(f"https://{bucket}.s3.amazonaws.com/")
    return Parcel(bucket, key, content, url)


FUNCTION = """
import boto3, hashlib, os, ssl, urllib.request
def handler(event, context):
    with urllib.request.urlopen(event["url"]) as answer:
        digest = hashlib.sha256(answer.read()).hexdigest()
    arn = boto3.client("sts", endpoint_url=event["sts"]).get_caller_identity()["Arn"]
    s3 = boto3.client("s3", endpoint_url="https://s3.amazonaws.com")
    own = {"bundle": os.environ["AWS_CA_BUNDLE"], "endpoint": os.environ["AWS_ENDPOINT_URL"]}
    try:
        s3.get_object(Bucket=event["bucket"], Key=event["key"])
    except s3.exceptions.ClientError as error:
        return {"digest": digest, "arn": arn, "refused": error.response["Error"]["Code"], **own}
"""


def test_a_function(cloud, parcel) -> None:
    bench = Bench(cloud)
    name = bench.create(textwrap.dedent(FUNCTION), Timeout=60)
    event = {"url": parcel.url, "sts": STS, "bucket": parcel.bucket, "key": parcel.key}
    answer = bench.client.invoke(FunctionName=name, Payload=json.dumps(event))
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said
    assert said["digest"] == hashlib.sha256(parcel.content).hexdigest()
    assert said["arn"] == f"arn:aws:sts::{cloud.account_id}:assumed-role/{bench.role_name}/{name}"
    assert said["refused"] == "AccessDenied"  # the role's rights count at AWS's own hosts, too
    assert said["endpoint"] == cloud.endpoint_url


def test_a_functions_own_proxy_counts(cloud) -> None:
    bench = Bench(cloud)
    code = "import os\ndef handler(event, context):\n    return os.environ['HTTPS_PROXY']\n"
    name = bench.create(code, Environment={"Variables": {"HTTPS_PROXY": "http://127.0.0.1:9"}})
    assert json.loads(bench.client.invoke(FunctionName=name)["Payload"].read()) == "http://127.0.0.1:9"


@pytest.fixture
def machines(cloud: CloudProcess) -> Iterator[Machines]:
    made = Machines(cloud)
    yield made
    made.remove()


@pytest.fixture
def profile(cloud: CloudProcess) -> str:
    """An instance profile whose role may do everything."""
    iam, name = cloud.client("iam"), f"inside-{uuid.uuid4().hex[:8]}"
    trust = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"Service": "ec2.amazonaws.com"}}]}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return name


USER_DATA = """#!/bin/bash
cd /tmp
wget -q '{url}' -O wget.bin && echo "wget $(sha256sum < wget.bin)"
curl -sS --fail '{url}' -o curl.bin && echo "curl $(sha256sum < curl.bin)"
python3 -c "import urllib.request; urllib.request.urlretrieve('{url}', 'python.bin')"
echo "python $(sha256sum < python.bin)"
export AWS_DEFAULT_REGION=us-east-1
aws s3 cp --quiet 's3://{bucket}/{key}' cli.bin && echo "cli $(sha256sum < cli.bin)"
AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true aws s3 cp --quiet 's3://{bucket}/{key}' hosts.bin
echo "hosts $(sha256sum < hosts.bin)"
aws sts get-caller-identity --endpoint-url {sts} --query Arn --output text
sudo -i sh -c 'curl -sS --fail "{url}" | sha256sum | sed "s/^/login /"'
curl -sS -o /dev/null -w "own %{{http_code}}\\n" "http://$(hostname):1/" || echo "own: not through the proxy"
echo "region [$AWS_REGION]"
echo told
"""


def test_an_instance(cloud, parcel, machines, profile) -> None:
    script = USER_DATA.format(url=parcel.url, bucket=parcel.bucket, key=parcel.key, sts=STS)
    instance = machines.run(script, IamInstanceProfile={"Name": profile})["InstanceId"]
    console = machines.console(instance, "told")
    digest = hashlib.sha256(parcel.content).hexdigest()
    for name in ("wget", "curl", "python", "cli", "hosts", "login"):
        assert f"{name} {digest}" in console, console
    assert f"arn:aws:sts::{cloud.account_id}:assumed-role/{profile}/{instance}" in console
    assert "own: not through the proxy" in console
    assert "region []" in console


@pytest.fixture
def notebooks(cloud: CloudProcess) -> Notebooks:
    return Notebooks(cloud)


CELLS = """
import boto3, requests, urllib.request
url, bucket, key, sts = {given!r}
print(len(requests.get(url).content), len(urllib.request.urlopen(url).read()))
print(boto3.client("sts", endpoint_url=sts).get_caller_identity()["Arn"])
get_ipython().system(f"aws s3 cp --quiet 's3://{{bucket}}/{{key}}' cli.bin && wc -c < cli.bin")
get_ipython().system(f"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true aws s3 cp --quiet 's3://{{bucket}}/{{key}}' - | wc -c")
get_ipython().system(f"wget -q -O - '{{url}}' | wc -c")
get_ipython().system("aws sts get-caller-identity --query Account --output text")
"""


def test_a_notebook(cloud, parcel, notebooks) -> None:
    iam = cloud.client("iam")
    policy = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    iam.attach_role_policy(RoleName=notebooks.role.rpartition("/")[2], PolicyArn=policy)
    # What an instance's scripts find is what its cells find.
    hook = f"#!/bin/bash\nset -e\ncurl -sS --fail '{parcel.url}' -o /home/ec2-user/SageMaker/hook.bin\n"
    name = notebooks.create(LifecycleConfigName=notebooks.config(OnStart=hook))
    notebooks.wait(name, "InService")
    browser = Browser(notebooks.link(name))
    said = browser.run(CELLS.format(given=(parcel.url, parcel.bucket, parcel.key, STS))).split()
    role, size = notebooks.role.rpartition("/")[2], str(len(parcel.content))
    assert said == [
        *(size, size),
        f"arn:aws:sts::{cloud.account_id}:assumed-role/{role}/SageMaker",
        *(size, size, size),
        cloud.account_id,
    ]
    hooked: Path = notebooks.folder(name) / "user" / "SageMaker" / "hook.bin"
    assert hooked.read_bytes() == parcel.content
    notebooks.stop(name)
    notebooks.delete(name)
