"""An endpoint whose requests and answers are captured to S3, and are not any more once that is switched off."""

import base64
import json
import tarfile
import tempfile
import time
from pathlib import Path

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorchModel
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.serializers import IdentitySerializer, JSONSerializer

session = sagemaker.Session()
place = f"s3://{session.default_bucket()}/data-capture"
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
    data_capture_config=DataCaptureConfig(
        enable_capture=True, sampling_percentage=100, destination_s3_uri=f"{place}/captured"
    ),
)
captured = f"{place}/captured/{predictor.endpoint_name}/AllTraffic"


def records(count):
    """The captured records, once there are as many."""
    end = time.monotonic() + 240
    while True:
        files = S3Downloader.list(captured)
        lines = [json.loads(line) for file in files for line in S3Downloader.read_file(file).splitlines()]
        if len(lines) >= count:
            print(files)
            return lines
        assert time.monotonic() < end, f"{len(lines)} of {count} records in {files}"
        time.sleep(2)


assert predictor.predict([1, 2, 3], inference_id="the first") == [2.0, 4.0, 6.0]
of_bytes = Predictor(
    predictor.endpoint_name,
    serializer=IdentitySerializer("application/octet-stream"),
    deserializer=JSONDeserializer(),
)
assert of_bytes.predict(b"\x01\x05") == [2.0, 10.0]
asked = {record["eventMetadata"].get("inferenceId", ""): record for record in records(2)}
first, second = asked["the first"], asked[""]
assert first["eventVersion"] == "0"
assert first["eventMetadata"]["eventId"] != second["eventMetadata"]["eventId"]
assert first["captureData"]["endpointInput"] == {
    "observedContentType": "application/json",
    "mode": "INPUT",
    "data": "[1, 2, 3]",
    "encoding": "JSON",
}
assert first["captureData"]["endpointOutput"]["mode"] == "OUTPUT"
assert first["captureData"]["endpointOutput"]["encoding"] == "JSON"
assert json.loads(first["captureData"]["endpointOutput"]["data"]) == [2.0, 4.0, 6.0]
assert second["captureData"]["endpointInput"]["encoding"] == "BASE64"
assert base64.b64decode(second["captureData"]["endpointInput"]["data"]) == b"\x01\x05"

described = session.sagemaker_client.describe_endpoint(EndpointName=predictor.endpoint_name)
assert described["DataCaptureConfig"]["EnableCapture"] is True
assert described["DataCaptureConfig"]["CurrentSamplingPercentage"] == 100

predictor.disable_data_capture()
described = session.sagemaker_client.describe_endpoint(EndpointName=predictor.endpoint_name)
assert described.get("DataCaptureConfig", {}).get("EnableCapture", False) is False
assert predictor.predict([5]) == [10.0]
predictor.delete_model()
predictor.delete_endpoint()
gone = session.sagemaker_client.get_waiter("endpoint_deleted")
gone.wait(EndpointName=predictor.endpoint_name, WaiterConfig={"Delay": 2, "MaxAttempts": 300})
assert len(records(2)) == 2
