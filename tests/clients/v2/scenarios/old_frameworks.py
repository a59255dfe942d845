"""framework_version and py_version as notebooks of many years give them."""

import contextlib
import io

import sagemaker
from sagemaker.pytorch import PyTorch

role = sagemaker.get_execution_role()
versions = [("1.4.0", "py3"), ("1.8", "py36"), ("1.13.1", "py39"), ("2.0", "py310")]
estimators = [
    PyTorch(
        entry_point="code/versions.py",
        base_job_name=f"old-{version.replace('.', '-')}",
        role=role,
        framework_version=version,
        py_version=python,
        instance_count=1,
        instance_type="ml.g4dn.xlarge" if version == "1.4.0" else "ml.m5.xlarge",
    )
    for version, python in versions
]
for estimator in estimators:
    estimator.fit(wait=False)
for (version, python), estimator in zip(versions, estimators, strict=True):
    attached = PyTorch.attach(estimator.latest_training_job.name)
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        attached.logs()
    log = screen.getvalue()
    print(log)
    assert (attached.framework_version, attached.py_version) == (version, python)
    assert "python 3, numpy 1, torch tensor 1" in log
    assert f"The image asks for PyTorch {version}" in log, "what runs instead is said"
