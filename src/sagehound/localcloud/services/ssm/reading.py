"""GetParameter, GetParameters, GetParametersByPath, GetParameterHistory: own parameters and AWS's public ones."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ssm import errors, names, parameter_filters
from sagehound.localcloud.services.ssm.cipher import Cipher
from sagehound.localcloud.services.ssm.needs import PublicParameters
from sagehound.localcloud.services.ssm.paging import page
from sagehound.localcloud.services.ssm.parameter_table import ParameterTable
from sagehound.localcloud.services.ssm.parameters import SECURE

Record = dict[str, Any]
_SHOWN = ("Name", "Type", "Value", "Version", "LastModifiedDate", "DataType")
_PAGE, _HISTORY_PAGE = 10, 50


class Reading:
    """What answers values."""

    def __init__(self, table: ParameterTable, cipher: Cipher, public: PublicParameters) -> None:
        self._table = table
        self._cipher = cipher
        self._public = public

    def GetParameter(self, call: Call, request: Request) -> Response:
        """The latest version, or the one that the name tells; a SecureString stays encrypted unless WithDecryption."""
        call.resource = self._table.arn(call.region, names.parse(request["Name"]).name)
        return {"Parameter": self._read(call, request["Name"], request)}

    def GetParameters(self, call: Call, request: Request) -> Response:
        """Up to ten; the answer says which are not there."""
        found, missing = [], []
        for name in dict.fromkeys(request["Names"]):
            try:
                found.append(self._read(call, name, request))
            except AwsError as refusal:
                if refusal.code not in ("ParameterNotFound", "ParameterVersionNotFound"):
                    raise
                missing.append(name)
        return {"Parameters": found, "InvalidParameters": missing}

    def GetParametersByPath(self, call: Call, request: Request) -> Response:
        """The parameters directly below a path, or with Recursive at any depth; ten at a time."""
        path = names.check_path(request["Path"])
        call.resource = self._table.arn(call.region, path.rstrip("/"))
        every = self._public_records(call.region) if names.is_public(path) else self._table.list(call.region)
        recursive = request.get("Recursive", False)
        filters = request.get("ParameterFilters", ())
        wanted = parameter_filters.compiled(filters, parameter_filters.OF_A_PATH)
        found = [
            self._shown(call.region, record, request)
            for record in every
            if names.is_below(record["Name"], path, recursive=recursive) and wanted(record)
        ]
        return page(found, request, "Parameters", lambda record: str(record["Name"]), _PAGE)

    def GetParameterHistory(self, call: Call, request: Request) -> Response:
        """Every version that is kept, oldest first."""
        name = self._table.named(call.region, request["Name"]).name
        call.resource = self._table.arn(call.region, name)
        found = []
        for record in self._table.history(call.region, name):
            shown = {member: value for member, value in record.items() if member != "Tags"}
            found.append({**shown, "Value": self._value(call.region, record, request), "Labels": [], "Policies": []})
        return page(found, request, "Parameters", lambda record: f"{record['Version']:09}", _HISTORY_PAGE)

    def value(self, region: str, text: str) -> str:
        """The value of a parameter that is no secret; ParameterNotFound without one."""
        return str(self._find(region, self._table.named(region, text))["Value"])

    def _read(self, call: Call, text: str, request: Request) -> Record:
        named = self._table.named(call.region, text)
        selector = {"Selector": f":{named.selector}"} if named.selector else {}
        return {**self._shown(call.region, self._find(call.region, named), request), **selector}

    def _find(self, region: str, named: names.Named) -> Record:
        if names.is_public(named.name):
            return self._public_record(region, named)
        return self._table.version(region, named)

    def _shown(self, region: str, record: Record, request: Request) -> Record:
        shown = {member: record[member] for member in _SHOWN if member in record}
        return {**shown, "Value": self._value(region, record, request), "ARN": self._table.arn(region, record["Name"])}

    def _value(self, region: str, record: Record, request: Request) -> str:
        value = str(record["Value"])
        if record["Type"] != SECURE or not request.get("WithDecryption"):
            return value
        return self._cipher.decrypt(value, self._table.arn(region, record["Name"]))

    def _public_record(self, region: str, named: names.Named) -> Record:
        value = self._public(region).get(named.name)
        if value is None:
            raise errors.parameter_not_found(named.name)
        if named.selector not in ("", "1"):
            raise errors.version_not_found(named.name, named.selector)
        return _public(named.name, value)

    def _public_records(self, region: str) -> list[Record]:
        return [_public(name, value) for name, value in sorted(self._public(region).items())]


def _public(name: str, value: str) -> Record:
    """The images of this cloud never change, so there is one version; nobody wrote it, so there is no date."""
    data_type = "aws:ec2:image" if value.startswith("ami-") else "text"
    return {"Name": name, "Type": "String", "Value": value, "Version": 1, "DataType": data_type, "Tier": "Standard"}
