"""HyperparameterTuner: tune, wait, the best job, and the table of all of them."""

from __future__ import annotations

import math
from pathlib import Path

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter
from sagemaker.core.resources import HyperParameterTuningJob, TrainingJob
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.tuner import HyperparameterTuner
from shared import artefacts

SOURCE = Path(__file__).parent / "code/searches"
JOBS = 4


def loss(learning_rate: float, batch_size: int) -> float:
    """What code/searches/hpo.py prints."""
    return abs(math.log10(learning_rate) + 2) + (0 if batch_size == 64 else 1)


def main() -> None:
    session = Session()
    bucket = session.default_bucket()
    session.upload_string_as_file_body("woof", bucket, "v3-tune/data/one.txt")
    image = artefacts.image(session, "training")
    trainer = ModelTrainer(
        training_image=image,
        source_code=SourceCode(source_dir=str(SOURCE), entry_script="hpo.py"),
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
        hyperparameters={"epochs": 1, "learning_rate": 1.0, "batch_size": 8},
        base_job_name="v3-tune",
    )
    tuner = HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name="Test Loss",
        metric_definitions=[{"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
        hyperparameter_ranges={
            "learning_rate": ContinuousParameter(0.001, 0.1, scaling_type="Logarithmic"),
            "batch_size": CategoricalParameter([32, 64]),
        },
        objective_type="Minimize",
        max_jobs=JOBS,
        max_parallel_jobs=2,
    )
    tuner.tune(inputs=[InputData(channel_name="training", data_source=f"s3://{bucket}/v3-tune/data/")], wait=False)
    tuner.wait()
    described = tuner.describe()
    assert described.hyper_parameter_tuning_job_status == "Completed"
    assert described.training_job_status_counters.completed == JOBS
    assert described.objective_status_counters.succeeded == JOBS

    table = tuner.analytics().dataframe()
    assert len(table) == JOBS, table
    for _, row in table.iterrows():
        expected = loss(float(row["learning_rate"]), int(float(row["batch_size"])))
        assert abs(row["FinalObjectiveValue"] - expected) < 1e-3, row
    best = tuner.best_training_job()
    assert best == table.sort_values("FinalObjectiveValue").iloc[0]["TrainingJobName"]

    job = TrainingJob.get(best)
    assert job.training_job_status == "Completed"
    assert job.hyper_parameters["epochs"] == "1", job.hyper_parameters
    assert [metric.metric_name for metric in job.final_metric_data_list] == ["Test Loss"]
    tuning = HyperParameterTuningJob.get(described.hyper_parameter_tuning_job_name)
    children = {child.training_job_name for child in tuning.get_all_training_jobs()}
    assert children == set(table["TrainingJobName"])
    assert tuning.get_name() in [one.get_name() for one in HyperParameterTuningJob.get_all(status_equals="Completed")]


if __name__ == "__main__":
    main()
