"""Amazon SageMaker Runtime, as the gateway sees it."""

from __future__ import annotations

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.services.sagemaker_runtime.invocations import Invocations
from sagehound.localcloud.services.sagemaker_runtime.needs import Router


class SageMakerRuntime:
    """The invocations of the endpoints that `router` knows."""

    name = "sagemaker-runtime"

    def __init__(self, router: Router, max_invocation_bytes: int) -> None:
        self.invocations = Invocations(router, max_invocation_bytes)

    @property
    def operations(self) -> dict[str, Operation]:
        """Every operation that is implemented, by AWS's name."""
        return operations_of(self.invocations)
