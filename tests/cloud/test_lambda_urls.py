"""Function URLs: their configs, who may call, requests as events, answers as responses, and other origins."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.cloud.lambda_callers import allow, refusal, refused, user_keys, wait_for
from tests.cloud.lambda_functions import ECHO, Bench, unique
from tests.cloud_process import CloudProcess

ANSWERS = """
import json
def handler(event, context):
    return json.loads(event["body"])
"""
STATEMENTS: dict[str, dict[str, Any]] = {
    "url": {"StatementId": "url", "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
    "through": {"StatementId": "through", "Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
}
CONFLICT = ("ResourceConflictException", 409)
MISSING = ("ResourceNotFoundException", 404)


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


@pytest.fixture(scope="module")
def echo(bench: Bench) -> str:
    """The URL of a function that answers with its event, for everybody."""
    return public(bench, bench.create(ECHO))


@pytest.fixture(scope="module")
def answers(bench: Bench) -> str:
    """The URL of a function that answers with what it is told to, for everybody."""
    return public(bench, bench.create(ANSWERS))


def public(bench: Bench, name: str, **config: Any) -> str:
    """Make a URL that needs no signature, and let everybody call it; the URL."""
    url = bench.client.create_function_url_config(FunctionName=name, AuthType="NONE", **config)["FunctionUrl"]
    open_to_all(bench, name, **({"Qualifier": config["Qualifier"]} if "Qualifier" in config else {}))
    return str(url)


def open_to_all(bench: Bench, name: str, statements: tuple[str, ...] = ("url", "through"), **qualifier: str) -> None:
    """The two statements that AWS's console adds, or one of them."""
    for statement in statements:
        bench.client.add_permission(FunctionName=name, Principal="*", **qualifier, **STATEMENTS[statement])


def signed(
    cloud: CloudProcess, keys: dict[str, Any], url: str, body: str = "", service: str = "lambda", region: str = ""
) -> Any:
    """A POST with the signature of a caller."""
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
    token = keys.get("SessionToken")
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], token)
    SigV4Auth(credentials, service, region or cloud.region).add_auth(request)
    return requests.post(url, data=body, headers=dict(request.headers), timeout=60)


def test_a_request_is_the_handlers_event(bench: Bench, echo: str) -> None:
    answer = requests.post(
        f"{echo}a%20path/b?breed=beagle&breed=boxer&size=",
        data='{"picture": 1}',
        headers={"Content-Type": "application/json", "Cookie": "one=1; two=2", "X-Own": "mine", "User-Agent": "test"},
        timeout=60,
    )
    event = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert (event["version"], event["routeKey"]) == ("2.0", "$default")
    assert (event["rawPath"], event["rawQueryString"]) == ("/a path/b", "breed=beagle&breed=boxer&size=")
    assert event["queryStringParameters"] == {"breed": "beagle,boxer", "size": ""}
    assert event["cookies"] == ["one=1", "two=2"]
    headers = event["headers"]
    assert (headers["x-own"], headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("mine", "127.0.0.1", "http")
    assert headers["x-forwarded-port"] == str(bench.cloud.port)
    assert (event["body"], event["isBase64Encoded"]) == ('{"picture": 1}', False)
    context = event["requestContext"]
    url_id = echo.rstrip("/").rpartition("/")[2]
    assert (context["accountId"], context["apiId"], context["domainPrefix"]) == ("anonymous", url_id, url_id)
    assert context["domainName"] == f"{url_id}.lambda-url.{bench.cloud.region}.on.aws"
    assert context["http"] == {
        "method": "POST",
        "path": "/a path/b",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "test",
    }
    assert context["requestId"] == answer.headers["x-amzn-requestid"]
    assert "authorizer" not in context


def test_what_is_no_text_comes_in_base64_and_nothing_comes_as_nothing(echo: str) -> None:
    picture = bytes(range(256))
    event = requests.put(echo, data=picture, headers={"Content-Type": "image/jpeg"}, timeout=60).json()
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == picture
    event = requests.get(echo, timeout=60).json()
    assert event["rawPath"] == "/"
    assert not {"body", "cookies", "queryStringParameters"} & set(event)


def test_the_url_by_the_name_of_its_host(bench: Bench, echo: str) -> None:
    url_id = echo.rstrip("/").rpartition("/")[2]
    host = {"Host": f"{url_id}.lambda-url.{bench.cloud.region}.on.aws"}
    event = requests.get(f"{bench.cloud.endpoint_url}/breeds", headers=host, timeout=60).json()
    assert event["rawPath"] == "/breeds"


def test_the_status_code_form_is_the_response(answers: str) -> None:
    """The write-up's own handler answers in this form, with a few members that nobody asked for."""
    told = {
        "statusCode": 201,
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*", "X-Count": 133},
        "type-result": "<class 'str'>",
        "COntent-Type-In": "LambdaContext",
        "cookies": ["one=1; Secure", "two=2"],
        "body": "[[0.5]]",
    }
    answer = requests.post(answers, json=told, timeout=60)
    assert (answer.status_code, answer.text) == (201, "[[0.5]]")
    assert answer.headers["content-type"] == "text/plain"
    assert (answer.headers["access-control-allow-origin"], answer.headers["x-count"]) == ("*", "133")
    assert answer.raw.headers.getlist("set-cookie") == ["one=1; Secure", "two=2"]


def test_a_body_in_base64_is_sent_as_bytes(answers: str) -> None:
    body = base64.b64encode(b"\x00\xff").decode()
    told = {"statusCode": 200, "headers": {"content-type": "image/png"}, "body": body, "isBase64Encoded": True}
    answer = requests.post(answers, json=told, timeout=60)
    assert (answer.content, answer.headers["content-type"]) == (b"\x00\xff", "image/png")
    answer = requests.post(answers, json={"statusCode": 204}, timeout=60)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("document", [{"message": "hello"}, [1, 2], "text", None, 7])
def test_any_other_json_is_the_body_itself(answers: str, document: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = requests.post(answers, data=json.dumps(document), timeout=60, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document


@pytest.mark.parametrize(
    "document",
    [
        {"statusCode": "many"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"no": "text"}},
        {"statusCode": 200, "headers": ["no", "object"]},
        {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True},
    ],
)
def test_an_answer_that_is_no_response_is_a_bad_gateway(answers: str, document: Any) -> None:
    answer = requests.post(answers, json=document, timeout=60)
    assert (answer.status_code, answer.text) == (502, "Internal Server Error")


def test_errors_of_the_function_and_throttles_have_their_status(bench: Bench) -> None:
    name = bench.create("def handler(event, context):\n    raise ValueError('not for strangers')\n")
    url = public(bench, name)
    answer = requests.get(url, timeout=60)
    assert (answer.status_code, answer.text) == (502, "Internal Server Error")
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    answer = requests.get(url, timeout=60)
    assert answer.status_code == 429
    assert answer.json()["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_more_than_six_mebibytes_are_refused(echo: str) -> None:
    answer = requests.post(echo, data=b"x" * (6 * 1024 * 1024 + 1), timeout=60)
    assert answer.status_code == 413
    # In base64 they are too many, as an event.
    answer = requests.post(echo, data=b"x" * (5 * 1024 * 1024), headers={"Content-Type": "image/png"}, timeout=60)
    assert answer.status_code == 413


def test_without_both_statements_nobody_may_call(bench: Bench) -> None:
    name = bench.create(ECHO)
    url = bench.client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    answer = requests.get(url, timeout=60)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert answer.json()["Message"].startswith("Forbidden.")
    open_to_all(bench, name)
    assert requests.get(url, timeout=60).status_code == 200
    for statement in STATEMENTS:
        bench.client.remove_permission(FunctionName=name, StatementId=statement)
        assert requests.get(url, timeout=60).status_code == 403
        open_to_all(bench, name, (statement,))
    assert requests.get(url, timeout=60).status_code == 200


def test_a_statement_for_signed_calls_opens_no_public_url(bench: Bench) -> None:
    name = bench.create(ECHO)
    url = bench.client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    signed_only = {**STATEMENTS["url"], "FunctionUrlAuthType": "AWS_IAM"}
    bench.client.add_permission(FunctionName=name, Principal="*", **signed_only)
    open_to_all(bench, name, ("through",))
    assert requests.get(url, timeout=60).status_code == 403


def test_a_signed_url_asks_for_a_signature_and_both_permissions(bench: Bench) -> None:
    cloud, name = bench.cloud, bench.create(ECHO)
    url = bench.client.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
    both = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    keys = user_keys(cloud, allow(both, bench.arn(name)))
    answer = signed(cloud, keys, f"{url}a%20b?x=1&y=", '{"signed": true}')
    assert answer.status_code == 200
    assert "authorization" not in answer.json()["headers"]
    identity = answer.json()["requestContext"]["authorizer"]["iam"]
    assert identity["accessKey"] == keys["AccessKeyId"]
    assert identity["userArn"].endswith(f":user/{keys['UserName']}")
    assert answer.json()["requestContext"]["accountId"] == cloud.account_id
    assert requests.post(url, data="{}", timeout=60).status_code == 403
    assert signed(cloud, {**keys, "SecretAccessKey": "wrong"}, url).status_code == 403
    assert signed(cloud, keys, url, service="s3").status_code == 403
    assert signed(cloud, keys, url, region="eu-central-1").status_code == 403
    for action in both:
        half = user_keys(cloud, allow(action, bench.arn(name)))
        assert signed(cloud, half, url).status_code == 403
    elsewhere = user_keys(cloud, allow(both, bench.arn("another")))
    assert signed(cloud, elsewhere, url).status_code == 403
    root = {"AccessKeyId": cloud.access_key, "SecretAccessKey": cloud.secret_key}
    assert signed(cloud, root, url).status_code == 200


def test_a_signature_for_another_body_or_path_is_worth_nothing(bench: Bench) -> None:
    cloud, name = bench.cloud, bench.create(ECHO)
    url = bench.client.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
    request = AWSRequest("POST", url, data='{"a": 1}', headers={"Content-Type": "application/json"})
    SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "lambda", cloud.region).add_auth(request)
    headers = dict(request.headers)
    assert requests.post(url, data='{"a": 1}', headers=headers, timeout=60).status_code == 200
    assert requests.post(url, data='{"a": 2}', headers=headers, timeout=60).status_code == 403
    assert requests.post(f"{url}b", data='{"a": 1}', headers=headers, timeout=60).status_code == 403
    assert requests.put(url, data='{"a": 1}', headers=headers, timeout=60).status_code == 403


def test_the_record_says_who_called_and_what_decided(bench: Bench, echo: str) -> None:
    path = f"{echo}recorded"
    request = requests.get(path, timeout=60).headers["x-amzn-requestid"]

    def found() -> dict[str, Any] | None:
        return next((each for each in bench.cloud.calls() if each["request_id"] == request), None)

    record = wait_for(found, "the record")
    assert (record["action"], record["status"]) == ("lambda:InvokeFunctionUrl", 200)
    assert [each["action"] for each in record["authorised"]] == ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    assert {each["by"] for each in record["authorised"]} == {"resource-based policy"}


def test_an_alias_has_a_url_of_its_own(bench: Bench) -> None:
    name = bench.create("def handler(event, context):\n    return context.invoked_function_arn\n")
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    url = public(bench, name, Qualifier="live")
    assert requests.get(url, timeout=60).json() == bench.arn(name, "live")
    other = public(bench, name)
    assert requests.get(other, timeout=60).json() == bench.arn(name)
    listed = bench.client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert {each["FunctionUrl"] for each in listed} == {url, other}


def test_other_origins_are_answered_by_the_rules_of_the_url(bench: Bench) -> None:
    cors = {
        "AllowOrigins": ["https://dogs.example"],
        "AllowMethods": ["POST"],
        "AllowHeaders": ["content-type"],
        "ExposeHeaders": ["x-breed"],
        "AllowCredentials": True,
        "MaxAge": 600,
    }
    name = bench.create("def handler(event, context):\n    return 1 / 0\n")
    url = public(bench, name, Cors=cors)
    asks = {
        "Origin": "https://dogs.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Content-Type",
    }
    # The function, which fails, is not asked.
    preflight = requests.options(url, headers=asks, timeout=60)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://dogs.example"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert preflight.headers["access-control-allow-headers"] == "Content-Type"
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert preflight.headers["access-control-max-age"] == "600"
    for change in (
        {"Origin": "https://cats.example"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Headers": "content-type, x-other"},
    ):
        refused_one = requests.options(url, headers={**asks, **change}, timeout=60)
        assert "access-control-allow-methods" not in refused_one.headers
    answer = requests.post(url, headers={"Origin": "https://dogs.example"}, timeout=60)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (502, "https://dogs.example")
    assert answer.headers["access-control-expose-headers"] == "x-breed"
    answer = requests.post(url, headers={"Origin": "https://cats.example"}, timeout=60)
    assert "access-control-allow-origin" not in answer.headers


def test_the_rules_of_the_url_replace_what_the_function_says_of_origins(bench: Bench) -> None:
    url = public(bench, bench.create(ANSWERS), Cors={"AllowOrigins": ["*"], "AllowMethods": ["*"]})
    told = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://own.example", "X-Own": "1"}}
    answer = requests.post(url, json=told, headers={"Origin": "https://any.example"}, timeout=60)
    assert (answer.headers["access-control-allow-origin"], answer.headers["x-own"]) == ("*", "1")


def test_without_rules_the_function_answers_browsers_itself(answers: str) -> None:
    told = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://own.example"}}
    asks = {"Origin": "https://own.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(answers, json=told, headers=asks, timeout=60)
    assert answer.headers["access-control-allow-origin"] == "https://own.example"


def test_the_config_is_made_read_changed_and_deleted(bench: Bench) -> None:
    name, client = bench.create(ECHO), bench.client
    which = {"FunctionName": name}
    assert refused(client.get_function_url_config, **which) == MISSING
    made = client.create_function_url_config(**which, AuthType="AWS_IAM", Cors={"AllowOrigins": ["*"]})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"] == bench.arn(name)
    answer = refusal(client.create_function_url_config, **which, AuthType="NONE")
    assert (answer["Code"], answer["status"]) == CONFLICT
    assert "FunctionUrlConfig exists for this Lambda function" in answer["Message"]
    found = client.get_function_url_config(**which)
    assert (found["AuthType"], found["Cors"]) == ("AWS_IAM", {"AllowOrigins": ["*"]})
    assert (found["FunctionUrl"], found["InvokeMode"]) == (made["FunctionUrl"], "BUFFERED")
    changed = client.update_function_url_config(**which, AuthType="NONE", Cors={})
    assert changed["AuthType"] == "NONE"
    assert "Cors" not in changed
    open_to_all(bench, name)
    assert requests.get(made["FunctionUrl"], timeout=60).status_code == 200
    client.delete_function_url_config(**which)
    assert requests.get(made["FunctionUrl"], timeout=60).status_code == 404
    again = client.create_function_url_config(**which, AuthType="NONE")["FunctionUrl"]
    assert again != made["FunctionUrl"]
    assert requests.get(again, timeout=60).status_code == 200
    client.delete_function(**which)
    assert requests.get(again, timeout=60).status_code == 404


def test_configs_that_make_no_sense_are_refused(bench: Bench) -> None:
    name, create = bench.create(ECHO), bench.client.create_function_url_config
    assert refused(create, FunctionName=unique(), AuthType="NONE") == MISSING
    assert refused(create, FunctionName=name, Qualifier="missing", AuthType="NONE") == MISSING
    answer = refusal(create, FunctionName=name, AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    assert (answer["status"], "RESPONSE_STREAM" in answer["Message"]) == (501, True)
    assert refused(create, FunctionName=name, Qualifier="1", AuthType="NONE")[1] == 400
    assert refused(create, FunctionName=name, AuthType="EVERYBODY")[1] == 400
