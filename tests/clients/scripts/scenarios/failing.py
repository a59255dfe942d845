"""A script that fails, and one that wants weights which nobody has: the SDK tells why, and so does the log."""

import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.pytorch import PyTorch
from shared import CODE, described, log_of, says, uploaded

session = sagemaker.Session()


def started(script):
    estimator = PyTorch(
        entry_point=str(CODE / script),
        base_job_name="failing",
        role=sagemaker.get_execution_role(),
        framework_version="1.13.1",
        py_version="py39",
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={"epochs": 3},
    )
    estimator.fit({"training": data}, wait=False)
    return estimator


def failure(estimator):
    try:
        estimator.latest_training_job.wait(logs="None")
    except UnexpectedStatusException as error:
        return str(error)
    raise AssertionError("it did not fail")


data = uploaded(session, "failing")
script, weights = started("failing.py"), started("missing_weights.py")

message = failure(script)
says(message, "ExecuteUserScriptError")
says(message, "Found no valid file for the classes in /opt/ml/input/data/training/train")
log = log_of(described(script)["TrainingJobName"])
says(log, r"Traceback \(most recent call last\)")
says(log, "looking into /opt/ml/input/data/training")

message = failure(weights)
says(message, "vgg19-dcbb9e9d.pth is not in the weights cache. Add it once: sagehound weights add vgg19-dcbb9e9d.pth")
log = log_of(described(weights)["TrainingJobName"])
says(log, "HTTP Error 404: vgg19-dcbb9e9d.pth is not in the weights cache")
