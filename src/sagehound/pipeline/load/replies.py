"""What an answer means: good, or which kind of error, and whether the function was started for it"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from sagehound.pipeline.load.tally import Reply

_DURATION = re.compile(r"(?<!Billed )(?<!Init )\bDuration: ([0-9.]+) ms")
_BILLED = re.compile(r"Billed Duration: ([0-9.]+) ms")
_INIT = re.compile(r"Init Duration: ([0-9.]+) ms")


def reply_of(status: int, headers: Mapping[str, str], body: bytes, *, function: bool) -> Reply:
    """The reply that a response is: an error by AWS's code, by the function's own word, or by its statusCode."""
    if status >= 300:
        return Reply(_code(status, headers), _message(body))
    if not function:
        return Reply()
    cold = started_cold(headers.get("X-Amz-Log-Result", ""))
    failed = headers.get("X-Amz-Function-Error", "")
    if failed:
        return Reply(f"function: {failed}", _message(body), cold)
    answered = _json(body)
    code = answered.get("statusCode") if isinstance(answered, dict) else None
    if isinstance(code, int) and code >= 400:
        return Reply(f"function: statusCode {code}", str(answered.get("body", "")), cold)
    return Reply(cold=cold)


def started_cold(log_result: str) -> bool:
    """Whether the call waited for a new environment, from the log's tail that comes with the answer.

    The first call of every environment reports its Init Duration; only where the caller waited for it is it billed
    with the call, so the first call of one that was kept ready does not count.
    """
    if not log_result:
        return False
    tail = base64.b64decode(log_result).decode("utf-8", "replace")
    report = tail[tail.rfind("REPORT RequestId") :]
    init, billed, duration = (pattern.search(report) for pattern in (_INIT, _BILLED, _DURATION))
    if init is None or billed is None or duration is None:
        return False
    return float(billed[1]) >= float(duration[1]) + float(init[1]) - 1.0


def _code(status: int, headers: Mapping[str, str]) -> str:
    code = headers.get("x-amzn-ErrorType", "").partition(":")[0].rpartition("#")[2]
    return code or f"HTTP {status}"


def _message(body: bytes) -> str:
    told = _json(body)
    if isinstance(told, dict):
        for key in ("OriginalMessage", "message", "Message", "errorMessage"):
            if told.get(key):
                return str(told[key])
    return body[:500].decode("utf-8", "replace")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
