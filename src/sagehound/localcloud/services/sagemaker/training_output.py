"""What the programs of a training job write: into CloudWatch Logs, metrics, and the memory of their last words."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import RoleLog
from sagehound.localcloud.services.sagemaker.training_failure import LastWords
from sagehound.localcloud.services.sagemaker.training_metrics import NAMESPACE, MetricReader
from sagehound.localcloud.services.sagemaker.training_records import TrainingRecord
from sagehound.localcloud.services.sagemaker.training_values import TrainingValues

logger = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter in which a tuning job tells its training jobs the name of the objective metric."""


class TrainingOutput:
    """Takes the lines of one job's hosts; what a batch changes is stored in one transaction with its offset.

    Whoever listens to the job is told of new values of the objective, and of the end.
    """

    def __init__(self, record: TrainingRecord, providers: Providers) -> None:
        self._record = record
        self._providers = providers
        job = record.job()
        definitions = job["AlgorithmSpecification"].get("MetricDefinitions", [])
        self._metrics = MetricReader(definitions, job.get("FinalMetricDataList", []))
        self._objective = job["HyperParameters"][OBJECTIVE] if "TuningJobArn" in job else None
        record.on_end = self._tell
        self._values = TrainingValues(providers.store)
        self._role = providers.acting_as(job["RoleArn"], record.region)
        self._log = RoleLog(self._role, providers.logs, LOG_GROUP, f"training job {record.name}")
        self._measured: bool | None = None
        self._words = {name: LastWords(host.get("Words")) for name, host in record.run()["Hosts"].items()}

    def words(self, host: str) -> LastWords:
        """The last lines of one host."""
        return self._words.setdefault(host, LastWords())

    def say(self, host: str, text: str) -> None:
        """A line of the platform's own: in the log, but no metric is read from it."""
        stamp = int(self._providers.clock.time() * 1000)
        self._append(host, [(stamp, line) for line in text.splitlines() if line])

    def take(self, host: str, batch: list[tuple[float, str]], offset: int) -> None:
        """A batch of lines of one host, and the offset to go on from after a restart."""
        clock = self._providers.clock
        events: list[tuple[int, str]] = []
        found: list[tuple[str, float, datetime]] = []
        series: list[float] = []
        for moment, line in batch:
            # Lines carry the machine's time; a cloud whose clock runs faster shows its own.
            seconds = moment if clock.speed == 1.0 else clock.time()
            stamp = datetime.fromtimestamp(round(seconds, 3), UTC)
            read = self._metrics.read(line, stamp)
            found += [(name, value, stamp) for name, value in read]
            # As in FinalMetricDataList, the last match of a line is the line's value.
            series += [value for name, value in read if name == self._objective][-1:]
            self.words(host).add(line)
            if line:
                events.append((int(seconds * 1000), line))
        given_up, self._metrics.given_up = self._metrics.given_up, []
        for name in given_up:
            text = f"The Regex of metric {name} takes too long for this job's output: the metric is read no more."
            events.append((events[-1][0] if events else int(clock.time() * 1000), text))
        with self._providers.store.transaction():
            self._append(host, events)
            self._count(found)
            self._record.update_host(host, Offset=offset, Words=self.words(host).lines)
            if found:
                self._record.update_job(FinalMetricDataList=self._metrics.final)
            if series:
                self._values.append(self._record.region, self._record.name, host, series)
        if series:
            self._tell()

    def _tell(self) -> None:
        self._providers.events.tell(self._record.region, self._record.name)

    def _append(self, host: str, events: list[tuple[int, str]]) -> None:
        if events:
            self._log.append(self._record.run()["Hosts"][host]["Stream"], events)

    def _may_measure(self) -> bool:
        if self._measured is None:
            denied = self._role.measures(NAMESPACE)
            if denied is not None:
                logger.warning("training job %s has no metrics in CloudWatch: %s", self._record.name, denied)
            self._measured = denied is None
        return self._measured

    def _count(self, found: list[tuple[str, float, datetime]]) -> None:
        if not found or not self._may_measure():
            return
        # By second, because a script may print a thousand values in one: each value alone would cost as much.
        seconds: dict[tuple[str, datetime], list[float]] = {}
        for name, value, stamp in found:
            seconds.setdefault((name, stamp.replace(microsecond=0)), []).append(value)
        dimensions: dict[str, Any] = {"TrainingJobName": self._record.name}
        for (name, second), values in seconds.items():
            self._providers.metrics.put_values(self._record.region, NAMESPACE, name, values, dimensions, second)
