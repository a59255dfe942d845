"""AddPermission, RemovePermission, GetPolicy: who else may use a function, one of its versions or an alias."""

from __future__ import annotations

import re
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_ import names, records
from sagehound.localcloud.services.lambda_.errors import (
    conflict,
    function_not_found,
    invalid,
    not_found,
    precondition_failed,
)
from sagehound.localcloud.services.lambda_.names import LATEST
from sagehound.localcloud.services.lambda_.table import FunctionTable
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.store import dumps

Record = dict[str, Any]

MAX_POLICY = 20480
_ACCOUNT = re.compile(r"\d{12}")
_SERVICE = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com)")
_PRINCIPAL_ARN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(user|role|assumed-role|federated-user)/\S+)")


class Permissions:
    """The resource policies of functions. Authorisation reads them by ARN."""

    def __init__(self, table: FunctionTable) -> None:
        self._table = table
        self._store = table.store

    def AddPermission(self, call: Call, request: Request) -> Response:
        """Add a statement to the policy of the function, or of the version or alias that is named."""
        name, qualifier, arn = self._subject(call, request)
        self._check_revision(call.region, name, qualifier, request)
        if "EventSourceToken" in request and request["Principal"] != "alexa-appkit.amazon.com":
            raise invalid("EventSourceToken is only supported for Alexa Smart Home functions.")
        statement = _statement(request, arn)
        statements = self._statements(call.region, name, qualifier)
        sid = request["StatementId"]
        if any(one["Sid"] == sid for one in statements):
            raise conflict(
                f"The statement id ({sid}) provided already exists. "
                "Please provide a new statement id, or remove the existing statement."
            )
        self._write(call.region, name, qualifier, [*statements, statement])
        return {"Statement": dumps(statement)}

    def RemovePermission(self, call: Call, request: Request) -> Response:
        """Remove one statement; with the last one the policy goes."""
        name, qualifier, _ = self._subject(call, request)
        statements = self._statements(call.region, name, qualifier)
        if not statements:
            raise not_found("No policy is associated with the given resource.")
        self._check_revision(call.region, name, qualifier, request)
        sid = request["StatementId"]
        rest = [one for one in statements if one["Sid"] != sid]
        if len(rest) == len(statements):
            raise not_found(f"Statement {sid} is not found in resource policy.")
        self._write(call.region, name, qualifier, rest)
        return {}

    def GetPolicy(self, call: Call, request: Request) -> Response:
        """The document and the RevisionId of what it belongs to."""
        name, qualifier, _ = self._subject(call, request)
        statements = self._statements(call.region, name, qualifier)
        if not statements:
            raise not_found()
        return {"Policy": _document(statements), "RevisionId": self._revision(call.region, name, qualifier)}

    def resource_policy(self, arn: str, /) -> str | None:
        """The policy of a function, version or alias by its ARN; None when it has none."""
        try:
            parsed = arns.parse(arn)
        except ValueError:
            return None
        _, _, named = parsed.resource.partition(":")
        name, _, qualifier = named.partition(":")
        statements = self._statements(parsed.region, name, qualifier or None)
        return _document(statements) if statements else None

    def _subject(self, call: Call, request: Request) -> tuple[str, str | None, str]:
        name, qualifier = names.parse(request["FunctionName"], request.get("Qualifier"), call.region, call.account_id)
        arn = call.resource = self._table.arn(call.region, name, qualifier)
        if qualifier == LATEST:
            raise invalid("We currently do not support adding policies for $LATEST.")
        self._revision(call.region, name, qualifier)
        return name, qualifier, arn

    def _revision(self, region: str, name: str, qualifier: str | None) -> str:
        said = qualifier or LATEST
        kind = records.VERSION if names.is_version(said) else records.ALIAS
        record = self._store.get(kind, region, f"{name}:{said}")
        if record is None:
            raise function_not_found(self._table.arn(region, name, qualifier))
        return str(record["RevisionId"])

    def _check_revision(self, region: str, name: str, qualifier: str | None, request: Request) -> None:
        if "RevisionId" in request and request["RevisionId"] != self._revision(region, name, qualifier):
            raise precondition_failed("GetPolicy")

    def _statements(self, region: str, name: str, qualifier: str | None) -> list[Record]:
        policy = self._store.get(records.POLICY, region, f"{name}:{qualifier or LATEST}")
        return [] if policy is None else policy["Statement"]

    def _write(self, region: str, name: str, qualifier: str | None, statements: list[Record]) -> None:
        size = len(_document(statements).encode())
        if size > MAX_POLICY:
            message = f"The final policy size ({size}) is bigger than the limit ({MAX_POLICY})."
            raise AwsError("PolicyLengthExceededException", message, members={"Type": "User"})
        key = f"{name}:{qualifier or LATEST}"
        with self._store.transaction():
            if statements:
                self._store.put(records.POLICY, region, key, {"Statement": statements})
            else:
                self._store.delete(records.POLICY, region, key)
            self._table.touch(region, name, qualifier)


def _statement(request: Request, arn: str) -> Record:
    return {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(request["Principal"]),
        "Action": request["Action"],
        "Resource": arn,
        **_condition(request),
    }


def _principal(principal: str) -> Any:
    if principal == "*":
        return "*"
    if _SERVICE.fullmatch(principal):
        return {"Service": principal}
    if _ACCOUNT.fullmatch(principal):
        return {"AWS": arns.make("iam", "", principal, "root")}
    if _PRINCIPAL_ARN.fullmatch(principal):
        return {"AWS": principal}
    raise invalid("The provided principal was invalid. Please check the principal and try again.")


def _condition(request: Request) -> Record:
    """The Condition member, or nothing."""
    equals = {
        "aws:PrincipalOrgID": request.get("PrincipalOrgID"),
        "lambda:FunctionUrlAuthType": _url_auth_type(request),
        "AWS:SourceAccount": request.get("SourceAccount"),
        "lambda:EventSourceToken": request.get("EventSourceToken"),
    }
    condition: Record = {}
    if found := {key: value for key, value in equals.items() if value is not None}:
        condition["StringEquals"] = found
    if "SourceArn" in request:
        condition["ArnLike"] = {"AWS:SourceArn": request["SourceArn"]}
    if "InvokedViaFunctionUrl" in request:
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(request["InvokedViaFunctionUrl"]).lower()}
    return {"Condition": condition} if condition else {}


def _url_auth_type(request: Request) -> str | None:
    kind: str | None = request.get("FunctionUrlAuthType")
    if kind is not None and request["Action"] != "lambda:InvokeFunctionUrl":
        raise invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
    return kind


def _document(statements: list[Record]) -> str:
    return dumps({"Version": "2012-10-17", "Id": "default", "Statement": statements})
