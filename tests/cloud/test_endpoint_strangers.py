"""Endpoints around the models and handlers of strangers, in images of old and new versions of PyTorch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import sagehound.localcloud.container
from tests.cloud.hosting import Hosting
from tests.cloud_process import CloudProcess
from tests.container.packages import wheel

OLD = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:1.4.0-cpu-py3"
NEW = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"

SHIM = Path(sagehound.localcloud.container.__file__).with_name("torchvision_shim.py")
"""What lets this Python import torchvision, as the endpoint's own does by itself."""

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1, bias=False)
        nn.init.ones_(self.layer.weight)
    def forward(self, data):
        return self.layer(data)
"""
WHOLE = """
import os, torch
def model_fn(model_dir):
    return torch.load(os.path.join(model_dir, "model.pth"))
"""
USUAL = """
import io, json, logging, os, sys
import requests
import torch
import torch.nn as nn
import torchvision.models as models
import torchvision.transforms as transforms
from PIL import Image

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.StreamHandler(sys.stdout))
JSON_CONTENT_TYPE = "application/json"
JPEG_CONTENT_TYPE = "image/jpeg"


def net():
    model = models.shufflenet_v2_x0_5(pretrained=False)
    for param in model.parameters():
        param.requires_grad = False
    model.fc = nn.Sequential(nn.Linear(model.fc.in_features, 133))
    return model


def model_fn(model_dir):
    model = net()
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        model.load_state_dict(torch.load(f, map_location=torch.device("cpu")))
    model.eval()
    return model


def input_fn(request_body, content_type=JPEG_CONTENT_TYPE):
    logger.debug(f"Request body CONTENT-TYPE is: {content_type}")
    if content_type == JPEG_CONTENT_TYPE:
        return Image.open(io.BytesIO(request_body))
    if content_type == JSON_CONTENT_TYPE:
        request = json.loads(request_body)
        img_content = requests.get(request["url"]).content
        return Image.open(io.BytesIO(img_content))
    raise Exception("Requested unsupported ContentType in content_type: {}".format(content_type))


def predict_fn(input_object, model):
    test_transform = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()])
    input_object = test_transform(input_object)
    with torch.no_grad():
        return model(input_object.unsqueeze(0))
"""


@pytest.fixture
def hosting(cloud: CloudProcess) -> Hosting:
    return Hosting(cloud)


def _run(script: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)


def _endpoint(hosting: Hosting, name: str, image: str, code: str, **files: bytes) -> dict[str, Any]:
    """The description of an endpoint, in service or failed."""
    container = {
        "Image": image,
        "ModelDataUrl": hosting.upload(name, code, **files),
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
    }
    hosting.sagemaker.create_model(
        ModelName=hosting.name(name), ExecutionRoleArn=hosting.role_arn, PrimaryContainer=container
    )
    endpoint = hosting.create(name, hosting.config(name, hosting.variant(hosting.name(name))))
    return hosting.settled(endpoint)


def _log(hosting: Hosting, endpoint: str) -> list[str]:
    events = hosting.cloud.client("logs").filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
    return [event["message"] for event in events["events"]]


def test_whole_models_load_as_in_the_image_that_was_asked_for(hosting: Hosting, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    _run(
        "import sys; sys.path.insert(0, sys.argv[1]); import net, torch; torch.save(net.Net(), sys.argv[1] + '/m')",
        str(tmp_path),
    )
    files = {"model.pth": (tmp_path / "m").read_bytes(), "code/net.py": NET.encode()}
    old = _endpoint(hosting, "old", OLD, WHOLE, **files)
    assert old["EndpointStatus"] == "InService", old
    answer = hosting.invoke(old["EndpointName"], "[[1, 2]]", ContentType="application/json")
    assert json.loads(answer) == [[3.0]]
    assert any("1.4.0" in line and "weights_only" in line for line in _log(hosting, old["EndpointName"]))

    new = _endpoint(hosting, "new", NEW, WHOLE, **files)
    assert new["EndpointStatus"] == "Failed"
    assert any("Weights only load failed" in line for line in _log(hosting, new["EndpointName"]))


def test_the_usual_handler_takes_pictures_and_addresses_of_pictures(hosting: Hosting, tmp_path: Path) -> None:
    from PIL import Image

    _run(
        "import runpy, sys\n"
        "runpy.run_path(sys.argv[2])\n"
        "import torch, torchvision.models as models\n"
        "model = models.shufflenet_v2_x0_5()\n"
        "model.fc = torch.nn.Sequential(torch.nn.Linear(model.fc.in_features, 133))\n"
        "torch.save(model.state_dict(), sys.argv[1])",
        *(str(tmp_path / "m"), str(SHIM)),
    )
    described = _endpoint(hosting, "dogs", OLD, USUAL, **{"model.pth": (tmp_path / "m").read_bytes()})
    assert described["EndpointStatus"] == "InService", described
    endpoint = described["EndpointName"]

    picture = io.BytesIO()
    Image.effect_noise((80, 60), 90).convert("RGB").save(picture, "JPEG")
    ((*scores,),) = json.loads(hosting.invoke(endpoint, picture.getvalue(), ContentType="image/jpeg"))
    assert len(scores) == 133

    hosting.s3.put_object(Bucket=hosting.bucket, Key="dog.jpg", Body=picture.getvalue())
    aws = hosting.cloud.client("s3", endpoint_url="https://s3.us-east-1.amazonaws.com")
    url = aws.generate_presigned_url("get_object", Params={"Bucket": hosting.bucket, "Key": "dog.jpg"})
    assert url.startswith("https://s3.us-east-1.amazonaws.com/")
    asked = json.dumps({"url": url})
    ((*again,),) = json.loads(hosting.invoke(endpoint, asked, ContentType="application/json"))
    assert again == pytest.approx(scores)

    with pytest.raises(ClientError) as refused:
        hosting.invoke(endpoint, b"GIF", ContentType="image/gif")
    error = refused.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelError", 424)
    assert error["OriginalStatusCode"] == 500
    assert "Requested unsupported ContentType in content_type: image/gif" in error["OriginalMessage"]
    assert "Traceback (most recent call last)" in error["OriginalMessage"]
    # Grey pictures are the usual handler's own mistake, and are told as such.
    grey = io.BytesIO()
    Image.effect_noise((80, 60), 90).save(grey, "JPEG")
    with pytest.raises(ClientError, match="expected input"):
        hosting.invoke(endpoint, grey.getvalue(), ContentType="image/jpeg")


def test_what_a_script_installs_at_its_import_lies_in_the_instance(hosting: Hosting, tmp_path: Path) -> None:
    package = wheel(tmp_path, "sagehound_inside")
    code = f"""
import os, subprocess, sys
subprocess.check_call([sys.executable, "-m", "pip", "install", "--no-index", {str(package)!r}])
import sagehound_inside
def model_fn(model_dir): return sagehound_inside
def transform_fn(model, data, content_type, accept): return {{"value": model.VALUE, "file": model.__file__}}
"""
    endpoint = hosting.endpoint("e", code, InitialInstanceCount=2)
    answers = {hosting.invoke(endpoint) for _ in range(4)}
    files = [Path(json.loads(answer)["file"]) for answer in answers]
    assert len(files) == 2
    assert all(file.is_relative_to(hosting.cloud.data_dir / "sagemaker" / "endpoints") for file in files)
    outside = "import importlib.util, sys; sys.exit(importlib.util.find_spec('sagehound_inside') is not None)"
    _run(outside)
    hosting.delete(endpoint)
    assert not any(file.exists() for file in files)


def test_the_weights_cache_is_where_torch_looks_and_safe_from_scripts(hosting: Hosting) -> None:
    weights = hosting.cloud.data_dir / "weights" / "hub" / "checkpoints" / f"{hosting.prefix}.pth"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"weights")
    code = f"""
import os
path = os.path.join(os.environ["TORCH_HOME"], "hub", "checkpoints", "{hosting.prefix}.pth")
content = open(path).read()
os.chmod(path, 0o600)
open(path, "w").write("spoilt")
def model_fn(model_dir): return content
def transform_fn(model, data, content_type, accept): return [model, open(path).read()]
"""
    endpoint = hosting.endpoint("e", code)
    assert json.loads(hosting.invoke(endpoint)) == ["weights", "spoilt"]
    assert weights.read_bytes() == b"weights"
    hosting.delete(endpoint)
    weights.unlink()


def test_clients_in_the_container_find_the_cloud_where_they_look_for_aws(hosting: Hosting) -> None:
    code = """
import boto3, os
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    aws = boto3.client("sts", endpoint_url="https://sts.us-east-1.amazonaws.com")
    return {"who": aws.get_caller_identity()["Arn"], "given": os.environ["AWS_ENDPOINT_URL"]}
"""
    endpoint = hosting.endpoint("e", code)
    answer = json.loads(hosting.invoke(endpoint))
    assert answer["given"] == hosting.cloud.endpoint_url
    assert answer["who"] == f"arn:aws:sts::{hosting.cloud.account_id}:assumed-role/{hosting.prefix}/SageMaker"


def test_what_an_endpoint_accepts_without_effect_is_said_in_its_log(hosting: Hosting) -> None:
    model = hosting.model("e", "def model_fn(d): return 1\ndef transform_fn(m, d, c, a): return 'x'\n")
    limits = {"ModelDataDownloadTimeoutInSeconds": 600, "ContainerStartupHealthCheckTimeoutInSeconds": 600}
    variant = hosting.variant(model, VolumeSizeInGB=30, **limits)
    endpoint = hosting.create("e", hosting.config("e", variant))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    assert any("VolumeSizeInGB is kept and has no effect" in line for line in _log(hosting, endpoint))
    (described,) = hosting.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint)["ProductionVariants"]
    assert {member: described[member] for member in limits} == limits
