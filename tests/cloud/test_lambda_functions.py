"""Functions: created, read, changed and deleted, with states that are true and refusals in AWS's words."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import secrets
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from tests.cloud.lambda_functions import ECHO, Bench, unique, zipped
from tests.cloud_process import CloudProcess

OTHER = "def handler(event, context):\n    return 'other'\n"


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


def refusal(call: Any, /, **params: Any) -> dict[str, Any]:
    """The error that a call is answered with."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


def test_a_function_is_pending_until_its_code_is_unpacked_and_then_active(bench: Bench) -> None:
    code = zipped(ECHO)
    request = bench.request(Description="what", Tags={"team": "a"}, Environment={"Variables": {"KEY": "value"}})
    created = bench.client.create_function(**request)
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (created["State"], created["StateReasonCode"], created["Version"]) == ("Pending", "Creating", "$LATEST")
    assert "LastUpdateStatus" not in created
    assert created["FunctionArn"] == bench.arn(request["FunctionName"])
    assert created["CodeSize"] == len(code)
    assert base64.b64decode(created["CodeSha256"]) == hashlib.sha256(code).digest()
    bench.active(request["FunctionName"])
    found = bench.client.get_function(FunctionName=request["FunctionName"])
    configuration = found["Configuration"]
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in configuration
    assert (configuration["Timeout"], configuration["MemorySize"]) == (3, 128)
    assert configuration["EphemeralStorage"] == {"Size": 512}
    assert configuration["Environment"] == {"Variables": {"KEY": "value"}}
    assert configuration["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{request['FunctionName']}"
    assert found["Tags"] == {"team": "a"}
    assert "Concurrency" not in found


def test_the_location_of_the_code_can_be_downloaded_and_nothing_else_can(bench: Bench) -> None:
    name = bench.create({"app.py": ECHO, "data/words.txt": "hound"})
    location = bench.client.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as package:
        assert package.read("data/words.txt") == b"hound"
    other = bench.client.get_function(FunctionName=bench.create(OTHER))["Code"]["Location"]
    version = "versionId=" + other.partition("versionId=")[2].partition("&")[0]
    forged = location.replace("versionId=" + location.partition("versionId=")[2].partition("&")[0], version)
    later = location.replace("X-Amz-Expires=1", "X-Amz-Expires=9")
    for address in (forged, later, location.partition("?")[0], location.replace(name, "another")):
        assert address != location
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(address)
        assert caught.value.code == 403


def test_code_may_lie_in_s3_in_the_version_that_is_named(bench: Bench) -> None:
    s3, bucket = bench.cloud.client("s3"), unique("code")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="app.zip", Body=zipped(ECHO))["VersionId"]
    s3.put_object(Bucket=bucket, Key="app.zip", Body=zipped(OTHER))
    name = bench.create(Code={"S3Bucket": bucket, "S3Key": "app.zip"})
    latest = bench.client.get_function_configuration(FunctionName=name)["CodeSha256"]
    assert base64.b64decode(latest) == hashlib.sha256(zipped(OTHER)).digest()
    answer = bench.client.update_function_code(
        FunctionName=name, S3Bucket=bucket, S3Key="app.zip", S3ObjectVersion=first
    )
    assert base64.b64decode(answer["CodeSha256"]) == hashlib.sha256(zipped(ECHO)).digest()
    missing = refusal(bench.client.create_function, **bench.request(Code={"S3Bucket": bucket, "S3Key": "none.zip"}))
    assert missing["Code"] == "InvalidParameterValueException"
    assert "S3 Error Code: NoSuchKey" in missing["Message"]
    nowhere = refusal(bench.client.create_function, **bench.request(Code={"S3Bucket": unique("none"), "S3Key": "k"}))
    assert "S3 Error Code: NoSuchBucket" in nowhere["Message"]


def test_a_name_is_taken_once_and_meant_in_every_way_of_writing_it(bench: Bench) -> None:
    name = bench.create()
    again = refusal(bench.client.create_function, **bench.request(FunctionName=name))
    assert again == {
        "Code": "ResourceConflictException",
        "Message": f"Function already exist: {name}",
        "Status": 409,
    }
    account = bench.cloud.account_id
    for text in (name, f"{account}:function:{name}", f"function:{name}", bench.arn(name)):
        assert bench.client.get_function_configuration(FunctionName=text)["FunctionArn"] == bench.arn(name)
    qualified = bench.client.get_function_configuration(FunctionName=f"{name}:$LATEST")
    assert qualified["FunctionArn"] == bench.arn(name, "$LATEST")
    differing = refusal(bench.client.get_function, FunctionName=f"{name}:$LATEST", Qualifier="1")
    assert "The derived qualifier" in differing["Message"]
    elsewhere = bench.arn(name).replace("us-east-1", "eu-west-1")
    found = refusal(bench.client.get_function, FunctionName=elsewhere)
    assert (found["Status"], found["Code"]) == (404, "ResourceNotFoundException")
    assert "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')" in found["Message"]
    none = refusal(bench.client.get_function, FunctionName="no-such-function")
    assert none["Message"] == f"Function not found: {bench.arn('no-such-function')}"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"Runtime": "nodejs22.x"}, "InvalidParameterValueException", "functions in Python only: nodejs22.x"),
        ({"Handler": None}, "InvalidParameterValueException", "Runtime and Handler are mandatory"),
        ({"MemorySize": 64}, "ValidationException", "greater than or equal to 128"),
        ({"MemorySize": 10241}, "InvalidParameterValueException", "'MemorySize' value failed to satisfy constraint"),
        ({"Timeout": 901}, "ValidationException", "Value '901' at 'timeout' failed to satisfy constraint"),
        ({"EphemeralStorage": {"Size": 10241}}, "ValidationException", "'ephemeralStorage.size'"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "AWS_REGION"),
        ({"Environment": {"Variables": {"K": "v"}}}, "ValidationException", "[a-zA-Z]([a-zA-Z0-9_])+"),
        ({"Environment": {"Variables": {"KEY": "v" * 4096}}}, "InvalidParameterValueException", "exceeded the 4KB"),
        ({"Environment": {"Variables": {"KEY": "ü" * 2048}}}, "InvalidParameterValueException", "exceeded the 4KB"),
        ({"FunctionName": "n" * 65}, "ValidationException", "length less than or equal to 64"),
        ({"FunctionName": "bad name!"}, "ValidationException", "'functionName'"),
        ({"PackageType": "Image"}, "NotImplemented", "container images"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "NotImplemented", "VpcConfig"),
        ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:1:q"}}, "NotImplemented", "DeadLetterConfig"),
        ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "NotImplemented", "SnapStart"),
        ({"LoggingConfig": {"LogFormat": "JSON"}}, "NotImplemented", "LogFormat JSON"),
        ({"Tags": {"aws:x": "y"}}, "InvalidParameterValueException", "System tags"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", "Could not unzip uploaded file"),
        ({"Code": {"ImageUri": "image"}}, "NotImplemented", "container images"),
        ({"Code": {}}, "InvalidParameterValueException", "source for function code"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_is_refused(bench: Bench, changes: dict[str, Any], code: str, words: str) -> None:
    request = {member: value for member, value in bench.request(**changes).items() if value is not None}
    # Sent as it is: boto3 would refuse some of it by itself.
    client = bench.cloud.client("lambda", config=Config(parameter_validation=False))
    found = refusal(client.create_function, **request)
    assert found["Code"] == code
    assert words in found["Message"]


def test_a_role_that_lambda_cannot_assume_is_refused(bench: Bench) -> None:
    nobody = f"arn:aws:iam::{bench.cloud.account_id}:role/{unique('none')}"
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    for role in (nobody, bench.role(unique("ec2"), trust)):
        found = refusal(bench.client.create_function, **bench.request(Role=role))
        assert found["Code"] == "InvalidParameterValueException"
        assert found["Message"] == "The role defined for the function cannot be assumed by Lambda."


def test_code_is_replaced_and_a_dry_run_changes_nothing(bench: Bench) -> None:
    name = bench.create()
    before = bench.client.get_function_configuration(FunctionName=name)
    dry = bench.client.update_function_code(FunctionName=name, ZipFile=zipped(OTHER), DryRun=True)
    assert dry["CodeSha256"] != before["CodeSha256"]
    assert bench.client.get_function_configuration(FunctionName=name)["RevisionId"] == before["RevisionId"]
    stale = refusal(bench.client.update_function_code, FunctionName=name, ZipFile=zipped(OTHER), RevisionId="stale")
    assert (stale["Code"], stale["Status"]) == ("PreconditionFailedException", 412)
    answer = bench.client.update_function_code(
        FunctionName=name, ZipFile=zipped(OTHER), RevisionId=before["RevisionId"]
    )
    assert (answer["LastUpdateStatus"], answer["LastUpdateStatusReasonCode"]) == ("InProgress", "Creating")
    assert answer["State"] == "Active"
    bench.active(name)
    after = bench.client.get_function_configuration(FunctionName=name)
    assert (after["CodeSha256"], after["LastUpdateStatus"]) == (dry["CodeSha256"], "Successful")
    assert len({after["RevisionId"], answer["RevisionId"], before["RevisionId"]}) == 3


def test_the_configuration_changes_where_it_is_told_to(bench: Bench) -> None:
    name = bench.create(Description="first", Timeout=5, Environment={"Variables": {"KEY": "value"}})
    bench.client.update_function_configuration(
        FunctionName=name, MemorySize=256, LoggingConfig={"LogGroup": "/own/group"}
    )
    bench.active(name)
    found = bench.client.get_function_configuration(FunctionName=name)
    assert (found["MemorySize"], found["Timeout"], found["Description"]) == (256, 5, "first")
    assert found["Environment"] == {"Variables": {"KEY": "value"}}
    assert found["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/own/group"}
    refused = refusal(bench.client.update_function_configuration, FunctionName=name, Runtime="ruby3.4")
    assert "Python only" in refused["Message"]
    refused = refusal(bench.client.update_function_configuration, FunctionName=name, RevisionId="stale", Timeout=1)
    assert refused["Status"] == 412


def test_while_one_update_is_under_way_another_is_refused(bench: Bench) -> None:
    # A package of many files takes its time to unpack.
    slow = zipped({f"part{number}.py": OTHER for number in range(5000)} | {"app.py": unique()})
    name = bench.create()
    bench.client.update_function_code(FunctionName=name, ZipFile=slow)
    operations = (
        (bench.client.update_function_configuration, {"Timeout": 5}),
        (bench.client.update_function_code, {"ZipFile": zipped(ECHO)}),
        (bench.client.publish_version, {}),
    )
    for operation, params in operations:
        found = refusal(operation, FunctionName=name, **params)
        assert (found["Code"], found["Status"]) == ("ResourceConflictException", 409)
        assert "An update is in progress for resource" in found["Message"]
    bench.active(name)
    bench.client.update_function_configuration(FunctionName=name, Timeout=5)
    bench.active(name)


def _damaged() -> bytes:
    """A zip whose directory is sound and whose only member is not."""
    package = bytearray(zipped({"app.py": secrets.token_bytes(2048)}))
    at = package.index(b"app.py") + len("app.py") + 40
    package[at : at + 8] = b"\xff" * 8
    return bytes(package)


def test_code_that_cannot_be_unpacked_fails_the_function_with_its_reason(bench: Bench) -> None:
    name = bench.client.create_function(**bench.request(Code={"ZipFile": _damaged()}))["FunctionName"]
    with pytest.raises(WaiterError):
        bench.active(name)
    failed = bench.client.get_function_configuration(FunctionName=name)
    assert (failed["State"], failed["StateReasonCode"]) == ("Failed", "InvalidZipFileException")
    assert "could not unzip" in failed["StateReason"]
    # Another try makes the function after all.
    bench.client.update_function_code(FunctionName=name, ZipFile=zipped(ECHO))
    bench.active(name)
    # An update that fails says so, and leaves what was there serving.
    bench.client.update_function_code(FunctionName=name, ZipFile=_damaged())
    with pytest.raises(WaiterError):
        bench.active(name)
    failed = bench.client.get_function_configuration(FunctionName=name)
    assert (failed["State"], failed["LastUpdateStatus"]) == ("Active", "Failed")
    assert failed["LastUpdateStatusReasonCode"] == "InvalidZipFileException"


def _linked(target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", ECHO)
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
    return buffer.getvalue()


def test_a_package_stays_within_its_folder(bench: Bench) -> None:
    for member in ("../outside.py", "/absolute.py", "a/../../outside.py"):
        found = refusal(bench.client.create_function, **bench.request({"app.py": ECHO, member: "x"}))
        assert found["Code"] == "InvalidParameterValueException"
        assert "does not stay within it" in found["Message"]
    for target in ("/etc/passwd", "../../../../credentials"):
        name = bench.client.create_function(**bench.request(Code={"ZipFile": _linked(target)}))["FunctionName"]
        with pytest.raises(WaiterError):
            bench.active(name)
        assert "leads out of it" in bench.client.get_function_configuration(FunctionName=name)["StateReason"]
    assert bench.create(Code={"ZipFile": _linked("app.py")})


def test_a_package_that_unpacks_to_too_much_is_refused(bench: Bench) -> None:
    bomb = zipped({f"zeros{number}": bytes(100_000_000) for number in range(3)})
    found = refusal(bench.client.create_function, **bench.request(Code={"ZipFile": bomb}))
    assert found["Message"] == "Unzipped size must be smaller than 262144000 bytes"


def test_functions_are_listed_in_pages(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    made = sorted(bench.create(FunctionName=f"f-{letter}") for letter in "cab")
    listed = bench.client.list_functions()["Functions"]
    assert [function["FunctionName"] for function in listed] == made
    assert "State" not in listed[0]
    bench.client.publish_version(FunctionName="f-b")
    every = bench.client.list_functions(FunctionVersion="ALL")["Functions"]
    assert [function["FunctionArn"] for function in every] == [
        bench.arn("f-a", "$LATEST"),
        bench.arn("f-b", "$LATEST"),
        bench.arn("f-b", "1"),
        bench.arn("f-c", "$LATEST"),
    ]
    first = bench.client.list_functions(MaxItems=2)
    assert len(first["Functions"]) == 2
    bench.client.delete_function(FunctionName="f-b")
    rest = bench.client.list_functions(Marker=first["NextMarker"])
    assert [function["FunctionName"] for function in rest["Functions"]] == ["f-c"]
    assert "NextMarker" not in rest
    assert refusal(bench.client.list_functions, Marker="!")["Code"] == "InvalidParameterValueException"


def test_a_deleted_function_is_gone_with_all_that_belongs_to_it(bench: Bench) -> None:
    name = bench.create(Publish=True)
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    bench.client.add_permission(
        FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    answer = bench.client.delete_function(FunctionName=name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    for qualifier in ({}, {"Qualifier": "1"}, {"Qualifier": "live"}):
        assert refusal(bench.client.get_function, FunctionName=name, **qualifier)["Status"] == 404
    assert refusal(bench.client.delete_function, FunctionName=name)["Status"] == 404
    bench.create(FunctionName=name)
    assert refusal(bench.client.get_policy, FunctionName=name)["Status"] == 404
    assert bench.client.list_aliases(FunctionName=name)["Aliases"] == []


def test_what_was_acknowledged_survives_the_death_of_the_server(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    kept = bench.create()
    slow = zipped({f"part{number}.py": OTHER for number in range(1500)} | {"app.py": ECHO})
    made = bench.client.create_function(**bench.request(Code={"ZipFile": slow}))["FunctionName"]
    own_cloud.restart(kill=True)
    bench.active(made)
    location = bench.client.get_function(FunctionName=kept)["Code"]["Location"]
    with urllib.request.urlopen(location) as answer:
        assert hashlib.sha256(answer.read()).digest() == hashlib.sha256(zipped(ECHO)).digest()
    packages = own_cloud.data_dir / "lambda" / "packages"
    assert len(list(packages.iterdir())) == 2
    bench.client.delete_function(FunctionName=made)
    own_cloud.restart()
    assert [path.stem for path in packages.iterdir()] == [hashlib.sha256(zipped(ECHO)).hexdigest()]
    unpacked = own_cloud.data_dir / "lambda" / "unpacked"
    (folder,) = unpacked.iterdir()
    assert (folder / "app.py").read_text() == ECHO
    assert stat.S_IMODE((folder / "app.py").stat().st_mode) == 0o444


def test_code_that_is_lost_is_unpacked_again_or_fails_its_function(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    kept, lost = bench.create(ECHO), bench.create(OTHER)
    own_cloud.stop()
    for code in (ECHO, OTHER):
        digest = hashlib.sha256(zipped(code)).hexdigest()
        shutil.rmtree(own_cloud.data_dir / "lambda" / "unpacked" / digest)
    (own_cloud.data_dir / "lambda" / "packages" / f"{digest}.zip").unlink()
    own_cloud.start()
    assert json.loads(bench.client.invoke(FunctionName=kept, Payload=b"[1]")["Payload"].read()) == [1]
    failed = bench.client.get_function_configuration(FunctionName=lost)
    assert (failed["State"], failed["StateReasonCode"]) == ("Failed", "InvalidZipFileException")
    assert refusal(bench.client.invoke, FunctionName=lost)["Code"] == "InvalidZipFileException"
    bench.client.update_function_code(FunctionName=lost, ZipFile=zipped(OTHER))
    bench.active(lost)
    assert json.loads(bench.client.invoke(FunctionName=lost)["Payload"].read()) == "other"


def test_what_no_function_has_is_answered_as_aws_does(bench: Bench) -> None:
    name = bench.create()
    assert "CodeSigningConfigArn" not in bench.client.get_function_code_signing_config(FunctionName=name)
    runtime = bench.client.get_runtime_management_config(FunctionName=name)
    assert (runtime["UpdateRuntimeOn"], runtime["FunctionArn"]) == ("Auto", bench.arn(name))
    assert bench.client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    assert bench.client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"] == []
    queue = "arn:aws:sqs:us-east-1:123456789012:queue"
    refused = refusal(bench.client.create_event_source_mapping, FunctionName=name, EventSourceArn=queue)
    assert refused["Code"] == "NotImplemented"
    assert "lambda:CreateEventSourceMapping" in refused["Message"]


def test_tags_belong_to_the_function(bench: Bench) -> None:
    name = bench.create(Tags={"team": "a", "stage": "test"})
    arn = bench.arn(name)
    bench.client.tag_resource(Resource=arn, Tags={"team": "b", "owner": "c"})
    assert bench.client.list_tags(Resource=arn)["Tags"] == {"team": "b", "stage": "test", "owner": "c"}
    bench.client.untag_resource(Resource=arn, TagKeys=["team", "stage", "none"])
    assert bench.client.list_tags(Resource=arn)["Tags"] == {"owner": "c"}
    many = {f"key{number}": "" for number in range(50)}
    assert "exceeds" in refusal(bench.client.tag_resource, Resource=arn, Tags=many)["Message"]
    qualified = refusal(bench.client.tag_resource, Resource=f"{arn}:1", Tags={"a": "b"})
    assert qualified["Message"].startswith("Tags on function aliases and versions are not supported.")


def test_the_account_counts_code_and_reserved_executions(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    name, other = bench.create(Publish=True), bench.create(OTHER)
    sizes = 2 * len(zipped(ECHO)) + len(zipped(OTHER))
    usage = bench.client.get_account_settings()["AccountUsage"]
    assert usage == {"TotalCodeSize": sizes, "FunctionCount": 2}
    assert bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=300)
    limit = bench.client.get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (1000, 700)
    assert bench.client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 300
    assert bench.client.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 300}
    refused = refusal(bench.client.put_function_concurrency, FunctionName=other, ReservedConcurrentExecutions=601)
    assert refused["Code"] == "InvalidParameterValueException"
    assert refused["Message"].endswith("UnreservedConcurrentExecution below its minimum value of [100].")
    bench.client.put_function_concurrency(FunctionName=other, ReservedConcurrentExecutions=600)
    bench.client.put_function_concurrency(FunctionName=other, ReservedConcurrentExecutions=599)
    bench.client.delete_function_concurrency(FunctionName=other)
    assert "ReservedConcurrentExecutions" not in bench.client.get_function_concurrency(FunctionName=other)
    assert bench.client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 700
    qualified = refusal(bench.client.put_function_concurrency, FunctionName=f"{name}:1", ReservedConcurrentExecutions=1)
    assert qualified["Message"].startswith("This operation is permitted on Lambda functions only.")


def test_who_may_not_pass_a_role_or_read_an_object_cannot_give_it_to_a_function(bench: Bench) -> None:
    user = unique("user")
    bench.iam.create_user(UserName=user)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}]}
    bench.iam.put_user_policy(UserName=user, PolicyName="lambda", PolicyDocument=json.dumps(document))
    key = bench.iam.create_access_key(UserName=user)["AccessKey"]
    client = bench.cloud.client(
        "lambda", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    found = refusal(client.create_function, **bench.request())
    assert (found["Code"], found["Status"]) == ("AccessDeniedException", 403)
    assert f"iam:PassRole on resource: {bench.role_arn}" in found["Message"]
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": bench.role_arn}
    document["Statement"] = [*document["Statement"], passing]  # type: ignore[misc]
    bench.iam.put_user_policy(UserName=user, PolicyName="lambda", PolicyDocument=json.dumps(document))
    assert client.create_function(**bench.request())["State"] == "Pending"
    s3, bucket = bench.cloud.client("s3"), unique("code")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="app.zip", Body=zipped(ECHO))
    found = refusal(client.create_function, **bench.request(Code={"S3Bucket": bucket, "S3Key": "app.zip"}))
    assert (found["Code"], found["Status"]) == ("AccessDeniedException", 403)
    assert f"s3:GetObject on resource: arn:aws:s3:::{bucket}/app.zip" in found["Message"]
