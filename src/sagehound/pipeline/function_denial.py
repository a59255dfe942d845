"""The proof that the function's permission is what lets it: without its statement the same event is refused."""

from __future__ import annotations

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.function import DeployedFunction
from sagehound.pipeline.function_event import FunctionAnswer, send_event
from sagehound.pipeline.function_role import INVOKE_SID, without_endpoint
from sagehound.pipeline.progress import Step
from sagehound.pipeline.roles import inline_policy, put_inline_policy


def prove_denial(clients: Clients, function: DeployedFunction, step: Step) -> FunctionAnswer:
    """Take the endpoint's statement out of the role's policy, send the test event again, and put the policy back.

    The policy comes back whatever happens, Ctrl-C included. Raises StepFailed where the event is answered all the
    same, or not answered as before once the policy is back.
    """
    if function.answer is None:
        raise StepFailed("denial", "no test event was answered yet", "Run `sagehound function` first.")
    event, role = function.answer.event, function.role
    with aws_step("denial"):
        policy = inline_policy(clients, role.name, role.policy_name) or role.policy
        if without_endpoint(policy) == policy:
            raise StepFailed(
                "denial",
                f"the policy {role.policy_name} of role {role.name} has no statement {INVOKE_SID}",
                "Run `sagehound function` again: it writes the policy anew.",
            )
        try:
            put_inline_policy(clients, role.name, role.policy_name, without_endpoint(policy))
            denied = send_event(clients, function.name, function.alias, event, function.timeout)
        finally:
            put_inline_policy(clients, role.name, role.policy_name, policy)
        again = send_event(clients, function.name, function.alias, event, function.timeout)
    if not denied.denied:
        raise StepFailed(
            "denial",
            f"without its permission {function.name} answered {denied.in_a_word()} and not AccessDenied",
            f"Look at what else role {role.name} may: `sagehound secure`.",
        )
    if again.in_a_word() != function.answer.in_a_word():
        raise StepFailed(
            "denial",
            f"with its permission back {function.name} answered {again.in_a_word()}",
            "Run `sagehound function` again.",
        )
    step.done(
        f"{function.name}  without sagemaker:InvokeEndpoint: {denied.in_a_word()}; with it again: {again.in_a_word()}",
        denied=denied.as_dict(),
        again=again.as_dict(),
    )
    return denied
