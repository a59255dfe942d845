"""GetConsoleOutput: what the instance has written to its console, up to now, and when it wrote last."""

from __future__ import annotations

import base64

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import instance_types
from sagehound.localcloud.services.ec2.machines import Machines
from sagehound.localcloud.services.ec2.table import InstanceTable


class Console:
    """The operation."""

    def __init__(self, table: InstanceTable, machines: Machines) -> None:
        self._table = table
        self._machines = machines

    def GetConsoleOutput(self, call: Call, request: Request) -> Response:
        """The last 64 KB, as they are now with Latest or without; Latest is for types on Nitro only, as on AWS."""
        record = self._table.get(call.region, request["InstanceId"])
        call.resource = self._table.arn(record)
        if request.get("Latest") and instance_types.known(record["InstanceType"]).get("Hypervisor") != "nitro":
            message = "This instance type does not support retrieving the latest console logs."
            raise AwsError("UnsupportedOperation", message)
        written, updated = self._machines.console(record)
        output = base64.b64encode(written).decode()
        return {"InstanceId": record["InstanceId"], "Timestamp": updated, "Output": output}
