"""Function: the Lambda function in front of the endpoint: made, published, kept warm, and tried with an event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless, aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.function_code import FunctionCode, find_function_code
from sagehound.pipeline.function_event import EventPicture, FunctionAnswer, send_event
from sagehound.pipeline.function_role import FunctionRole, ensure_function_role
from sagehound.pipeline.function_state import (
    ENDPOINT_VARIABLE,
    TIMEOUT_VARIABLE,
    Wanted,
    ensure_alias,
    ensure_function,
    ensure_provisioned,
    publish,
)
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.waiting import until_settled
from sagehound.settings import FunctionSettings

_SHOWN = 3
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Trial:
    """How the function is tried once it is there."""

    picture: EventPicture
    classes: int = 0
    """How many scores there must be; 0: not known."""
    names: bool = True
    """Whether the packaged handler is asked for names as well."""


@dataclass(frozen=True)
class DeployedFunction:
    """A function that is Active, published, and answers under its alias."""

    name: str
    arn: str
    version: str
    alias: str
    alias_arn: str
    role: FunctionRole
    timeout: int
    endpoints: tuple[str, ...]
    provisioned: int
    how: str
    """created, updated or was there."""
    ours: bool
    url: str = ""
    answers: list[FunctionAnswer] = field(default_factory=list)

    @property
    def answer(self) -> FunctionAnswer | None:
        """The answer to the test event; None where none was sent."""
        return self.answers[0] if self.answers else None

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``) and the report."""
        return {
            "function_name": self.name,
            "function_arn": self.arn,
            "version": self.version,
            "alias_arn": self.alias_arn,
            "role_arn": self.role.arn,
            "policy": self.role.policy,
            "endpoints": list(self.endpoints),
            "provisioned_concurrency": self.provisioned,
            "how": self.how,
            "url": self.url,
            "answers": [answer.as_dict() for answer in self.answers],
        }


def deploy_function(
    clients: Clients,
    names: Names,
    settings: FunctionSettings,
    endpoint_name: str,
    reporter: Reporter,
    step: Step,
    *,
    trial: Trial | None = None,
    url: bool = False,
) -> DeployedFunction:
    """The function in front of an endpoint: its log group, role, code, version, alias, and environments kept ready.

    ``trial`` sends it the test event and shows the answer; ``url`` gives it an address for signed requests. What is
    there and right already is left as it is. Raises StepFailed.
    """
    code = find_function_code(settings)
    _remark(code, reporter)
    # What is written into the code decides; the setting is for code that reads it.
    endpoints = code.handled.endpoints or (endpoint_name,)
    with aws_step("function"):
        role = ensure_function_role(clients, names, endpoints)
        wanted = Wanted(names.function, role.arn, code, _environment(settings, code, endpoints[0]), settings)
        how = ensure_function(clients, names, wanted)
        version = publish(clients, wanted)
        alias_arn = ensure_alias(clients, wanted, version)
        ready = ensure_provisioned(clients, wanted)
        address = ensure_url(clients, names.function, settings.alias) if url else ""
    function = DeployedFunction(
        name=names.function,
        arn=alias_arn.rpartition(":")[0],
        version=version,
        alias=settings.alias,
        alias_arn=alias_arn,
        role=role,
        timeout=settings.timeout,
        endpoints=tuple(endpoints),
        provisioned=ready,
        how=how,
        ours=code.ours,
        url=address,
    )
    if trial is not None:
        _try(clients, function, trial)
    _tell(function, trial, step)
    return function


def ensure_url(clients: Clients, function: str, alias: str) -> str:
    """The alias's own address, for requests that are signed (AWS_IAM)."""
    where = {"FunctionName": function, "Qualifier": alias}
    found = answer_unless(lambda: clients.lambda_.get_function_url_config(**where), "ResourceNotFoundException")
    if found is None:
        found = clients.lambda_.create_function_url_config(**where, AuthType="AWS_IAM")
    if found["AuthType"] != "AWS_IAM":
        found = clients.lambda_.update_function_url_config(**where, AuthType="AWS_IAM")
    return str(found["FunctionUrl"])


def _environment(settings: FunctionSettings, code: FunctionCode, endpoint_name: str) -> dict[str, str]:
    usual = {ENDPOINT_VARIABLE: endpoint_name, TIMEOUT_VARIABLE: str(settings.timeout)}
    return usual | dict.fromkeys(code.handled.variables, endpoint_name)


def _remark(code: FunctionCode, reporter: Reporter) -> None:
    for remark in code.handled.remarks:
        reporter.note(
            f"{remark.file}:{remark.line}: {remark.text} {remark.advice}",
            file=remark.file,
            line=remark.line,
            advice=remark.advice,
        )


def _try(clients: Clients, function: DeployedFunction, trial: Trial) -> None:
    """Send the test event, and the same with names; raises StepFailed where it is not answered as it should be."""
    events = [trial.picture.event]
    if function.ours and trial.names and not trial.picture.event.get("names"):
        events.append({**trial.picture.event, "names": True, "top": _SHOWN})
    for event in events:
        with aws_step("function"):
            answer = _answered(clients, function, event)
        function.answers.append(answer)
        _check(clients, function, trial, answer)


def _answered(clients: Clients, function: DeployedFunction, event: dict[str, Any]) -> FunctionAnswer:
    """The answer; a policy that was just written may count only some seconds later, so a denial is asked again."""
    for last in until_settled(clients.place):
        answer = send_event(clients, function.name, function.alias, event, function.timeout)
        if not answer.denied or last:
            break
    return answer


def _check(clients: Clients, function: DeployedFunction, trial: Trial, answer: FunctionAnswer) -> None:
    # A function of one's own may answer anything that is no failure of its own.
    failed = not 200 <= answer.status < 300 if function.ours else answer.status >= 400
    if answer.error or failed:
        raise StepFailed("function", f"{function.name} answered {_said(answer)}", _way_out(clients, function, answer))
    scores = answer.scores
    if trial.classes and scores is not None and len(scores) != trial.classes:
        raise StepFailed(
            "function",
            f"{function.name} answered {len(scores)} scores, and the data have {trial.classes} classes",
            "The endpoint's model is of other data: `sagehound deploy` brings the last one.",
        )


def _said(answer: FunctionAnswer) -> str:
    """The answer in a word, its message, and the log's last lines where the function itself broke."""
    body = answer.body if isinstance(answer.body, dict) else {}
    message = f": {body['message']}" if "message" in body else ""
    log = "\n" + answer.log.strip() if answer.error else ""
    return f"{answer.in_a_word()}{message}{log}"


def _way_out(clients: Clients, function: DeployedFunction, answer: FunctionAnswer) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    here = bool(clients.own_host) and f"//{clients.own_host}/" in str(answer.event.get("url", ""))
    if here and "not at a public address" in str(body.get("message")):
        return "Run `sagehound deploy` again: the endpoint was made when this cloud had another address."
    if "hint" in body:
        return str(body["hint"])
    return (
        f"`sagehound logs {function.name}` has what the function wrote; repair it and run `sagehound function` again."
    )


def _tell(function: DeployedFunction, trial: Trial | None, step: Step) -> None:
    ready = f", {function.provisioned} kept ready" if function.provisioned else ""
    text = f"{function.name}  version {function.version} as {function.alias}{ready} ({function.how})"
    text += f", before {', '.join(function.endpoints)}"
    answer = function.answer
    if answer is not None:
        scores = answer.scores
        count = f", {len(scores)} scores" if scores is not None else ""
        of = f" for {trial.classes} classes" if scores is not None and trial and trial.classes else ""
        text += f"; {answer.in_a_word()}{count}{of}, {answer.timing()}"
        step.lines = _lines(function.answers, trial)
    if function.url:
        step.lines.append(f"{function.url}  for signed requests (AWS_IAM)")
    step.done(text, **function.as_dict())


def _lines(answers: Sequence[FunctionAnswer], trial: Trial | None) -> list[str]:
    named = next((answer.names for answer in answers if answer.names), [])
    if trial is None:
        return []
    if not named:
        body = json.dumps(answers[0].body if answers[0].status else answers[0].answer, ensure_ascii=False)
        more = "" if len(body) <= _SHOWN_CHARACTERS else f" ... ({len(body):,} characters)"
        return [f"{trial.picture.shown}: {body[:_SHOWN_CHARACTERS]}{more}"]
    best = "  ".join(f"{label} {score:.3f}" for label, score in named[:_SHOWN])
    known = trial.picture.label
    mark = "right" if named[0][0] == known else f"is {known}"
    return [f"{trial.picture.shown}: {best}" + (f"  ({mark})" if known else "")]
