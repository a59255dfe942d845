"""Secure: look at the run's roles, buckets and functions, derive the least from what was called, apply it, prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.function_event import EventPicture, send_event, stored_picture
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Step
from sagehound.pipeline.secure.applying import apply_plan, restore, save
from sagehound.pipeline.secure.buckets import check_bucket
from sagehound.pipeline.secure.escalation import check_escalation
from sagehound.pipeline.secure.findings import Finding, in_order
from sagehound.pipeline.secure.functions import check_function, project_functions
from sagehound.pipeline.secure.gathering import Role, managed_policy_arn, named_role, read_role
from sagehound.pipeline.secure.grants import check_policy
from sagehound.pipeline.secure.keys import check_keys
from sagehound.pipeline.secure.plan import plan_of
from sagehound.pipeline.secure.proof import Proof, of_documents, of_role, prove
from sagehound.pipeline.secure.results import Examined, Findings
from sagehound.pipeline.secure.trust import check_trust
from sagehound.pipeline.secure.unused import check_unused, kept_unused
from sagehound.pipeline.secure.used import KEPT_DAYS, Usage, usage_of
from sagehound.pipeline.waiting import until_settled
from sagehound.settings import PipelineSettings

T = TypeVar("T")
STEP = "secure"
_BACK = "What was changed is taken back."
"""Seconds that a change of IAM may take on AWS until a simulation sees it."""


@dataclass(frozen=True)
class Options:
    """What a person may ask of the step beside the roles."""

    folder: Path = Path()
    """Where the documents go that are replaced."""
    days: int = KEPT_DAYS
    """How far back the event history is read."""
    prove: bool = False
    """Send the function its test event afterwards; what was changed is taken back where it is not answered."""


def secure(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    step: Step,
    *,
    roles: Sequence[str] = (),
    attach: str = "",
    apply: bool = False,
    options: Options = Options(),
) -> Findings:
    """The findings about what the run made and the roles named beside it; with ``apply`` their policies are replaced.

    ``attach`` attaches a managed policy to the function's role first. Only roles that the project made or that are
    named are changed. Raises StepFailed where AWS refuses, and where the proof fails: then what was there is back.
    """
    with aws_step(STEP):
        notes = [_attach(clients.iam, names, attach)] if attach else []
        functions = _functions(clients, names, notes)
        looked_at = _roles(clients.iam, names, [arn for _, arn in functions], roles)
        usages = _usages(clients, looked_at, options.days, notes)
        examined = [Examined(role, usages[role.arn], kept_unused(role, usages[role.arn])) for role in looked_at]
        around = [*_around(clients, names, [name for name, _ in functions], notes)]
        findings = in_order([*_of_roles(clients, examined), *around])
        for one in examined:
            one.plan = plan_of(one.role, one.usage, findings, names.project, clients.account_id)
        # What the proof needs is looked for before anything is changed.
        picture = stored_picture(clients, names, None, settings.data.name) if options.prove else None
        result = Findings(findings, examined, _named(looked_at, functions, names), notes, left=findings)
        changing = [one for one in examined if one.plan and apply and _may_change(one.role, roles, notes)]
        if changing:
            result.saved = save([one.plan for one in changing if one.plan], clients.account_id, options.folder)
        for one in examined:
            _finish(clients, one, result.saved if one in changing else None, notes)
        if changing:
            result.left = in_order([*_of_roles(clients, examined), *around])
        if picture is not None:
            result.answer = _answer(clients, names, settings, picture, result.saved)
    step.lines = result.lines()
    step.done(result.text, **result.as_dict())
    return result


def restore_roles(clients: Clients, path: Path, step: Step) -> None:
    """Give roles back what ``secure`` saved before it changed them."""
    with aws_step(STEP):
        restored = restore(clients.iam, path, clients.account_id, STEP)
    step.done(f"as they were: {', '.join(f'role {name}' for name in restored)}", restored=restored)


def _attach(iam: Any, names: Names, policy: str) -> str:
    """Attach a managed policy to the function's role, to see what is found then."""
    arn = managed_policy_arn(iam, policy, STEP)
    named_role(iam, names.function_role, STEP)
    iam.attach_role_policy(RoleName=names.function_role, PolicyArn=arn)
    return f"{arn} was attached to role {names.function_role} because of --attach; --apply takes it away again"


def _roles(iam: Any, names: Names, of_functions: Sequence[str], named: Sequence[str]) -> list[Role]:
    """The project's roles where they are there, those of its functions, and those that are named; each once."""
    found = [
        role
        for role in (read_role(iam, names.role, "-training"), read_role(iam, names.function_role, "-function"))
        if role is not None
    ]
    known = {role.name for role in found}
    for name in [*of_functions, *named]:
        if name.rpartition("/")[2] not in known:
            found.append(named_role(iam, name, STEP))
            known.add(found[-1].name)
    return found


def _functions(clients: Clients, names: Names, notes: list[str]) -> list[tuple[str, str]]:
    found = _where_allowed(lambda: project_functions(clients.lambda_, names.tags[0], names.function))
    if found is None:
        notes.append("functions were not looked at: you may not list them (lambda:ListFunctions, lambda:ListTags)")
    return found or []


def _usages(clients: Clients, roles: Sequence[Role], days: int, notes: list[str]) -> dict[str, Usage]:
    made = {role.arn: role.created for role in roles}
    found = _where_allowed(
        lambda: usage_of(clients.cloudtrails, made, whole=clients.place.records_every_call, days=days)
    )
    if found is not None:
        return found
    notes.append("what was called is not known: you may not read CloudTrail's event history (cloudtrail:LookupEvents)")
    now = datetime.now(UTC)
    return {arn: Usage(now, now, clients.place.records_every_call, read=False) for arn in made}


def _of_roles(clients: Clients, examined: Sequence[Examined]) -> Iterator[Finding]:
    for one in examined:
        for policy in one.role.policies:
            yield from check_policy(one.role, policy)
        yield from check_escalation(one.role, one.usage.used)
        yield from check_unused(one.role, one.usage)
        yield from check_trust(one.role, clients.account_id)


def _around(clients: Clients, names: Names, functions: Sequence[str], notes: list[str]) -> Iterator[Finding]:
    """Findings about what is no role: the bucket, the functions, and long-term keys where they may be listed."""
    yield from check_bucket(clients.s3, names.bucket)
    for function in functions:
        yield from check_function(clients.lambda_, function)
    keys = _where_allowed(lambda: list(check_keys(clients.iam, root_has_keys=clients.place.root_has_keys)))
    if keys is None:
        notes.append("access keys were not looked at: you may not list the users of this account")
    yield from keys or []


def _where_allowed(ask: Callable[[], T]) -> T | None:
    """The answer; None where the caller may not ask, which is no reason to leave the rest."""
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        if not error_of(error)[0].startswith("AccessDenied"):
            raise
        return None


def _named(roles: Sequence[Role], functions: Sequence[tuple[str, str]], names: Names) -> list[str]:
    return [*(role.where for role in roles), f"bucket {names.bucket}", *(f"function {name}" for name, _ in functions)]


def _may_change(role: Role, named: Sequence[str], notes: list[str]) -> bool:
    if role.ours or role.name in {name.rpartition("/")[2] for name in named}:
        return True
    notes.append(f"{role.where} was not made by the project and stays as it is; name it with --role to change it")
    return False


def _finish(clients: Clients, one: Examined, saved: Path | None, notes: list[str]) -> None:
    """Apply the plan where the old documents are saved, and prove what is or would be; undo it where that fails."""
    iam, plan = clients.iam, one.plan
    documents = list(plan.after.values()) if plan else [policy.document for policy in one.role.policies]
    if saved is None or plan is None:
        as_it_is = plan is None or not plan.changes_policies
        simulate = of_role(iam, one.role) if as_it_is else of_documents(iam, documents)
        if one.usage.calls:
            one.proof = _where_allowed(lambda: prove(simulate, documents, one.usage, applied=as_it_is))
            if one.proof is None:
                notes.append(f"{one.role.where}: not proved, since you may not ask IAM to simulate policies")
        return
    try:
        apply_plan(iam, plan)
        one.applied = True
        if one.usage.calls:
            one.proof = _proved(clients, one, documents)
    except BaseException:
        restore(iam, saved, clients.account_id, STEP)
        raise
    one.role = read_role(iam, one.role.name, one.role.own_suffix) or one.role


def _answer(
    clients: Clients, names: Names, settings: PipelineSettings, picture: EventPicture, saved: Path | None
) -> dict[str, Any]:
    """What the function answers to a picture of the test split; raises StepFailed where that is a refusal."""
    function = settings.function
    answer = send_event(clients, names.function, function.alias, picture.event, function.timeout)
    if answer.error or not 200 <= answer.status < 300:
        back = _BACK if saved else f"Look at `sagehound logs {names.function}`."
        if saved:
            restore(clients.iam, saved, clients.account_id, STEP)
        raise StepFailed(STEP, f"{names.function} answered {answer.in_a_word()} to its test event", back)
    return answer.as_dict()


def _proved(clients: Clients, one: Examined, documents: list[dict[str, Any]]) -> Proof:
    """The proof on the role itself; AWS takes a while until a change is seen everywhere."""
    for last in until_settled(clients.place):
        proof = prove(of_role(clients.iam, one.role), documents, one.usage, applied=True)
        if not proof.failures:
            break
        if last:
            shown = "; ".join(proof.failures[:5])
            raise StepFailed(STEP, f"the least policy of {one.role.where} does not hold: {shown}", _BACK)
    return proof
