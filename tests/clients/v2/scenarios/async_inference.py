"""An asynchronous endpoint: input and answers lie in S3, and so does the reason of one that fails."""

import tarfile
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
from sagemaker.deserializers import JSONDeserializer, StringDeserializer
from sagemaker.exceptions import AsyncInferenceModelError
from sagemaker.predictor_async import AsyncPredictor
from sagemaker.pytorch import PyTorchModel
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.serializers import JSONSerializer


def error_of(kind, call, **asked):
    """The error with which a call ends: one that ends well is a mistake here."""
    try:
        call(**asked)
    except kind as error:
        print(error)
        return error
    raise AssertionError(f"{call} {asked} must not pass")


session = sagemaker.Session()
place = f"s3://{session.default_bucket()}/async"
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "factor.txt").write_text("2")
    with tarfile.open(Path(folder) / "model.tar.gz", "w:gz") as tar:
        tar.add(Path(folder) / "factor.txt", "factor.txt")
    model_data = S3Uploader.upload(str(Path(folder) / "model.tar.gz"), f"{place}/model")

model = PyTorchModel(
    model_data=model_data,
    role=sagemaker.get_execution_role(),
    entry_point="code/table.py",
    framework_version="2.0",
    py_version="py310",
)
predictor = model.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    serializer=JSONSerializer(),
    deserializer=JSONDeserializer(),
    async_inference_config=AsyncInferenceConfig(
        output_path=f"{place}/answers",
        failure_path=f"{place}/failures",
        max_concurrent_invocations_per_instance=4,
    ),
)
assert type(predictor) is AsyncPredictor
# The SDK looks for an answer and for a failure in two threads: this ends after that of what never comes.
soon = WaiterConfig(delay=2, max_attempts=45)
doubled = predictor.predict([1, 2], waiter_config=soon)
assert doubled == [2.0, 4.0], doubled

lying_there = S3Uploader.upload_string_as_file_body("[5]", f"{place}/inputs/five.json")
answer = predictor.predict_async(input_path=lying_there, initial_args={"ContentType": "application/json"})
assert answer.output_path.startswith(f"{place}/answers/")
assert answer.failure_path.startswith(f"{place}/failures/")
assert answer.get_result(waiter_config=soon) == [10.0]
assert S3Downloader.read_file(answer.output_path) == "[10.0]"

# The SDK reads what failed with the deserializer of what did not.
wrong = predictor.predict_async(data=["no number"])
predictor.deserializer = StringDeserializer()
error = error_of(AsyncInferenceModelError, wrong.get_result, waiter_config=soon)
assert "can't multiply sequence by non-int" in str(error), error

predictor.delete_model()
predictor.delete_endpoint()
