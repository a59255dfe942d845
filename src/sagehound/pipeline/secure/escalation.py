"""Findings of privilege escalation: actions that, alone or together, give their holder more than they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sagehound.pipeline.secure.findings import CRITICAL, HIGH, Finding, milder
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.grants import any_resource
from sagehound.pipeline.secure.statements import Statement


class Way(NamedTuple):
    """Actions that together lead to more, and what they lead to."""

    actions: tuple[str, ...]
    leads_to: str
    severity: str = CRITICAL


_OWN_RIGHTS = "its holder can write itself any permission"
_ANOTHERS = "its holder can act as another user"
_RUNS = "its holder can start something that runs as any role that it may pass, and do there what that role may"

WAYS = (
    Way(("iam:CreatePolicyVersion",), _OWN_RIGHTS),
    Way(("iam:SetDefaultPolicyVersion",), "its holder can bring back an older, wider version of a policy", HIGH),
    Way(("iam:PutRolePolicy",), _OWN_RIGHTS),
    Way(("iam:PutUserPolicy",), _OWN_RIGHTS),
    Way(("iam:PutGroupPolicy",), _OWN_RIGHTS),
    Way(("iam:AttachRolePolicy",), _OWN_RIGHTS),
    Way(("iam:AttachUserPolicy",), _OWN_RIGHTS),
    Way(("iam:AttachGroupPolicy",), _OWN_RIGHTS),
    Way(("iam:AddUserToGroup",), _OWN_RIGHTS),
    Way(("iam:DeleteRolePermissionsBoundary",), "its holder can take the fence around a role away", HIGH),
    Way(("iam:CreateAccessKey",), _ANOTHERS),
    Way(("iam:CreateLoginProfile",), _ANOTHERS),
    Way(("iam:UpdateLoginProfile",), _ANOTHERS),
    Way(("iam:UpdateAssumeRolePolicy", "sts:AssumeRole"), "its holder can make any role trust it, and take it"),
    Way(("sts:AssumeRole",), "its holder can take every role that trusts this account", HIGH),
    Way(("iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"), _RUNS),
    Way(("iam:PassRole", "lambda:CreateFunction", "lambda:CreateEventSourceMapping"), _RUNS),
    Way(("iam:PassRole", "lambda:CreateFunction", "lambda:AddPermission"), _RUNS),
    Way(("iam:PassRole", "ec2:RunInstances"), _RUNS),
    Way(("iam:PassRole", "sagemaker:CreateTrainingJob"), _RUNS, HIGH),
    Way(("iam:PassRole", "sagemaker:CreateProcessingJob"), _RUNS, HIGH),
    Way(("iam:PassRole", "sagemaker:CreateNotebookInstance", "sagemaker:CreatePresignedNotebookInstanceUrl"), _RUNS),
    Way(("iam:PassRole", "cloudformation:CreateStack"), _RUNS),
    Way(("iam:PassRole", "glue:CreateDevEndpoint"), _RUNS),
    Way(("iam:PassRole", "glue:CreateJob", "glue:StartJobRun"), _RUNS, HIGH),
    Way(("iam:PassRole", "codebuild:CreateProject", "codebuild:StartBuild"), _RUNS),
    Way(("iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:RunTask"), _RUNS),
    Way(("iam:PassRole", "states:CreateStateMachine", "states:StartExecution"), _RUNS),
    Way(("lambda:UpdateFunctionCode",), "its holder can put code into functions that run as other roles", HIGH),
    Way(("ssm:SendCommand",), "its holder can run commands on instances, as their roles", HIGH),
    Way(("ec2-instance-connect:SendSSHPublicKey",), "its holder can log in to instances, and act as their roles", HIGH),
)

_WHY = "What looks like one permission among many is a way to all of them; it is what an intruder looks for first."
_WAY_OUT = (
    "Take one of the actions away, or limit its resource to what the project made; `--apply` keeps what is called."
)


def check_escalation(role: Role, is_used: Callable[[str], bool]) -> Iterator[Finding]:
    """The ways that a role's policies open together; a way whose actions are all really called is one step milder."""
    granting = [
        (policy, statement) for policy in role.policies for statement in policy.statements if statement.is_allow
    ]
    for way in WAYS:
        found = []
        for action in way.actions:
            through = [(policy, one) for policy, one in granting if _opens(one, action)]
            if not through:
                break
            found.append((action, *through[0]))
        else:
            conditional = any(statement.condition for _, _, statement in found)
            called = all(is_used(action) for action in way.actions)
            yield Finding(
                severity=milder(way.severity, int(conditional) + int(called)),
                code="privilege-escalation",
                where=role.where,
                what=f"{' + '.join(way.actions)}: {way.leads_to}",
                why=_WHY,
                way_out=_WAY_OUT,
                policy=found[0][1].name,
                evidence=tuple(
                    {"action": action, "policy": policy.name, "statement": statement.name}
                    for action, policy, statement in found
                ),
            )


def _opens(statement: Statement, action: str) -> bool:
    """An action on resources that are named one by one leads to those only."""
    return statement.names_action(action) and any_resource(statement)
