"""The programs of a training job's hosts: started, followed to their ends, and ended when one of them fails"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sagehound.localcloud.container import joining
from sagehound.localcloud.processes.log_pump import LogPump
from sagehound.localcloud.processes.supervisor import Exit
from sagehound.localcloud.services.sagemaker import training_failure
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.training_hosts import Ready
from sagehound.localcloud.services.sagemaker.training_network import TrainingNetwork
from sagehound.localcloud.services.sagemaker.training_outcome import COMPLETED, TIMED_OUT, Outcome, failed
from sagehound.localcloud.services.sagemaker.training_output import TrainingOutput
from sagehound.localcloud.services.sagemaker.training_records import TrainingRecord

STOP_GRACE = 120.0
"""Seconds between SIGTERM and SIGKILL, as AWS gives a job that is stopped."""
_PEER_GRACE = 10.0
"""Seconds that the other hosts get when one has failed."""
_TOGETHER = 3.0
"""Longest wait, after one host has failed, for the ends of others that may be its cause: of a host that was killed the
end comes late, because its init first clears away what the program left (up to a second)."""
_LOOK_SECONDS = 1.0
"""Between two looks whether hosts have connected; closed connections can be seen for a minute."""

Interruption = Callable[[set[asyncio.Future[Any]]], Awaitable[Outcome | None]]
"""Waits until one of the futures is done (None), or until the job is stopped or its time is over."""


class TrainingPrograms:
    """One program a host. What must survive the server is in the record: cancelled at any moment, `run` goes on."""

    def __init__(
        self,
        record: TrainingRecord,
        folder: Path,
        providers: Providers,
        output: TrainingOutput,
        network: TrainingNetwork,
    ) -> None:
        self._record = record
        self._network = network
        self._folder = folder
        self._clock = providers.clock
        self._supervisor = providers.supervisor
        self._output = output

    @property
    def started(self) -> bool:
        """Whether every host's program was started."""
        hosts = self._record.run()["Hosts"]
        return bool(hosts) and all("Handle" in host for host in hosts.values())

    async def start(self, ready: list[Ready], opening: Callable[[Ready], str]) -> None:
        """Start the program of each host, its opening line first."""
        for one in ready:
            self._output.say(one.host.name, opening(one))
            host = dataclasses.replace(one.host, network=self._network.network)
            handle = await self._supervisor.start(host, one.program)
            self._record.update_host(one.host.name, Handle=handle, Argv=one.program.argv, Offset=0)
        self._record.update_run(MemoryKills=training_failure.out_of_memory_kills())

    async def run(self, interruption: Interruption) -> Outcome:
        """Follow the programs until all have ended; a stop, the time limit or one failure ends the others."""
        looking = asyncio.ensure_future(self._look_for_connections())
        pumps: dict[asyncio.Future[Exit], str] = {}
        for name, host in self._record.run()["Hosts"].items():
            follower = LogPump(
                self._supervisor,
                host["Handle"],
                lambda batch, offset, name=name: self._output.take(name, batch, offset),  # type: ignore[misc]
                host["Offset"],
            )
            pumps[asyncio.ensure_future(follower.run())] = name
        try:
            outcome = await self._watch(pumps, interruption)
        finally:
            looking.cancel()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(looking, *pumps, return_exceptions=True)
        if outcome is COMPLETED:
            self._tell_whether_joined()
        return outcome

    async def _watch(self, pumps: dict[asyncio.Future[Exit], str], interruption: Interruption) -> Outcome:
        outcome: Outcome | None = TIMED_OUT if self._record.run().get("Interrupt") else None
        ending: asyncio.Future[Any] | None = None
        pending: set[asyncio.Future[Exit]] = set(pumps)
        ended: dict[str, Exit] = {}
        try:
            while pending:
                if outcome is None:
                    outcome = await interruption(set(pending))
                elif ending is None:
                    ending = asyncio.ensure_future(self._stop(outcome))
                else:
                    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                _collect(pumps, pending, ended)
                if outcome is None and not all(end.success for end in ended.values()):
                    await self._await_cause(pumps, pending, ended)
                    outcome = self._failure(ended)
            if ending is not None:
                await ending
        finally:
            if ending is not None:
                ending.cancel()
        return outcome or COMPLETED

    async def _await_cause(
        self, pumps: dict[asyncio.Future[Exit], str], pending: set[asyncio.Future[Exit]], ended: dict[str, Exit]
    ) -> None:
        """Wait for the ends that belong to this one: a peer's lost connection can be known before what broke it."""
        deadline = asyncio.get_running_loop().time() + _TOGETHER
        while pending and self._cause(ended)[1] > training_failure.KILLED:
            left = deadline - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(pending, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return
            _collect(pumps, pending, ended)

    def _cause(self, ended: dict[str, Exit]) -> tuple[str, int]:
        """The host whose end made the others fail, and of which kind its end was."""
        kinds = {name: training_failure.kind(end, self._output.words(name)) for name, end in ended.items()}
        hosts = list(self._record.run()["Hosts"])
        bad = [name for name in hosts if name in ended and not ended[name].success]
        name = min(bad, key=lambda name: (kinds[name], ended[name].at or float("inf"), hosts.index(name)))
        return name, kinds[name]

    def _failure(self, ended: dict[str, Exit]) -> Outcome:
        """Why the job fails, because of how the program on one host ended."""
        run, (name, _) = self._record.run(), self._cause(ended)
        end = ended[name]
        if end.lost:
            return failed(
                f"InternalServerError: The program on {name} ended while the local cloud was not running, "
                "and nothing says how (the machine was restarted, or its processes were killed)."
            )
        several = len(run["Hosts"]) > 1
        if several:
            how = f"killed by signal {end.signal}" if end.signal is not None else f"exit code {end.code}"
            self._output.say(name, f"This host failed first ({how}): the job fails and the other hosts are ended.")
        killed = end.signal == 9 and training_failure.out_of_memory_kills() > run.get("MemoryKills", 0)
        argv, ml = run["Hosts"][name]["Argv"], self._folder / name / "opt/ml"
        words = self._output.words(name)
        return failed(training_failure.reason(end, words, argv, ml, killed, name if several else None))

    async def _stop(self, outcome: Outcome) -> None:
        """SIGTERM to every host's whole process group, SIGKILL when the grace is over."""
        if outcome is TIMED_OUT:
            self._record.update_run(Interrupt="MaxRuntime")
        seconds = _PEER_GRACE if outcome["Status"] == "Failed" else STOP_GRACE
        handles = [host["Handle"] for host in self._record.run()["Hosts"].values()]
        await asyncio.gather(*(self._supervisor.stop(handle, seconds / self._clock.speed) for handle in handles))

    async def end(self) -> None:
        """Kill what runs of this job: it starts anew, or our own fault ends it."""
        for name, host in self._record.run()["Hosts"].items():
            # A server that died right after a start has not kept the handle.
            handle = host.get("Handle") or self._supervisor.find(self._folder / name)
            if handle is not None:
                await self._supervisor.stop(handle, 0.0)

    async def _look_for_connections(self) -> None:
        while not self._joined():  # noqa: ASYNC110 - the kernel tells nobody of other processes' connections
            await asyncio.sleep(_LOOK_SECONDS)

    def _joined(self) -> bool:
        """Whether the hosts are known to have spoken to each other; true where nobody asks."""
        run = self._record.run()
        if run.get("Joining") != "unknown":
            return True
        network = self._network.network
        if network is None and run.get("Entrance") is not None:
            return True  # its hosts have ended, and their network with them, while no server looked
        tables = joining.machine_connections() if network is None else network.connections()
        seen = joining.connected(run["Addresses"], tables)
        if seen:
            self._record.update_run(Joining="seen")
        return seen is not False

    def _tell_whether_joined(self) -> None:
        if not self._joined():
            hosts = list(self._record.run()["Hosts"])
            self._output.say(hosts[0], joining.not_distributed(len(hosts)))


def _collect(
    pumps: dict[asyncio.Future[Exit], str], pending: set[asyncio.Future[Exit]], ended: dict[str, Exit]
) -> None:
    """Move the programs that have ended from `pending` to `ended`."""
    for task in [task for task in pending if task.done()]:
        pending.discard(task)
        ended[pumps[task]] = task.result()
