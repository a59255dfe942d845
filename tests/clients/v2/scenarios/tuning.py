"""A tuning job from its start to the model that it chose, and the same job found again by its name."""

import sagemaker
from sagemaker.analytics import HyperparameterTuningJobAnalytics
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperparameterTuner,
    IntegerParameter,
    WarmStartConfig,
    WarmStartTypes,
)

bucket = sagemaker.Session().default_bucket()
data = f"s3://{bucket}/tuning/data"
S3Uploader.upload_string_as_file_body("0.05", f"{data}/target.txt")

estimator = PyTorch(
    entry_point="hpo.py",
    source_dir="code",
    base_job_name="pytorch_dog_hpo",
    role=sagemaker.get_execution_role(),
    framework_version="1.4.0",
    py_version="py3",
    instance_count=1,
    instance_type="ml.g4dn.xlarge",
    hyperparameters={"epochs": 2},
)
objective = "average test loss"
searched = {
    "lr": ContinuousParameter(0.001, 0.1),
    "batch-size": CategoricalParameter([32, 64, 128, 256, 512]),
    "layers": IntegerParameter(1, 3),
}
metrics = [{"Name": objective, "Regex": "Test set: Average loss: ([0-9\\.]+)"}]
tuner = HyperparameterTuner(
    estimator,
    objective,
    searched,
    metrics,
    max_jobs=3,
    max_parallel_jobs=2,
    objective_type="Minimize",
    early_stopping_type="Auto",
    base_tuning_job_name="dog-hpo",
)
tuner.fit({"training": data}, include_cls_metadata=True, wait=False)
tuner.wait()
name = tuner.latest_tuning_job.name
described = tuner.describe()
assert described["HyperParameterTuningJobStatus"] == "Completed", described
assert described["TrainingJobStatusCounters"]["Completed"] == 3

frame = tuner.analytics().dataframe()
print(frame.to_string())
assert len(frame) == 3
assert set(frame["TrainingJobStatus"]) == {"Completed"}
assert frame["lr"].between(0.001, 0.1).all()
assert set(frame["batch-size"].str.strip('"').astype(int)) <= {32, 64, 128, 256, 512}
assert set(frame["layers"]) <= {1.0, 2.0, 3.0}
for _, job in frame.iterrows():
    assert abs(job["FinalObjectiveValue"] - ((job["lr"] - 0.05) ** 2 + 0.5)) < 1e-5, job

best = tuner.best_training_job()
assert best == frame.sort_values("FinalObjectiveValue")["TrainingJobName"].iloc[0]
best_estimator = tuner.best_estimator()
chosen = best_estimator.hyperparameters()
print(chosen)
assert chosen["_tuning_objective_metric"] == '"average test loss"'
assert int(chosen["batch-size"].strip('"')) in (32, 64, 128, 256, 512)
assert float(chosen["lr"].strip('"')) == float(frame.set_index("TrainingJobName").loc[best, "lr"])
assert best_estimator.framework_version == "1.4.0"
assert S3Downloader.list(best_estimator.model_data) == [best_estimator.model_data]

later = HyperparameterTuner.attach(name)
assert later.best_training_job() == best
assert later.best_estimator().model_data == best_estimator.model_data
assert type(later.estimator) is PyTorch
assert later.hyperparameter_ranges()["ContinuousParameterRanges"][0]["Name"] == "lr"
ranges = HyperparameterTuningJobAnalytics(name).tuning_ranges
assert set(ranges) == {"lr", "batch-size", "layers"}

known = WarmStartConfig(WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM, {name})
again = HyperparameterTuner(
    estimator,
    objective,
    searched,
    metrics,
    max_jobs=20,
    max_parallel_jobs=1,
    objective_type="Minimize",
    warm_start_config=known,
    base_tuning_job_name="dog-hpo-again",
)
again.fit({"training": data}, wait=False)
again.stop_tuning_job()
again.wait()
assert again.describe()["HyperParameterTuningJobStatus"] == "Stopped"
assert again.describe()["WarmStartConfig"]["ParentHyperParameterTuningJobs"] == [{"HyperParameterTuningJobName": name}]
