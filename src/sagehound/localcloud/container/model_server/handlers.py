"""The user's functions: found, checked, loaded, and run in order for one request."""

from __future__ import annotations

import importlib
import inspect
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import defaults
from .configuration import Configuration
from .context import Context
from .threads import FUNCTIONS

Function = Callable[..., Any]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "x-not-started"})
"""Headers that the server itself sets, or that speak to its router."""

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    content_type: str
    body: bytes
    headers: dict[str, str]


UNSERIALIZABLE = Answer(
    503,
    "application/json",
    json.dumps(
        {"code": 503, "type": "InternalServerException", "message": "Unsupported model output data type."}, indent=2
    ).encode(),
    {},
)
"""TorchServe's answer for a prediction that is neither text nor bytes, tensor or JSON; the log says what it was."""


class Handler:
    """A loaded model and the functions around it; `handle` may be called from any thread."""

    def __init__(self, configuration: Configuration) -> None:
        self.model_dir = str(configuration.model_dir)
        self.default_accept = configuration.default_accept
        module = _import_program(configuration)
        found = {name: getattr(module, name) for name in FUNCTIONS if callable(getattr(module, name, None))}
        self._transform = self._compose(found)
        model_fn = _with_context("model_fn", found.get("model_fn", defaults.model_fn), 1)
        context = Context(self.model_dir)
        if "pre_model_fn" in found:
            _with_context("pre_model_fn", found["pre_model_fn"], 1)(self.model_dir, context)
        self.model = model_fn(self.model_dir, context)
        if "model_warmup_fn" in found:
            _with_context("model_warmup_fn", found["model_warmup_fn"], 2)(self.model_dir, self.model, context)

    def handle(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Run one request. An exception becomes an answer with its message and traceback, as in AWS's containers."""
        context = Context(self.model_dir, headers, request_id=headers.get("x-amzn-requestid", ""))
        content_type = headers.get("content-type")
        accept = headers.get("accept")
        if not accept or accept == defaults.ANY:
            accept = self.default_accept
        try:
            data = body.decode() if content_type in defaults.TEXT_TYPES else body
            result = self._transform(self.model, data, content_type, accept, context)
            answer_type = accept
            if isinstance(result, tuple):
                result, answer_type = result[0], result[1]
            try:
                answered = _to_bytes(result)
            except TypeError:
                traceback.print_exc()
                return UNSERIALIZABLE
            return _answer(
                context.response_status,
                context.response_content_type or answer_type,
                answered,
                context.response_headers,
            )
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises is the caller's answer
            return _failure(error)

    def _compose(self, found: dict[str, Function]) -> Function:
        """transform_fn, or the three functions in a row; every arity is decided here, once."""
        if "transform_fn" in found:
            others = sorted(found.keys() & {"input_fn", "predict_fn", "output_fn"})
            if others:
                raise ValueError(
                    "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn "
                    f"implementation (found {', '.join(others)})"
                )
            return _with_context("transform_fn", found["transform_fn"], 4)
        input_fn = _with_context("input_fn", found.get("input_fn", defaults.input_fn), 2)
        predict_fn = _with_context("predict_fn", found.get("predict_fn", defaults.predict_fn), 2)
        output_fn = _with_context("output_fn", found.get("output_fn", defaults.output_fn), 2)

        def transform(model: Any, data: str | bytes, content_type: str | None, accept: str, context: Context) -> Any:
            prediction = predict_fn(input_fn(data, content_type, context), model, context)
            return output_fn(prediction, accept, context)

        return transform


def _import_program(configuration: Configuration) -> ModuleType | None:
    """Import the user's module, from code/ or beside the model; None when it is not there: then the defaults serve."""
    code_dir, model_dir = configuration.code_dir, configuration.model_dir
    sys.path.insert(0, str(code_dir))
    sys.path.append(str(model_dir))
    program = configuration.program
    for folder in (code_dir, *([] if "/" in program else [model_dir])):
        path = folder / program
        if path.is_file() or path.with_suffix(".py").is_file() or path.with_suffix("").is_dir():
            return importlib.import_module(program.removesuffix(".py").replace("/", "."))
    if configuration.program_is_given:
        there = sorted(entry.name for entry in code_dir.iterdir()) if code_dir.is_dir() else []
        print(
            f"WARNING: SAGEMAKER_PROGRAM {program} is not in {code_dir} (found: {there}): the default functions serve, "
            "as they do on AWS",
            flush=True,
        )
    return None


def _with_context(name: str, function: Function, count: int) -> Function:
    """`function` as one that always takes a context last: passed on only when its signature has room for it."""
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    positional = sum(
        kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds
    )
    if positional == count + 1 or inspect.Parameter.VAR_POSITIONAL in kinds:
        return function
    if positional != count:
        raise TypeError(f"{name} definition takes {count} or {count + 1} arguments but {positional} were given.")
    return lambda *arguments: function(*arguments[:count])


def _answer(status: Any, content_type: Any, body: bytes, headers: dict[Any, Any]) -> Answer:
    """The answer; ValueError, which is the caller's answer then, for what cannot go over HTTP."""
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError(f"The status of an answer is a number from 200 to 599, not {status!r}.")
    if not isinstance(content_type, str) or not _is_header(content_type):
        raise ValueError(f"The content type of an answer is a line of text, not {content_type!r}.")
    told = {str(name): str(value) for name, value in headers.items()}
    for name, value in told.items():
        if not _NAME.fullmatch(name) or not _is_header(value):
            raise ValueError(f"This is no header of an answer: {name!r}: {value!r}.")
    return Answer(status, content_type, body, {name: told[name] for name in told if name.lower() not in _OWN_HEADERS})


def _is_header(text: str) -> bool:
    return all(character == "\t" or (" " <= character <= "\xff" and character != "\x7f") for character in text)


def _to_bytes(value: Any) -> bytes:
    """What a function has returned as it goes over HTTP: texts and bytes as they are, tensors as torch saves them, all
    else as JSON; TypeError for what JSON does not know."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        saved = io.BytesIO()
        torch.save(value, saved)
        return saved.getvalue()
    return json.dumps(value).encode()


def _failure(error: Exception) -> Answer:
    """500, or the status that the exception carries (the toolkit's own errors do), with message and traceback."""
    status = getattr(error, "status_code", 500)
    status = status if isinstance(status, int) and 400 <= status <= 599 else 500
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the exception's own text may raise anything too
        said = type(error).__name__
    text = f"{said}\n{user_traceback(error)}".encode("utf-8", "replace")
    print(text.decode(), end="", flush=True)
    return Answer(status, "text/plain", text, {})


def user_traceback(error: BaseException) -> str:
    """The traceback from the user's first frame on: the frames of this server say nothing about their code."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


def _is_ours(filename: str) -> bool:
    return filename.startswith((_OWN_FOLDER, "<frozen importlib")) or filename == importlib.__file__
