"""mpi: the variables of Open MPI on two instances with two processes each."""

import sagemaker
from sagemaker.pytorch import PyTorch
from shared import CODE, described, log_of, says

estimator = PyTorch(
    entry_point=str(CODE / "mpi.py"),
    base_job_name="mpi",
    role=sagemaker.get_execution_role(),
    framework_version="1.13.1",
    py_version="py39",
    instance_count=2,
    instance_type="ml.m5.large",
    distribution={
        "mpi": {"enabled": True, "processes_per_host": 2, "custom_mpi_options": "-x DOGS=133 --NCCL_DEBUG INFO"}
    },
)
estimator.fit(logs="None")
log = log_of(described(estimator)["TrainingJobName"])
for rank, place in enumerate(("0 on algo-1", "1 on algo-1", "0 on algo-2", "1 on algo-2")):
    says(log, f"rank {rank} of 4, {place}: sum 6")
says(log, "option 133")
