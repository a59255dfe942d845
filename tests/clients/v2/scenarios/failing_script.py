"""What cannot work fails where AWS makes it fail, and says why."""

import contextlib
import io

import botocore.exceptions
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.pytorch import PyTorch


def error_of(kind, call, **asked):
    """The error with which a call ends: one that ends well is a mistake here."""
    try:
        call(**asked)
    except kind as error:
        print(error)
        return error
    raise AssertionError(f"{call} {asked} must not pass")


session = sagemaker.Session()
role = sagemaker.get_execution_role()
common = {"role": role, "instance_count": 1, "instance_type": "ml.m5.large"}
torch = {"framework_version": "1.13.1", "py_version": "py39", **common}

estimator = PyTorch(entry_point="code/failing.py", **torch)
screen = io.StringIO()
with contextlib.redirect_stdout(screen):
    error = error_of(UnexpectedStatusException, estimator.fit)
print(screen.getvalue())
assert error.actual_status == "Failed"
assert "AlgorithmError: ExecuteUserScriptError" in str(error)
assert "ValueError: expected 3 channels, got 1" in str(error)
assert "failing.py" in str(error), "the command is told"
assert "so far so good" in screen.getvalue()
assert "Traceback" in screen.getvalue()
assert estimator.latest_training_job.describe()["FailureReason"].startswith("AlgorithmError")

nowhere = PyTorch(entry_point="code/steps.py", **torch)
inputs = {"training": f"s3://{session.default_bucket()}/there/is/nothing"}
error = error_of((UnexpectedStatusException, botocore.exceptions.ClientError), nowhere.fit, inputs=inputs)
assert "there/is/nothing" in str(error)

stranger = PyTorch(entry_point="code/steps.py", **{**torch, "role": role.rpartition("/")[0] + "/nobody"})
error = error_of(botocore.exceptions.ClientError, stranger.fit, wait=False)
assert error.response["Error"]["Code"] in ("ValidationException", "AccessDeniedException")
assert "nobody" in str(error)

image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
other = Estimator(image_uri=image, **common)
error = error_of(botocore.exceptions.ClientError, other.fit, wait=False)
assert "sagemaker-xgboost" in str(error), "an image that cannot be run here is refused by its name"
