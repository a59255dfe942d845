"""Five instances, and everything of the Debugger that notebooks pass: rules, hook, profiler."""

import contextlib
import io
import tarfile
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.debugger import (
    CollectionConfig,
    DebuggerHookConfig,
    FrameworkProfile,
    ProfilerConfig,
    ProfilerRule,
    Rule,
    rule_configs,
)
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader

rules = [
    Rule.sagemaker(rule_configs.loss_not_decreasing()),
    Rule.sagemaker(rule_configs.vanishing_gradient()),
    Rule.sagemaker(rule_configs.overfit()),
    Rule.sagemaker(rule_configs.overtraining()),
    Rule.sagemaker(rule_configs.poor_weight_initialization()),
    ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
]
hook_config = DebuggerHookConfig(
    hook_parameters={"train.save_interval": "100", "eval.save_interval": "10"},
    collection_configs=[
        CollectionConfig(name="gradients", parameters={"save_interval": "500"}),
        CollectionConfig(name="relu_input", parameters={"include_regex": ".*relu_input", "save_interval": "500"}),
    ],
)
profiler_config = ProfilerConfig(
    system_monitor_interval_millis=500, framework_profile_params=FrameworkProfile(num_steps=10)
)
estimator = PyTorch(
    entry_point="code/hosts.py",
    base_job_name="five",
    role=sagemaker.get_execution_role(),
    framework_version="1.8",
    py_version="py36",
    instance_count=5,
    instance_type="ml.m5.xlarge",
    hyperparameters={"batch_size": 64, "lr": "0.01"},
    metric_definitions=[{"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
    rules=rules,
    debugger_hook_config=hook_config,
    profiler_config=profiler_config,
)
screen = io.StringIO()
with contextlib.redirect_stdout(screen):
    estimator.fit(wait=True)
log = screen.getvalue()
print(log)

every = [f"algo-{number}" for number in range(1, 6)]
for host in every:
    assert f"host {host} of 5: {','.join(every)}" in log, host

summary = estimator.latest_training_job.rule_job_summary()
print(summary)
names = [rule["RuleConfigurationName"] for rule in summary]
assert {"LossNotDecreasing", "VanishingGradient", "Overfit", "Overtraining", "PoorWeightInitialization"} <= set(names)
(report,) = [name for name in names if "Profiler" in name]
for rule in summary:
    assert rule["RuleEvaluationStatus"] == "Stopped", "nobody has looked: neither passed nor failed"
    assert "does not evaluate" in rule["StatusDetails"], rule

assert estimator.latest_job_debugger_artifacts_path().endswith("/debug-output")
rule_output = estimator.output_path + estimator.latest_training_job.job_name + "/rule-output"
assert not [path for path in S3Downloader.list(rule_output) if report in path], "no report was made"

described = estimator.latest_training_job.describe()
assert described["ResourceConfig"]["InstanceCount"] == 5
assert described["DebugHookConfig"]["HookParameters"] == {"train.save_interval": "100", "eval.save_interval": "10"}
collections = {one["CollectionName"] for one in described["DebugHookConfig"]["CollectionConfigurations"]}
assert {"gradients", "relu_input", "losses"} <= collections, "what was asked for, and what the rules look at"
for host in every:
    assert f"{host} hook collections: {','.join(sorted(collections))}" in log, host
with tempfile.TemporaryDirectory() as folder:
    S3Downloader.download(estimator.model_data, folder)
    with tarfile.open(Path(folder) / "model.tar.gz") as tar:
        files = sorted(Path(name).name for name in tar.getnames() if name.endswith(".txt"))
assert files == [f"{host}.txt" for host in every], files
