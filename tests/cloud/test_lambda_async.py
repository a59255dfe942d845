"""Events: taken for later, tried again, kept while there is no place, and their outcome sent on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.lambda_callers import PATIENT, Gate, allow, call, caller, grant, metric, refusal, refused, wait_for
from tests.cloud.lambda_functions import ECHO, Bench, unique
from tests.cloud_process import CloudProcess

TELLS = """
import json
import urllib.request
def handler(event, context):
    request = urllib.request.Request(event["gate"], json.dumps([context.aws_request_id, event]).encode())
    urllib.request.urlopen(request).read()
    if event.get("fails"):
        raise RuntimeError("as it should")
    return {"told": event.get("word")}
"""
RECEIVES = """
import json
import os
import urllib.request
def handler(event, context):
    urllib.request.urlopen(urllib.request.Request(os.environ["GATE"], json.dumps(event).encode())).read()
"""
INVALID = ("InvalidParameterValueException", 400)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A cloud whose minutes are seconds, and a role that may call functions and write objects."""
    cloud = CloudProcess(tmp_path_factory.mktemp("events"), "--speed", "60")
    made = Bench(cloud.start())
    grant(made, allow(["lambda:InvokeFunction", "s3:PutObject"], "*"))
    try:
        yield made
    finally:
        cloud.stop()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open: whoever comes leaves what it posts and passes."""
    with Gate() as made:
        made.open()
        yield made


@pytest.fixture(scope="module")
def tells(bench: Bench) -> str:
    return bench.create(TELLS, Timeout=PATIENT)


def send(bench: Bench, name: str, event: Any, **request: Any) -> str:
    """Hand an event over; its request id."""
    answer = bench.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event), **request)
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    return str(answer["ResponseMetadata"]["RequestId"])


def bucket(bench: Bench) -> str:
    name = unique("outcomes")
    bench.cloud.client("s3").create_bucket(Bucket=name)
    return name


def on_failure(bench: Bench, name: str, **settings: Any) -> str:
    """Send the failures of a function to a bucket of its own; its name."""
    made = bucket(bench)
    destination = {"OnFailure": {"Destination": f"arn:aws:s3:::{made}"}}
    bench.client.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination, **settings)
    return made


def record(bench: Bench, where: str) -> tuple[str, dict[str, Any]]:
    """Key and content of the one record in a bucket, once it is there."""
    s3 = bench.cloud.client("s3")
    found = wait_for(lambda: s3.list_objects_v2(Bucket=where).get("Contents"), "the record")
    assert len(found) == 1
    return found[0]["Key"], json.loads(s3.get_object(Bucket=where, Key=found[0]["Key"])["Body"].read())


def test_an_event_is_run_later_under_the_id_of_its_request(bench: Bench, tells: str, gate: Gate) -> None:
    before = metric(bench.cloud, "AsyncEventsReceived", FunctionName=tells)
    event = {"gate": gate.address(), "word": "later"}
    request = send(bench, tells, event)
    wait_for(lambda: gate.posted, "the event")
    assert gate.posted == [[request, event]]
    wait_for(lambda: metric(bench.cloud, "AsyncEventsReceived", FunctionName=tells) == before + 1, "its metric")
    assert metric(bench.cloud, "AsyncEventAge", "SampleCount", FunctionName=tells) >= 1


def test_a_failing_event_is_tried_three_times_and_its_record_stored(bench: Bench, gate: Gate) -> None:
    name = bench.create(TELLS, Timeout=PATIENT)
    where = on_failure(bench, name)
    event = {"gate": gate.address(), "fails": True}
    request = send(bench, name, event)
    key, told = record(bench, where)
    assert gate.posted == [[request, event]] * 3
    assert key.startswith(f"aws/lambda/async/{name}/20")
    assert told["version"] == "1.0"
    assert told["timestamp"].endswith("Z")
    assert told["requestContext"] == {
        "requestId": request,
        "functionArn": bench.arn(name, "$LATEST"),
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert told["requestPayload"] == event
    assert told["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert told["responsePayload"]["errorMessage"] == "as it should"
    wait_for(lambda: metric(bench.cloud, "AsyncEventsDropped", FunctionName=name) == 1, "the drop's metric")
    assert metric(bench.cloud, "Errors", FunctionName=name) == 3


def test_retries_can_be_turned_off_and_age_ends_them(bench: Bench, gate: Gate) -> None:
    once = bench.create(TELLS, Timeout=PATIENT)
    where = on_failure(bench, once, MaximumRetryAttempts=0)
    send(bench, once, {"gate": gate.address("once"), "fails": True})
    assert record(bench, where)[1]["requestContext"]["approximateInvokeCount"] == 1
    aged = bench.create(TELLS, Timeout=PATIENT)
    where = on_failure(bench, aged, MaximumEventAgeInSeconds=60)
    send(bench, aged, {"gate": gate.address("aged"), "fails": True})
    context = record(bench, where)[1]["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("EventAgeExceeded", 1)
    assert sorted(gate.arrived) == ["/aged", "/once"]


def test_a_success_goes_to_another_function_with_its_answer(bench: Bench, gate: Gate) -> None:
    receiver = bench.create(RECEIVES, Timeout=PATIENT, Environment={"Variables": {"GATE": gate.address("receiver")}})
    name = bench.create(TELLS, Timeout=PATIENT)
    version = bench.client.publish_version(FunctionName=name)["Version"]
    bench.active(name, Qualifier=version)
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    destination = {"OnSuccess": {"Destination": bench.arn(receiver)}}
    bench.client.put_function_event_invoke_config(FunctionName=name, Qualifier="live", DestinationConfig=destination)
    # The config is the alias's alone.
    send(bench, name, {"gate": gate.address("sender"), "word": "unqualified"})
    request = send(bench, name, {"gate": gate.address("sender"), "word": "beagle"}, Qualifier="live")
    wait_for(lambda: "/receiver" in gate.arrived, "the record")
    told = next(each for each in gate.posted if isinstance(each, dict))
    assert told["requestContext"] == {
        "requestId": request,
        "functionArn": bench.arn(name, "live"),
        "condition": "Success",
        "approximateInvokeCount": 1,
    }
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": version}
    assert told["responsePayload"] == {"told": "beagle"}
    wait_for(lambda: metric(bench.cloud, "Invocations", FunctionName=receiver) == 1, "one record")
    assert metric(bench.cloud, "Invocations", FunctionName=name) == 2


def test_an_event_without_a_place_waits_for_one(bench: Bench) -> None:
    name = bench.create(TELLS, Timeout=PATIENT)
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    with Gate() as closed:
        for word in ("first", "second"):
            send(bench, name, {"gate": closed.address(), "word": word})
        wait_for(lambda: len(closed.arrived) == 1, "the first event")
        wait_for(lambda: metric(bench.cloud, "Throttles", FunctionName=name) >= 1, "a throttle")
        assert len(closed.arrived) == 1
        closed.open()
        wait_for(lambda: len(closed.arrived) == 2, "the second event")
    wait_for(lambda: metric(bench.cloud, "Invocations", FunctionName=name) == 2, "both")
    assert metric(bench.cloud, "Errors", FunctionName=name) == 0


def test_an_event_of_a_function_that_may_not_run_goes_to_its_destination(bench: Bench, gate: Gate) -> None:
    name = bench.create(TELLS, Timeout=PATIENT)
    where = on_failure(bench, name)
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    send(bench, name, {"gate": gate.address()})
    told = record(bench, where)[1]
    assert told["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert told["requestContext"]["approximateInvokeCount"] == 0
    assert "responsePayload" not in told
    assert gate.arrived == []


def test_a_destination_needs_the_roles_permission_when_it_is_set_and_when_it_is_used(bench: Bench, gate: Gate) -> None:
    role_name = unique("narrow")
    name = bench.create(TELLS, Timeout=PATIENT, Role=bench.role(role_name))
    where = bucket(bench)
    destination = {"OnFailure": {"Destination": f"arn:aws:s3:::{where}"}}
    put = bench.client.put_function_event_invoke_config
    answer = refusal(put, FunctionName=name, DestinationConfig=destination)
    assert answer["Message"] == (
        f"The function's execution role does not have permissions to call PutObject on arn:aws:s3:::{where}"
    )
    statement = allow("s3:PutObject", f"arn:aws:s3:::{where}/*")
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    bench.iam.put_role_policy(RoleName=role_name, PolicyName="outcomes", PolicyDocument=document)
    put(FunctionName=name, DestinationConfig=destination, MaximumRetryAttempts=0)
    bench.iam.delete_role_policy(RoleName=role_name, PolicyName="outcomes")
    send(bench, name, {"gate": gate.address(), "fails": True})
    wait_for(lambda: metric(bench.cloud, "DestinationDeliveryFailures", FunctionName=name) == 1, "the failure")
    assert bench.cloud.client("s3").list_objects_v2(Bucket=where)["KeyCount"] == 0


def test_what_is_wrong_with_an_event_is_said_at_once(bench: Bench, tells: str) -> None:
    event = {"FunctionName": tells, "InvocationType": "Event"}
    large = json.dumps("x" * 1024 * 1024)
    assert refused(bench.client.invoke, **event, Payload=large) == ("RequestTooLargeException", 413)
    assert refused(bench.client.invoke, **event, Payload=b"{") == ("InvalidRequestContentException", 400)
    nobody = caller(bench.cloud)
    assert refused(nobody.invoke, **event) == ("AccessDeniedException", 403)
    gone = {**event, "FunctionName": unique("gone")}
    assert refused(bench.client.invoke, **gone) == ("ResourceNotFoundException", 404)


def test_the_config_is_put_changed_listed_and_deleted(bench: Bench) -> None:
    name, other = bench.create(ECHO), bench.create(ECHO)
    client, which = bench.client, {"FunctionName": name}
    assert refused(client.get_function_event_invoke_config, **which) == ("ResourceNotFoundException", 404)
    assert refused(client.update_function_event_invoke_config, **which, MaximumRetryAttempts=1) == (
        "ResourceNotFoundException",
        404,
    )
    to_other = {"OnSuccess": {"Destination": bench.arn(other)}}
    made = client.put_function_event_invoke_config(**which, MaximumRetryAttempts=1, DestinationConfig=to_other)
    assert made["FunctionArn"] == bench.arn(name, "$LATEST")
    assert made["DestinationConfig"] == {**to_other, "OnFailure": {}}
    client.update_function_event_invoke_config(**which, MaximumEventAgeInSeconds=120)
    found = client.get_function_event_invoke_config(**which)
    assert (found["MaximumRetryAttempts"], found["MaximumEventAgeInSeconds"]) == (1, 120)
    assert found["DestinationConfig"]["OnSuccess"] == to_other["OnSuccess"]
    replaced = client.put_function_event_invoke_config(**which, MaximumEventAgeInSeconds=60)
    assert "MaximumRetryAttempts" not in replaced
    assert replaced["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    client.create_alias(**which, Name="live", FunctionVersion="$LATEST")
    client.put_function_event_invoke_config(**which, Qualifier="live", MaximumRetryAttempts=0)
    listed = client.list_function_event_invoke_configs(**which, MaxItems=1)
    rest = client.list_function_event_invoke_configs(**which, Marker=listed["NextMarker"])
    arns = [config["FunctionArn"] for each in (listed, rest) for config in each["FunctionEventInvokeConfigs"]]
    assert sorted(arns) == sorted([bench.arn(name, "$LATEST"), bench.arn(name, "live")])
    client.delete_function_event_invoke_config(**which)
    assert refused(client.delete_function_event_invoke_config, **which) == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize("service", ["sqs", "sns", "events"])
def test_destinations_that_this_cloud_has_not_are_refused_by_name(bench: Bench, tells: str, service: str) -> None:
    arn = f"arn:aws:{service}:us-east-1:123456789012:outcomes"
    destination = {"OnFailure": {"Destination": arn}}
    answer = refusal(bench.client.put_function_event_invoke_config, FunctionName=tells, DestinationConfig=destination)
    assert answer["status"] == 501
    assert arn in answer["Message"]


def test_destinations_that_could_never_work_are_refused(bench: Bench, tells: str) -> None:
    put = bench.client.put_function_event_invoke_config
    assert refused(put, FunctionName=tells) == INVALID

    def to(member: str, arn: str) -> dict[str, Any]:
        return {"FunctionName": tells, "DestinationConfig": {member: {"Destination": arn}}}

    assert refused(put, **to("OnSuccess", bench.arn(tells))) == INVALID
    assert refused(put, **to("OnSuccess", f"arn:aws:s3:::{bucket(bench)}")) == INVALID
    assert refused(put, **to("OnFailure", f"arn:aws:s3:::{unique('nowhere')}")) == INVALID
    assert refused(put, **to("OnFailure", bench.arn(unique()))) == ("ResourceNotFoundException", 404)
    assert refused(put, FunctionName=unique(), MaximumRetryAttempts=0) == ("ResourceNotFoundException", 404)


def test_a_record_that_is_larger_than_an_event_is_not_delivered(bench: Bench) -> None:
    receiver = bench.create(ECHO)
    name = bench.create("def handler(event, context):\n    return 'x' * 1024 * 1024\n")
    destination = {"OnSuccess": {"Destination": bench.arn(receiver)}}
    bench.client.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)
    send(bench, name, {})
    wait_for(lambda: metric(bench.cloud, "DestinationDeliveryFailures", FunctionName=name) == 1, "the failure")
    assert metric(bench.cloud, "AsyncEventsReceived", FunctionName=receiver) == 0


def test_functions_that_hand_on_to_each_other_for_ever_are_stopped(bench: Bench) -> None:
    silent = "def handler(event, context):\n    pass\n"
    ping, pong = bench.create(silent), bench.create(silent)
    for name, other in ((ping, pong), (pong, ping)):
        destination = {"OnSuccess": {"Destination": bench.arn(other)}}
        bench.client.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)
    send(bench, ping, {"round": "and round"})
    wait_for(lambda: metric(bench.cloud, "RecursiveInvocationsDropped", FunctionName=pong) == 1, "the end")
    runs = sum(metric(bench.cloud, "Invocations", FunctionName=name) for name in (ping, pong))
    assert runs == 17
    assert call(bench.client, ping) is None
