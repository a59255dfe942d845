"""One trial's script by itself: ResNet-50, frozen but for its head, as the usual hpo.py has it."""

import sagemaker
from sagemaker.pytorch import PyTorch
from shared import CODE, described, log_of, says, uploaded

session = sagemaker.Session()
estimator = PyTorch(
    entry_point=str(CODE / "hpo.py"),
    base_job_name="pytorch-dog-hpo",
    role=sagemaker.get_execution_role(),
    framework_version="1.4.0",
    py_version="py3",
    instance_count=1,
    instance_type="ml.g4dn.xlarge",
    hyperparameters={"learning_rate": 0.003, "batch_size": 32},
    metric_definitions=[{"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
)
estimator.fit({"training": uploaded(session, "hpo")}, logs="None")

job = described(estimator)
log = log_of(job["TrainingJobName"])
loss = float(says(log, r"Testing Loss: ([0-9.]+)")[1])
assert loss > 4, f"the loss of a batch, times its size, floored: {loss}"
assert job["FinalMetricDataList"][0]["MetricName"] == "Test Loss"
assert job["FinalMetricDataList"][0]["Value"] == loss
says(log, r"Hyperparameters are LR: 0.003, Batch Size: 32")
says(log, r"Data Paths: /opt/ml/input/data/training")
assert "Downloading" not in log, "the weights are there already"
print("hpo.py", job["TrainingJobStatus"], loss, estimator.model_data)
