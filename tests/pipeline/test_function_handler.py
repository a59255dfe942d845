"""The packaged handler in a process of its own: what callers get, and what is refused in which words."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.pipeline.function_shop import answers, aws_error, endpoint, json_reply

SCORES = [[-9.3, -7.1, 0.4]]
LABELS = {"predictions": [{"label": "Beagle", "score": 0.9, "index": 2}]}
URL = {"url": "https://pictures.example/Carolina-Dog.jpg"}
TRACEBACK = 'Traceback (most recent call last):\n  File "/opt/ml/model/code/x.py", line 1, in f\n'


def by_accept(headers: dict[str, str], body: bytes) -> Any:
    return json_reply(LABELS if "labels" in headers["accept"] else SCORES)


def test_the_answer_has_the_keys_that_callers_read() -> None:
    with endpoint(by_accept) as runtime:
        (answer,), _ = answers(runtime.url, URL)
    assert answer == {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"},
        "type-result": "<class 'str'>",
        "COntent-Type-In": "application/json",
        "body": json.dumps(SCORES),
    }
    ((path, headers, body),) = runtime.asked
    assert path == "/endpoints/dogs-endpoint/invocations"
    assert json.loads(body) == URL
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")
    assert "Credential=AKIAEXAMPLEEXAMPLE00/" in headers["authorization"]


def test_names_come_when_they_are_asked_for() -> None:
    http = {"requestContext": {"http": {}}, "headers": {"content-type": "image/png"}, "isBase64Encoded": True}
    picture = base64.b64encode(b"a picture").decode()
    with endpoint(by_accept) as runtime:
        told, _ = answers(
            runtime.url,
            {**URL, "names": True},
            {**URL, "names": True, "top": 7},
            {**http, "body": picture, "queryStringParameters": {"names": "true", "top": "2"}},
        )
    assert [json.loads(answer["body"]) for answer in told] == [LABELS] * 3
    accepts = [headers["accept"] for _, headers, _ in runtime.asked]
    assert accepts == [f"application/vnd.sagehound.labels+json; top={top}" for top in (5, 7, 2)]


def test_pictures_and_http_events_reach_the_endpoint_as_they_are() -> None:
    picture = bytes(range(256))
    text = base64.b64encode(picture).decode()
    http = {"version": "2.0", "requestContext": {"http": {"method": "POST"}}}
    with endpoint(by_accept) as runtime:
        told, _ = answers(
            runtime.url,
            {"image": text},
            {**http, "headers": {"Content-Type": "image/jpeg"}, "body": text, "isBase64Encoded": True},
            {**http, "headers": {"content-type": "application/json"}, "body": json.dumps(URL)},
            {**http, "body": base64.b64encode(json.dumps(URL).encode()).decode(), "isBase64Encoded": True},
        )
    assert [answer["statusCode"] for answer in told] == [200] * 4
    sent = [(headers["content-type"], body) for _, headers, body in runtime.asked]
    assert sent[:2] == [("application/octet-stream", picture), ("image/jpeg", picture)]
    assert [(kind, json.loads(body)) for kind, body in sent[2:]] == [("application/json", URL)] * 2


@pytest.fixture(scope="module")
def refused() -> dict[str, dict[str, Any]]:
    """Every event that is refused before the endpoint is asked, answered by one process."""
    http: dict[str, Any] = {"requestContext": {"http": {}}}
    events: dict[str, Any] = {
        "list": [1],
        "empty": {},
        "number": {"url": 5},
        "scheme": {"url": "file:///etc/passwd"},
        "long": {"url": "https://" + "x" * 9000},
        "names": {**URL, "names": "yes"},
        "top": {**URL, "names": True, "top": 0},
        "boolean top": {**URL, "names": True, "top": True},
        "no base64": {"image": "§§§"},
        "no text": {"image": 5},
        "no picture": {"image": ""},
        "large": {"image": "A" * 6_000_100},
        "body": {**http, "body": "not json"},
        "no body": http,
        "list body": {**http, "body": "[]"},
    }
    with endpoint(by_accept) as runtime:
        told, _ = answers(runtime.url, *events.values())
    assert runtime.asked == []
    return dict(zip(events, told, strict=True))


@pytest.mark.parametrize(
    ("event", "status", "words"),
    [
        ("list", 400, "the event is no JSON object"),
        ("empty", 400, 'neither "url" nor "image"'),
        ("number", 400, '"url" is no address'),
        ("scheme", 400, "begins with https://"),
        ("long", 413, "9,008 characters"),
        ("names", 400, '"names" is true or false'),
        ("top", 400, '"top" is a whole number from 1'),
        ("boolean top", 400, '"top" is a whole number from 1'),
        ("no base64", 400, "not base64"),
        ("no text", 400, "no base64 text"),
        ("no picture", 400, "empty"),
        ("large", 413, "4,500,000 bytes"),
        ("body", 400, "the body is not JSON"),
        ("no body", 400, "the body is not JSON"),
        ("list body", 400, "no JSON object"),
    ],
)
def test_what_is_no_question_is_refused_with_a_way_out(refused, event, status, words) -> None:
    answer = refused[event]
    body = json.loads(answer["body"])
    assert answer["statusCode"] == status
    assert answer["headers"] == {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"}
    assert words in body["message"]
    assert set(body) == {"error", "message", "hint"}
    assert "https://" in body["hint"]


def test_errors_of_the_endpoint_become_answers_that_say_what_to_do() -> None:
    denied = (
        "User: arn:aws:sts::123456789012:assumed-role/secret-role/f is not authorized to perform: "
        "sagemaker:InvokeEndpoint on resource: x because no identity-based policy allows the action"
    )
    cases = {
        "denied": (aws_error(400, "AccessDeniedException", denied), 502, "AccessDenied"),
        "missing": (aws_error(400, "ValidationError", "Endpoint dogs of account 1 not found."), 503, "EndpointMissing"),
        "picture": (model_error("this is no picture", "ValueError"), 422, "PictureRefused"),
        "lines": (model_error("one\ntwo: three", "sagehound.classifier.url_guard.RefusedUrl"), 422, "PictureRefused"),
        "status": (model_error("too hot", "KeyError", 418), 422, "PictureRefused"),
        "crash": (model_error("bad weights", "RuntimeError"), 502, "ModelError"),
        "busy": (aws_error(429, "ModelNotReadyException", "loading"), 503, "ModelNotReadyException"),
        "text": ((200, {"Content-Type": "text/plain"}, b"<html>"), 502, "BadAnswer"),
    }
    for name, (reply, status, error) in cases.items():
        with endpoint(lambda headers, body, reply=reply: reply) as runtime:
            (answer,), log = answers(runtime.url, URL)
        body = json.loads(answer["body"])
        assert (answer["statusCode"], body["error"]) == (status, error), name
        assert body["hint"], name
        assert "secret-role" not in answer["body"]
        assert "Traceback" not in answer["body"]
        if name == "denied":
            assert denied in log
            assert "sagemaker:InvokeEndpoint" in body["message"]
        if name == "picture":
            assert body["message"] == "this is no picture"
        assert ("Retry-After" in answer["headers"]) == (status == 503), name


def model_error(message: str, raised: str, status: int = 500) -> Any:
    text = f"{message}\n{TRACEBACK}{raised}: {message}"
    return aws_error(424, "ModelError", f"Received {text}", OriginalStatusCode=status, OriginalMessage=text)


def test_a_late_endpoint_and_one_that_is_not_there_are_told_before_the_function_ends() -> None:
    from threading import Event

    released = Event()

    def late(headers: dict[str, str], body: bytes) -> Any:
        released.wait(60)
        return json_reply(SCORES)

    with endpoint(late) as runtime:
        (answer,), _ = answers(runtime.url, URL, SAGEHOUND_TIMEOUT_SECONDS="5")
        released.set()
    assert answer["statusCode"] == 504
    assert json.loads(answer["body"])["error"] == "EndpointTimeout"
    (answer,), _ = answers("http://127.0.0.1:1", URL, SAGEHOUND_TIMEOUT_SECONDS="5")
    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["error"] == "EndpointUnreachable"


def test_a_function_without_an_endpoint_says_so() -> None:
    (answer,), _ = answers("http://127.0.0.1:1", URL, SAGEHOUND_ENDPOINT_NAME="")
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["error"] == "NotConfigured"
