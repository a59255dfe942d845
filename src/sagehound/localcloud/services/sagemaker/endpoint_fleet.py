"""The instances of one endpoint: made, adopted after a restart of the server, chosen, and sent away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator

from sagehound.localcloud.services.sagemaker.endpoint_instance import Instance
from sagehound.localcloud.services.sagemaker.endpoint_status import INSTANCE, Record, is_serverless
from sagehound.localcloud.services.sagemaker.model_data import ModelData
from sagehound.localcloud.services.sagemaker.providers import Providers

DRAIN_SECONDS = 60.0


class Fleet:
    """Instances by id, of all generations of the endpoint; each has a record of its own in the store.

    Those that have begun to leave belong to no generation any more, until they have left.
    """

    def __init__(
        self, region: str, name: str, providers: Providers, model_data: ModelData, changed: Callable[[], None]
    ) -> None:
        self._region = region
        self._name = name
        self._providers = providers
        self._store = providers.store
        self._model_data = model_data
        self._changed = changed
        self._instances: dict[str, Instance] = {}
        self._leaving: set[str] = set()

    def __iter__(self) -> Iterator[Instance]:
        return iter(self._instances.values())

    def generation(self, generation: str) -> list[Instance]:
        """The instances of one deployment."""
        staying = [instance for instance in self if instance.instance_id not in self._leaving]
        return [instance for instance in staying if instance.record["Generation"] == generation]

    def of(self, generation: str, variant: str) -> list[Instance]:
        """The instances of a variant of a deployment."""
        return [instance for instance in self.generation(generation) if instance.record["VariantName"] == variant]

    def adopt(self, which: Callable[[Record], bool]) -> None:
        """Make instances of the stored records that this server does not know yet."""
        for record in self._store.list(INSTANCE, self._region):
            if record["EndpointName"] == self._name and record["InstanceId"] not in self._instances and which(record):
                self._make(record).look_for_process()

    def complete(self, deployment: Record) -> list[Instance]:
        """Have as many instances of each variant as the deployment asks for, and return those of it."""
        self.adopt(lambda record: record["Generation"] == deployment["Generation"])
        for variant in deployment["Variants"]:
            there = len(self.of(deployment["Generation"], variant["VariantName"]))
            for _ in range(variant["InstanceCount"] - there):
                self.add(deployment["Generation"], variant)
        return self.generation(deployment["Generation"])

    def add(self, generation: str, variant: Record) -> Instance:
        """One more instance of a variant, which nobody has started yet."""
        record = {
            "InstanceId": f"i-{secrets.token_hex(8)}0",
            "EndpointName": self._name,
            "Region": self._region,
            "Generation": generation,
            "VariantName": variant["VariantName"],
            "Variant": variant,
        }
        self._store.put(INSTANCE, self._region, record["InstanceId"], record)
        return self._make(record)

    def wanted(self, deployment: Record) -> list[Instance]:
        """The instances that stay when a variant shrinks: those that answer, then those that live."""
        keep: list[Instance] = []
        for variant in deployment["Variants"]:
            there = self.of(deployment["Generation"], variant["VariantName"])
            there.sort(key=lambda instance: (not instance.ready, not instance.alive))
            # Those of a serverless variant come and go with its requests.
            keep += there if is_serverless(variant) else there[: variant["InstanceCount"]]
        return keep

    async def leave(self, which: Callable[[Instance], bool]) -> None:
        """Drain and end instances, those of an earlier server too. What fails for one keeps no other from leaving."""
        self.adopt(lambda record: True)
        leaving = [instance for instance in self if which(instance)]
        self._leaving.update(instance.instance_id for instance in leaving)
        left = await asyncio.gather(*(self._leave(instance) for instance in leaving), return_exceptions=True)
        for failed in left:
            if failed is not None:
                raise failed

    async def _leave(self, instance: Instance) -> None:
        await instance.leave(DRAIN_SECONDS)
        self._instances.pop(instance.instance_id, None)
        self._leaving.discard(instance.instance_id)

    def _make(self, record: Record) -> Instance:
        instance = Instance(record, record["Variant"], self._providers, self._model_data, self._changed)
        self._instances[instance.instance_id] = instance
        return instance
