"""Run Command on real instances: scripts, their output and ends, targets, timeouts, cancelling, who may."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.people import People, allow, document, statement
from tests.cloud.ssm_commands import DOCUMENT, Managed, Sleeper
from tests.cloud_process import CloudProcess

REGION = "eu-north-1"


@pytest.fixture(scope="module")
def managed(cloud: CloudProcess) -> Iterator[Managed]:
    made = Managed(cloud, REGION)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def instance(managed: Managed) -> str:
    """One instance for the tests that leave it as it was."""
    return managed.up(Name="commanded", team="dogs")


@pytest.fixture(scope="module")
def pair(managed: Managed) -> tuple[str, str]:
    """Two with a tag of their own."""
    return managed.up(fleet="pair"), managed.up(fleet="pair")


def _code(action: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        action(**request)
    return str(caught.value.response["Error"]["Code"])


def test_a_script_runs_on_the_instance(managed: Managed, instance: str) -> None:
    sent = managed.ssm.send_command(
        InstanceIds=[instance],
        DocumentName=DOCUMENT,
        Comment="who is there",
        Parameters={"commands": ["hostname", "echo $AWS_SSM_INSTANCE_ID", "cd /opt", "pwd", "echo wrong >&2"]},
    )["Command"]
    assert (sent["Status"], sent["StatusDetails"], sent["TargetCount"]) == ("Pending", "Pending", 1)
    assert sent["ExpiresAfter"] - sent["RequestedDateTime"] == timedelta(hours=2)
    waited = {"CommandId": sent["CommandId"], "InstanceId": instance}
    managed.ssm.get_waiter("command_executed").wait(**waited, WaiterConfig={"Delay": 1})
    found = managed.invocation(sent["CommandId"], instance)
    hostname = managed.get(instance)["PrivateDnsName"]
    assert found["StandardOutputContent"] == f"{hostname}\n{instance}\n/opt\n"
    assert found["StandardErrorContent"] == "wrong\n"
    assert (found["Status"], found["ResponseCode"], found["Comment"]) == ("Success", 0, "who is there")
    assert found["PluginName"] == "aws:runShellScript"
    assert found["ExecutionElapsedTime"].startswith("PT")
    assert found["ExecutionStartDateTime"] <= found["ExecutionEndDateTime"]
    command = managed.command(sent["CommandId"])
    assert (command["Status"], command["CompletedCount"], command["ErrorCount"]) == ("Success", 1, 0)
    request = {"CommandId": sent["CommandId"], "Details": True}
    listed = managed.ssm.list_command_invocations(**request)["CommandInvocations"]
    assert [(entry["InstanceId"], entry["InstanceName"], entry["Status"]) for entry in listed] == [
        (instance, "commanded", "Success")
    ]
    (plugin,) = listed[0]["CommandPlugins"]
    assert plugin["Output"].endswith("/opt\n\n----------ERROR-------\nwrong\n")
    assert plugin["ResponseStartDateTime"] <= plugin["ResponseFinishDateTime"]


def test_a_script_that_fails_tells_its_exit_code(managed: Managed, instance: str) -> None:
    found = managed.sh(instance, "echo before", "exit 7")
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("Failed", "Failed", 7)
    assert found["StandardOutputContent"] == "before\n"
    assert found["StandardErrorContent"] == "failed to run commands: exit status 7"
    command = managed.command(found["CommandId"])
    assert (command["Status"], command["StatusDetails"], command["ErrorCount"]) == ("Failed", "Failed", 1)


def test_other_interpreters_and_directories(managed: Managed, instance: str) -> None:
    python = managed.sh(instance, "#!/usr/bin/env python3", "import os", "print(os.getcwd(), 6 * 7)")
    assert python["StandardOutputContent"] == "/usr/bin 42\n"
    there = managed.sh(instance, "pwd", parameters={"workingDirectory": ["/tmp"]})
    assert there["StandardOutputContent"] == "/tmp\n"
    nowhere = managed.sh(instance, "pwd", parameters={"workingDirectory": ["/no/such"]})
    assert (nowhere["Status"], nowhere["ResponseCode"]) == ("Failed", 1)
    assert "/no/such" in nowhere["StandardErrorContent"]
    # Nothing of a script is left, not even of one that could not be run.
    assert nowhere["CommandId"] not in managed.sh(instance, "ls /root/.ssm")["StandardOutputContent"]


def test_what_commands_write_stays_on_the_instance(managed: Managed, instance: str) -> None:
    managed.sh(instance, "echo kept > /home/ec2-user/note")
    assert managed.sh(instance, "cat /home/ec2-user/note", "ls /root/.ssm")["StandardOutputContent"].startswith("kept")


def test_a_long_script_is_taken_whole(managed: Managed, instance: str) -> None:
    lines = [f"n=$((n + {number}))" for number in range(20_000)]
    assert managed.sh(instance, "n=0", *lines, "echo $n")["StandardOutputContent"] == f"{sum(range(20_000))}\n"


def test_long_output_is_cut_and_says_so(managed: Managed, instance: str) -> None:
    found = managed.sh(instance, "head -c 500000 /dev/zero | tr '\\0' é", "head -c 9000 /dev/zero | tr '\\0' b >&2")
    out, err = found["StandardOutputContent"], found["StandardErrorContent"]
    assert (len(out), len(err)) == (24_000, 8_000)
    assert out.endswith("--output truncated--")
    assert err.endswith("--output truncated--")


def test_a_script_that_takes_too_long_is_killed(managed: Managed, instance: str) -> None:
    sleeper = Sleeper()
    request = {"parameters": {"executionTimeout": ["2"]}}
    command_id = managed.send("echo began", f"{sleeper.command} & wait", InstanceIds=[instance], **request)
    found = managed.end(command_id, instance)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("TimedOut", "ExecutionTimedOut", 137)
    assert found["StandardOutputContent"] == "began\n"
    sleeper.await_gone()
    command = managed.command(command_id)
    assert (command["Status"], command["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")


def test_cancelling_kills_what_runs_and_keeps_what_has_ended(managed: Managed, instance: str) -> None:
    sleeper = Sleeper()
    command_id = managed.send("echo began", sleeper.command, InstanceIds=[instance])
    sleeper.await_up()
    assert managed.invocation(command_id, instance)["Status"] == "InProgress"
    assert managed.invocation(command_id, instance)["StandardOutputContent"] == ""
    managed.ssm.cancel_command(CommandId=command_id)
    found = managed.end(command_id, instance)
    assert (found["Status"], found["ResponseCode"], found["StandardOutputContent"]) == ("Cancelled", 137, "began\n")
    sleeper.await_gone()
    assert managed.command(command_id)["Status"] == "Cancelled"
    done = managed.sh(instance, "true")
    managed.ssm.cancel_command(CommandId=done["CommandId"])
    assert managed.invocation(done["CommandId"], instance)["Status"] == "Success"
    assert _code(managed.ssm.cancel_command, CommandId=str(uuid.uuid4())) == "InvalidCommandId"


def test_tags_choose_instances_one_after_the_other(managed: Managed, pair: tuple[str, str]) -> None:
    sleeper = Sleeper()
    targets = [{"Key": "tag:fleet", "Values": ["pair", "other"]}]
    command_id = managed.send(sleeper.command, Targets=targets, MaxConcurrency="1")
    sleeper.await_up()
    command = managed.command(command_id)
    assert (command["Status"], command["TargetCount"], command["InstanceIds"]) == ("InProgress", 2, [])
    # The one that waits is cancelled before it begins; it never starts.
    _, waiting = managed.turns(command_id, *pair)
    managed.ssm.cancel_command(CommandId=command_id, InstanceIds=[waiting])
    assert managed.invocation(command_id, waiting)["Status"] == "Cancelled"
    assert len(sleeper.processes()) == 1
    managed.ssm.cancel_command(CommandId=command_id)
    for instance_id in pair:
        assert managed.end(command_id, instance_id)["Status"] == "Cancelled"
    assert managed.invocation(command_id, waiting)["ExecutionStartDateTime"] == ""


def test_too_many_errors_end_a_command(managed: Managed, pair: tuple[str, str]) -> None:
    targets = [{"Key": "tag:fleet", "Values": ["pair"]}]
    strict = managed.send("exit 1", Targets=targets, MaxConcurrency="50%", MaxErrors="0")
    ends = [managed.end(strict, instance_id) for instance_id in pair]
    assert sorted(end["StatusDetails"] for end in ends) == ["Failed", "Terminated"]
    command = managed.command(strict)
    assert (command["Status"], command["ErrorCount"], command["CompletedCount"]) == ("Failed", 1, 2)
    lenient = managed.send(f'test "$AWS_SSM_INSTANCE_ID" = {pair[1]}', Targets=targets, MaxErrors="1")
    ends = [managed.end(lenient, instance_id) for instance_id in pair]
    assert [end["Status"] for end in ends] == ["Failed", "Success"]
    command = managed.command(lenient)
    assert (command["Status"], command["StatusDetails"], command["ErrorCount"]) == ("Failed", "Incomplete", 1)


def test_a_tag_that_no_instance_has(managed: Managed) -> None:
    command = managed.command(managed.send("true", Targets=[{"Key": "tag:fleet", "Values": ["nobody"]}]))
    assert (command["Status"], command["StatusDetails"], command["TargetCount"]) == ("Success", "NoInstancesInTag", 0)


def test_output_goes_to_s3_as_the_role_of_the_instance(managed: Managed, instance: str, cloud: CloudProcess) -> None:
    s3, bucket = cloud.client("s3"), f"output-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    request = {"OutputS3BucketName": bucket, "OutputS3KeyPrefix": "out"}
    script = "head -c 300000 /dev/zero | tr '\\0' a"
    refused = managed.sh(instance, script, **request)
    assert refused["Status"] == "Success"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    policy = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/out/*")
    managed.iam.put_role_policy(RoleName=managed.role, PolicyName="output", PolicyDocument=policy)
    found = managed.sh(instance, script, **request)
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    step = "awsrunShellScript/0.awsrunShellScript"
    assert keys == [f"out/{found['CommandId']}/{instance}/{step}/stdout"]
    assert s3.get_object(Bucket=bucket, Key=keys[0])["Body"].read() == b"a" * 300_000
    assert found["StandardOutputUrl"] == f"{cloud.endpoint_url}/{bucket}/{keys[0]}"
    assert len(found["StandardOutputContent"]) == 24_000
    assert not list((cloud.data_dir / "commands").rglob("*"))
    missing = {"InstanceIds": [instance], "DocumentName": DOCUMENT, "Parameters": {"commands": ["true"]}}
    assert _code(managed.ssm.send_command, **missing, OutputS3BucketName="no-such-bucket") == "InvalidOutputFolder"
    s3.delete_object(Bucket=bucket, Key=keys[0])
    s3.delete_bucket(Bucket=bucket)


def test_instances_without_a_role_that_lets_them_take_no_commands(
    managed: Managed, instance: str, people: People
) -> None:
    bare = str(managed.run()["InstanceId"])
    managed.wait(bare, "running")
    information = managed.ssm.describe_instance_information()["InstanceInformationList"]
    listed = {entry["InstanceId"]: entry for entry in information}
    assert instance in listed
    assert bare not in listed
    assert (listed[instance]["PingStatus"], listed[instance]["PlatformName"]) == ("Online", "Amazon Linux")
    assert listed[instance]["IPAddress"] == managed.get(instance)["PrivateIpAddress"]
    request = {"DocumentName": DOCUMENT, "Parameters": {"commands": ["true"]}}
    with pytest.raises(ClientError) as caught:
        managed.ssm.send_command(InstanceIds=[instance, bare], **request)
    assert caught.value.response["Error"] == {
        "Code": "InvalidInstanceId",
        "Message": f"Instances [[{bare}]] not in a valid state for account {managed.cloud.account_id}",
    }
    managed.ec2.associate_iam_instance_profile(InstanceId=bare, IamInstanceProfile={"Name": managed.profile})
    assert managed.sh(bare, "echo now")["StandardOutputContent"] == "now\n"
    managed.iam.detach_role_policy(
        RoleName=managed.role, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    try:
        assert managed.ssm.describe_instance_information()["InstanceInformationList"] == []
        assert _code(managed.ssm.send_command, InstanceIds=[bare], **request) == "InvalidInstanceId"
    finally:
        managed.iam.attach_role_policy(
            RoleName=managed.role, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        )
    managed.ec2.stop_instances(InstanceIds=[bare])
    assert _code(managed.ssm.send_command, InstanceIds=[bare], **request) == "InvalidInstanceId"


def test_an_instance_that_ends_takes_its_command_along(managed: Managed) -> None:
    instance_id, sleeper = managed.up(), Sleeper()
    command_id = managed.send("echo began", sleeper.command, InstanceIds=[instance_id])
    sleeper.await_up()
    managed.ec2.terminate_instances(InstanceIds=[instance_id])
    found = managed.end(command_id, instance_id)
    assert found["Status"] == "Failed"
    assert found["StandardOutputContent"] == "began\n"
    assert "failed to run commands: " in found["StandardErrorContent"]
    sleeper.await_gone()


def test_an_instance_that_ends_before_its_turn_runs_nothing(managed: Managed) -> None:
    both, sleeper = (managed.up(fleet="turns"), managed.up(fleet="turns")), Sleeper()
    targets = [{"Key": "tag:fleet", "Values": ["turns"]}]
    command_id = managed.send(sleeper.command, Targets=targets, MaxConcurrency="1", MaxErrors="1")
    sleeper.await_up()
    first, second = managed.turns(command_id, *both)
    managed.ec2.terminate_instances(InstanceIds=[second])
    managed.wait(second, "terminated")
    for process in sleeper.processes():
        process.kill()
    assert managed.end(command_id, first)["Status"] == "Failed"
    found = managed.end(command_id, second)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("Failed", "Undeliverable", -1)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"DocumentName": "AWS-ConfigureDocker"}, "InvalidDocument"),
        ({"DocumentName": "AWS-RunPowerShellScript"}, "UnsupportedPlatformType"),
        ({"DocumentName": f"mine/{DOCUMENT}"}, "InvalidDocument"),
        ({"DocumentName": f"arn:aws:ssm:{REGION}:123456789012:document/{DOCUMENT}"}, "InvalidDocument"),
        ({"DocumentName": f"arn:aws:ssm:us-west-2::document/{DOCUMENT}"}, "InvalidDocument"),
        ({"DocumentVersion": "9"}, "InvalidDocumentVersion"),
        ({"Parameters": {}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["  "]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "timeout": ["1"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["echo {{ ssm:secret }}"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "executionTimeout": ["0"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "executionTimeout": ["172801"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "workingDirectory": ["/a", "/b"]}}, "InvalidParameters"),
        ({"InstanceIds": ["i-00000000000000000"]}, "InvalidInstanceId"),
        ({"InstanceIds": ["i-00000000000000000"] * 2}, "DuplicateInstanceId"),
        ({"InstanceIds": []}, "ValidationException"),
        ({"Targets": [{"Key": "tag:a", "Values": ["b"]}]}, "ValidationException"),
        ({"InstanceIds": [], "Targets": [{"Key": "InstanceIds", "Values": []}]}, "ValidationException"),
        ({"InstanceIds": [], "Targets": [{"Values": ["dogs"]}]}, "ValidationException"),
        ({"CloudWatchOutputConfig": {"CloudWatchOutputEnabled": True}}, "ValidationException"),
        ({"MaxErrors": "none"}, "ValidationException"),
    ],
)
def test_requests_that_are_refused(managed: Managed, instance: str, members: dict[str, Any], code: str) -> None:
    request = {"InstanceIds": [instance], "DocumentName": DOCUMENT, "Parameters": {"commands": ["true"]}, **members}
    assert _code(managed.ssm.send_command, **request) == code


def test_invocations_that_there_are_not(managed: Managed, instance: str) -> None:
    get, done = managed.ssm.get_command_invocation, managed.sh(instance, "true")
    named = {"CommandId": done["CommandId"], "InstanceId": instance}
    assert _code(get, **{**named, "CommandId": str(uuid.uuid4())}) == "InvocationDoesNotExist"
    assert _code(get, **{**named, "InstanceId": "i-00000000000000000"}) == "InvocationDoesNotExist"
    assert _code(get, **named, PluginName="aws:other") == "InvalidPluginName"
    assert get(**named, PluginName="aws:runShellScript")["Status"] == "Success"


def test_histories_are_newest_first_in_pages_and_filtered(managed: Managed, pair: tuple[str, str]) -> None:
    sent = [managed.sh(pair[0], f"exit {number % 2}")["CommandId"] for number in range(4)]
    first = managed.ssm.list_commands(InstanceId=pair[0], MaxResults=3)
    assert [entry["CommandId"] for entry in first["Commands"]] == sent[:0:-1]
    rest = managed.ssm.list_commands(InstanceId=pair[0], MaxResults=3, NextToken=first["NextToken"])
    assert rest["Commands"][0]["CommandId"] == sent[0]
    failed = managed.ssm.list_command_invocations(InstanceId=pair[0], Filters=[{"key": "Status", "value": "Success"}])
    found = [entry["CommandId"] for entry in failed["CommandInvocations"]]
    assert found[:2] == [sent[2], sent[0]]
    moment = first["Commands"][0]["RequestedDateTime"].isoformat()
    later = managed.ssm.list_commands(InstanceId=pair[0], Filters=[{"key": "InvokedAfter", "value": moment}])
    assert later["Commands"] == []


def test_policies_decide_by_document_and_by_the_tags_of_instances(
    managed: Managed, instance: str, pair: tuple[str, str], people: People
) -> None:
    script = statement("Allow", "ssm:SendCommand", f"arn:aws:ssm:*::document/{DOCUMENT}")
    dogs = {"StringEquals": {"ssm:resourceTag/team": "dogs"}}
    tagged = statement("Allow", "ssm:SendCommand", "arn:aws:ec2:*:*:instance/*", Condition=dogs)
    keeper = people.user(document(script, tagged)).client("ssm", region_name=REGION)
    request = {"DocumentName": DOCUMENT, "Parameters": {"commands": ["echo woof"]}}
    sent = keeper.send_command(InstanceIds=[instance], **request)["Command"]["CommandId"]
    assert managed.end(sent, instance)["StandardOutputContent"] == "woof\n"
    by_tag = keeper.send_command(Targets=[{"Key": "tag:team", "Values": ["dogs"]}], **request)["Command"]
    assert by_tag["TargetCount"] == 1
    assert _code(keeper.send_command, InstanceIds=[pair[0]], **request) == "AccessDeniedException"
    others = [{"Key": "tag:team", "Values": ["dogs", "cats"]}]
    assert _code(keeper.send_command, Targets=others, **request) == "AccessDeniedException"
    assert _code(keeper.get_command_invocation, CommandId=sent, InstanceId=instance) == "AccessDeniedException"
    by_arn = {**request, "DocumentName": f"arn:aws:ssm:{REGION}::document/{DOCUMENT}"}
    assert keeper.send_command(InstanceIds=[instance], **by_arn)["Command"]["DocumentName"] == DOCUMENT
    # Whoever may send documents of one's own cannot reach AWS's by calling it so.
    own = statement("Allow", "ssm:SendCommand", f"arn:aws:ssm:*:{managed.cloud.account_id}:document/*")
    writer = people.user(document(own, tagged)).client("ssm", region_name=REGION)
    assert _code(writer.send_command, InstanceIds=[instance], **request) == "AccessDeniedException"
    disguised = f"arn:aws:ssm:{REGION}:{managed.cloud.account_id}:document/{DOCUMENT}"
    disguise = {**request, "DocumentName": disguised}
    assert _code(writer.send_command, InstanceIds=[instance], **disguise) == "InvalidDocument"
    odd = {**request, "DocumentName": "arn:x"}
    tagger = people.user(allow("ssm:SendCommand", Condition=dogs)).client("ssm", region_name=REGION)
    assert _code(tagger.send_command, InstanceIds=[instance], **odd) == "AccessDeniedException"
    handed = {**request, "ServiceRoleArn": f"arn:aws:iam::{managed.cloud.account_id}:role/{managed.role}"}
    assert _code(keeper.send_command, InstanceIds=[instance], **handed) == "AccessDeniedException"
    elsewhere = {**request, "OutputS3BucketName": "output-of-commands"}
    assert _code(keeper.send_command, InstanceIds=[instance], **elsewhere) == "AccessDeniedException"
    output = statement("Allow", "ssm:SendCommand", "arn:aws:s3:::output-of-commands")
    archivist = people.user(document(script, tagged, output)).client("ssm", region_name=REGION)
    assert _code(archivist.send_command, InstanceIds=[instance], **elsewhere) == "InvalidOutputFolder"
    keyless = [{"Values": ["dogs"]}]
    assert _code(keeper.send_command, Targets=keyless, **request) == "AccessDeniedException"
    nobody = people.user(document(tagged)).client("ssm", region_name=REGION)
    assert _code(nobody.send_command, InstanceIds=[instance], **request) == "AccessDeniedException"
