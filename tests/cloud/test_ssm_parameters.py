"""Parameter Store through boto3: versions, tiers, patterns, secrets, names, and who may read what."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.people import People, allow
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def ssm(cloud: CloudProcess) -> Any:
    return cloud.client("ssm")


@pytest.fixture
def path(ssm: Any) -> Iterator[str]:
    """A path of the test alone."""
    found = f"/test-{uuid.uuid4().hex[:12]}"
    yield found
    for page in ssm.get_paginator("get_parameters_by_path").paginate(Path=found, Recursive=True):
        for parameter in page["Parameters"]:
            ssm.delete_parameter(Name=parameter["Name"])


def _put(ssm: Any, name: str, value: str = "value", kind: str = "String", **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = ssm.put_parameter(Name=name, Value=value, Type=kind, **members)
    return found


def _refused(action: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        action(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_parameter_has_its_value_its_version_and_its_arn(ssm: Any, cloud: CloudProcess, path: str) -> None:
    assert _put(ssm, f"{path}/a", "one")["Version"] == 1
    found = ssm.get_parameter(Name=f"{path}/a")["Parameter"]
    assert (found["Name"], found["Type"], found["Value"], found["Version"]) == (f"{path}/a", "String", "one", 1)
    assert found["ARN"] == f"arn:aws:ssm:us-east-1:{cloud.account_id}:parameter{path}/a"
    assert found["DataType"] == "text"
    assert ssm.get_parameter(Name=found["ARN"])["Parameter"] == found


def test_versions_are_kept_and_asked_for_by_number(ssm: Any, path: str) -> None:
    name = f"{path}/a"
    _put(ssm, name, "one")
    assert _refused(ssm.put_parameter, Name=name, Value="two", Type="String")[0] == "ParameterAlreadyExists"
    assert ssm.put_parameter(Name=name, Value="two", Overwrite=True)["Version"] == 2
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "two"
    old = ssm.get_parameter(Name=f"{name}:1")["Parameter"]
    assert (old["Value"], old["Name"], old["Selector"]) == ("one", name, ":1")
    assert _refused(ssm.get_parameter, Name=f"{name}:3") == (
        "ParameterVersionNotFound",
        f"Systems Manager could not find version 3 of {name}. Verify the version and try again.",
    )
    history = ssm.get_parameter_history(Name=name)["Parameters"]
    assert [(entry["Version"], entry["Value"]) for entry in history] == [(1, "one"), (2, "two")]


def test_a_hundred_versions_are_kept(ssm: Any, path: str) -> None:
    name = f"{path}/a"
    _put(ssm, name, "1")
    for number in range(2, 103):
        ssm.put_parameter(Name=name, Value=str(number), Overwrite=True)
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=name)
    kept = [entry["Version"] for page in pages for entry in page["Parameters"]]
    assert kept == list(range(3, 103))
    assert _refused(ssm.get_parameter, Name=f"{name}:2")[0] == "ParameterVersionNotFound"


def test_a_secure_string_is_told_decrypted_only_when_asked(own_cloud: CloudProcess) -> None:
    ssm = own_cloud.client("ssm")
    _put(ssm, "/secret", "a dog called Rex", "SecureString")
    hidden = ssm.get_parameter(Name="/secret")["Parameter"]["Value"]
    assert b"Rex" not in base64.b64decode(hidden)
    assert ssm.get_parameter(Name="/secret", WithDecryption=True)["Parameter"]["Value"] == "a dog called Rex"
    by_path = ssm.get_parameters_by_path(Path="/", WithDecryption=True)["Parameters"]
    assert [entry["Value"] for entry in by_path] == ["a dog called Rex"]
    assert ssm.describe_parameters()["Parameters"][0]["KeyId"] == "alias/aws/ssm"
    # Neither the database nor its log has the words; the key file is its owner's alone.
    for file in own_cloud.data_dir.rglob("*"):
        assert not file.is_file() or b"a dog called Rex" not in file.read_bytes(), file
    assert (own_cloud.data_dir / "ssm.key").stat().st_mode & 0o777 == 0o600
    own_cloud.restart(kill=True)
    found = own_cloud.client("ssm").get_parameter(Name="/secret", WithDecryption=True)
    assert found["Parameter"]["Value"] == "a dog called Rex"


def test_what_was_acknowledged_survives_kill_9(own_cloud: CloudProcess) -> None:
    for number in range(20):
        _put(own_cloud.client("ssm"), f"/kept/{number:02}", str(number))
    own_cloud.restart(kill=True)
    pages = own_cloud.client("ssm").get_paginator("get_parameters_by_path").paginate(Path="/kept")
    found = [(entry["Name"], entry["Value"]) for page in pages for entry in page["Parameters"]]
    assert found == [(f"/kept/{number:02}", str(number)) for number in range(20)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("/aws/service/mine", "AccessDeniedException"),
        ("awsome", "ValidationException"),
        ("/ssm/a", "ValidationException"),
        ("a/b", "ValidationException"),
        ("/a b", "ValidationException"),
        ("/a//b", "ValidationException"),
        ("/a:7", "ValidationException"),
        ("/" + "/".join("abcdefghijklmnop"), "HierarchyLevelLimitExceededException"),
        ("/" + "x" * 1000, "ValidationException"),
    ],
)
def test_names_that_no_parameter_may_have(ssm: Any, name: str, code: str) -> None:
    assert _refused(ssm.put_parameter, Name=name, Value="v", Type="String")[0] == code


def test_fifteen_levels_are_allowed(ssm: Any, path: str) -> None:
    deep = path + "".join(f"/{level}" for level in range(14))
    _put(ssm, deep, "deep")
    assert ssm.get_parameter(Name=deep)["Parameter"]["Value"] == "deep"


def test_values_that_are_refused(ssm: Any, path: str) -> None:
    put, name = ssm.put_parameter, f"{path}/a"
    assert _refused(put, Name=name, Value="", Type="String")[0] == "ValidationException"
    assert _refused(put, Name=name, Value="{{other}}", Type="String")[0] == "ValidationException"
    assert _refused(put, Name=name, Value="v") == (
        "ValidationException",
        "A parameter type is required when you create a parameter.",
    )
    assert _refused(put, Name=name, Value="v", Type="String", DataType="Text")[0] == "ValidationException"
    assert _refused(put, Name=name, Value="v", Type="SecureString", KeyId="alias/mine")[0] == "InvalidKeyId"
    tags = [{"Key": "a", "Value": "b"}]
    assert _refused(put, Name=name, Value="v", Type="String", Overwrite=True, Tags=tags)[0] == "ValidationException"
    _put(ssm, name)
    assert (
        _refused(put, Name=name, Value="v", Type="SecureString", Overwrite=True)[0] == "HierarchyTypeMismatchException"
    )


def test_tiers_have_their_sizes(ssm: Any, path: str) -> None:
    put = ssm.put_parameter
    assert _put(ssm, f"{path}/a", "x" * 4096)["Tier"] == "Standard"
    code, message = _refused(put, Name=f"{path}/b", Value="x" * 4097, Type="String")
    assert code == "ValidationException"
    assert message.startswith("Standard tier parameters support a maximum parameter value of 4096 characters.")
    assert _put(ssm, f"{path}/b", "x" * 4097, Tier="Intelligent-Tiering")["Tier"] == "Advanced"
    assert _put(ssm, f"{path}/c", "x", Tier="Intelligent-Tiering")["Tier"] == "Standard"
    assert _put(ssm, f"{path}/d", "x" * 8192, Tier="Advanced")["Tier"] == "Advanced"
    assert _refused(put, Name=f"{path}/e", Value="x" * 8193, Type="String", Tier="Advanced")[0] == "ValidationException"
    code, message = _refused(put, Name=f"{path}/d", Value="x", Overwrite=True, Tier="Standard")
    assert (code, "You can't downgrade a parameter" in message) == ("ValidationException", True)
    # A version without a tier stays in the one that it has.
    assert put(Name=f"{path}/d", Value="x", Overwrite=True)["Tier"] == "Advanced"


def test_a_pattern_is_for_whole_values_and_for_later_versions(ssm: Any, path: str) -> None:
    name = f"{path}/number"
    mismatch = (
        "ParameterPatternMismatchException",
        r"Parameter value, cannot be validated against allowedPattern: \d{1,4}",
    )
    request = {"Name": name, "Type": "String", "AllowedPattern": r"\d{1,4}"}
    assert _refused(ssm.put_parameter, Value="12345", **request) == mismatch
    ssm.put_parameter(Value="1234", **request)
    assert _refused(ssm.put_parameter, Name=name, Value="many", Overwrite=True) == mismatch
    assert ssm.put_parameter(Name=name, Value="7", Overwrite=True)["Version"] == 2
    _put(ssm, f"{path}/list", "1,22,333", "StringList", AllowedPattern=r"\d+")
    bad = {"Name": f"{path}/b", "Value": "v", "Type": "String", "AllowedPattern": "("}
    assert _refused(ssm.put_parameter, **bad)[0] == "InvalidAllowedPatternException"


def test_a_pattern_without_end_holds_nobody_up(ssm: Any, path: str) -> None:
    request = {"Name": f"{path}/slow", "Value": "a" * 60 + "b", "Type": "String", "AllowedPattern": "(a+)+"}
    assert _refused(ssm.put_parameter, **request)[0] == "InvalidAllowedPatternException"


def test_several_parameters_at_once(ssm: Any, path: str) -> None:
    for name in "ab":
        _put(ssm, f"{path}/{name}", name)
    found = ssm.get_parameters(Names=[f"{path}/a", f"{path}/gone", f"{path}/b:1", f"{path}/b:9"])
    assert [entry["Value"] for entry in found["Parameters"]] == ["a", "b"]
    assert found["InvalidParameters"] == [f"{path}/gone", f"{path}/b:9"]
    removed = ssm.delete_parameters(Names=[f"{path}/a", f"{path}/gone"])
    assert (removed["DeletedParameters"], removed["InvalidParameters"]) == ([f"{path}/a"], [f"{path}/gone"])
    for name in (f"{path}/b:1", ssm.get_parameter(Name=f"{path}/b")["Parameter"]["ARN"]):
        assert _refused(ssm.delete_parameter, Name=name)[0] == "ParameterNotFound"
    assert ssm.get_parameter(Name=f"{path}/b")["Parameter"]["Value"] == "b"
    assert _refused(ssm.get_parameter, Name=f"{path}/a")[0] == "ParameterNotFound"
    assert _refused(ssm.delete_parameter, Name=f"{path}/a")[0] == "ParameterNotFound"
    assert _refused(ssm.get_parameter_history, Name=f"{path}/a")[0] == "ParameterNotFound"
    assert _put(ssm, f"{path}/a", "anew")["Version"] == 1


def test_a_path_has_what_is_directly_below_it_or_all(ssm: Any, path: str) -> None:
    for name in ("a", "b/c", "b/d/e"):
        _put(ssm, f"{path}/{name}")

    def names(**request: Any) -> list[str]:
        return [entry["Name"].removeprefix(path) for entry in ssm.get_parameters_by_path(**request)["Parameters"]]

    assert names(Path=path) == ["/a"]
    assert names(Path=f"{path}/", Recursive=True) == ["/a", "/b/c", "/b/d/e"]
    assert names(Path=f"{path}/b", Recursive=True) == ["/b/c", "/b/d/e"]
    first = ssm.get_parameters_by_path(Path=path, Recursive=True, MaxResults=2)
    assert len(first["Parameters"]) == 2
    assert names(Path=path, Recursive=True, MaxResults=2, NextToken=first["NextToken"]) == ["/b/d/e"]
    request = {"Path": path, "NextToken": first["NextToken"]}
    assert _refused(ssm.get_parameters_by_path, **request)[0] == "InvalidNextToken"
    assert _refused(ssm.get_parameters_by_path, Path="no/slash")[0] == "ValidationException"
    secret = [{"Key": "Type", "Values": ["SecureString"]}]
    assert names(Path=path, Recursive=True, ParameterFilters=secret) == []


def test_descriptions_are_filtered_and_have_no_values(ssm: Any, cloud: CloudProcess, path: str) -> None:
    _put(ssm, f"{path}/a", "v", Description="first", Tags=[{"Key": "run", "Value": path}])
    _put(ssm, f"{path}/b", "v", "StringList", Tier="Advanced")

    def names(*filters: dict[str, Any]) -> list[str]:
        mine = {"Key": "Path", "Option": "Recursive", "Values": [path]}
        found = ssm.describe_parameters(ParameterFilters=[mine, *filters])["Parameters"]
        assert all("Value" not in entry and entry["LastModifiedUser"].endswith(":root") for entry in found)
        return [entry["Name"].rpartition("/")[2] for entry in found]

    assert names() == ["a", "b"]
    assert names({"Key": "Type", "Values": ["StringList"]}) == ["b"]
    assert names({"Key": "Tier", "Values": ["Standard"]}) == ["a"]
    assert names({"Key": "tag:run", "Values": [path]}) == ["a"]
    assert names({"Key": "Name", "Option": "BeginsWith", "Values": [f"{path}/b"]}) == ["b"]
    for bad, code in (
        ({"Key": "Label", "Values": ["x"]}, "InvalidFilterKey"),
        ({"Key": "Name", "Option": "Like", "Values": ["x"]}, "InvalidFilterOption"),
        ({"Key": "Name"}, "InvalidFilterValue"),
    ):
        assert _refused(ssm.describe_parameters, ParameterFilters=[bad])[0] == code


def test_tags_of_a_parameter(ssm: Any, path: str) -> None:
    name = f"{path}/a"
    _put(ssm, name, Tags=[{"Key": "run", "Value": "1"}])
    of_it = {"ResourceType": "Parameter", "ResourceId": name}
    ssm.add_tags_to_resource(**of_it, Tags=[{"Key": "run", "Value": "2"}, {"Key": "team", "Value": "dogs"}])
    ssm.put_parameter(Name=name, Value="another", Overwrite=True)
    assert ssm.list_tags_for_resource(**of_it)["TagList"] == [
        {"Key": "run", "Value": "2"},
        {"Key": "team", "Value": "dogs"},
    ]
    ssm.remove_tags_from_resource(**of_it, TagKeys=["run", "none"])
    assert [tag["Key"] for tag in ssm.list_tags_for_resource(**of_it)["TagList"]] == ["team"]
    gone = {"ResourceType": "Parameter", "ResourceId": f"{path}/gone"}
    assert _refused(ssm.list_tags_for_resource, **gone)[0] == "InvalidResourceId"
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert _refused(ssm.add_tags_to_resource, **of_it, Tags=many)[0] == "TooManyTagsError"


@pytest.mark.parametrize(
    "path",
    [
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.6-ubuntu-22.04/latest/ami-id",
        "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
        "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    ],
)
def test_public_parameters_name_images_of_ec2(cloud: CloudProcess, ssm: Any, path: str) -> None:
    found = ssm.get_parameter(Name=path)["Parameter"]
    assert found["ARN"] == f"arn:aws:ssm:us-east-1::parameter{path}"
    assert found["DataType"] == "aws:ec2:image"
    images = cloud.client("ec2").describe_images(ImageIds=[found["Value"]])["Images"]
    assert [image["ImageId"] for image in images] == [found["Value"]]
    folder = path.rpartition("/")[0]
    below = ssm.get_parameters_by_path(Path=folder, Recursive=True)["Parameters"]
    assert found["Value"] in [entry["Value"] for entry in below]
    assert _refused(ssm.get_parameter, Name=f"{path}-none")[0] == "ParameterNotFound"


def test_policies_decide_by_path_and_by_tag(cloud: CloudProcess, ssm: Any, people: People, path: str) -> None:
    _put(ssm, f"{path}/open/a", "yes", Tags=[{"Key": "team", "Value": "dogs"}])
    _put(ssm, f"{path}/shut/a", "no")
    arn = f"arn:aws:ssm:*:{cloud.account_id}:parameter{path}/open"
    mine = people.user(allow("ssm:Get*", [arn, f"{arn}/*"])).client("ssm")
    assert mine.get_parameter(Name=f"{path}/open/a")["Parameter"]["Value"] == "yes"
    assert len(mine.get_parameters_by_path(Path=f"{path}/open")["Parameters"]) == 1
    for name in (
        f"{path}/shut/a",
        f"{path}/shut/a:1",
        f"arn:aws:ssm:us-east-1:{cloud.account_id}:parameter{path}/shut/a",
    ):
        assert _refused(mine.get_parameter, Name=name)[0] == "AccessDeniedException"
    both = [f"{path}/open/a", f"{path}/shut/a"]
    assert _refused(mine.get_parameters, Names=both)[0] == "AccessDeniedException"
    by_tag = allow("ssm:GetParameter", Condition={"StringEquals": {"aws:ResourceTag/team": "dogs"}})
    tagged = people.user(by_tag).client("ssm")
    assert tagged.get_parameter(Name=f"{path}/open/a")["Parameter"]["Value"] == "yes"
    assert _refused(tagged.get_parameter, Name=f"{path}/shut/a")[0] == "AccessDeniedException"


def test_arns_are_of_this_region_and_account(ssm: Any, cloud: CloudProcess) -> None:
    name = f"flat-{uuid.uuid4().hex[:8]}"
    _put(ssm, f"/{name}", "slash")
    try:
        arn = f"arn:aws:ssm:us-east-1:{cloud.account_id}:parameter/{name}"
        assert ssm.get_parameter(Name=arn)["Parameter"]["Name"] == f"/{name}"
        assert ssm.get_parameter(Name=f"{arn}:1")["Parameter"]["Selector"] == ":1"
        for other in (arn.replace("us-east-1", "us-west-2"), arn.replace(cloud.account_id, "210987654321")):
            assert _refused(ssm.get_parameter, Name=other)[0] == "ParameterNotFound"
        assert _refused(ssm.get_parameter, Name="arn:aws:s3:::bucket")[0] == "ValidationException"
        assert _refused(ssm.put_parameter, Name=arn, Value="v", Type="String")[0] == "ValidationException"
        # `name` would have the same ARN, so policies could not tell the two apart.
        assert _refused(ssm.put_parameter, Name=name, Value="v", Type="String")[0] == "ParameterAlreadyExists"
    finally:
        ssm.delete_parameter(Name=f"/{name}")


def test_a_secret_without_its_key_is_said_to_be_lost(own_cloud: CloudProcess) -> None:
    _put(own_cloud.client("ssm"), "/secret", "Rex", "SecureString")
    own_cloud.stop()
    (own_cloud.data_dir / "ssm.key").unlink()
    own_cloud.start()
    ssm = own_cloud.client("ssm")
    code, message = _refused(ssm.get_parameter, Name="/secret", WithDecryption=True)
    assert code == "InternalServerError"
    assert "ssm.key is not the key" in message
    assert ssm.get_parameter(Name="/secret")["Parameter"]["Type"] == "SecureString"


def test_conditions_on_tags_where_there_is_no_resource(people: People) -> None:
    tagged = allow("ssm:*", Condition={"StringEquals": {"aws:ResourceTag/team": "dogs"}})
    for operation in ("describe_parameters", "list_commands", "describe_instance_information"):
        assert _refused(getattr(people.user(tagged).client("ssm"), operation))[0] == "AccessDeniedException"


def test_overwriting_can_be_denied(people: People, ssm: Any, path: str) -> None:
    once = allow("ssm:PutParameter", Condition={"Bool": {"ssm:Overwrite": "false"}})
    writer = people.user(once).client("ssm")
    _put(writer, f"{path}/a", "1")
    request = {"Name": f"{path}/a", "Value": "2", "Type": "String", "Overwrite": True}
    assert _refused(writer.put_parameter, **request)[0] == "AccessDeniedException"
    tags = [{"Key": "a", "Value": "b"}]
    assert _refused(writer.put_parameter, Name=f"{path}/b", Value="1", Type="String", Tags=tags)[0] == (
        "AccessDeniedException"
    )
