"""Findings of functions: addresses without a door, resource policies open to everybody, secrets in the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.secure.buckets import open_to_everybody
from sagehound.pipeline.secure.findings import CRITICAL, HIGH, MEDIUM, Finding
from sagehound.pipeline.secure.statements import Statement, as_document, statements_of
from sagehound.pipeline.secure.trust import condition_keys

_SECRET_NAME = re.compile(
    r"secret|passw(?:or)?d|passphrase|token|api_?key|access_?key|private_?key|credential|connection_?string", re.I
)
_SECRET_VALUE = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_\w{36,}|\bxox[abprs]-[\w-]{10,}"
    r"|://[^/\s:@]+:[^/\s:@]+@"
)
_HARMLESS = re.compile(
    r"^(?:arn:aws|/[\w./-]+$|ssm:|secretsmanager:|\{\{resolve:|(?:true|false|yes|no|on|off|\d+)$)", re.I
)
"""Where a secret lies, and what is none: MAX_TOKENS=4096, TOKENIZERS_PARALLELISM=false."""
_MISSING = "ResourceNotFoundException"
_SOURCE = {"aws:sourcearn", "aws:sourceaccount", "aws:principalorgid"}


def check_function(lambda_: Any, name: str) -> Iterator[Finding]:
    """What is too open about a function, its versions and aliases; nothing where there is no such function."""
    configuration = answer_unless(lambda: lambda_.get_function_configuration(FunctionName=name), _MISSING)
    if configuration is None:
        return
    where = f"function {name}"
    yield from _secrets(where, configuration.get("Environment", {}).get("Variables", {}))
    for page in lambda_.get_paginator("list_function_url_configs").paginate(FunctionName=name):
        for address in page["FunctionUrlConfigs"]:
            if address["AuthType"] == "NONE":
                yield _open_address(where, name, address)
    aliases = lambda_.get_paginator("list_aliases").paginate(FunctionName=name)
    versions = lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    qualifiers = [alias["Name"] for page in aliases for alias in page["Aliases"]]
    qualifiers += [one["Version"] for page in versions for one in page["Versions"] if one["Version"] != "$LATEST"]
    for qualifier in ("", *qualifiers):
        yield from _policy(lambda_, where, name, qualifier)


def project_functions(lambda_: Any, tag: dict[str, str], also: str) -> list[tuple[str, str]]:
    """(name, role ARN) of the functions that carry the project's tag, and of the one named so."""
    found = []
    for page in lambda_.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name, arn = function["FunctionName"], function["FunctionArn"]
            tags = {} if name == also else lambda_.list_tags(Resource=arn)["Tags"]
            if name == also or tags.get(tag["Key"]) == tag["Value"]:
                found.append((name, str(function["Role"])))
    return found


def _secrets(where: str, variables: dict[str, str]) -> Iterator[Finding]:
    """Names of secrets only: their values are nobody's business here either."""
    telling = [
        name
        for name, value in sorted(variables.items())
        if value and (_SECRET_VALUE.search(value) or (_SECRET_NAME.search(name) and not _HARMLESS.match(value)))
    ]
    if telling:
        yield Finding(
            HIGH,
            "secret-in-environment",
            where,
            f"environment variables hold secrets: {', '.join(telling)}",
            "Whoever may read the function's configuration (lambda:GetFunctionConfiguration) reads them in clear text.",
            "Keep them in Secrets Manager or SSM Parameter Store, leave only the name here, and change the secret.",
            evidence=({"variables": telling},),
        )


def _open_address(where: str, name: str, address: dict[str, Any]) -> Finding:
    qualifier = address["FunctionArn"].split(":")[7:]
    named = f" --qualifier {qualifier[0]}" if qualifier else ""
    return Finding(
        HIGH,
        "open-function-url",
        where,
        f"{address['FunctionUrl']} answers everybody (AuthType NONE)",
        "Anybody on the internet runs the function, on your bill and with its role's permissions.",
        f"Ask for signed requests: `aws lambda update-function-url-config --function-name {name}{named} "
        "--auth-type AWS_IAM`.",
        evidence=({"FunctionUrl": address["FunctionUrl"], "AuthType": "NONE", "Cors": address.get("Cors")},),
    )


def _policy(lambda_: Any, where: str, name: str, qualifier: str) -> Iterator[Finding]:
    of_what = {"FunctionName": name} | ({"Qualifier": qualifier} if qualifier else {})
    answer = answer_unless(lambda: lambda_.get_policy(**of_what), _MISSING)
    if answer is None:
        return
    of = f"resource policy of {qualifier}" if qualifier else "resource policy"
    for statement in statements_of(as_document(answer["Policy"])):
        remove = f"aws lambda remove-permission --function-name {name} --statement-id {statement.name}"
        remove += f" --qualifier {qualifier}" if qualifier else ""
        if open_to_everybody(statement):
            # Public by its address: that door is a finding of its own; this statement opens it and no other.
            by_address = "lambda:functionurlauthtype" in condition_keys(statement)
            what = f"the {of} lets everybody call {', '.join(statement.actions)}"
            yield _open_policy(where, of, statement, HIGH if by_address else CRITICAL, what, remove)
        services = statement.principals("Service")
        if statement.is_allow and services and not condition_keys(statement) & _SOURCE:
            what = f"the {of} lets {', '.join(services)} call it, for whichever account"
            yield _open_policy(
                where, of, statement, MEDIUM, what, f"{remove}`, then `add-permission ... --source-arn ARN"
            )


def _open_policy(where: str, policy: str, statement: Statement, severity: str, what: str, remove: str) -> Finding:
    return Finding(
        severity,
        "open-function-policy",
        where,
        what,
        "Whoever may call it runs its code with its role, as often as they like.",
        f"Take it back: `{remove}`.",
        policy,
        ({"statement": statement.name, "document": dict(statement.raw)},),
    )
