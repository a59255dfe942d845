"""Two instances that train one model: by SM_HOSTS and gloo, on a port that the script has as a literal."""

import sagemaker
from sagemaker.pytorch import PyTorch
from shared import CODE, described, log_of, says

estimator = PyTorch(
    entry_point=str(CODE / "sm_hosts.py"),
    base_job_name="sm-hosts",
    role=sagemaker.get_execution_role(),
    framework_version="1.8",
    py_version="py3",
    instance_count=2,
    instance_type="ml.m5.large",
    hyperparameters={"backend": "gloo"},
)
estimator.fit()
log = log_of(described(estimator)["TrainingJobName"])
says(log, "Initialized the distributed environment: gloo backend on 2 nodes.")
says(log, "rank 0 of 2: weights agree")
says(log, "rank 1 of 2: weights agree")
