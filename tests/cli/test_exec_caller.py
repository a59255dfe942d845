"""exec: who the caller is, and that nothing of the person's own AWS gets in."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.people import WHO, Person
from tests.cloud_process import CloudProcess

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
EXECUTION_ROLE = """
import boto3, re
sts = boto3.client("sts", region_name="us-east-1", endpoint_url="https://sts.us-east-1.amazonaws.com")
arn = sts.get_caller_identity()["Arn"]
role = re.sub(r"^(.+)sts::(\\d+):assumed-role/(.+?)/.*$", r"\\1iam::\\2:role/\\3", arn)
print(boto3.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]["Arn"])
"""
"""get_execution_role() of the SageMaker SDK, its addresses included."""


@pytest.fixture
def person(cloud: CloudProcess, tmp_path: Path) -> Person:
    return Person(cloud, tmp_path)


@pytest.fixture
def reader(cloud: CloudProcess) -> str:
    """A role below a path of its own that may list buckets, and nothing else."""
    iam, name = cloud.client("iam"), f"reader-{uuid.uuid4().hex[:8]}"
    iam.create_role(RoleName=name, Path="/people/", AssumeRolePolicyDocument=json.dumps(TRUST))
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=document)
    return name


def test_the_caller_is_a_role_that_may_do_everything(person) -> None:
    account = person.cloud.account_id
    assert person.python(WHO) == f"arn:aws:sts::{account}:assumed-role/sagehound-user/sagehound"
    assert person.python(EXECUTION_ROLE) == f"arn:aws:iam::{account}:role/sagehound-user"
    role = person.cloud.client("iam").get_role(RoleName="sagehound-user")["Role"]
    principal = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    assert principal == {"AWS": f"arn:aws:iam::{account}:root", "Service": "sagemaker.amazonaws.com"}


def test_the_role_is_whole_for_all_who_come_at_once(own_cloud, tmp_path) -> None:
    person = Person(own_cloud, tmp_path)
    listing = "import boto3; print(len(boto3.client('iam').list_roles()['Roles']))"
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: person.python(listing), range(4))) == ["1"] * 4
    iam = own_cloud.client("iam")
    attached = iam.list_attached_role_policies(RoleName="sagehound-user")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AdministratorAccess"]
    # Whoever narrows it later does so for good.
    iam.detach_role_policy(RoleName="sagehound-user", PolicyArn=attached[0]["PolicyArn"])
    done = person.run(sys.executable, "-c", listing)
    assert done.returncode == 1
    assert "AccessDenied" in done.stderr
    # One that is deleted is made again.
    iam.delete_role(RoleName="sagehound-user")
    assert person.python(listing) == "1"


def test_a_role_whose_making_was_broken_off_is_made_whole(own_cloud, tmp_path) -> None:
    iam = own_cloud.client("iam")
    tags = [{"Key": "sagehound:caller", "Value": "making"}]
    iam.create_role(RoleName="sagehound-user", AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tags)
    assert Person(own_cloud, tmp_path).python("import boto3; boto3.client('iam').list_roles(); print('may')") == "may"
    found = {tag["Key"]: tag["Value"] for tag in iam.get_role(RoleName="sagehound-user")["Role"]["Tags"]}
    assert found == {"sagehound:caller": "ready"}


def test_a_named_role_may_what_it_may(person, reader) -> None:
    options = ("--role", reader)
    arn = person.python(WHO, options=options)
    assert arn == f"arn:aws:sts::{person.cloud.account_id}:assumed-role/{reader}/sagehound"
    person.says("aws", "s3", "ls", options=options)
    done = person.run("aws", "sagemaker", "list-training-jobs", options=options)
    assert done.returncode != 0
    assert f"User: {arn} is not authorized to perform: sagemaker:ListTrainingJobs" in done.stderr


def test_a_role_by_its_arn(person, reader) -> None:
    arn = f"arn:aws:iam::{person.cloud.account_id}:role/people/{reader}"
    assert f":assumed-role/{reader}/" in person.python(WHO, options=("--role", arn))


@pytest.mark.parametrize("name", ["nobody", "arn:aws:iam::999999999999:role/sagehound-user"])
def test_a_role_that_is_not_there_is_refused(person, name) -> None:
    done = person.run("true", options=("--role", name))
    assert done.returncode == 1
    assert done.stderr.splitlines()[1] == f"  why:     there is no role {name}"


def test_the_root_user(person) -> None:
    assert person.python(WHO, options=("--root",)) == f"arn:aws:iam::{person.cloud.account_id}:root"
    done = person.run("true", options=("--root", "--role", "x"))
    assert done.returncode == 1
    assert "exclude each other" in done.stderr


TRAP_CONFIG = """
[default]
region = eu-west-3
endpoint_url = http://127.0.0.1:9
aws_access_key_id = AKIATRAPTRAPTRAPTRAP
aws_secret_access_key = trap
[profile mine]
region = eu-west-3
endpoint_url = http://127.0.0.1:9
credential_process = false
"""
TRAPS = {
    "AWS_PROFILE": "mine",
    "AWS_DEFAULT_PROFILE": "mine",
    "AWS_ACCESS_KEY_ID": "AKIATRAPTRAPTRAPTRAP",
    "AWS_SECRET_ACCESS_KEY": "trap",
    "AWS_SESSION_TOKEN": "trap",
    "AWS_SECURITY_TOKEN": "trap",
    "AWS_ROLE_ARN": "arn:aws:iam::999999999999:role/trap",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/trap",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nonexistent",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_REGION": "eu-west-3",
    "AWS_DEFAULT_REGION": "eu-west-3",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_CA_BUNDLE": "/nonexistent",
    "REQUESTS_CA_BUNDLE": "/nonexistent",
    "CURL_CA_BUNDLE": "/nonexistent",
    "SSL_CERT_FILE": "/nonexistent",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "*",
    "no_proxy": "amazonaws.com",
    "BOTO_CONFIG": "/nonexistent",
    "NIX_SSL_CERT_FILE": "/etc/trap.pem",
    "AWS_PAGER": "cat",
}


@pytest.fixture
def trapped(person: Person) -> dict[str, str]:
    """Variables and files of a person who has an AWS of their own, everywhere that a client would look."""
    folder = person.home / ".aws"
    folder.mkdir()
    for name in ("config", "credentials"):
        (folder / name).write_text(TRAP_CONFIG)
    return {
        **TRAPS,
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
    }


def test_nothing_of_the_persons_own_aws_gets_in(person, trapped) -> None:
    account = person.cloud.account_id
    code = f"{WHO}\nprint(boto3.Session().region_name, *boto3.Session().available_profiles)"
    said = person.python(code, own=trapped)
    assert said.splitlines() == [
        f"arn:aws:sts::{account}:assumed-role/sagehound-user/sagehound",
        "us-east-1 default",
    ]
    assert person.python(EXECUTION_ROLE, own=trapped) == f"arn:aws:iam::{account}:role/sagehound-user"
    identity = json.loads(person.says("aws", "sts", "get-caller-identity", own=trapped))
    assert identity["Account"] == account
    root = person.python(WHO, own=trapped, options=("--root",))
    assert root == f"arn:aws:iam::{account}:root"
    left = person.says("env", own=trapped)
    assert "AWS_PAGER=cat\n" in left
    assert not [line for line in left.splitlines() if "trap" in line.lower() and not line.startswith("PYTEST")]
    done = person.run("aws", "s3", "ls", "--profile", "mine", own=trapped)
    assert done.returncode != 0
    assert "The config profile (mine) could not be found" in done.stderr


def test_what_a_client_writes_does_not_reach_the_persons_own_files(person, trapped) -> None:
    person.says("aws", "configure", "set", "aws_access_key_id", "AKIA", "--profile", "alice", own=trapped)
    person.says("aws", "configure", "set", "default.s3.max_concurrent_requests", "20", own=trapped)
    for name in ("config", "credentials"):
        assert (person.home / ".aws" / name).read_text() == TRAP_CONFIG
    assert person.says("aws", "configure", "get", "default.s3.max_concurrent_requests", own=trapped) == "20\n"
    assert person.says("aws", "configure", "get", "aws_access_key_id", "--profile", "alice", own=trapped) == "AKIA\n"


def test_keys_in_the_default_profile_are_told_of(own_cloud, tmp_path) -> None:
    person = Person(own_cloud, tmp_path)
    person.says("aws", "configure", "set", "aws_access_key_id", "AKIA")
    done = person.run("true")
    assert done.returncode == 0
    kept = own_cloud.data_dir / "clients" / "aws-credentials"
    assert f"note: [default] of {kept} has keys: they go before the role" in done.stderr


def sdk_config(person: Person, **own: str) -> tuple[dict[str, object], str]:
    """What the SageMaker SDK is told, and what the person is told of it."""
    done = person.run("sh", "-c", 'cat "$SAGEMAKER_USER_CONFIG_OVERRIDE"', own=own)
    assert done.returncode == 0
    found: dict[str, object] = json.loads(done.stdout)
    return found, done.stderr


def test_the_sdk_reports_to_nobody(person) -> None:
    found, said = sdk_config(person)
    assert found == {
        "SchemaVersion": "1.0",
        "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
    }
    assert said == ""


OWN = """
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      Session:
        DefaultS3Bucket: my-bucket
"""
MERGED = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True, "Session": {"DefaultS3Bucket": "my-bucket"}}}},
}


@pytest.mark.parametrize("where", [".config/sagemaker", "elsewhere/sagemaker", "named"])
def test_the_persons_own_settings_of_the_sdk_count_on(person, where) -> None:
    path = person.home / where / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN)
    own = {
        ".config/sagemaker": {},
        "elsewhere/sagemaker": {"XDG_CONFIG_HOME": str(person.home / "elsewhere")},
        "named": {"SAGEMAKER_USER_CONFIG_OVERRIDE": str(path.parent)},
    }[where]
    assert sdk_config(person, **own) == (MERGED, "")
    assert path.read_text() == OWN


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("s3://my-bucket/config.yaml", "lies on AWS"),
        ("/nonexistent/config.yaml", "is not there"),
        ("broken.yaml", "cannot be read"),
    ],
)
def test_settings_of_the_sdk_that_cannot_count_are_told_of(person, named, told) -> None:
    (person.home / "broken.yaml").write_text("a: [")
    found, said = sdk_config(person, SAGEMAKER_USER_CONFIG_OVERRIDE=named)
    assert found["SageMaker"] == {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}
    assert told in said
    assert len(said.splitlines()) == 1


def test_what_is_written_for_clients_is_for_its_owner_only(person) -> None:
    person.says("true")
    folder = person.cloud.data_dir / "clients"
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}


def test_a_cloud_that_listens_everywhere(tmp_path_factory, tmp_path) -> None:
    cloud = CloudProcess(tmp_path_factory.mktemp("open"), "--host", "0.0.0.0", "--allow-remote").start()
    try:
        assert ":assumed-role/sagehound-user/" in Person(cloud, tmp_path).python(WHO)
    finally:
        cloud.stop()


def test_a_cloud_that_listens_under_a_name_has_keys_for_the_root_user_only(tmp_path_factory, tmp_path) -> None:
    """The name of this machine is no loopback address, whatever it resolves to."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, 0)
    except OSError:
        pytest.skip("this machine does not know its own name")
    cloud = CloudProcess(tmp_path_factory.mktemp("named"), "--host", name, "--allow-remote").start()
    try:
        person = Person(cloud, tmp_path)
        done = person.run("true")
        assert done.returncode == 1
        assert f"why:     the local cloud listens on {name.lower()}, and" in done.stderr
        assert person.python(WHO, options=("--root",)) == f"arn:aws:iam::{cloud.account_id}:root"
    finally:
        cloud.stop()


def test_an_environment_that_was_said_by_an_earlier_version_is_refused(own_cloud, tmp_path) -> None:
    facts = own_cloud.data_dir / "server.json"
    told = json.loads(facts.read_text())
    del told["environment"]
    facts.write_text(json.dumps(told))
    done: subprocess.CompletedProcess[str] = Person(own_cloud, tmp_path).run("true")
    assert done.returncode == 1
    assert "was started by an earlier version" in done.stderr
