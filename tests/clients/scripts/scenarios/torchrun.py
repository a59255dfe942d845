"""Two jobs of two instances at the same time, both by torchrun and both on the ports that everybody uses."""

import sagemaker
from sagemaker.pytorch import PyTorch
from shared import CODE, described, log_of, says


def estimator():
    return PyTorch(
        entry_point=str(CODE / "torchrun.py"),
        base_job_name="torchrun",
        role=sagemaker.get_execution_role(),
        framework_version="2.0.1",
        py_version="py310",
        instance_count=2,
        instance_type="ml.g4dn.xlarge",
        distribution={"torch_distributed": {"enabled": True}},
    )


both = [estimator(), estimator()]
for one in both:
    one.fit(wait=False)
for one in both:
    one.latest_training_job.wait(logs="None")
for one in both:
    job = described(one)
    name, log = job["TrainingJobName"], log_of(job["TrainingJobName"])
    for rank in (0, 1):
        says(log, f"{name}: rank {rank} of 2 has the sum 3")
        says(log, rf"rank {rank} met: \['{name}'\]")
first, second = (described(one) for one in both)
overlap = min(first["TrainingEndTime"], second["TrainingEndTime"]) - max(
    first["TrainingStartTime"], second["TrainingStartTime"]
)
assert overlap.total_seconds() > 0, "they ran at the same time"
