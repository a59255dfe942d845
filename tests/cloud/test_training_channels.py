"""Input channels of training jobs: every kind of source, distribution and mode, and what cannot be brought."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

TREE = (
    "import json, os\n"
    "found = {}\n"
    "for folder, _, names in os.walk('/opt/ml/input/data'):\n"
    "    for name in names:\n"
    "        path = os.path.join(folder, name)\n"
    "        found[os.path.relpath(path, '/opt/ml/input/data')] = open(path).read()\n"
    "print('RESULT', json.dumps(found))\n"
)


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    shop = Workshop(cloud)
    for name in ("cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "dogs/2.jpg", "dogs/3.jpg"):
        shop.put(f"data/{name}", f"<{name}>")
    shop.put("data/dogs/", b"")
    shop.put("database.txt", "not below data/")
    return shop


def tree(shop: Workshop, *channels: dict[str, Any], count: int = 1, host: str = "algo-1") -> dict[str, str]:
    job = shop.run(TREE, InputDataConfig=list(channels), count=count)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    found: dict[str, str] = shop.printed(job["TrainingJobName"], host)
    return found


ALL = {f"train/{name}": f"<{name}>" for name in ("cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "dogs/2.jpg", "dogs/3.jpg")}


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_all_objects_below_a_prefix(shop: Workshop, mode: str) -> None:
    assert tree(shop, shop.channel("train", "data/", InputMode=mode)) == ALL


def test_a_prefix_is_a_prefix_of_keys(shop: Workshop) -> None:
    found = tree(shop, shop.channel("train", "data/dogs"), shop.channel("both", "data"))
    assert {name for name in found if name.startswith("train/")} == {"train/1.jpg", "train/2.jpg", "train/3.jpg"}
    assert found["both/cats/1.jpg"] == "<cats/1.jpg>"
    assert found["both/database.txt"] == "not below data/"


def test_one_object(shop: Workshop) -> None:
    assert tree(shop, shop.channel("train", "data/cats/1.jpg")) == {"train/1.jpg": "<cats/1.jpg>"}


def test_a_manifest_names_its_objects(shop: Workshop) -> None:
    shop.put("lists/some.manifest", json.dumps([{"prefix": f"s3://{shop.bucket}/data/"}, "cats/2.jpg", "dogs/1.jpg"]))
    found = tree(shop, shop.channel("train", "lists/some.manifest", S3DataType="ManifestFile"))
    assert found == {"train/cats/2.jpg": "<cats/2.jpg>", "train/dogs/1.jpg": "<dogs/1.jpg>"}


def test_sharding_deals_the_objects_out(shop: Workshop) -> None:
    sharded = shop.channel("train", "data/", S3DataDistributionType="ShardedByS3Key")
    whole = shop.channel("all", "data/")
    job = shop.run(TREE, InputDataConfig=[sharded, whole], count=2)
    hosts = [shop.printed(job["TrainingJobName"], host) for host in ("algo-1", "algo-2")]
    shards = [{name for name in host if name.startswith("train/")} for host in hosts]
    assert shards[0] | shards[1] == ALL.keys()
    assert not shards[0] & shards[1]
    assert {len(shard) for shard in shards} == {2, 3}
    assert all(len([name for name in host if name.startswith("all/")]) == 5 for host in hosts)


def test_inputs_are_links_not_copies(shop: Workshop) -> None:
    script = "import json, os; print('RESULT', json.dumps(os.stat('/opt/ml/input/data/train/1.jpg').st_nlink))"
    job = shop.run(script, InputDataConfig=[shop.channel("train", "data/cats/1.jpg")])
    assert shop.printed(job["TrainingJobName"]) >= 2


def test_a_manifest_with_a_missing_object_fails_the_job(shop: Workshop) -> None:
    shop.put("lists/broken.manifest", json.dumps([{"prefix": f"s3://{shop.bucket}/data/"}, "cats/9.jpg"]))
    channel = shop.channel("train", "lists/broken.manifest", S3DataType="ManifestFile")
    job = shop.run(TREE, InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        f"ClientError: Data download failed:Unable to download object s3://{shop.bucket}/data/cats/9.jpg"
    )
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == ["Starting", "Downloading", "Failed"]


def test_a_manifest_that_is_none_fails_the_job(shop: Workshop) -> None:
    shop.put("lists/none.manifest", "cats/1.jpg")
    job = shop.run(TREE, InputDataConfig=[shop.channel("train", "lists/none.manifest", S3DataType="ManifestFile")])
    assert "must be a JSON array whose first element is" in job["FailureReason"]


def test_keys_that_cannot_be_files_together_fail_the_job(shop: Workshop) -> None:
    shop.put("clash/a", "a file")
    shop.put("clash/a/b", "below it")
    job = shop.run(TREE, InputDataConfig=[shop.channel("train", "clash/")])
    assert job["TrainingJobStatus"] == "Failed"
    assert "ClientError: Data download failed:" in job["FailureReason"]


def test_a_key_cannot_leave_its_channel(shop: Workshop) -> None:
    shop.put("evil/../../../escape", "outside")
    job = shop.run(TREE, InputDataConfig=[shop.channel("train", "evil/")])
    assert job["TrainingJobStatus"] == "Failed"
    assert "cannot be the name of a file" in job["FailureReason"]


@pytest.mark.parametrize("prefix", ["nothing/here", "dat/"])
def test_a_prefix_without_objects_is_refused(shop: Workshop, prefix: str) -> None:
    request = shop.request(TREE, InputDataConfig=[shop.channel("train", prefix)])
    with pytest.raises(ClientError) as refused:
        shop.sagemaker.create_training_job(**request)
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": f'No S3 objects found under S3 URL "s3://{shop.bucket}/{prefix}" given in input data source. Please '
        "ensure that the bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, "
        f'and that the role "{shop.role_arn}" has "s3:ListBucket" permissions on bucket "{shop.bucket}".',
    }


def test_a_bucket_that_does_not_exist_is_refused(shop: Workshop) -> None:
    channel = shop.channel("train", "", S3Uri="s3://no-such-bucket-anywhere/data/")
    with pytest.raises(ClientError, match=r'ValidationException.*"s3://no-such-bucket-anywhere/data/"'):
        shop.sagemaker.create_training_job(**shop.request(TREE, InputDataConfig=[channel]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"InputMode": "Pipe"}, "input mode Pipe"),
        ({"S3DataType": "AugmentedManifestFile", "AttributeNames": ["a"]}, "only be used if the input mode"),
    ],
)
def test_what_is_not_there_is_refused_by_name(shop: Workshop, changes: dict[str, Any], message: str) -> None:
    request = shop.request(TREE, InputDataConfig=[shop.channel("train", "data/", **changes)])
    with pytest.raises(ClientError, match=message):
        shop.sagemaker.create_training_job(**request)


def test_a_channel_may_be_for_one_instance_group_only(shop: Workshop) -> None:
    request = shop.request(TREE)
    request["ResourceConfig"] = {
        "VolumeSizeInGB": 1,
        "InstanceGroups": [
            {"InstanceGroupName": "cpu", "InstanceType": "ml.m5.large", "InstanceCount": 1},
            {"InstanceGroupName": "more", "InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
        ],
    }
    request["InputDataConfig"] = [shop.channel("train", "data/cats/", InstanceGroupNames=["more"])]
    shop.sagemaker.create_training_job(**request)
    name = request["TrainingJobName"]
    assert shop.ended(name)["TrainingJobStatus"] == "Completed"
    assert shop.printed(name, "algo-1") == {}
    assert shop.printed(name, "algo-2").keys() == {"train/1.jpg", "train/2.jpg"}
    request["InputDataConfig"] = [shop.channel("train", "data/cats/", InstanceGroupNames=["none"])]
    with pytest.raises(ClientError, match="unknown instance groups: none"):
        shop.sagemaker.create_training_job(**{**request, "TrainingJobName": f"{name}-2"})


def test_what_a_script_does_to_its_inputs_stays_in_the_job(shop: Workshop) -> None:
    """Inputs are links to S3's own files: neither a change in place nor a deletion may reach the bucket."""
    for name in ("changed", "deleted"):
        shop.put(f"mine/{name}.txt", "as uploaded")
    script = """
        import json
        from pathlib import Path
        data = Path("/opt/ml/input/data/train")
        (data / "changed.txt").chmod(0o644)
        with (data / "changed.txt").open("r+") as file:
            file.write("OVERWRITTEN")
        (data / "deleted.txt").unlink()
        (data / "new.txt").write_text("new")
        print("RESULT", json.dumps(sorted((path.name, path.read_text()) for path in data.iterdir())))
    """
    job = shop.run(textwrap.dedent(script), InputDataConfig=[shop.channel("train", "mine/")])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert shop.printed(job["TrainingJobName"]) == [["changed.txt", "OVERWRITTEN"], ["new.txt", "new"]]
    for name in ("changed", "deleted"):
        kept = shop.s3.get_object(Bucket=shop.bucket, Key=f"mine/{name}.txt")["Body"].read()
        assert kept == b"as uploaded"
