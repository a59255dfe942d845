"""Findings of privilege escalation: actions that, alone or together, give their holder more than they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sagehound.pipeline.secure.findings import CRITICAL, HIGH, Finding, milder, worst
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.grants import any_resource
from sagehound.pipeline.secure.statements import Policy, Statement


class Way(NamedTuple):
    """Actions that together lead to more, and what they lead to."""

    actions: tuple[str, ...]
    leads_to: str
    severity: str = CRITICAL


Part = tuple[str, Policy, Statement]


class Open(NamedTuple):
    """A way that is open to a role, and the statements that open it."""

    way: Way
    severity: str
    through: list[Part]


_SHOWN = 2
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
    """What the role's policies lead to together; a way whose actions are all really called is one step milder."""
    open_ways: dict[str, list[Open]] = defaultdict(list)
    for way in WAYS:
        found = _through(role, way)
        if found:
            conditional = any(statement.condition for _, _, statement in found)
            called = all(is_used(action) for action in way.actions)
            open_ways[way.leads_to].append(Open(way, milder(way.severity, int(conditional) + int(called)), found))
    for leads_to, ways in open_ways.items():
        named = "; ".join(" + ".join(one.way.actions) for one in ways[:_SHOWN])
        more = f" and {len(ways) - _SHOWN} more ways" if len(ways) > _SHOWN else ""
        yield Finding(
            severity=worst([one.severity for one in ways]),
            code="privilege-escalation",
            where=role.where,
            what=f"{leads_to} ({named}{more})",
            why=_WHY,
            way_out=_WAY_OUT,
            evidence=tuple(
                {"action": action, "policy": policy.name, "statement": statement.name}
                for action, policy, statement in {part[0]: part for one in ways for part in one.through}.values()
            ),
        )


def _through(role: Role, way: Way) -> list[Part]:
    """The first policy and statement that grants each action of a way; empty where one of them is granted nowhere."""
    found = []
    for action in way.actions:
        parts = [
            (action, policy, statement)
            for policy in role.policies
            for statement in policy.statements
            if statement.is_allow and _opens(statement, action)
        ]
        if not parts:
            return []
        found.append(parts[0])
    return found


def _opens(statement: Statement, action: str) -> bool:
    """An action on resources that are named one by one leads to those only."""
    return statement.names_action(action) and any_resource(statement)
