"""What scripts install: by requirements.txt beside them, and by pip when they are imported."""

import subprocess
import sys
import zipfile
from pathlib import Path

import sagemaker
from sagemaker.pytorch import PyTorch
from shared import described, log_of, says, source_dir

WHEEL = "kennel-1.2.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: kennel\nVersion: 1.2.0\n"
TAGS = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(folder):
    """A package of our own: its code travels with the script."""
    with zipfile.ZipFile(Path(folder) / WHEEL, "w") as archive:
        archive.writestr("kennel.py", "__version__ = '1.2.0'\ndef bark(): return 'woof'\n")
        for name, text in {"METADATA": METADATA, "WHEEL": TAGS, "RECORD": ""}.items():
            archive.writestr(f"kennel-1.2.0.dist-info/{name}", text)


def job(source, name):
    estimator = PyTorch(
        entry_point="train.py",
        source_dir=source,
        base_job_name=name,
        role=sagemaker.get_execution_role(),
        framework_version="1.13.1",
        py_version="py39",
        instance_count=1,
        instance_type="ml.m5.large",
    )
    estimator.fit(wait=False)
    return estimator


with_requirements = source_dir("with_requirements/train.py")
wheel(with_requirements)
(Path(with_requirements) / "requirements.txt").write_text(f"./{WHEEL}\n")
at_import = source_dir("pip_at_import/train.py")
wheel(at_import)

jobs = [job(with_requirements, "requirements"), job(at_import, "pip-at-import")]
for each in jobs:
    each.latest_training_job.wait(logs="None")
    log = log_of(described(each)["TrainingJobName"])
    says(log, "kennel 1.2.0 says woof")
# Each job has got it for itself: neither a job without it nor this environment has it.
plain = source_dir("with_requirements/train.py")
third = job(plain, "without-requirements")
try:
    third.latest_training_job.wait(logs="None")
except sagemaker.exceptions.UnexpectedStatusException as error:
    says(str(error), "No module named 'kennel'")
else:
    raise AssertionError("the package of another job is there")
assert subprocess.run([sys.executable, "-c", "import kennel"], capture_output=True).returncode != 0
