"""The function's zip, a handler of one's own, and what is read in its text."""

from __future__ import annotations

import dataclasses
import io
import os
import zipfile
from pathlib import Path

import pytest

from sagehound.errors import SettingsError, StepFailed
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import allowed_url_hosts
from sagehound.pipeline.function_code import find_function_code, zip_of
from sagehound.pipeline.names import Names
from sagehound.pipeline.place import LOCAL_CLOUD, aws_in
from sagehound.settings import DeploySettings, FunctionSettings, PipelineSettings

# In the style of the projects that this is for, as users bring it.
WRITE_UP = """
import json
import logging
import sys
import base64
import boto3

logger = logging.getLogger(__name__)
runtime = boto3.Session().client("sagemaker-runtime")
endpoint_Name = "pytorch-inference-2024-08-29-16-19-34-530"


def lambda_handler(event, context):
    print("Context:::", context)
    print("EventType::", type(event))
    bs = event
    response = runtime.invoke_endpoint(
        EndpointName=endpoint_Name, ContentType="application/json", Accept="application/json", Body=json.dumps(bs)
    )
    result = response["Body"].read().decode("utf-8")
    sss = json.loads(result)
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"},
        "type-result": str(type(result)),
        "COntent-Type-In": str(context),
        "body": json.dumps(sss),
    }
"""
OURS = FunctionSettings()


def own(path: Path, **more: str) -> FunctionSettings:
    return dataclasses.replace(OURS, source_dir=str(path), **more)


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_packaged_handler_is_one_file_and_the_same_bytes_every_time() -> None:
    first, second = find_function_code(OURS), find_function_code(OURS)
    assert first == second
    assert first.handler == "handler.lambda_handler"
    assert list(members(first.content)) == ["handler.py"]
    assert first.ours
    assert len(first.sha256) == 44


def test_a_zip_depends_on_names_and_content_only(tmp_path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text("def handler(event, context):\n    return 1\n")
    first = find_function_code(own(tmp_path / "code"))
    os.utime(tmp_path / "code" / "app.py", (1, 1))
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "app.cpython-311.pyc").write_bytes(b"x")
    second = find_function_code(own(tmp_path / "code"))
    assert (first.content, first.handler) == (second.content, "app.handler")
    (tmp_path / "code" / "app.py").write_text("def handler(event, context):\n    return 2\n")
    assert find_function_code(own(tmp_path / "code")).sha256 != first.sha256
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        (info,) = archive.infolist()
    assert (info.external_attr >> 16) & 0o444 == 0o444  # Lambda's own user reads it


def test_the_write_up_s_handler_is_taken_as_it_is_and_read(tmp_path) -> None:
    path = tmp_path / "lambdafunction.py"
    path.write_text(WRITE_UP)
    code = find_function_code(own(path))
    assert code.handler == "lambdafunction.lambda_handler"
    assert members(code.content) == {"lambdafunction.py": WRITE_UP.encode()}
    assert code.handled.endpoints == ("pytorch-inference-2024-08-29-16-19-34-530",)
    literal, context = code.handled.remarks
    assert (literal.line, WRITE_UP.splitlines()[literal.line - 1][:13]) == (10, "endpoint_Name")
    assert "is written into the code" in literal.text
    assert "str(context)" in context.text
    assert WRITE_UP.splitlines()[context.line - 1].strip().startswith('"COntent-Type-In"')
    packed = tmp_path / "deployment.zip"
    packed.write_bytes(zip_of({"lambdafunction.py": WRITE_UP.encode(), "notes.txt": b"x"}))
    zipped = find_function_code(own(packed))
    assert zipped.content == packed.read_bytes()
    assert (zipped.handler, zipped.handled.endpoints) == (code.handler, code.handled.endpoints)


@pytest.mark.parametrize(
    ("value", "variable"),
    [
        ('os.environ["ENDPOINT"]', "ENDPOINT"),
        ('os.environ.get("NAME", "x")', "NAME"),
        ('os.getenv("EP")', "EP"),
        ('event["endpoint"]', ""),
    ],
)
def test_a_variable_that_gives_the_endpoint_is_found(tmp_path, value, variable) -> None:
    path = tmp_path / "app.py"
    path.write_text(
        "import os, boto3\nNAME = " + ("None" if "event" in value else value) + "\n"
        "def go(event, context):\n    client = boto3.client('sagemaker-runtime')\n"
        f"    return client.invoke_endpoint(EndpointName={value if 'event' in value else 'NAME'}, Body=b'')\n"
    )
    handled = find_function_code(own(path)).handled
    assert handled.variables == ((variable,) if variable else ())
    assert handled.endpoints == ()
    assert [remark.line for remark in handled.remarks] == [4]
    assert "every call pays for it" in handled.remarks[0].text


@pytest.mark.parametrize(
    ("files", "handler", "words"),
    [
        ({"a.py": b"x = 1\n"}, "", "no function at the top of it could be"),
        ({"a.py": b"def f(event, context): pass\ndef g(event, context): pass\n"}, "", "several functions could be"),
        ({"a.py": b"def f(event, context): pass\n"}, "b.f", "there is no b.py"),
        ({"a.py": b"def f(event, context): pass\n"}, "f", "names no module"),
        ({"deep/a.py": b"def handler(event, context): pass\n"}, "", "no function at the top of it could be"),
    ],
)
def test_a_handler_that_cannot_be_found_is_said(tmp_path, files, handler, words) -> None:
    path = tmp_path / "code.zip"
    path.write_bytes(zip_of(files))
    with pytest.raises(StepFailed) as failed:
        find_function_code(own(path, handler=handler))
    assert words in failed.value.cause
    assert "MODULE.FUNCTION" in failed.value.hint


def test_the_usual_name_goes_before_others_and_packages_have_a_path(tmp_path) -> None:
    path = tmp_path / "code.zip"
    two = b"def helper(a, b): pass\ndef lambda_handler(event, context): pass\n"
    path.write_bytes(zip_of({"main.py": two, "deep/app.py": b"def go(event, context): pass\n"}))
    assert find_function_code(own(path)).handler == "main.lambda_handler"
    assert find_function_code(own(path, handler="deep.app.go")).handler == "deep.app.go"


def test_another_language_is_taken_with_the_handler_that_is_named(tmp_path) -> None:
    path = tmp_path / "code.zip"
    path.write_bytes(zip_of({"index.mjs": b"export const handler = async () => 1"}))
    code = find_function_code(own(path, handler="index.handler", runtime="nodejs22.x"))
    assert (code.handler, code.content) == ("index.handler", path.read_bytes())


@pytest.mark.parametrize("name", ["missing.zip", "text.zip", "empty"])
def test_what_is_no_code_is_refused(tmp_path, name) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StepFailed) as failed:
        find_function_code(own(tmp_path / name))
    assert name in failed.value.cause


def test_names_of_function_and_role_come_from_the_project_or_are_checked() -> None:
    names = Names.of(PipelineSettings(project="dogs"), "123456789012")
    assert (names.function, names.function_role, names.function_policy) == ("dogs-function",) * 3
    for function in (FunctionSettings(name="no name"), FunctionSettings(role_name="sagehound-training")):
        with pytest.raises(SettingsError) as refused:
            Names.of(PipelineSettings(function=function), "123456789012")
        assert "function." in refused.value.cause


def test_the_local_cloud_s_own_address_may_be_fetched_from_there_and_nothing_else_unasked() -> None:
    local = Clients(None, "us-east-1", endpoint_url="http://127.0.0.1:4566", place=LOCAL_CLOUD)
    aws = Clients(None, "us-east-1", endpoint_url=None, place=aws_in("us-east-1"))
    some = DeploySettings(allowed_url_hosts="pictures.internal, 10.0.0.1:80,")
    assert allowed_url_hosts(local, DeploySettings()) == "127.0.0.1:4566"
    assert allowed_url_hosts(local, some) == "pictures.internal,10.0.0.1:80,127.0.0.1:4566"
    assert allowed_url_hosts(aws, DeploySettings()) == ""
    assert allowed_url_hosts(aws, some) == "pictures.internal,10.0.0.1:80"
