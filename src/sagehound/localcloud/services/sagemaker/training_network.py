"""The network of a training job: its own where the machine gives one, so that no port meets another job's"""

from __future__ import annotations

from collections.abc import Callable

from sagehound.localcloud.processes.supervisor import Network, NoNetwork, Supervisor
from sagehound.localcloud.services.sagemaker.training_records import TrainingRecord


class TrainingNetwork:
    """Made before the hosts are, taken over after a restart, closed when the programs have ended."""

    def __init__(self, record: TrainingRecord, supervisor: Supervisor, say: Callable[[str, str], None]) -> None:
        self._record = record
        self._supervisor = supervisor
        self._say = say
        self._network: Network | None = None

    @property
    def network(self) -> Network | None:
        """None is the machine's own."""
        return self._network

    async def make(self, host: str) -> None:
        """A new one; the log of `host` says why there is none."""
        self.close()
        try:
            self._network = await self._supervisor.make_network()
        except NoNetwork as refused:
            self._say(
                host,
                f"This job has no network of its own on this machine ({refused}): a port that it opens on every "
                "address is the machine's, and another job that opens the same one fails.",
            )
        self._record.update_run(Entrance=None if self._network is None else self._network.entrance)

    async def adopt(self) -> None:
        """Answer again in the network of a job that an earlier server started, through a host that still runs."""
        run = self._record.run()
        if self._network is not None or run.get("Entrance") is None:
            return
        running = [host for host, facts in run["Hosts"].items() if self._supervisor.is_running(facts["Handle"])]
        for number, host in enumerate(running):
            try:
                self._network = await self._supervisor.enter_network(run["Hosts"][host]["Handle"], run["Entrance"])
                return
            except NoNetwork as refused:
                if number + 1 == len(running) and self._supervisor.is_running(run["Hosts"][host]["Handle"]):
                    self._say(host, f"This job cannot reach the local cloud any more ({refused}).")

    def close(self) -> None:
        """Let go of it, when the programs have ended or the server stops."""
        if self._network is not None:
            self._network.close()
            self._network = None
