"""Aliases: names that lead to a version, or by weight to two."""

from __future__ import annotations

import pytest
from botocore.config import Config

from tests.cloud.lambda_functions import Bench, refusal, zipped
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


@pytest.fixture(scope="module")
def name(bench: Bench) -> str:
    """A function with versions 1 and 2."""
    made = bench.create(Publish=True)
    code = zipped("def handler(event, context):\n    return 2\n")
    bench.client.update_function_code(FunctionName=made, ZipFile=code, Publish=True)
    for version in ("1", "2"):
        bench.active(made, Qualifier=version)
    return made


def test_an_alias_leads_to_its_version(bench: Bench, name: str) -> None:
    made = bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1", Description="what serves")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["AliasArn"], made["FunctionVersion"]) == (bench.arn(name, "live"), "1")
    found = bench.client.get_alias(FunctionName=name, Name="live")
    assert {**found, "ResponseMetadata": None} == {**made, "ResponseMetadata": None}
    through = bench.client.get_function_configuration(FunctionName=name, Qualifier="live")
    assert (through["FunctionArn"], through["Version"]) == (bench.arn(name, "live"), "1")
    code, message = refusal(bench.client.create_alias, FunctionName=name, Name="live", FunctionVersion="2")
    assert (code, message) == ("ResourceConflictException", f"Alias already exists: {bench.arn(name, 'live')}")
    moved = bench.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert (moved["FunctionVersion"], moved["Description"]) == ("2", "what serves")
    assert moved["RevisionId"] != made["RevisionId"]
    through = bench.client.get_function_configuration(FunctionName=name, Qualifier="live")
    assert through["Version"] == "2"
    stale = {"FunctionName": name, "Name": "live", "Description": "x", "RevisionId": made["RevisionId"]}
    assert refusal(bench.client.update_alias, **stale)[0] == "PreconditionFailedException"
    deleted = bench.client.delete_alias(FunctionName=name, Name="live")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    code, message = refusal(bench.client.get_alias, FunctionName=name, Name="live")
    assert (code, message) == ("ResourceNotFoundException", f"Cannot find alias arn: {bench.arn(name, 'live')}")
    assert refusal(bench.client.get_function, FunctionName=name, Qualifier="live")[0] == "ResourceNotFoundException"


def test_an_alias_may_divide_what_comes_between_two_versions(bench: Bench, name: str) -> None:
    weights = {"AdditionalVersionWeights": {"2": 0.25}}
    made = bench.client.create_alias(FunctionName=name, Name="canary", FunctionVersion="1", RoutingConfig=weights)
    assert made["RoutingConfig"] == weights
    kept = bench.client.update_alias(FunctionName=name, Name="canary", Description="a quarter")
    assert kept["RoutingConfig"] == weights
    ended = bench.client.update_alias(FunctionName=name, Name="canary", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in ended
    assert "RoutingConfig" not in bench.client.get_alias(FunctionName=name, Name="canary")


@pytest.mark.parametrize(
    ("version", "weights", "code", "words"),
    [
        ("1", {"2": 0.1, "3": 0.1}, "InvalidParameterValueException", "cannot be greater than 1"),
        ("1", {"1": 0.1}, "InvalidParameterValueException", "already included in routing configuration"),
        ("1", {"2": 1.5}, "ValidationException", "less than or equal to 1"),
        ("1", {"2": -0.5}, "ValidationException", "greater than or equal to 0"),
        ("1", {"live": 0.5}, "ValidationException", "[0-9]+"),
        ("1", {"99": 0.5}, "ResourceNotFoundException", "Function not found"),
        ("$LATEST", {"1": 0.5}, "InvalidParameterValueException", "$LATEST is not supported for an alias"),
        ("99", {}, "ResourceNotFoundException", "Function not found"),
        ("live", {}, "ValidationException", "'functionVersion'"),
    ],
)
def test_an_alias_leads_nowhere_else(
    bench: Bench, name: str, version: str, weights: dict[str, float], code: str, words: str
) -> None:
    client = bench.cloud.client("lambda", config=Config(parameter_validation=False))
    routing = {"AdditionalVersionWeights": weights}
    found = refusal(
        client.create_alias, FunctionName=name, Name="nowhere", FunctionVersion=version, RoutingConfig=routing
    )
    assert found[0] == code
    assert words in found[1]
    assert refusal(bench.client.get_alias, FunctionName=name, Name="nowhere")[0] == "ResourceNotFoundException"


def test_an_alias_is_no_number(bench: Bench, name: str) -> None:
    code, message = refusal(bench.client.create_alias, FunctionName=name, Name="7", FunctionVersion="1")
    assert code == "ValidationException"
    assert "'name' failed to satisfy constraint" in message


def test_aliases_are_listed_by_name_or_by_version_in_pages(bench: Bench) -> None:
    name = bench.create(Publish=True)
    for alias, version in (("c", "1"), ("a", "$LATEST"), ("b", "1")):
        bench.client.create_alias(FunctionName=name, Name=alias, FunctionVersion=version)
    pages = bench.client.get_paginator("list_aliases").paginate(FunctionName=name, PaginationConfig={"PageSize": 2})
    assert [[alias["Name"] for alias in page["Aliases"]] for page in pages] == [["a", "b"], ["c"]]
    of_one = bench.client.list_aliases(FunctionName=name, FunctionVersion="1")["Aliases"]
    assert [alias["Name"] for alias in of_one] == ["b", "c"]


def test_calls_through_an_alias_go_where_its_weights_say(bench: Bench, name: str) -> None:
    routing = {"AdditionalVersionWeights": {"2": 1.0}}
    bench.client.create_alias(FunctionName=name, Name="all-to-two", FunctionVersion="1", RoutingConfig=routing)
    through = {"FunctionName": name, "Qualifier": "all-to-two"}
    assert bench.client.invoke(**through)["ExecutedVersion"] == "2"
    bench.client.update_alias(FunctionName=name, Name="all-to-two", RoutingConfig={"AdditionalVersionWeights": {}})
    assert bench.client.invoke(**through)["ExecutedVersion"] == "1"
