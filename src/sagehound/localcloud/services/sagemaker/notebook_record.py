"""The record of one notebook instance: what is kept of it, its status on its way, the scripts of its start."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.services.sagemaker.notebook_home import ON_CREATE, ON_START
from sagehound.localcloud.services.sagemaker.notebook_status import LIFECYCLE_CONFIG, NOTEBOOK, NOTEBOOK_STATUS, Record
from sagehound.localcloud.services.sagemaker.providers import Providers


class NotebookRecord:
    """Read anew each time: operations write it too."""

    def __init__(self, region: str, name: str, providers: Providers) -> None:
        self._region = region
        self._name = name
        self._store = providers.store
        self._clock = providers.clock

    def find(self) -> Record | None:
        """The record; None when the instance has been deleted."""
        return self._store.get(NOTEBOOK, self._region, self._name)

    def get(self) -> Record:
        """The record of an instance that is there."""
        found = self.find()
        if found is None:
            raise LookupError(f"notebook instance {self._name} is gone")
        return found

    def save(self, **members: Any) -> None:
        """Keep further members."""
        self._put({**self.get(), **members})

    def forget(self, member: str) -> None:
        """Keep a member no more."""
        record = self.get()
        record.pop(member, None)
        self._put(record)

    def advance(self, status: str, **members: Any) -> None:
        """Move the status on; the reason of an earlier failure goes."""
        record = self.get()
        record.pop("FailureReason", None)
        self._put(NOTEBOOK_STATUS.advance(record, status, LastModifiedTime=self._clock.now(), **members))

    def may(self, status: str) -> bool:
        """Whether the instance is there and this can follow its status."""
        record = self.find()
        return record is not None and NOTEBOOK_STATUS.may(record["NotebookInstanceStatus"], status)

    def choose_scripts(self) -> list[tuple[str, str]]:
        """The lifecycle scripts of a start that begins: (hook, base64). The configuration counts as it is now."""
        record = self.get()
        config = self._store.get(LIFECYCLE_CONFIG, self._region, record.get("NotebookInstanceLifecycleConfigName", ""))
        found = []
        for hook, member in ((ON_CREATE, "OnCreate"), (ON_START, "OnStart")):
            if config and not (hook == ON_CREATE and record.get("Created")):
                found += [(hook, one["Content"]) for one in config.get(member, []) if one.get("Content")]
        self.save(Scripts=[list(one) for one in found])
        return found

    def config_arn(self) -> str:
        """The ARN of its lifecycle configuration."""
        record = self.get()
        arn: str = record["NotebookInstanceArn"]
        name = record.get("NotebookInstanceLifecycleConfigName", "")
        return f"{arn.rpartition(':')[0]}:notebook-instance-lifecycle-config/{name}"

    def _put(self, record: Record) -> None:
        self._store.put(NOTEBOOK, self._region, self._name, record)
