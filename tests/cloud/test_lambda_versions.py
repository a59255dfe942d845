"""Versions: what a function is, fixed under a number, and given a second number only when it has changed."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import WaiterError

from tests.cloud.lambda_functions import ECHO, Bench, refusal, zipped
from tests.cloud_process import CloudProcess

OTHER = "def handler(event, context):\n    return 'other'\n"


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


def test_a_version_keeps_what_the_function_was(bench: Bench) -> None:
    name = bench.create(Description="first", Environment={"Variables": {"KEY": "one"}})
    published = bench.client.publish_version(FunctionName=name, Description="the first")
    assert published["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (published["Version"], published["FunctionArn"]) == ("1", bench.arn(name, "1"))
    waiter = bench.client.get_waiter("published_version_active")
    waiter.wait(FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 0.05})
    bench.client.update_function_code(FunctionName=name, ZipFile=zipped(OTHER))
    bench.active(name)
    bench.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"KEY": "two"}})
    bench.active(name)
    one = bench.client.get_function_configuration(FunctionName=name, Qualifier="1")
    assert (one["Description"], one["Environment"]["Variables"]) == ("the first", {"KEY": "one"})
    latest = bench.client.get_function_configuration(FunctionName=name)
    assert (latest["Description"], latest["Environment"]["Variables"]) == ("first", {"KEY": "two"})
    assert one["CodeSha256"] != latest["CodeSha256"]
    assert (one["State"], one["FunctionArn"]) == ("Active", bench.arn(name, "1"))


def test_what_has_not_changed_is_not_published_again(bench: Bench) -> None:
    name = bench.create()
    assert bench.client.publish_version(FunctionName=name)["Version"] == "1"
    assert bench.client.publish_version(FunctionName=name, Description="again")["Version"] == "1"
    bench.client.update_function_configuration(FunctionName=name, Timeout=4)
    bench.active(name)
    assert bench.client.publish_version(FunctionName=name)["Version"] == "2"
    # The number of a deleted version is not given again.
    bench.client.delete_function(FunctionName=name, Qualifier="2")
    assert bench.client.publish_version(FunctionName=name)["Version"] == "3"
    listed = bench.client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1", "3"]
    assert [version["FunctionArn"] for version in listed[:2]] == [bench.arn(name, "$LATEST"), bench.arn(name, "1")]
    page = bench.client.list_versions_by_function(FunctionName=name, MaxItems=2)
    rest = bench.client.list_versions_by_function(FunctionName=name, Marker=page["NextMarker"])
    assert [version["Version"] for version in rest["Versions"]] == ["3"]


def test_publishing_holds_to_the_code_and_the_revision_that_are_meant(bench: Bench) -> None:
    name = bench.create()
    latest = bench.client.get_function_configuration(FunctionName=name)
    code, message = refusal(bench.client.publish_version, FunctionName=name, CodeSha256="other")
    assert code == "InvalidParameterValueException"
    assert message.startswith("CodeSHA256 (other) is different from current CodeSHA256 in $LATEST")
    code, message = refusal(bench.client.publish_version, FunctionName=name, RevisionId="stale")
    assert code == "PreconditionFailedException"
    assert "does not match the latest Revision Id" in message
    published = bench.client.publish_version(
        FunctionName=name, CodeSha256=latest["CodeSha256"], RevisionId=latest["RevisionId"]
    )
    assert published["Version"] == "1"


def test_creating_and_updating_may_publish_at_once(bench: Bench) -> None:
    request = bench.request(Publish=True)
    name = request["FunctionName"]
    assert bench.client.create_function(**request)["Version"] == "1"
    bench.active(name)
    bench.active(name, Qualifier="1")
    updated = bench.client.update_function_code(FunctionName=name, ZipFile=zipped(OTHER), Publish=True)
    assert (updated["Version"], updated["FunctionArn"]) == ("2", bench.arn(name, "2"))
    bench.active(name)
    bench.active(name, Qualifier="2")


def test_a_version_that_an_alias_needs_stays(bench: Bench) -> None:
    name = bench.create(Publish=True)
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    code, message = refusal(bench.client.delete_function, FunctionName=name, Qualifier="1")
    assert code == "ResourceConflictException"
    assert "[live]" in message
    code, message = refusal(bench.client.delete_function, FunctionName=name, Qualifier="$LATEST")
    assert message == "$LATEST version cannot be deleted without deleting the function."
    bench.client.delete_alias(FunctionName=name, Name="live")
    bench.client.delete_function(FunctionName=name, Qualifier="1")
    code, message = refusal(bench.client.get_function, FunctionName=name, Qualifier="1")
    assert (code, message) == ("ResourceNotFoundException", f"Function not found: {bench.arn(name, '1')}")
    assert bench.client.get_function(FunctionName=name)["Configuration"]["State"] == "Active"


def test_each_version_answers_with_its_own_code(bench: Bench) -> None:
    name = bench.create(Publish=True)
    bench.client.update_function_code(FunctionName=name, ZipFile=zipped(OTHER))
    bench.active(name)
    bench.active(name, Qualifier="1")
    latest = bench.client.invoke(FunctionName=name, Payload=b'{"a": 1}')
    assert (json.loads(latest["Payload"].read()), latest["ExecutedVersion"]) == ("other", "$LATEST")
    one = bench.client.invoke(FunctionName=name, Qualifier="1", Payload=b'{"a": 1}')
    assert (json.loads(one["Payload"].read()), one["ExecutedVersion"]) == ({"a": 1}, "1")


def test_an_update_that_fails_leaves_what_was_serving(bench: Bench) -> None:
    name = bench.create(ECHO)
    package = bytearray(zipped({"app.py": bytes(range(256))}))
    at = package.index(b"app.py") + len("app.py") + 20
    package[at : at + 8] = b"\xff" * 8
    bench.client.update_function_code(FunctionName=name, ZipFile=bytes(package))
    with pytest.raises(WaiterError):
        bench.active(name)
    answer = bench.client.invoke(FunctionName=name, Payload=b'{"still": "here"}')
    assert json.loads(answer["Payload"].read()) == {"still": "here"}
