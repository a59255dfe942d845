"""Who a command is for AWS that runs with AWS being the local cloud: a role, whose keys are asked for and renewed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from sagehound.caller_token import CREDENTIALS_PATH, make_token
from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless, aws_step
from sagehound.pipeline.clients import Clients

USER_ROLE = "sagehound-user"
"""The caller where none is named: it may do everything, as people in accounts of their own may."""
SESSION_NAME = "sagehound"
_STATE_TAG = "sagehound:caller"
_ANSWER_SECONDS = 30.0
_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"


def role_of(clients: Clients, name: str, step: str) -> str:
    """ARN of a role by its name or ARN; of none (""), of sagehound-user, which is made at its first use.

    Raises StepFailed of ``step`` where there is no such role.
    """
    with aws_step(step):
        role_name = name.rpartition("/")[2] or USER_ROLE
        found = answer_unless(lambda: clients.iam.get_role(RoleName=role_name), "NoSuchEntity")
        if name and (found is None or name not in (role_name, found["Role"]["Arn"])):
            raise StepFailed(
                step, f"there is no role {name}", "Make it, or name another: `sagehound exec -- aws iam list-roles`."
            )
        if found is None:
            return _make(clients)
        tags = {tag["Key"]: tag["Value"] for tag in found["Role"].get("Tags", [])}
        if not name and tags.get(_STATE_TAG) == "making":
            _complete(clients)  # another command is at it, or has died over it
    return str(found["Role"]["Arn"])


def credentials_of(endpoint_url: str, root_secret: str, role_arn: str) -> dict[str, str]:
    """The variables by which the AWS SDKs fetch keys of a role, and new ones before those end.

    They do not end: a command may run for days, and over restarts of the local cloud.
    """
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint_url + CREDENTIALS_PATH,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": make_token(root_secret, role_arn, SESSION_NAME),
    }


def are_answered(credentials: Mapping[str, str]) -> bool:
    """Whether the local cloud gives keys for these variables: it does not where the role is gone."""
    url = urlsplit(credentials["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    connection = HTTPConnection(url.hostname or "", url.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", url.path, headers={"Authorization": credentials["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):  # who asks next says why
        return False
    finally:
        connection.close()


def _make(clients: Clients) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {
                    "AWS": f"arn:aws:iam::{clients.account_id}:root",
                    # The SageMaker SDK gives its jobs the role that it runs as.
                    "Service": "sagemaker.amazonaws.com",
                },
                "Action": "sts:AssumeRole",
            }
        ],
    }
    answer_unless(
        lambda: clients.iam.create_role(
            RoleName=USER_ROLE,
            AssumeRolePolicyDocument=json.dumps(trust),
            Description="Who `sagehound exec` and `sagehound shell` are, unless --role names another.",
            Tags=[{"Key": _STATE_TAG, "Value": "making"}],
        ),
        "EntityAlreadyExists",
    )
    _complete(clients)
    return str(clients.iam.get_role(RoleName=USER_ROLE)["Role"]["Arn"])


def _complete(clients: Clients) -> None:
    """What makes it whole; only then is it told from one whose policies are somebody's business."""
    clients.iam.attach_role_policy(RoleName=USER_ROLE, PolicyArn=_POLICY)
    clients.iam.tag_role(RoleName=USER_ROLE, Tags=[{"Key": _STATE_TAG, "Value": "ready"}])
