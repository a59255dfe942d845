"""fit, deploy, predict, update_endpoint, delete: an estimator all the way, with the SDK's defaults."""

import botocore.exceptions
import numpy
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorch
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
estimator = PyTorch(
    entry_point="code/regression.py",
    base_job_name="regression",
    role=sagemaker.get_execution_role(),
    framework_version="2.0",
    py_version="py310",
    instance_count=1,
    instance_type="ml.m5.large",
)
estimator.fit()

predictor = estimator.deploy(initial_instance_count=1, instance_type="ml.m5.large")
answer = predictor.predict(numpy.array([[0.0], [3.0]], dtype="float32"))
print(answer)
assert isinstance(answer, numpy.ndarray)
assert numpy.allclose(answer, [[1.0], [7.0]], atol=0.05), answer

predictor.serializer, predictor.deserializer = JSONSerializer(), JSONDeserializer()
((said,),) = predictor.predict([[10.0]])
assert abs(said - 21) < 0.2, said

before = session.sagemaker_client.describe_endpoint(EndpointName=predictor.endpoint_name)
assert before["ProductionVariants"][0]["CurrentInstanceCount"] == 1
predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large")
after = session.sagemaker_client.describe_endpoint(EndpointName=predictor.endpoint_name)
assert after["EndpointStatus"] == "InService"
assert after["EndpointConfigName"] != before["EndpointConfigName"]
assert after["ProductionVariants"][0]["CurrentInstanceCount"] == 2
((said,),) = predictor.predict([[-1.0]])
assert abs(said + 1) < 0.05, said

model = session.sagemaker_client.describe_endpoint_config(EndpointConfigName=after["EndpointConfigName"])
name = model["ProductionVariants"][0]["ModelName"]
predictor.delete_model()
predictor.delete_endpoint()
for describe, asked in (
    (session.sagemaker_client.describe_model, {"ModelName": name}),
    (session.sagemaker_client.describe_endpoint_config, {"EndpointConfigName": after["EndpointConfigName"]}),
):
    error = error_of(botocore.exceptions.ClientError, describe, **asked)
    assert error.response["Error"]["Code"] == "ValidationException", "it is still there"
