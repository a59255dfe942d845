"""The function in Lambda, brought to what it should be: made or changed, published, named by an alias, kept warm.

Every part is compared first, so that a second run with the same code and settings changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless, error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.function_code import FunctionCode
from sagehound.pipeline.names import PROJECT_TAG, Names
from sagehound.pipeline.waiting import interrupted, poll, until_settled
from sagehound.settings import FunctionSettings

ENDPOINT_VARIABLE = "SAGEHOUND_ENDPOINT_NAME"
TIMEOUT_VARIABLE = "SAGEHOUND_TIMEOUT_SECONDS"
_QUOTA_HINT = (
    "Ask AWS for a higher quota of concurrent executions, or do without: --set function.provisioned_concurrency=0."
)


@dataclass(frozen=True)
class Wanted:
    """What the function shall be."""

    name: str
    role_arn: str
    code: FunctionCode
    environment: dict[str, str]
    settings: FunctionSettings

    def configuration(self) -> dict[str, Any]:
        """The members that CreateFunction and UpdateFunctionConfiguration share."""
        return {
            "Role": self.role_arn,
            "Handler": self.code.handler,
            "Runtime": self.settings.runtime,
            "MemorySize": self.settings.memory_size,
            "Timeout": self.settings.timeout,
            "Environment": {"Variables": self.environment},
        }


def ensure_function(clients: Clients, names: Names, wanted: Wanted) -> str:
    """Make or change the function and wait until it is Active: "created", "updated" or "was there"."""
    found = _configuration(clients, wanted.name)
    if found is None:
        _when_role_is_known(clients, lambda: _create(clients, names, wanted))
        _settled(clients, wanted.name)
        return "created"
    tags = clients.lambda_.list_tags(Resource=found["FunctionArn"]).get("Tags", {})
    if tags.get(PROJECT_TAG) != names.project:  # an earlier run's is as good: it keeps that run's tag
        raise StepFailed(
            "function",
            f"function {wanted.name} exists and is none of project {names.project}",
            "Give yours another name: --set function.name=...",
        )
    _settled(clients, wanted.name)
    changed = False
    if found["CodeSha256"] != wanted.code.sha256:
        clients.lambda_.update_function_code(FunctionName=wanted.name, ZipFile=wanted.code.content)
        changed = True
        _settled(clients, wanted.name)
    configuration = wanted.configuration()
    if any(found.get(member) != value for member, value in configuration.items()):
        _when_role_is_known(
            clients,
            lambda: clients.lambda_.update_function_configuration(FunctionName=wanted.name, **configuration),
        )
        changed = True
        _settled(clients, wanted.name)
    return "updated" if changed else "was there"


def _create(clients: Clients, names: Names, wanted: Wanted) -> None:
    clients.lambda_.create_function(
        FunctionName=wanted.name,
        Description="In front of a sagehound endpoint",
        Code={"ZipFile": wanted.code.content},
        Tags=names.tags_by_key,
        **wanted.configuration(),
    )


def publish(clients: Clients, wanted: Wanted) -> str:
    """The version that holds the function's code and settings; Lambda makes a new one only for new content."""
    published = clients.lambda_.publish_version(FunctionName=wanted.name, CodeSha256=wanted.code.sha256)
    version = str(published["Version"])
    _settled(clients, wanted.name, version)
    return version


def ensure_alias(clients: Clients, wanted: Wanted, version: str) -> str:
    """ARN of the alias, which leads to the version."""
    name, alias = wanted.name, wanted.settings.alias
    found = answer_unless(lambda: clients.lambda_.get_alias(FunctionName=name, Name=alias), "ResourceNotFoundException")
    if found is None:
        found = clients.lambda_.create_alias(FunctionName=name, Name=alias, FunctionVersion=version)
    if found["FunctionVersion"] != version or found.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        found = clients.lambda_.update_alias(
            FunctionName=name, Name=alias, FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": {}}
        )
    return str(found["AliasArn"])


def ensure_provisioned(clients: Clients, wanted: Wanted) -> int:
    """How many environments of the alias are initialised beforehand; waits until they are."""
    from botocore.exceptions import ClientError

    where = {"FunctionName": wanted.name, "Qualifier": wanted.settings.alias}
    count = wanted.settings.provisioned_concurrency
    found = _provisioned(clients, where)
    if count == 0:
        if found is not None:
            clients.lambda_.delete_provisioned_concurrency_config(**where)
        return 0
    if found is None or found["RequestedProvisionedConcurrentExecutions"] != count or found["Status"] == "FAILED":
        try:
            clients.lambda_.put_provisioned_concurrency_config(**where, ProvisionedConcurrentExecutions=count)
        except ClientError as error:
            code, message = error_of(error)
            if code in ("InvalidParameterValueException", "TooManyRequestsException", "LimitExceededException"):
                raise StepFailed("function", f"{count} provisioned environments: {message}", _QUOTA_HINT) from error
            raise
    try:
        last = poll(
            lambda: _provisioned(clients, where),
            lambda now: now is None or now["Status"] != "IN_PROGRESS",
            clients.place.pauses(),
        )
    except KeyboardInterrupt:
        raise _interrupted(wanted.name) from None
    if last is None or last["Status"] != "READY":
        reason = last.get("StatusReason", "no reason was given") if last else "its configuration was removed meanwhile"
        raise StepFailed(
            "function",
            f"the provisioned environments of {wanted.name}:{wanted.settings.alias} did not come up: {reason}",
            f"/aws/lambda/{wanted.name} in the logs has what they said; repair it and run `sagehound function` again.",
        )
    return int(last["AvailableProvisionedConcurrentExecutions"])


def _provisioned(clients: Clients, where: dict[str, str]) -> dict[str, Any] | None:
    return answer_unless(
        lambda: clients.lambda_.get_provisioned_concurrency_config(**where),
        "ProvisionedConcurrencyConfigNotFoundException",
    )


def _configuration(clients: Clients, name: str, qualifier: str = "") -> dict[str, Any] | None:
    where = {"FunctionName": name} | ({"Qualifier": qualifier} if qualifier else {})
    return answer_unless(lambda: clients.lambda_.get_function_configuration(**where), "ResourceNotFoundException")


def _settled(clients: Clients, name: str, version: str = "") -> None:
    """Wait until nothing changes the function (or its version) any more; raises StepFailed with Lambda's reason."""
    try:
        found = poll(
            lambda: _configuration(clients, name, version),
            lambda now: now is None or (now.get("State") != "Pending" and now.get("LastUpdateStatus") != "InProgress"),
            clients.place.pauses(),
        )
    except KeyboardInterrupt:
        raise _interrupted(name) from None
    if found is None:
        raise StepFailed("function", f"function {name} was deleted meanwhile", "Run `sagehound function` again.")
    if found.get("State") == "Failed" or found.get("LastUpdateStatus") == "Failed":
        reason = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason was given"
        raise StepFailed("function", f"function {name}: {reason}", "Repair it and run `sagehound function` again.")


def _when_role_is_known(clients: Clients, ask: Callable[[], Any]) -> None:
    """A new role is known to Lambda only after some seconds: until then it "cannot be assumed"."""
    from botocore.exceptions import ClientError

    for last in until_settled(clients.place):
        try:
            ask()
            return
        except ClientError as error:
            code, message = error_of(error)
            if code != "InvalidParameterValueException" or "cannot be assumed" not in message:
                raise
            if last:
                hint = "Its trust policy must name lambda.amazonaws.com; a role that is not needed can be deleted."
                raise StepFailed("function", message, hint) from error


def _interrupted(name: str) -> StepFailed:
    return interrupted(
        "function",
        f"function {name} is still being made",
        "`sagehound function` goes on with it, `sagehound delete` removes it.",
    )
