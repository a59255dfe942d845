import base64
import json
import logging

import boto3

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)

print("Loading Lambda function")

runtime = boto3.Session().client("sagemaker-runtime")
endpoint_Name = "pytorch-inference-2024-08-29-16-19-34-530"


def lambda_handler(event, context):
    print("Context:::", context)
    print("EventType::", type(event))
    bs = event
    response = runtime.invoke_endpoint(
        EndpointName=endpoint_Name,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps(bs),
    )

    result = response["Body"].read().decode("utf-8")
    sss = json.loads(result)
    logger.info("first of all scores, in base64: %s", base64.b64encode(str(sss[0][0]).encode()))

    return {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"},
        "type-result": str(type(result)),
        "COntent-Type-In": str(context),
        "body": json.dumps(sss),
    }
