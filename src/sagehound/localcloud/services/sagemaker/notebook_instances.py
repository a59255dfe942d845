"""CreateNotebookInstance, Describe, List, Start, Stop, Update, Delete, CreatePresignedNotebookInstanceUrl."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.sagemaker import paging
from sagehound.localcloud.services.sagemaker.endpoint_status import arn
from sagehound.localcloud.services.sagemaker.notebook_checks import changed, check_quota, check_request
from sagehound.localcloud.services.sagemaker.notebook_run import NotebookRun
from sagehound.localcloud.services.sagemaker.notebook_status import (
    NOTEBOOK,
    NOTEBOOK_STATUS,
    Record,
    check_in_service,
    check_transition,
)
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import PRINCIPAL
from sagehound.localcloud.services.sagemaker.tags import Tags

logger = logging.getLogger(__name__)

_SORT = {"Name": "NotebookInstanceName", "CreationTime": "CreationTime", "Status": "NotebookInstanceStatus"}
_SUMMARY = (
    "NotebookInstanceName",
    "NotebookInstanceArn",
    "NotebookInstanceStatus",
    "InstanceType",
    "CreationTime",
    "LastModifiedTime",
    "NotebookInstanceLifecycleConfigName",
)
_DESCRIBED = (
    *_SUMMARY,
    "FailureReason",
    "RoleArn",
    "DirectInternetAccess",
    "IpAddressType",
    "VolumeSizeInGB",
    "RootAccess",
    "PlatformIdentifier",
    "InstanceMetadataServiceConfiguration",
)
_DEFAULTS: Record = {
    "DirectInternetAccess": "Enabled",
    "IpAddressType": "ipv4",
    "VolumeSizeInGB": 5,
    "RootAccess": "Enabled",
    "PlatformIdentifier": "notebook-al2-v3",
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
}
_LONGEST_SESSION = 43_200


class NotebookInstances:
    """The notebook instances of all regions."""

    def __init__(self, providers: Providers, tags: Tags) -> None:
        self._providers = providers
        self._store = providers.store
        self._tags = tags
        self._runs: dict[tuple[str, str], NotebookRun] = {}

    async def start(self) -> None:
        """Bring every instance back: those that live are adopted, others that were in service are started again."""
        for record in self._store.list(NOTEBOOK):
            run = self._run(record["NotebookInstanceArn"].split(":")[3], record["NotebookInstanceName"])
            run.begin(run.recover)

    async def stop(self) -> None:
        """End the instances, which the next start brings back. (Those of a killed server go on and are adopted.)"""
        stopped = [(one["NotebookInstanceArn"], one["NotebookInstanceName"]) for one in self._store.list(NOTEBOOK)]
        runs = [self._run(its_arn.split(":")[3], name) for its_arn, name in stopped]
        faults = await asyncio.gather(*(run.stop() for run in runs), return_exceptions=True)
        for run, fault in zip(runs, faults, strict=True):
            if fault is not None:
                logger.error("notebook instance %s was not stopped", run.name, exc_info=fault)

    def CreateNotebookInstance(self, call: Call, request: Request) -> Response:
        """Store the instance as Pending and begin to start it."""
        name, region = request["NotebookInstanceName"], call.region
        its_arn = call.resource = arn(region, call.account_id, "notebook-instance", name)
        if self._store.get(NOTEBOOK, region, name) is not None:
            raise validation(f"Cannot create a duplicate Notebook Instance ({its_arn})")
        check_request(request, region, self._providers)
        self._tags.check(request.get("Tags"))
        self._providers.roles.role_trust(request["RoleArn"], PRINCIPAL, its_arn)
        check_quota(request["InstanceType"], region, self._providers)
        now = self._providers.clock.now()
        given = {member: request[member] for member in ("InstanceType", "RoleArn", *_DEFAULTS) if member in request}
        record = {
            **_DEFAULTS,
            **given,
            "NotebookInstanceName": name,
            "NotebookInstanceArn": its_arn,
            "NotebookInstanceStatus": "Pending",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        if "LifecycleConfigName" in request:
            record["NotebookInstanceLifecycleConfigName"] = request["LifecycleConfigName"]
        with self._store.transaction():
            self._store.put(NOTEBOOK, region, name, record)
            self._tags.create(its_arn, request.get("Tags"))
        run = self._run(region, name)
        run.begin(run.keep_up)
        return {"NotebookInstanceArn": its_arn}

    def DescribeNotebookInstance(self, call: Call, request: Request) -> Response:
        """The instance; its Url is where its JupyterLab listens, which opens for whoever has a presigned one."""
        record = self._instance(call, request)
        described = {member: record[member] for member in _DESCRIBED if member in record}
        return {**described, **self._url(call.region, record)}

    def ListNotebookInstances(self, call: Call, request: Request) -> Response:
        """Summaries by name, status, lifecycle configuration and times, in pages."""
        found = paging.select(
            self._store.list(NOTEBOOK, call.region), request, "NotebookInstanceName", "NotebookInstanceStatus"
        )
        wanted = request.get("NotebookInstanceLifecycleConfigNameContains", "")
        found = [one for one in found if wanted in one.get("NotebookInstanceLifecycleConfigName", "")]
        if "DefaultCodeRepositoryContains" in request or "AdditionalCodeRepositoryEquals" in request:
            found = []  # no instance has one here
        found = paging.order(found, request, _SORT, "Name", "Ascending")

        def summary(record: Record) -> Record:
            return {
                **{member: record[member] for member in _SUMMARY if member in record},
                **self._url(call.region, record),
            }

        return paging.page(found, request, "NotebookInstances", "NotebookInstanceName", summary)

    def StartNotebookInstance(self, call: Call, request: Request) -> Response:
        """Begin to start a stopped instance; OnStart runs again, the folder SageMaker is as it was."""
        record = self._instance(call, request)
        check_transition(record, "Pending")
        check_quota(record["InstanceType"], call.region, self._providers)
        self._begin(call.region, record, "Pending", "keep_up")
        return {}

    def StopNotebookInstance(self, call: Call, request: Request) -> Response:
        """Begin to end every process of the instance."""
        record = self._instance(call, request)
        check_transition(record, "Stopping")
        self._begin(call.region, record, "Stopping", "halt")
        return {}

    def UpdateNotebookInstance(self, call: Call, request: Request) -> Response:
        """Change an instance that is stopped: its type, role, volume, platform or lifecycle configuration."""
        record = self._instance(call, request)
        check_transition(record, "Updating")
        check_request(request, call.region, self._providers)
        after = changed(record, request)
        if "RoleArn" in request:
            self._providers.roles.role_trust(request["RoleArn"], PRINCIPAL, record["NotebookInstanceArn"])
        self._begin(call.region, after, "Updating", "update")
        return {}

    def DeleteNotebookInstance(self, call: Call, request: Request) -> Response:
        """Begin to delete an instance that is stopped, with its folder; the record goes last."""
        record = self._instance(call, request)
        check_transition(record, "Deleting")
        self._begin(call.region, record, "Deleting", "delete")
        return {}

    def CreatePresignedNotebookInstanceUrl(self, call: Call, request: Request) -> Response:
        """A link that opens JupyterLab once, within five minutes, for a session of so many seconds."""
        record = self._instance(call, request)
        check_in_service(record)
        seconds = request.get("SessionExpirationDurationInSeconds", _LONGEST_SESSION)
        return {"AuthorizedUrl": self._run(call.region, record["NotebookInstanceName"]).home.link(seconds)}

    def _begin(self, region: str, record: Record, status: str, work: str) -> None:
        record = {member: value for member, value in record.items() if member != "FailureReason"}
        name, now = record["NotebookInstanceName"], self._providers.clock.now()
        self._store.put(NOTEBOOK, region, name, NOTEBOOK_STATUS.advance(record, status, LastModifiedTime=now))
        run = self._run(region, name)
        run.begin(getattr(run, work))

    def _run(self, region: str, name: str) -> NotebookRun:
        run = self._runs.get((region, name))
        if run is None:
            run = self._runs[region, name] = NotebookRun(region, name, self._providers, self._tags)
        return run

    def _instance(self, call: Call, request: Request) -> Record:
        name = request["NotebookInstanceName"]
        call.resource = arn(call.region, call.account_id, "notebook-instance", name)
        record = self._store.get(NOTEBOOK, call.region, name)
        if record is None:
            raise validation("RecordNotFound")
        return record

    def _url(self, region: str, record: Record) -> dict[str, Any]:
        if record["NotebookInstanceStatus"] != "InService":
            return {}
        return {"Url": f"127.0.0.1:{self._run(region, record['NotebookInstanceName']).home.port()}"}
