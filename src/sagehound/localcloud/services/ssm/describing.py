"""DescribeParameters: what there is, without its values."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.ssm import parameter_filters
from sagehound.localcloud.services.ssm.paging import page
from sagehound.localcloud.services.ssm.parameter_table import ParameterTable

_PAGE = 50


class Describing:
    """Own parameters; AWS's public ones are read, not listed."""

    def __init__(self, table: ParameterTable) -> None:
        self._table = table

    def DescribeParameters(self, call: Call, request: Request) -> Response:
        """Those that pass the filters (the old ones or the new ones), by name."""
        if request.get("Filters") and request.get("ParameterFilters"):
            raise validation("You can use either Filters or ParameterFilters in a single request.")
        filters = request.get("ParameterFilters") or request.get("Filters") or ()
        wanted = parameter_filters.compiled(filters, parameter_filters.OF_ALL)
        found = []
        for record in [] if request.get("Shared") else self._table.list(call.region):
            if wanted(record):
                shown = {member: value for member, value in record.items() if member not in ("Tags", "Value")}
                found.append({**shown, "ARN": self._table.arn(call.region, record["Name"]), "Policies": []})
        return page(found, request, "Parameters", lambda record: str(record["Name"]), _PAGE)
