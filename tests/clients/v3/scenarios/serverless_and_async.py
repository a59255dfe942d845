"""ModelBuilder.deploy with an inference_config: a serverless endpoint, and an asynchronous one with its queue in S3."""

from __future__ import annotations

import json
import time

import boto3
from botocore.exceptions import ClientError
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.inference_config import AsyncInferenceConfig, ServerlessInferenceConfig
from sagemaker.core.resources import Endpoint, EndpointConfig
from sagemaker.serve.model_builder import ModelBuilder
from shared import artefacts

LIMIT = 600.0
"""Seconds after which an answer that is not there counts as lost."""


def built(session: Session, name: str) -> ModelBuilder:
    """A model that answers its name."""
    bucket = session.default_bucket()
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{name}/model.tar.gz", Body=artefacts.packed(name))
    builder = ModelBuilder(
        image_uri=artefacts.image(session, "inference"),
        s3_model_data_url=f"s3://{bucket}/{name}/model.tar.gz",
        env_vars={"SAGEMAKER_PROGRAM": "inference.py"},
        instance_type="ml.m5.large",
        sagemaker_session=session,
    )
    builder.build(model_name=name)
    return builder


def serverless(session: Session) -> None:
    wanted = ServerlessInferenceConfig(memory_size_in_mb=2048, max_concurrency=2)
    endpoint = built(session, "v3-serverless").deploy(endpoint_name="v3-serverless", inference_config=wanted)
    variant = EndpointConfig.get("v3-serverless").production_variants[0]
    assert variant.serverless_config.memory_size_in_mb == 2048, variant
    assert variant.serverless_config.max_concurrency == 2, variant
    answer = endpoint.invoke(body=b"123", content_type="image/jpeg")
    assert json.loads(answer.body.read()) == {"model": "v3-serverless", "bytes": 3}
    endpoint.delete()
    endpoint.wait_for_delete()


def asynchronous(session: Session) -> None:
    endpoint = built(session, "v3-async").deploy(
        endpoint_name="v3-async", initial_instance_count=1, inference_config=AsyncInferenceConfig()
    )
    config = EndpointConfig.get("v3-async").async_inference_config
    assert config.output_config.s3_output_path.startswith("s3://"), config
    asked = f"s3://{session.default_bucket()}/v3-async/dog.jpg"
    session.upload_string_as_file_body("1234", session.default_bucket(), "v3-async/dog.jpg")
    accepted = endpoint.invoke_async(input_location=asked, content_type="image/jpeg")
    assert accepted.output_location.startswith(config.output_config.s3_output_path), accepted
    assert json.loads(answered(accepted.output_location)) == {"model": "v3-async", "bytes": 4}
    described: Endpoint = Endpoint.get("v3-async")
    described.delete()
    described.wait_for_delete()


def answered(uri: str) -> bytes:
    """What comes to lie at an address."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3, end = boto3.client("s3"), time.monotonic() + LIMIT
    while True:
        try:
            return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey" or time.monotonic() > end:
                raise
        time.sleep(1)


def main() -> None:
    session = Session()
    serverless(session)
    asynchronous(session)


if __name__ == "__main__":
    main()
