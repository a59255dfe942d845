"""train_model.py with debugger and profiler, its model behind an endpoint, pictures as bytes and by URL, a function."""

import base64
import io
import json
import os
import time
import zipfile

import boto3
import sagemaker
from sagemaker.debugger import DebuggerHookConfig, FrameworkProfile, ProfilerConfig, ProfilerRule, Rule, rule_configs
from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.serializers import IdentitySerializer, JSONSerializer
from shared import CODE, DOG, described, fetched, log_of, says

session = sagemaker.Session()
role = sagemaker.get_execution_role()
pictures = fetched()
data = session.upload_data(str(pictures), key_prefix="serve")
os.environ["SM_CHANNEL_TRAINING"] = data

estimator = PyTorch(
    entry_point=str(CODE / "train_model.py"),
    base_job_name="dog-pytorch",
    role=role,
    instance_count=1,
    instance_type="ml.m5.xlarge",
    framework_version="1.8",
    py_version="py36",
    hyperparameters={"batch-size": 32, "epochs": 1, "lr": 0.01, "gpu": False},
    rules=[
        Rule.sagemaker(rule_configs.vanishing_gradient()),
        Rule.sagemaker(rule_configs.overfit()),
        ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
    ],
    debugger_hook_config=DebuggerHookConfig(hook_parameters={"train.save_interval": "10", "eval.save_interval": "1"}),
    profiler_config=ProfilerConfig(
        system_monitor_interval_millis=500, framework_profile_params=FrameworkProfile(num_steps=10)
    ),
)
estimator.fit({"training": data}, wait=True)
job = described(estimator)
log = log_of(job["TrainingJobName"])
says(log, r"data /opt/ml/input/data/training: \['test', 'train', 'valid'\]")
says(log, r"Testing Loss: [0-9.]+")
summary = estimator.latest_training_job.rule_job_summary()
print(summary)
assert len(summary) == 3
assert {rule["RuleEvaluationStatus"] for rule in summary} == {"Stopped"}, "nobody has looked: neither passed nor failed"


class ImagePredictor(Predictor):
    def __init__(self, endpoint_name, sagemaker_session):
        super().__init__(
            endpoint_name,
            sagemaker_session=sagemaker_session,
            serializer=IdentitySerializer("image/jpeg"),
            deserializer=JSONDeserializer(),
        )


model = PyTorchModel(
    model_data=estimator.model_data,
    role=role,
    entry_point=str(CODE / "infernce2.py"),
    framework_version="1.4.0",
    py_version="py3",
    predictor_cls=ImagePredictor,
)
predictor = model.deploy(initial_instance_count=1, instance_type="ml.m5.large")
try:
    picture = next((pictures / "test").glob("*/*.jpg"))
    by_bytes = predictor.predict(picture.read_bytes(), initial_args={"ContentType": "image/jpeg"})
    assert len(by_bytes) == 1, by_bytes
    assert len(by_bytes[0]) == 133, by_bytes
    predictor.serializer = JSONSerializer()
    by_url = predictor.predict({"url": DOG})
    assert len(by_url[0]) == 133, by_url
    assert by_url != by_bytes

    # The write-up's function: its role is given SageMaker's FullAccess policy, its endpoint is a literal.
    iam = boto3.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    lambda_role = iam.create_role(RoleName="lambda-dogs-serve", AssumeRolePolicyDocument=document)["Role"]
    for policy in ("AmazonSageMakerFullAccess", "service-role/AWSLambdaBasicExecutionRole"):
        iam.attach_role_policy(RoleName="lambda-dogs-serve", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    source = (CODE / "lamdafunction.py").read_text()
    source = source.replace("pytorch-inference-2024-08-29-16-19-34-530", predictor.endpoint_name)
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("lambda_function.py", source)
    functions = boto3.client("lambda")
    functions.create_function(
        FunctionName="dogs-serve",
        Runtime="python3.11",
        Role=lambda_role["Arn"],
        Handler="lambda_function.lambda_handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=60,
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="dogs-serve")
    began = time.monotonic()
    answer = functions.invoke(FunctionName="dogs-serve", Payload=json.dumps({"url": DOG}), LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    assert payload.get("statusCode") == 200, (payload, base64.b64decode(answer["LogResult"]).decode())
    assert json.loads(payload["body"]) == by_url, "the same picture, the same scores"
    print(f"the function answered after {time.monotonic() - began:.1f} s")
    functions.delete_function(FunctionName="dogs-serve")
finally:
    predictor.delete_model()
    predictor.delete_endpoint()
print("served", job["TrainingJobName"])
