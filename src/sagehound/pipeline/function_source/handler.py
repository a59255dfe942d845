"""The function's handler: an event that names or holds a picture becomes a question to the endpoint, and its scores.

Covered: `{"url": ...}` and `{"image": BASE64}` (with `"names": true` and `"top": 5` for names beside scores), and the
HTTP events of function URLs and API Gateway with such a body or with a picture as the body. What goes wrong is a
JSON body with error, message and hint under a 4xx or 5xx status; what AWS said in detail stands in the log only.
The endpoint's name is SAGEHOUND_ENDPOINT_NAME. Needs boto3, which Lambda's Python has, and nothing else.
"""

import base64
import binascii
import json
import os
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

ENDPOINT_NAME = os.environ.get("SAGEHOUND_ENDPOINT_NAME", "")
TIMEOUT_SECONDS = float(os.environ.get("SAGEHOUND_TIMEOUT_SECONDS", "60"))
"""The function's own time limit: the endpoint has less, so that the caller hears of a late answer."""
LABELS = "application/vnd.sagehound.labels+json"
MOST_URL = 8192
MOST_PICTURE = 4_500_000
"""Bytes: as base64 this is what Lambda takes in one event."""
MOST_NAMES = 1000
_CONNECT_SECONDS = 2.0
_INPUT_ERRORS = ("ValueError", "UnreadablePicture", "RefusedUrl")
"""What the endpoint's handler raises where the picture is at fault and not the model."""


def client_config(timeout: float) -> Config:
    """All attempts, and what lies between them, together end before the function does."""
    attempts = 2 if timeout >= 20 else 1
    read = max(1.0, (timeout - 2.0) / attempts - _CONNECT_SECONDS - 1.0)
    retries = {"mode": "adaptive", "total_max_attempts": attempts}
    return Config(connect_timeout=_CONNECT_SECONDS, read_timeout=read, retries=retries, tcp_keepalive=True)


# Made while the function is initialised: calls that find it warm use its open connections.
RUNTIME = boto3.client("sagemaker-runtime", config=client_config(TIMEOUT_SECONDS))


class Refused(Exception):
    """An answer that is no scores: its status, and what the caller can do."""

    def __init__(self, status: int, error: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": error, "message": message, "hint": hint}


@dataclass(frozen=True)
class Question:
    """What is sent to the endpoint."""

    body: bytes
    content_type: str
    accept: str


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Lambda's entry: the scores of the event's picture, `[[...]]` in the order of the model's classes."""
    try:
        question = read_event(event)
        result = ask(question)
        scores = json.loads(result)
    except Refused as refused:
        print(json.dumps({"status": refused.status, **refused.body}))
        return answer(refused.status, "application/json", refused.body)
    except ValueError:
        body = {
            "error": "BadAnswer",
            "message": f"endpoint {ENDPOINT_NAME} answered something that is not JSON",
            "hint": "Its model's output_fn must answer application/json.",
        }
        return answer(502, "application/json", body)
    told = {"type-result": str(type(result)), "COntent-Type-In": question.content_type}
    return {**answer(200, "text/plain", scores), **told}


def answer(status: int, content_type: str, body: Any) -> dict[str, Any]:
    """The shape that callers of the function, function URLs and API Gateway read."""
    headers = {"Content-Type": content_type, "Access-Control-Allow-Origin": "*"}
    if status == 503:
        headers["Retry-After"] = "1"
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}


def read_event(event: Any) -> Question:
    """The question in an event; raises Refused."""
    if not isinstance(event, dict):
        raise _bad("the event is no JSON object")
    if "requestContext" not in event:
        return _from_request(event)
    asked = _lower(event.get("queryStringParameters"))
    content_type = _lower(event.get("headers")).get("content-type", "").partition(";")[0].strip().lower()
    body = _http_body(event)
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return _picture(body, content_type, _accept(asked.get("names") in ("true", "1"), asked.get("top", "5")))
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _bad(f"the body is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise _bad("the body is no JSON object")
    return _from_request(request)


def _from_request(request: dict[str, Any]) -> Question:
    """The question of {"url": ...} or {"image": ...}."""
    names = request.get("names", False)
    if not isinstance(names, bool):
        raise _bad('"names" is true or false')
    accept = _accept(names, request.get("top", 5))
    url, image = request.get("url"), request.get("image")
    if url is not None:
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise _bad('"url" is no address that begins with https:// or http://')
        if len(url) > MOST_URL:
            raise _too_large(f'"url" has {len(url):,} characters, and {MOST_URL:,} are the most')
        return Question(json.dumps({"url": url}).encode(), "application/json", accept)
    if image is not None:
        if not isinstance(image, str):
            raise _bad('"image" is no base64 text')
        return _picture(_decoded(image), "application/octet-stream", accept)
    raise _bad('the event has neither "url" nor "image"')


def _picture(content: bytes, content_type: str, accept: str) -> Question:
    if not content:
        raise _bad("the picture is empty")
    if len(content) > MOST_PICTURE:
        raise _too_large(f"the picture has {len(content):,} bytes, and {MOST_PICTURE:,} are the most")
    return Question(content, content_type, accept)


def _http_body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise _bad("the event's body is no text")
    return _decoded(body) if event.get("isBase64Encoded") else body.encode()


def _decoded(text: str) -> bytes:
    if len(text) > MOST_PICTURE * 4 // 3 + 4:
        raise _too_large(f"a picture of more than {MOST_PICTURE:,} bytes was sent")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(f"the picture is not base64: {error}") from error


def _accept(names: bool, top: Any) -> str:
    """What the endpoint shall answer: scores alone, or the ``top`` best with their names."""
    if not names:
        return "application/json"
    number = int(top) if isinstance(top, str) and top.isascii() and top.isdigit() else top
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_NAMES:
        raise _bad(f'"top" is a whole number from 1 to {MOST_NAMES}')
    return f"{LABELS}; top={number}"


def _lower(pairs: Any) -> dict[str, str]:
    """Header or query names in small letters."""
    return {str(name).lower(): str(value) for name, value in pairs.items()} if isinstance(pairs, dict) else {}


def ask(question: Question) -> str:
    """What the endpoint answers; raises Refused."""
    if not ENDPOINT_NAME:
        raise Refused(500, "NotConfigured", "the function does not know its endpoint", "Set SAGEHOUND_ENDPOINT_NAME.")
    try:
        response = RUNTIME.invoke_endpoint(
            EndpointName=ENDPOINT_NAME,
            ContentType=question.content_type,
            Accept=question.accept,
            Body=question.body,
        )
        content: bytes = response["Body"].read()
        return content.decode("utf-8")
    except ClientError as error:
        print(str(error))
        raise refusal_of(error) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        print(str(error))
        message = f"endpoint {ENDPOINT_NAME} did not answer in time"
        raise Refused(504, "EndpointTimeout", message, "Try again, or give the function more time.") from error
    except BotoCoreError as error:
        print(str(error))
        message = f"endpoint {ENDPOINT_NAME} cannot be reached"
        raise Refused(503, "EndpointUnreachable", message, "Try again in a moment.") from error


def refusal_of(error: ClientError) -> Refused:
    """What AWS's error means for the caller. Names of roles and accounts stay in the log."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", ""))
    if code == "ModelError":
        return _refused_by_model(error)
    if code in ("AccessDenied", "AccessDeniedException"):
        return Refused(
            502,
            "AccessDenied",
            f"the function's role may not sagemaker:InvokeEndpoint on endpoint {ENDPOINT_NAME}",
            "Allow its role that one action on that one endpoint; the function's log has AWS's own words.",
        )
    if code in ("ValidationError", "ValidationException") and "not found" in said.lower():
        hint = "Deploy it, or set SAGEHOUND_ENDPOINT_NAME to one that is in service."
        return Refused(503, "EndpointMissing", f"endpoint {ENDPOINT_NAME} does not exist", hint)
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 413:
        return _too_large("the endpoint does not take a picture of this size")
    if code in ("ThrottlingException", "ModelNotReadyException", "ServiceUnavailable", "InternalFailure"):
        return Refused(503, code, f"endpoint {ENDPOINT_NAME} has no room just now", "Try again in a moment.")
    return Refused(
        502, code or "EndpointError", f"endpoint {ENDPOINT_NAME} refused the call", "See the function's log."
    )


def _refused_by_model(error: ClientError) -> Refused:
    """The container answers 500 with a message and a traceback, which says whether the picture was at fault."""
    text = str(error.response.get("OriginalMessage") or "").strip()
    message, _, traceback = text.partition("\nTraceback ")
    status = error.response.get("OriginalStatusCode") or 500
    if 400 <= status < 500 or _raised(message, traceback) in _INPUT_ERRORS:
        hint = "Send a JPEG, PNG or WebP picture, or the address of one that everybody can read."
        return Refused(422, "PictureRefused", message.strip()[:500] or "the endpoint refused the picture", hint)
    return Refused(502, "ModelError", f"the model behind endpoint {ENDPOINT_NAME} failed", "Its log says why.")


def _raised(message: str, traceback: str) -> str:
    """Name of the error's class: a traceback ends in `module.Class: message`, and the message may have lines."""
    for line in reversed(traceback.splitlines()):
        name, colon, said = line.partition(": ")
        if colon and message.startswith(said):
            return name.rpartition(".")[2]
    return ""


def _bad(message: str) -> Refused:
    return Refused(400, "BadRequest", message, 'Send {"url": "https://..."} or {"image": "<base64 of a picture>"}.')


def _too_large(message: str) -> Refused:
    return Refused(413, "TooLarge", message, 'Send a smaller picture, or its address as {"url": "https://..."}.')
