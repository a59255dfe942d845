"""A PyTorchModel with a handler and a Predictor subclass: JPEG bytes and URLs in, 133 scores out."""

import json
import tarfile
import tempfile
import time
from pathlib import Path

import boto3
import botocore.exceptions
import numpy
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import IdentitySerializer


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
estimator = PyTorch(
    entry_point="train.py",
    source_dir="code/pictures",
    base_job_name="pictures",
    role=role,
    framework_version="1.8",
    py_version="py36",
    instance_count=1,
    instance_type="ml.m5.xlarge",
)
estimator.fit()


class ImagePredictor(Predictor):
    """Sends the bytes of a JPEG and reads JSON."""

    def __init__(self, endpoint_name, sagemaker_session):
        super().__init__(
            endpoint_name,
            sagemaker_session=sagemaker_session,
            serializer=IdentitySerializer("image/jpeg"),
            deserializer=JSONDeserializer(),
        )


pytorch_model = PyTorchModel(
    model_data=estimator.model_data,
    role=role,
    entry_point="infernce2.py",
    source_dir="code/pictures",
    py_version="py36",
    framework_version="1.8",
    predictor_cls=ImagePredictor,
)
predictor = pytorch_model.deploy(initial_instance_count=1, instance_type="ml.m5.large")
assert type(predictor) is ImagePredictor

picture = Path("code/pictures/dog.jpg").read_bytes()
response = predictor.predict(picture, initial_args={"ContentType": "image/jpeg"})
assert len(response) == 1
assert len(response[0]) == 133
with tempfile.TemporaryDirectory() as folder:
    S3Downloader.download(estimator.model_data.replace("model.tar.gz", "output.tar.gz"), folder)
    with tarfile.open(Path(folder) / "output.tar.gz") as tar:
        (seen,) = [member for member in tar.getnames() if member.endswith("dog.json")]
        expected = json.load(tar.extractfile(seen))
assert numpy.allclose(response, expected, atol=1e-4), "what the network said where it was trained"
assert predictor.predict(picture) == response

bucket = session.default_bucket()
boto3.client("s3").put_object(Bucket=bucket, Key="pictures/dog.jpg", Body=picture, ContentType="image/jpeg")
url = boto3.client("s3").generate_presigned_url(
    "get_object", Params={"Bucket": bucket, "Key": "pictures/dog.jpg"}, ExpiresIn=600
)
by_url = predictor.predict(json.dumps({"url": url}), initial_args={"ContentType": "application/json"})
assert by_url == response

error = error_of(
    botocore.exceptions.ClientError,
    predictor.predict,
    data=b"\x89PNG",
    initial_args={"ContentType": "image/png"},
)
assert error.response["Error"]["Code"] == "ModelError"
assert "Requested unsupported ContentType in content_type: image/png" in str(error)

again = ImagePredictor(predictor.endpoint_name, session)
assert again.predict(picture) == response

other = PyTorchModel(
    model_data=estimator.model_data,
    role=role,
    sagemaker_session=session,
    name=f"{pytorch_model.name}-again",
    entry_point="infernce2.py",
    source_dir="code/pictures",
    py_version="py39",
    framework_version="1.13.1",
)
other.create(instance_type="ml.m5.large")
again.update_endpoint(model_name=other.name, initial_instance_count=1, instance_type="ml.m5.large")
config = session.sagemaker_client.describe_endpoint(EndpointName=again.endpoint_name)["EndpointConfigName"]
variants = session.sagemaker_client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
assert [variant["ModelName"] for variant in variants] == [other.name]
assert again.predict(picture) == response

again.delete_model()
pytorch_model.delete_model()
again.delete_endpoint()


def look_until_it_is_gone():
    """DescribeEndpoint again and again."""
    while True:
        session.sagemaker_client.describe_endpoint(EndpointName=again.endpoint_name)
        time.sleep(1)


error = error_of(botocore.exceptions.ClientError, look_until_it_is_gone)
assert "Could not find endpoint" in str(error)
