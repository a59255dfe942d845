"""Layers: packages that several functions have below /opt."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import urllib.request
import zipfile
from typing import Any

import pytest

from tests.cloud.lambda_functions import ECHO, Bench, refusal, unique, zipped
from tests.cloud_process import CloudProcess

USING = "import lent\n\ndef handler(event, context):\n    return lent.VALUE\n"


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


def publish(bench: Bench, name: str, value: int = 1, **more: Any) -> dict[str, Any]:
    """A version of a layer that lends a module."""
    content = {"ZipFile": zipped({"python/lent.py": f"VALUE = {value}\n"})}
    answer: dict[str, Any] = bench.client.publish_layer_version(LayerName=name, Content=content, **more)
    return answer


def test_a_layer_is_published_read_and_downloaded(bench: Bench) -> None:
    name = unique("layer")
    made = publish(bench, name, Description="lends", CompatibleRuntimes=["python3.12"], LicenseInfo="MIT")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    arn = f"arn:aws:lambda:us-east-1:{bench.cloud.account_id}:layer:{name}"
    assert (made["LayerArn"], made["LayerVersionArn"], made["Version"]) == (arn, f"{arn}:1", 1)
    package = zipped({"python/lent.py": "VALUE = 1\n"})
    assert made["Content"]["CodeSize"] == len(package)
    assert base64.b64decode(made["Content"]["CodeSha256"]) == hashlib.sha256(package).digest()
    found = bench.client.get_layer_version(LayerName=name, VersionNumber=1)
    by_arn = bench.client.get_layer_version_by_arn(Arn=f"{arn}:1")
    members = ("LayerVersionArn", "Description", "CreatedDate", "CompatibleRuntimes", "LicenseInfo", "Version")
    for answer in (found, by_arn, bench.client.get_layer_version(LayerName=arn, VersionNumber=1)):
        assert [answer[member] for member in members] == [made[member] for member in members]
    with urllib.request.urlopen(found["Content"]["Location"]) as response:
        assert zipfile.ZipFile(io.BytesIO(response.read())).namelist() == ["python/lent.py"]


def test_versions_are_numbered_once_and_listed_newest_first(bench: Bench) -> None:
    name = unique("layer")
    publish(bench, name, 1, CompatibleRuntimes=["python3.11"])
    publish(bench, name, 2, CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["arm64"])
    deleted = bench.client.delete_layer_version(LayerName=name, VersionNumber=2)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    bench.client.delete_layer_version(LayerName=name, VersionNumber=2)
    assert publish(bench, name, 3, CompatibleRuntimes=["python3.12"])["Version"] == 3
    assert refusal(bench.client.get_layer_version, LayerName=name, VersionNumber=2) == (
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )
    listed = bench.client.list_layer_versions(LayerName=name)["LayerVersions"]
    assert [version["Version"] for version in listed] == [3, 1]
    older = bench.client.list_layer_versions(LayerName=name, CompatibleRuntime="python3.11")["LayerVersions"]
    assert [version["Version"] for version in older] == [1]
    page = bench.client.list_layer_versions(LayerName=name, MaxItems=1)
    rest = bench.client.list_layer_versions(LayerName=name, Marker=page["NextMarker"])
    assert [version["Version"] for version in rest["LayerVersions"]] == [1]
    layers = {layer["LayerName"]: layer for layer in bench.client.list_layers()["Layers"]}
    assert layers[name]["LatestMatchingVersion"]["Version"] == 3
    layers = {layer["LayerName"]: layer for layer in bench.client.list_layers(CompatibleRuntime="python3.11")["Layers"]}
    assert layers[name]["LatestMatchingVersion"]["Version"] == 1
    assert refusal(bench.client.get_layer_version, LayerName=name, VersionNumber=0) == (
        "InvalidParameterValueException",
        "Layer Version Cannot be less than 1",
    )


def test_a_function_has_its_layers_even_when_they_are_deleted(bench: Bench) -> None:
    layer = unique("layer")
    arn = publish(bench, layer, 7)["LayerVersionArn"]
    name = bench.create(USING, Layers=[arn])
    found = bench.client.get_function_configuration(FunctionName=name)
    assert found["Layers"] == [{"Arn": arn, "CodeSize": len(zipped({"python/lent.py": "VALUE = 7\n"}))}]
    bench.client.delete_layer_version(LayerName=layer, VersionNumber=1)
    answer = bench.client.invoke(FunctionName=name)
    assert json.loads(answer["Payload"].read()) == 7
    bench.client.update_function_configuration(FunctionName=name, Layers=[])
    bench.active(name)
    assert "Layers" not in bench.client.get_function_configuration(FunctionName=name)
    assert bench.client.invoke(FunctionName=name)["FunctionError"] == "Unhandled"


def test_layers_that_cannot_be_together_are_refused(bench: Bench) -> None:
    layer = unique("layer")
    first, second = (publish(bench, layer, value)["LayerVersionArn"] for value in (1, 2))
    code, message = refusal(bench.client.create_function, **bench.request(Layers=[first, second]))
    assert code == "InvalidParameterValueException"
    assert message.startswith("Two different versions of the same layer are not allowed")
    six = [publish(bench, unique("layer"))["LayerVersionArn"] for _ in range(6)]
    assert refusal(bench.client.create_function, **bench.request(Layers=six))[1] == (
        "Cannot reference more than 5 layers."
    )
    missing = f"{first.rpartition(':')[0]}:99"
    assert refusal(bench.client.create_function, **bench.request(Layers=[missing]))[1] == (
        f"Layer version {missing} does not exist."
    )
    elsewhere = first.replace("us-east-1", "eu-west-1")
    assert (
        "Layers are not in the same region"
        in (refusal(bench.client.create_function, **bench.request(Layers=[elsewhere]))[1])
    )
    strangers = first.replace(bench.cloud.account_id, "210987654321")
    assert "layers of other accounts" in refusal(bench.client.create_function, **bench.request(Layers=[strangers]))[1]


def test_code_and_layers_are_not_too_large_together(bench: Bench) -> None:
    content = {"ZipFile": zipped({"zeros": bytes(150_000_000)})}
    arn = bench.client.publish_layer_version(LayerName=unique("layer"), Content=content)["LayerVersionArn"]
    code = {"app.py": ECHO, "zeros": bytes(120_000_000)}
    found = refusal(bench.client.create_function, **bench.request(code, Layers=[arn]))
    assert found[1].startswith("Function code combined with layers exceeds the maximum allowed size of 262144000")
