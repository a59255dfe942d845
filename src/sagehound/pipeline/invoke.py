"""Invoke: pictures go to the endpoint, names and scores come back."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.intake.layout import PICTURE_SUFFIXES
from sagehound.pipeline.progress import Step

# All labels, not only the best few: whether a folder's name is a class is known from them.
LABELS = "application/vnd.sagehound.labels+json; top=1000000"
_CONTENT_TYPES = {".png": "image/png", ".webp": "image/webp"}
_AT_ONCE = 4
_SHOWN = 3
_KEPT = 5


@dataclass(frozen=True)
class Question:
    """A picture (a file, or an http(s) address that the endpoint fetches) and the folder that it lies in."""

    picture: str
    folder: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the endpoint says: (label, score) from the best to the least, and how long it took."""

    question: Question
    predictions: tuple[tuple[str, float], ...]
    seconds: float

    @property
    def expected(self) -> str | None:
        """The folder's name where that is one of the classes."""
        folder = self.question.folder
        return folder if any(label == folder for label, _ in self.predictions) else None

    @property
    def best(self) -> str:
        """The label with the highest score."""
        return self.predictions[0][0]

    @property
    def right(self) -> bool | None:
        """Whether the best label is the expected one; None where none is expected."""
        return None if self.expected is None else self.best == self.expected


def invoke(
    clients: Clients, endpoint_name: str, questions: Sequence[Question], step: Step, *, also: str = ""
) -> list[Answer]:
    """Ask the endpoint about each picture, and ``also`` another one, with which it is compared.

    Raises StepFailed with the container's own message where a picture is refused.
    """
    if not questions:
        raise StepFailed("invoke", "no pictures were given", "Name pictures, folders of pictures, or addresses.")
    with aws_step("invoke"):
        answers = _ask_all(clients, endpoint_name, questions)
        others = _ask_all(clients, also, questions) if also else []
    text = f"{endpoint_name}  {len(answers)} pictures{_score(answers)}, median {_median(answers) * 1000:.0f} ms"
    result = {"endpoint_name": endpoint_name, **_summary(answers)}
    if also:
        agree = sum(mine.best == other.best for mine, other in zip(answers, others, strict=True))
        text += f"; {also}{_score(others)}, median {_median(others) * 1000:.0f} ms; they agree on {agree}"
        result |= {"also": {"endpoint_name": also, **_summary(others)}, "agree": agree}
    step.lines = [_line(answer) for answer in answers]
    step.done(text, **result)
    return answers


def questions_of(arguments: Sequence[str]) -> list[Question]:
    """Files, folders (all pictures below) and addresses as questions."""
    questions: list[Question] = []
    for argument in arguments:
        if argument.startswith(("http://", "https://")):
            questions.append(Question(argument))
            continue
        path = Path(argument).expanduser()
        if path.is_dir():
            below = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in PICTURE_SUFFIXES]
            questions += [Question(str(file), file.resolve().parent.name) for file in below]
        elif path.is_file():
            questions.append(Question(str(path), path.resolve().parent.name))
        else:
            raise StepFailed(
                "invoke", f"{argument} does not exist", "Name pictures, folders of pictures, or addresses."
            )
    return questions


def _ask_all(clients: Clients, endpoint_name: str, questions: Sequence[Question]) -> list[Answer]:
    runtime = clients.runtime
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="invoke") as pool:
        return list(pool.map(lambda question: _ask(runtime, endpoint_name, question), questions))


def _ask(runtime: Any, endpoint_name: str, question: Question) -> Answer:
    from botocore.exceptions import ClientError

    content_type, body = _body(question.picture)
    began = time.perf_counter()
    try:
        answer = runtime.invoke_endpoint(EndpointName=endpoint_name, ContentType=content_type, Accept=LABELS, Body=body)
        raw = answer["Body"].read()
    except ClientError as error:
        raise _refused(endpoint_name, question, error) from error
    seconds = time.perf_counter() - began
    try:
        predictions = json.loads(raw)["predictions"]
        named = tuple((str(one["label"]), float(one["score"])) for one in predictions)
    except (ValueError, KeyError, TypeError) as error:
        raise StepFailed(
            "invoke",
            f"endpoint {endpoint_name} answered {question.picture} without labels: {raw[:200]!r}",
            "Its model was not trained by sagehound; ask it with Accept: application/json.",
        ) from error
    return Answer(question, tuple(sorted(named, key=lambda pair: -pair[1])), seconds)


def _body(picture: str) -> tuple[str, bytes]:
    if picture.startswith(("http://", "https://")):
        return "application/json", json.dumps({"url": picture}).encode()
    path = Path(picture)
    return _CONTENT_TYPES.get(path.suffix.lower(), "image/jpeg"), path.read_bytes()


def _refused(endpoint_name: str, question: Question, error: Any) -> StepFailed:
    code, message = error_of(error)
    if code == "ModelError":
        # The container answers with the message and, below it, the traceback, which the log has too.
        message = str(error.response.get("OriginalMessage") or message).split("\nTraceback ", 1)[0].strip()
        return StepFailed(
            "invoke",
            f"{question.picture} was refused by the endpoint's handler: {message}",
            f"Send a JPEG, PNG or WebP picture; `sagehound logs {endpoint_name}` has the traceback.",
        )
    if code in ("ValidationError", "ValidationException") and "not found" in message:
        return StepFailed(
            "invoke", message, "Run `sagehound deploy` first, or `sagehound status` to see the endpoints."
        )
    return StepFailed("invoke", f"{question.picture}: {code}: {message}", "Run the same command again.")


def _score(answers: Sequence[Answer]) -> str:
    """How many are right of those that can be judged; nothing where none can."""
    judged = [answer for answer in answers if answer.right is not None]
    return f", {sum(bool(answer.right) for answer in judged)} of {len(judged)} right" if judged else ""


def _median(answers: Sequence[Answer]) -> float:
    """Seconds of the answer in the middle."""
    return sorted(answer.seconds for answer in answers)[len(answers) // 2]


def _summary(answers: Sequence[Answer]) -> dict[str, Any]:
    judged = [answer for answer in answers if answer.right is not None]
    return {
        "answers": [_as_dict(answer) for answer in answers],
        "right": sum(bool(answer.right) for answer in judged),
        "judged": len(judged),
    }


def _line(answer: Answer) -> str:
    best = "  ".join(f"{label} {score:.3f}" for label, score in answer.predictions[:_SHOWN])
    mark = {True: "right", False: f"is {answer.expected}", None: ""}[answer.right]
    return f"{_short(answer.question.picture)}: {best}" + (f"  ({mark})" if mark else "")


def _short(picture: str) -> str:
    return picture if "://" in picture else "/".join(Path(picture).parts[-2:])


def _as_dict(answer: Answer) -> dict[str, Any]:
    return {
        "picture": answer.question.picture,
        "expected": answer.expected,
        "predictions": [{"label": label, "score": score} for label, score in answer.predictions[:_KEPT]],
        "seconds": round(answer.seconds, 6),
    }
