"""A serverless endpoint: nothing runs for it until it is asked, then it answers as any other."""

import tarfile
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorchModel
from sagemaker.s3 import S3Uploader
from sagemaker.serializers import JSONSerializer
from sagemaker.serverless import ServerlessInferenceConfig

session = sagemaker.Session()
place = f"s3://{session.default_bucket()}/serverless"
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "factor.txt").write_text("2")
    with tarfile.open(Path(folder) / "model.tar.gz", "w:gz") as tar:
        tar.add(Path(folder) / "factor.txt", "factor.txt")
    model_data = S3Uploader.upload(str(Path(folder) / "model.tar.gz"), f"{place}/model")

common = {
    "model_data": model_data,
    "role": sagemaker.get_execution_role(),
    "entry_point": "code/table.py",
    "framework_version": "2.0",
    "py_version": "py310",
}
json_both_ways = {"serializer": JSONSerializer(), "deserializer": JSONDeserializer()}

model = PyTorchModel(**common)
predictor = model.deploy(
    serverless_inference_config=ServerlessInferenceConfig(memory_size_in_mb=2048, max_concurrency=5), **json_both_ways
)
assert predictor.predict([1, 2]) == [2.0, 4.0], "the first request waits for its environment"
assert predictor.predict([3]) == [6.0]
(variant,) = session.sagemaker_client.describe_endpoint(EndpointName=predictor.endpoint_name)["ProductionVariants"]
assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}, variant
predictor.delete_model()
predictor.delete_endpoint()
