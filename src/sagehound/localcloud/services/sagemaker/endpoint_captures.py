"""The captures of all endpoints: what was taken is written down every second, beside the requests, and delivered.

A server that is stopped delivers everything; of one that is killed the next delivers what was written, so at most the
last second is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker import endpoint_capture_files as files
from sagehound.localcloud.services.sagemaker.endpoint_capture import Budget, Capture, Event, Rules, enabled, rules_of
from sagehound.localcloud.services.sagemaker.endpoint_status import Record
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import RoleLog

logger = logging.getLogger(__name__)

WRITE_SECONDS = 1.0
_AFTERWARDS = 120.0
"""How long a capture that was replaced is looked at: longer than any request that it may still get."""


class _Kept:
    """A capture, its files, and whether its endpoint still has it."""

    def __init__(self, capture: Capture, folder: Path, put: files.Put) -> None:
        self.capture = capture
        self.files = files.CaptureFiles(capture.rules, folder, put)
        self.lock = asyncio.Lock()
        self.ended: float | None = None


class Captures:
    """One capture for each set of rules, found again by them: an endpoint that is served anew goes on with its own."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._folder = providers.data_dir / "sagemaker" / "captures"
        self._budget = Budget()
        self._kept: dict[Rules, _Kept] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Begin to write, before there is anything new; what a killed server has left is delivered first."""
        left = await asyncio.to_thread(files.left_behind, self._folder)
        self._task = asyncio.create_task(self._run(left), name="data capture")

    async def stop(self) -> None:
        """Deliver everything: nobody invokes any more."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self._deliver(list(self._kept.values()))

    def of(self, region: str, endpoint: str, deployment: Record) -> dict[str, Capture]:
        """The captures of a deployment's variants, which from now on are the endpoint's only ones."""
        config = deployment.get("DataCaptureConfig")
        wanted: dict[str, Rules] = {}
        if config is not None and enabled(config):
            for variant in deployment["Variants"]:
                wanted[variant["VariantName"]] = rules_of(config, region, endpoint, variant)
        now = asyncio.get_running_loop().time()
        for rules, kept in self._kept.items():
            if (rules.region, rules.endpoint) == (region, endpoint):
                kept.ended = None if rules in wanted.values() else kept.ended or now
        return {name: self._capture(rules) for name, rules in wanted.items()}

    async def end(self, region: str, endpoint: str) -> None:
        """Deliver what there is of an endpoint that answers no more."""
        ended = [kept for rules, kept in self._kept.items() if (rules.region, rules.endpoint) == (region, endpoint)]
        for kept in ended:
            kept.ended = kept.ended or asyncio.get_running_loop().time()
        await self._deliver(ended)

    def _capture(self, rules: Rules) -> Capture:
        if rules not in self._kept:
            capture = Capture(rules, self._providers.clock, self._budget)
            self._kept[rules] = _Kept(capture, self._folder, self._put)
        return self._kept[rules].capture

    async def _run(self, left: Iterable[Path]) -> None:
        for folder in left:
            await self._deliver_left(folder)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._stopping.wait()
            now = asyncio.get_running_loop().time()
            for rules, kept in list(self._kept.items()):
                ended = kept.ended is not None
                try:
                    await self._write(kept, final=ended)
                except Exception:
                    logger.exception("captured invocations of endpoint %s", rules.endpoint)
                if ended and not kept.capture.waits and now - (kept.ended or now) > _AFTERWARDS:
                    del self._kept[rules]

    async def _deliver_left(self, folder: Path) -> None:
        try:
            told = await asyncio.to_thread(files.about, folder)
            said = await asyncio.to_thread(lambda: list(files.deliver(folder, self._put)))
            if told:
                self._say(told["Region"], told["EndpointName"], told["VariantName"], told["ExecutionRoleArn"], said)
        except Exception:  # whatever it is, what the endpoints of now have captured must still be written
            logger.exception("captured invocations in %s are not delivered", folder)

    async def _deliver(self, which: list[_Kept]) -> None:
        for kept in which:
            await self._write(kept, final=True)

    async def _write(self, kept: _Kept, *, final: bool) -> None:
        """What waits, in a thread; delivered as well when it is due or `final`. A fault of the machine loses it."""
        rules = kept.capture.rules
        async with kept.lock:
            due = final or kept.files.is_due(self._providers.clock.time())
            if not kept.capture.waits and not (due and kept.files.open):
                return
            events, lost = kept.capture.hand_over()
            said = [f"Data capture: {lost} invocation(s) were not captured: more came than was written"] if lost else []
            try:
                said += await asyncio.to_thread(lambda: list(_work(kept.files, events, due)))
            except Exception:
                logger.exception("captured invocations of endpoint %s are lost", rules.endpoint)
                said.append(f"Data capture: {len(events)} invocation(s) may be lost: see the log of the cloud")
            finally:
                kept.capture.written(events)
        self._say(rules.region, rules.endpoint, rules.variant, rules.role_arn, said)

    def _put(self, told: dict[str, str], lines: Path) -> str | None:
        """The lines become an object, if the execution role may write it. Blocking."""
        bucket, key = told["Bucket"], told["Key"]
        refusal = self._providers.acting_as(told["ExecutionRoleArn"], told["Region"]).writes(bucket, [key])
        if refusal is not None:
            return f"AccessDenied: {refusal.sentence}"
        try:
            self._providers.objects.put_file(bucket, key, lines, move=True)
        except AwsError as error:
            return f"{error.code}: {error.message}"
        return None

    def _say(self, region: str, endpoint: str, variant: str, role_arn: str, said: list[str]) -> None:
        """In the endpoint's log, in a stream of the variant's own."""
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        log = RoleLog(self._providers.acting_as(role_arn, region), self._providers.logs, group, group)
        moment = int(self._providers.clock.time() * 1000)
        log.append(f"{variant}/data-capture", [(moment, line) for line in said])


def _work(written: files.CaptureFiles, events: list[Event], due: bool) -> Iterable[str]:
    yield from written.write(events)
    if due:
        yield from written.deliver()
