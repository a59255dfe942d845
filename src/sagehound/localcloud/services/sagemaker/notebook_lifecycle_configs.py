"""CreateNotebookInstanceLifecycleConfig, Describe, List, Update, Delete: the scripts of notebook instances."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import paging
from sagehound.localcloud.services.sagemaker.endpoint_status import arn
from sagehound.localcloud.services.sagemaker.notebook_checks import check_scripts
from sagehound.localcloud.services.sagemaker.notebook_status import LIFECYCLE_CONFIG, NOTEBOOK, Record
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags

_NAME = "NotebookInstanceLifecycleConfigName"
_SORT = {"Name": _NAME, "CreationTime": "CreationTime", "LastModifiedTime": "LastModifiedTime"}
_SUMMARY = (_NAME, "NotebookInstanceLifecycleConfigArn", "CreationTime", "LastModifiedTime")
_SCRIPTS = ("OnCreate", "OnStart")


class NotebookLifecycleConfigs:
    """A configuration says which script runs when an instance is created, and which at each start."""

    def __init__(self, providers: Providers, tags: Tags) -> None:
        self._clock = providers.clock
        self._store = providers.store
        self._tags = tags

    def CreateNotebookInstanceLifecycleConfig(self, call: Call, request: Request) -> Response:
        """Store the scripts; instances read them when they start."""
        name = request[_NAME]
        its_arn = call.resource = _arn(call, name)
        if self._store.get(LIFECYCLE_CONFIG, call.region, name) is not None:
            raise _refused("create", its_arn, "already exists")
        check_scripts(request)
        self._tags.check(request.get("Tags"))
        now = self._clock.now()
        record = {
            **{member: value for member, value in request.items() if member != "Tags"},
            "NotebookInstanceLifecycleConfigArn": its_arn,
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        with self._store.transaction():
            self._store.put(LIFECYCLE_CONFIG, call.region, name, record)
            self._tags.create(its_arn, request.get("Tags"))
        return {"NotebookInstanceLifecycleConfigArn": its_arn}

    def DescribeNotebookInstanceLifecycleConfig(self, call: Call, request: Request) -> Response:
        """The scripts as they were given."""
        return self._config(call, request, "describe")

    def ListNotebookInstanceLifecycleConfigs(self, call: Call, request: Request) -> Response:
        """Summaries by name and times, in pages."""
        found = paging.select(self._store.list(LIFECYCLE_CONFIG, call.region), request, _NAME)
        found = paging.order(found, request, _SORT, "Name", "Ascending")
        return paging.page(
            found,
            request,
            "NotebookInstanceLifecycleConfigs",
            _NAME,
            lambda one: {member: one[member] for member in _SUMMARY},
        )

    def UpdateNotebookInstanceLifecycleConfig(self, call: Call, request: Request) -> Response:
        """Replace the scripts that are given; they count from an instance's next start on."""
        record = self._config(call, request, "update")
        check_scripts(request)
        scripts = {member: request[member] for member in _SCRIPTS if member in request}
        after = {**record, **scripts, "LastModifiedTime": self._clock.now()}
        self._store.put(LIFECYCLE_CONFIG, call.region, request[_NAME], after)
        return {}

    def DeleteNotebookInstanceLifecycleConfig(self, call: Call, request: Request) -> Response:
        """Forget a configuration that no instance has."""
        record = self._config(call, request, "delete")
        users = [
            one["NotebookInstanceName"]
            for one in self._store.list(NOTEBOOK, call.region)
            if one.get(_NAME) == request[_NAME]
        ]
        if users:
            raise _refused("delete", call.resource, f"is used by {', '.join(users)}")
        with self._store.transaction():
            self._store.delete(LIFECYCLE_CONFIG, call.region, request[_NAME])
            self._tags.delete(record["NotebookInstanceLifecycleConfigArn"])
        return {}

    def _config(self, call: Call, request: Request, verb: str) -> Record:
        call.resource = _arn(call, request[_NAME])
        record = self._store.get(LIFECYCLE_CONFIG, call.region, request[_NAME])
        if record is None:
            raise _refused(verb, call.resource, "does not exist")
        return record


def _arn(call: Call, name: str) -> str:
    return arn(call.region, call.account_id, "notebook-instance-lifecycle-config", name)


def _refused(verb: str, its_arn: str, why: str) -> AwsError:
    return validation(
        f"Unable to {verb} Notebook Instance Lifecycle Config '{its_arn}'. (Details: Notebook Instance Lifecycle "
        f"Config {why}.)"
    )
