"""distribution={"torch_distributed": ...}: the five instances of a job are one training."""

import contextlib
import io

import sagemaker
from sagemaker.pytorch import PyTorch

estimator = PyTorch(
    entry_point="all_reduce.py",
    source_dir="code",
    role=sagemaker.get_execution_role(),
    framework_version="2.6.0",
    py_version="py312",
    instance_count=5,
    instance_type="ml.g4dn.xlarge",
    distribution={"torch_distributed": {"enabled": True}},
    disable_profiler=True,
    debugger_hook_config=False,
)
screen = io.StringIO()
with contextlib.redirect_stdout(screen):
    estimator.fit()
log = screen.getvalue()
print(log)

for rank in range(5):
    assert f"rank {rank} of 5 on algo-{rank + 1}: the sum is 15" in log, rank
described = estimator.latest_training_job.describe()
assert described["HyperParameters"]["sagemaker_torch_distributed_enabled"] == "true"
assert described["ModelArtifacts"]["S3ModelArtifacts"] == estimator.model_data
