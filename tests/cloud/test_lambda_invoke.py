"""Invoke: answers, errors, logs, qualifiers, dry runs, limits, and what is counted and logged about it."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import pytest

from tests.cloud.lambda_callers import allow, call, caller, metric, refusal, refused, wait_for
from tests.cloud.lambda_functions import ECHO, Bench, unique, zipped
from tests.cloud.log_lines import messages_in
from tests.cloud_process import CloudProcess

TELLS = """
import os
def handler(event, context):
    client = context.client_context
    return {
        "event": event,
        "arn": context.invoked_function_arn,
        "version": context.function_version,
        "request": context.aws_request_id,
        "custom": client.custom if client else None,
        "process": os.getpid(),
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }
"""
FAILS = """
def handler(event, context):
    print("about to fail")
    raise ValueError("no breed in " + event["picture"])
"""
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


@pytest.fixture(scope="module")
def tells(bench: Bench) -> str:
    """A function that says what it was told."""
    return bench.create(TELLS)


def test_the_answer_is_the_handlers(bench: Bench, tells: str) -> None:
    answer = bench.client.invoke(FunctionName=tells, Payload=b'{"picture": "d\xc3\xb6g"}')
    told = json.loads(answer["Payload"].read())
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert "LogResult" not in answer
    assert told["event"] == {"picture": "dög"}
    assert told["request"] == answer["ResponseMetadata"]["RequestId"]
    assert told["arn"] == bench.arn(tells)


def test_without_a_payload_the_event_is_an_empty_object(bench: Bench, tells: str) -> None:
    answer = bench.client.invoke(FunctionName=tells)
    assert json.loads(answer["Payload"].read())["event"] == {}


def test_a_warm_environment_is_used_again(bench: Bench, tells: str) -> None:
    processes = {call(bench.client, tells)["process"] for _ in range(5)}
    assert len(processes) == 1


def test_an_error_of_the_handler_is_told_with_its_type_and_trace(bench: Bench) -> None:
    name = bench.create(FAILS)
    answer = bench.client.invoke(FunctionName=name, Payload=b'{"picture": "p.jpg"}', LogType="Tail")
    told = json.loads(answer["Payload"].read())
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert (told["errorType"], told["errorMessage"]) == ("ValueError", "no breed in p.jpg")
    assert "app.py" in told["stackTrace"][0]
    log = base64.b64decode(answer["LogResult"]).decode()
    request = answer["ResponseMetadata"]["RequestId"]
    assert log.startswith(f"START RequestId: {request} Version: $LATEST\n")
    assert "about to fail" in log
    assert f"\nREPORT RequestId: {request}\tDuration: " in log


def test_the_client_context_arrives(bench: Bench, tells: str) -> None:
    context = base64.b64encode(json.dumps({"custom": {"from": "a phone"}}).encode()).decode()
    assert call(bench.client, tells, ClientContext=context)["custom"] == {"from": "a phone"}


@pytest.mark.parametrize("context", ["no base64!", base64.b64encode(b"{").decode()])
def test_a_client_context_that_is_none_is_refused(bench: Bench, tells: str, context: str) -> None:
    wrong = {"FunctionName": tells, "ClientContext": context}
    assert refused(bench.client.invoke, **wrong) == ("InvalidRequestContentException", 400)


@pytest.mark.parametrize("payload", [b"picture", b"{", b'{"score": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_a_payload_that_is_no_json_never_reaches_the_handler(bench: Bench, tells: str, payload: bytes) -> None:
    answer = refusal(bench.client.invoke, FunctionName=tells, Payload=payload)
    assert (answer["Code"], answer["status"], answer["Type"]) == ("InvalidRequestContentException", 400, "User")
    assert answer["Message"].startswith("Could not parse request body into json: ")


def test_six_mebibytes_pass_and_one_byte_more_does_not(bench: Bench) -> None:
    name = bench.create("def handler(event, context):\n    return len(event)\n", MemorySize=512)
    text = "x" * (6 * MIB - 2)
    assert call(bench.client, name, text) == len(text)
    answer = refusal(bench.client.invoke, FunctionName=name, Payload=json.dumps(text + "x"))
    assert (answer["Code"], answer["status"]) == ("RequestTooLargeException", 413)
    assert str(6 * MIB) in answer["Message"]


def test_an_answer_above_the_limit_is_the_functions_error(bench: Bench) -> None:
    name = bench.create("def handler(event, context):\n    return 'x' * event\n", MemorySize=512)
    assert len(call(bench.client, name, 6 * MIB)) == 6 * MIB
    answer = bench.client.invoke(FunctionName=name, Payload=str(6 * MIB + 200))
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


def test_versions_and_aliases_run_the_code_that_they_were_published_with(bench: Bench) -> None:
    name = bench.create("def handler(event, context):\n    return 'one'\n")
    first = bench.client.publish_version(FunctionName=name)["Version"]
    bench.active(name, Qualifier=first)
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion=first)
    two = zipped("def handler(event, context):\n    return 'two'\n")
    bench.client.update_function_code(FunctionName=name, ZipFile=two)
    bench.active(name)
    assert call(bench.client, name) == "two"
    assert call(bench.client, name, Qualifier=first) == "one"
    assert call(bench.client, f"{name}:live") == "one"
    assert call(bench.client, bench.arn(name, "live")) == "one"
    answer = bench.client.invoke(FunctionName=name, Qualifier="live")
    assert answer["ExecutedVersion"] == first


def test_new_code_answers_from_the_moment_that_it_is_ready(bench: Bench) -> None:
    name = bench.create("def handler(event, context):\n    return 0\n")
    for number in range(1, 4):
        assert call(bench.client, name) == number - 1
        code = zipped(f"def handler(event, context):\n    return {number}\n")
        bench.client.update_function_code(FunctionName=name, ZipFile=code)
        bench.active(name)
    bench.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"BREED": "beagle"}})
    bench.active(name)
    assert call(bench.client, name) == 3


def test_an_alias_with_routing_chooses_by_weight(bench: Bench) -> None:
    name = bench.create(TELLS)
    first = bench.client.publish_version(FunctionName=name)["Version"]
    bench.client.update_function_configuration(FunctionName=name, Description="second")
    bench.active(name)
    second = bench.client.publish_version(FunctionName=name)["Version"]
    for version in (first, second):
        bench.active(name, Qualifier=version)
    alias = {"FunctionName": name, "Name": "live", "FunctionVersion": first}
    bench.client.create_alias(**alias, RoutingConfig={"AdditionalVersionWeights": {second: 0.5}})
    seen = Counter(call(bench.client, name, Qualifier="live")["version"] for _ in range(60))
    assert set(seen) == {first, second}
    bench.client.update_alias(**alias, RoutingConfig={"AdditionalVersionWeights": {second: 1.0}})
    assert {call(bench.client, name, Qualifier="live")["version"] for _ in range(20)} == {second}
    dimensions = {"FunctionName": name, "Resource": f"{name}:live", "ExecutedVersion": first}
    wait_for(lambda: metric(bench.cloud, "Invocations", **dimensions) == seen[first], "the metric of the version")


def test_what_is_not_there_is_named(bench: Bench, tells: str) -> None:
    missing = unique("missing")
    answer = refusal(bench.client.invoke, FunctionName=missing)
    assert (answer["Code"], answer["status"]) == ("ResourceNotFoundException", 404)
    assert answer["Message"] == f"Function not found: {bench.arn(missing)}"
    answer = refusal(bench.client.invoke, FunctionName=tells, Qualifier="live")
    assert answer["Message"] == f"Function not found: {bench.arn(tells, 'live')}"


def test_a_dry_run_says_whether_the_caller_may_and_runs_nothing(bench: Bench, tells: str) -> None:
    process = call(bench.client, tells)["process"]
    before = metric(bench.cloud, "Invocations", FunctionName=tells)
    may = caller(bench.cloud, allow("lambda:InvokeFunction", bench.arn(tells)))
    answer = may.invoke(FunctionName=tells, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert answer["Payload"].read() == b""
    may_not = caller(bench.cloud, allow("lambda:InvokeFunction", bench.arn("another")))
    dry = {"FunctionName": tells, "InvocationType": "DryRun"}
    assert refused(may_not.invoke, **dry) == ("AccessDeniedException", 403)
    assert call(bench.client, tells)["process"] == process
    wait_for(lambda: metric(bench.cloud, "Invocations", FunctionName=tells) == before + 1, "the one real invocation")


def test_permission_for_an_alias_is_none_for_the_function(bench: Bench) -> None:
    name = bench.create(TELLS)
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    user = caller(bench.cloud, allow("lambda:InvokeFunction", bench.arn(name, "live")))
    assert call(user, name, Qualifier="live")["arn"] == bench.arn(name, "live")
    answer = refusal(user.invoke, FunctionName=name)
    assert (answer["Code"], answer["status"]) == ("AccessDeniedException", 403)
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {bench.arn(name)}" in answer["Message"]


@pytest.mark.parametrize("operation", ["invoke_async", "invoke_with_response_stream"])
def test_other_ways_to_invoke_are_refused_by_name(bench: Bench, tells: str, operation: str) -> None:
    request: dict[str, Any] = {"FunctionName": tells}
    request |= {"InvokeArgs": b"{}"} if operation == "invoke_async" else {"Payload": b"{}"}
    answer = refusal(getattr(bench.client, operation), **request)
    assert answer["status"] == 501
    assert operation.replace("_", "").lower() in answer["Message"].lower()


def test_logs_go_where_the_role_may_write_and_nowhere_else(bench: Bench) -> None:
    logs = bench.cloud.client("logs")
    name = bench.create("def handler(event, context):\n    print('seen', event)\n")
    call(bench.client, name, "by its log")
    group = f"/aws/lambda/{name}"
    events = wait_for(lambda: _messages(logs, group), "the log")
    assert [line.split()[0] for line in events][-4:] == ["START", "seen", "END", "REPORT"]
    mute = unique("mute")
    role = bench.role(mute)
    policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    bench.iam.detach_role_policy(RoleName=mute, PolicyArn=policy)
    silent = bench.create("def handler(event, context):\n    print('unseen')\n", Role=role)
    answer = bench.client.invoke(FunctionName=silent, LogType="Tail")
    # The caller's tail needs no permission of the function's.
    assert b"unseen" in base64.b64decode(answer["LogResult"])
    denied = wait_for(lambda: [c for c in bench.cloud.calls() if mute in (c.get("caller") or "")], "the denial")
    assert {(c["action"].partition(":")[0], c["status"], c["via"]) for c in denied} == {
        ("logs", 403, "lambda.amazonaws.com")
    }
    assert logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{silent}")["logGroups"] == []


def test_a_role_that_may_not_make_the_group_logs_once_it_is_there(bench: Bench) -> None:
    logs = bench.cloud.client("logs")
    name, role = unique(), unique("narrow")
    group = f"/aws/lambda/{name}"
    arn = bench.role(role)
    policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    bench.iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    resource = f"arn:aws:logs:{bench.cloud.region}:{bench.cloud.account_id}:log-group:{group}:*"
    document = {"Version": "2012-10-17", "Statement": [allow(["logs:CreateLogStream", "logs:PutLogEvents"], resource)]}
    bench.iam.put_role_policy(RoleName=role, PolicyName="logs", PolicyDocument=json.dumps(document))
    bench.create(ECHO, FunctionName=name, Role=arn)
    call(bench.client, name)
    wait_for(lambda: [c for c in bench.cloud.calls() if role in (c.get("caller") or "")], "the denial")
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
    logs.create_log_group(logGroupName=group)

    def logged() -> list[str]:
        call(bench.client, name)
        return _messages(logs, group)

    wait_for(logged, "the log")


def _messages(logs: Any, group: str) -> list[str]:
    found = messages_in(logs, group)
    return found if found and "REPORT" in found[-1] else []


def test_a_role_that_trusts_lambda_no_longer_runs_no_new_environment(bench: Bench) -> None:
    role = unique("lost")
    name = bench.create(TELLS, Role=bench.role(role))
    call(bench.client, name)
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    bench.iam.update_assume_role_policy(RoleName=role, PolicyDocument=document)
    # What runs has its keys already; new code needs new ones.
    call(bench.client, name)
    bench.client.update_function_code(FunctionName=name, ZipFile=zipped(TELLS + "# new"))
    bench.active(name)
    answer = refusal(bench.client.invoke, FunctionName=name)
    assert (answer["Code"], answer["status"]) == ("AccessDeniedException", 403)
    assert answer["Message"] == "The role defined for the function cannot be assumed by Lambda."


def test_metrics_count_each_invocation_once(bench: Bench) -> None:
    name = bench.create("def handler(event, context):\n    return 1 / event\n")
    for divisor in (1, 2, 0):
        bench.client.invoke(FunctionName=name, Payload=str(divisor))
    resource = {"FunctionName": name, "Resource": name}
    wait_for(lambda: metric(bench.cloud, "Invocations", FunctionName=name) == 3, "three invocations")
    assert metric(bench.cloud, "Invocations", **resource) == 3
    assert metric(bench.cloud, "Errors", FunctionName=name) == 1
    assert metric(bench.cloud, "Duration", "SampleCount", FunctionName=name) == 3
    assert metric(bench.cloud, "Duration", FunctionName=name) > 0
    assert metric(bench.cloud, "ConcurrentExecutions", "Maximum", FunctionName=name) == 1
    assert metric(bench.cloud, "Throttles", FunctionName=name) == 0
    assert metric(bench.cloud, "Invocations") >= 3
