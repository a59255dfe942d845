"""The training jobs of one tuning job: made, started, watched, stopped; each change stored before its effect"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.services.sagemaker import tuning_status
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.training_jobs import TrainingJobs
from sagehound.localcloud.services.sagemaker.tuning_checks import child_name
from sagehound.localcloud.services.sagemaker.tuning_definitions import Definition, training_job
from sagehound.localcloud.services.sagemaker.tuning_records import Child, Job, TuningRecord, is_over

_DELETED = {
    "TrainingJobStatus": "Failed",
    "FailureReason": "The training job was deleted before its result was read.",
}


class Children:
    """All children that there are, in the order in which they were made, as their records say it."""

    def __init__(
        self,
        record: TuningRecord,
        definitions: list[Definition],
        job: Job,
        providers: Providers,
        training_jobs: TrainingJobs,
        tags: list[dict[str, str]],
        wake: Callable[[], None],
    ) -> None:
        self._record = record
        self._definitions = definitions
        self._arn = job["HyperParameterTuningJobArn"]
        self._providers = providers
        self._training_jobs = training_jobs
        self._tags = tags
        self._wake = wake
        self._seen: dict[str, int] = {}
        self._all: dict[str, Child] = {}
        self._started: set[str] = set()
        for child in record.stored_children():
            name = child["TrainingJobName"]
            self._all[name] = child
            if "TrainingEndTime" not in child and record.training_job(child) is not None:
                self._watch(child)
                if child.get("EarlyStopped"):
                    training_jobs.stop_job(record.region, name)

    @property
    def all(self) -> list[Child]:
        """Every child; `Values` are those of now."""
        return [
            child if "Values" in child else {**child, "Values": self._record.values(child)}
            for child in self._all.values()
        ]

    @property
    def running(self) -> list[Child]:
        """Those that were started and have not been noted as ended."""
        return [self._all[name] for name in self._all if name in self._started]

    @property
    def ended(self) -> list[Child]:
        """Those that are over, but for attempts that another one follows."""
        return [child for child in self._all.values() if "TrainingEndTime" in child and not child.get("Repeated")]

    @property
    def trials(self) -> int:
        """How many of MaxNumberOfTrainingJobs are used up: an attempt that repeats a trial is not one more."""
        return sum(child["Attempt"] == 0 for child in self._all.values())

    def values(self) -> list[float]:
        """The final values, in the order of the ends, of jobs whose objective is the first definition's kind."""
        rated = tuning_status.rated(self.ended, self._definitions[0].objective["Type"])
        return [child["Value"] for child in rated]

    def waiting(self) -> Child | None:
        """A child that is stored and has not been started: a quota was full, the server died, or it is repeated."""
        for name, child in self._all.items():
            if name not in self._started and "TrainingEndTime" not in child:
                return child
        return None

    def add(
        self, index: int, number: int, parameters: dict[str, Any], texts: dict[str, str], attempt: int = 0
    ) -> Child:
        """Store a child that is to be started: trial `number` of definition `index`."""
        definition = self._definitions[index]
        sequence = len(self._all)
        name = child_name(self._record.name, sequence, secrets.token_hex(4))
        child = {
            "TrainingJobName": name,
            "TrainingJobArn": self._training_jobs.arn(self._record.region, name),
            "Sequence": sequence,
            "Definition": definition.name,
            "DefinitionIndex": index,
            "Number": number,
            "Attempt": attempt,
            "Parameters": parameters,
            "TunedHyperParameters": texts,
            "ObjectiveType": definition.objective["Type"],
            "MetricName": definition.objective["MetricName"],
        }
        self._record.put_child(child)
        self._all[name] = child
        return child

    async def start(self, child: Child) -> None:
        """Create the training job; AwsError when it is refused, which leaves the child waiting."""
        definition = self._definitions[child["DefinitionIndex"]]
        name = child["TrainingJobName"]
        request = training_job(definition, name, child["TunedHyperParameters"], self._tags)
        await self._training_jobs.create(self._record.region, request, self._arn)
        self._watch(child)

    def _watch(self, child: Child) -> None:
        name = child["TrainingJobName"]
        self._started.add(name)
        self._providers.events.listen(self._record.region, name, self._wake)

    def note_ends(self) -> bool:
        """Store how children have ended since the last time; whether any has."""
        ended = 0
        for child in self.running:
            job = self._record.training_job(child)
            if job is None:
                now = self._providers.clock.now()
                job = {**_DELETED, "CreationTime": now, "TrainingEndTime": now}
            if not is_over(job):
                continue
            name = child["TrainingJobName"]
            again = self._is_repeated(child, job)
            with self._providers.store.transaction():
                self._all[name] = self._record.end_child({**child, "Repeated": True} if again else child, job)
                if again:
                    self._add_attempt(child)
            self._started.discard(name)
            self._providers.events.forget(self._record.region, name)
            ended += 1
        return ended > 0

    def _add_attempt(self, child: Child) -> None:
        texts = child["TunedHyperParameters"]
        self.add(child["DefinitionIndex"], child["Number"], child["Parameters"], texts, child["Attempt"] + 1)

    def _is_repeated(self, child: Child, job: Job) -> bool:
        """RetryStrategy: a failure of the platform's own is tried again, as another training job of the same values."""
        strategy = self._definitions[child["DefinitionIndex"]].body.get("RetryStrategy")
        if strategy is None or not tuning_status.retryable(job):
            return False
        return bool(child["Attempt"] < strategy["MaximumRetryAttempts"])

    def with_news(self) -> list[Child]:
        """The running children that have printed values of the objective since the last time, not yet given up."""
        news = []
        for child in self.running:
            name, count = child["TrainingJobName"], len(self._record.values(child))
            if count > self._seen.get(name, 0) and not child.get("EarlyStopped"):
                self._seen[name] = count
                news.append(child)
        return news

    def stop_early(self, child: Child) -> None:
        """Stop a running child, whose value is kept."""
        name = child["TrainingJobName"]
        if name in self._started:
            stopped = {**self._all[name], "EarlyStopped": True}
            self._record.put_child(stopped)
            self._all[name] = stopped
            self._training_jobs.stop_job(self._record.region, name)

    def stop_all(self) -> None:
        """Stop what runs and drop what waits."""
        for child in list(self._all.values()):
            name = child["TrainingJobName"]
            if name in self._started:
                self._training_jobs.stop_job(self._record.region, name)
            elif "TrainingEndTime" not in child:
                self._record.remove_child(child)
                del self._all[name]

    def forget(self) -> None:
        """Watch no child any more."""
        for name in self._started:
            self._providers.events.forget(self._record.region, name)
