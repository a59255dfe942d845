"""What an EC2 training is before it has a machine, and what its console tells: pure functions."""

from __future__ import annotations

import dataclasses

import boto3
import pytest
from botocore import validate

from sagehound.errors import SettingsError
from sagehound.pipeline.instance_console import Console
from sagehound.pipeline.instance_plan import (
    InstancePlan,
    Place,
    arguments,
    instance_policy,
    launch_request,
    run_name,
)
from sagehound.pipeline.instance_result import figures_of
from sagehound.pipeline.names import Names
from sagehound.settings import AwsSettings, PipelineSettings

NAMES = Names.of(PipelineSettings(project="dogs", bucket="dogs-bucket"), "123456789012")
PLACE = Place("us-east-1", "123456789012")
PLAN = InstancePlan(
    program="train_model.py",
    code_digest="c0de",
    code_key="dogs/code/c0de/sourcedir.tar.gz",
    hyperparameters={"epochs": 3},
    data_prefix="dogs/data/breeds/",
    data_digest="da7a",
    archive="",
    image="ami-1",
    instance_type="t2.small",
    limit_seconds=600,
)


def test_the_name_follows_from_what_is_computed_and_not_from_how_long_it_may_take() -> None:
    name = run_name(NAMES, PLAN)
    assert name.startswith("dogs-instance-")
    for same in ({"limit_seconds": 60}, {"key_name": "mine"}, {"data_prefix": "elsewhere/"}):
        assert run_name(NAMES, dataclasses.replace(PLAN, **same)) == name
    for other in (
        {"hyperparameters": {"epochs": 4}},
        {"instance_type": "m5.xlarge"},
        {"data_digest": "0"},
        {"archive": "https://example.org/dogs.zip"},
        {"code_digest": "0"},
    ):
        assert run_name(NAMES, dataclasses.replace(PLAN, **other)) != name


def test_the_longest_project_gives_a_name_that_iam_takes() -> None:
    names = Names.of(PipelineSettings(project="p" * 30, bucket="dogs-bucket"), "123456789012")
    assert len(run_name(names, PLAN)) <= 64


def test_the_request_is_what_botocore_knows_and_closes_what_can_be_closed() -> None:
    request = launch_request(
        dataclasses.replace(PLAN, key_name="mine", subnet_id="subnet-1"),
        NAMES,
        "dogs-instance-1",
        "us-east-1",
        image_id="ami-1",
        group_id="sg-1",
        token="t",
    )
    model = boto3.client("ec2", region_name="us-east-1").meta.service_model.operation_model("RunInstances")
    assert validate.ParamValidator().validate(request, model.input_shape).generate_report() == ""
    assert request["MetadataOptions"]["HttpTokens"] == "required"
    assert request["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert (request["KeyName"], request["SubnetId"]) == ("mine", "subnet-1")
    for specification in request["TagSpecifications"]:
        tags = {tag["Key"]: tag["Value"] for tag in specification["Tags"]}
        assert tags["sagehound:project"] == "dogs"
        assert tags["sagehound:instance"] == "dogs-instance-1"
    plain = launch_request(PLAN, NAMES, "r", "us-east-1", image_id="ami-1", group_id="sg-1", token="t")
    assert not {"KeyName", "SubnetId"} & set(plain)


@pytest.mark.parametrize(
    ("archive", "read", "lists"),
    [
        ("", "arn:aws:s3:::dogs-bucket/dogs/data/breeds/*", True),
        ("s3://elsewhere/a/b.zip", "arn:aws:s3:::elsewhere/a/b.zip", False),
        ("https://example.org/b.zip", None, False),
    ],
)
def test_the_role_may_read_what_it_trains_on_and_write_its_own_result(archive, read, lists) -> None:
    policy = instance_policy(dataclasses.replace(PLAN, archive=archive), NAMES, "r1", PLACE)
    by_sid = {statement["Sid"]: statement for statement in policy["Statement"]}
    code = "arn:aws:s3:::dogs-bucket/dogs/code/c0de/sourcedir.tar.gz"
    assert by_sid["ReadDataAndCode"]["Resource"] == [code, *([read] if read else [])]
    assert by_sid["WriteResult"]["Resource"] == "arn:aws:s3:::dogs-bucket/dogs/instances/r1/*"
    assert set(by_sid) == {"ReadDataAndCode", "WriteResult"} | ({"ListData"} if lists else set())
    assert by_sid["ReadDataAndCode"]["Action"] == "s3:GetObject"
    assert by_sid["WriteResult"]["Action"] == ["s3:PutObject", "s3:AbortMultipartUpload"]


@pytest.mark.parametrize(
    ("key", "resource", "alias"),
    [
        ("k1", "arn:aws:kms:us-east-1:123456789012:key/k1", None),
        ("arn:aws:kms:us-east-1:9:key/k2", "arn:aws:kms:us-east-1:9:key/k2", None),
        ("alias/mine", "arn:aws:kms:us-east-1:123456789012:key/*", "alias/mine"),
    ],
)
def test_a_bucket_with_a_key_takes_the_key_for_s3_only(key, resource, alias) -> None:
    settings = PipelineSettings(project="dogs", bucket="dogs-bucket", aws=AwsSettings(bucket_kms_key=key))
    policy = instance_policy(PLAN, Names.of(settings, "123456789012"), "r1", PLACE)
    (statement,) = [one for one in policy["Statement"] if one["Sid"] == "UseBucketKey"]
    assert statement["Resource"] == resource
    assert statement["Condition"]["StringEquals"] == {"kms:ViaService": "s3.us-east-1.amazonaws.com"}
    assert statement["Condition"].get("ForAnyValue:StringEquals") == (alias and {"kms:ResourceAliases": alias})


def test_another_partition_has_arns_of_its_own() -> None:
    policy = instance_policy(PLAN, NAMES, "r1", Place("cn-north-1", "123456789012", "aws-cn"))
    named = [
        arn
        for one in policy["Statement"]
        for arn in ([one["Resource"]], one["Resource"])[isinstance(one["Resource"], list)]
    ]
    assert {arn.split(":")[1] for arn in named} == {"aws-cn"}


def test_a_hyperparameter_that_is_the_instances_own_is_refused() -> None:
    assert arguments({"epochs": 3, "gear": "head"}) == ["--epochs", "3", "--gear", "head"]
    with pytest.raises(SettingsError, match=r"train\.hyperparameters\.model_dir"):
        arguments({"model_dir": "elsewhere"})


BOOT = "[    0.000000] Linux version 6.1\n[   12.5] cloud-init[1623]: Cloud-init v. 22.2.2 running 'modules:final'\n"


def test_lines_are_told_once_without_the_machines_own_boot() -> None:
    console = Console()
    assert console.new_lines("") == []
    assert console.new_lines(BOOT) == []
    begun = BOOT + "[   13.1] cloud-init[1623]: sagehound: begins\n[   13.2] cloud-init[1623]: fetch"
    assert console.new_lines(begun) == ["sagehound: begins"]
    grown = begun + "ing\r\n[   14.0] cloud-init[1623]: sagehound: ends with status 3\n[   15.0] reboot: Power down"
    assert console.new_lines(grown) == ["fetching", "sagehound: ends with status 3"]
    assert console.new_lines(grown, last=True) == []


def test_the_machines_own_boot_is_told_where_it_is_asked_for() -> None:
    console = Console(everything=True)
    assert console.new_lines(BOOT) == ["Linux version 6.1", "Cloud-init v. 22.2.2 running 'modules:final'"]


def test_a_window_that_moves_on_repeats_and_loses_no_line_that_it_still_shows() -> None:
    written = "sagehound: begins\n" + "".join(f"epoch {number:05}\n" for number in range(20_000))
    console, told = Console(), []
    for end in range(0, len(written) + 1, 30_011):
        told += console.new_lines(written[:end][-65_536:])
    told += console.new_lines(written[-65_536:], last=True)
    assert told == written.splitlines()


def test_lines_that_are_all_the_same_are_counted_in_a_window_that_moves_on() -> None:
    console = Console(everything=True)
    numbers = [f"{number}\n" for number in range(100)]
    assert len(console.new_lines("".join(numbers) + "tick\n" * 100)) == 200
    # The window has lost fifty numbers, and gained two ticks and an end.
    assert console.new_lines("".join(numbers[50:]) + "tick\n" * 102 + "end\n") == ["tick", "tick", "end"]


def test_more_than_a_window_between_two_looks_is_taken_up_where_it_stands() -> None:
    console = Console()
    assert console.new_lines("sagehound: begins\nepoch 1\n") == ["sagehound: begins", "epoch 1"]
    assert console.new_lines("och 700\nepoch 701\n") == ["och 700", "epoch 701"]


def test_a_last_line_without_an_end_is_told_and_colours_and_bars_are_not() -> None:
    console = Console()
    window = "sagehound: begins\n\x1b[32m 10%\r 50%\r100%\x1b[0m\nlast"
    assert console.new_lines(window, last=True) == ["sagehound: begins", "100%", "last"]


def test_the_figures_are_those_of_a_training_job() -> None:
    metrics = {"validation": {"accuracy": 0.5, "loss": 1.25}, "test": {"accuracy": 1}, "classes": 3, "history": []}
    assert figures_of(metrics) == {"validation:accuracy": 0.5, "validation:loss": 1.25, "test:accuracy": 1.0}
    assert figures_of({"test": "none"}) == {}
