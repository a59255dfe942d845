"""Upload into a real bucket: only what changed is sent, others' objects are not overlooked."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import DataRefused, StepFailed
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.names import Names
from sagehound.pipeline.upload import StoredData, stored_data, upload
from sagehound.settings import DataSettings


@pytest.fixture
def send(clients: Clients, names: Names, recorded: Any, tmp_path: Path) -> Any:
    """`send(folder)`: check and upload; gives the stored data and the step's own result."""

    def do(folder: Path, **options: Any) -> tuple[StoredData, dict[str, Any]]:
        manifest = take_in(str(folder), DataSettings(name="pets"), tmp_path / "cache", recorded.reporter)
        with recorded.reporter.step("upload") as step:
            stored = upload(clients, names, manifest, recorded.reporter, step, **options)
        return stored, recorded.steps()["upload"]["result"]

    return do


SPLITS = {f"{split}/{label}": 3 for split in ("train", "valid", "test") for label in ("cat", "dög ü")}


def keys(clients: Clients, names: Names, prefix: str = "") -> set[str]:
    answer = clients.s3.list_objects_v2(Bucket=names.bucket, Prefix=prefix)
    return {entry["Key"] for entry in answer.get("Contents", [])}


def test_pictures_lie_in_the_bucket_as_they_are(make_folder, send, clients, names) -> None:
    folder = make_folder(SPLITS)
    stored, result = send(folder)
    assert stored.uri == f"s3://{names.bucket}/{names.project}/data/pets/"
    assert (result["sent"], result["unchanged"]) == (18, 0)
    for path in folder.rglob("*.png"):
        key = names.data_prefix("pets") + path.relative_to(folder).as_posix()
        answer = clients.s3.get_object(Bucket=names.bucket, Key=key)
        assert answer["Body"].read() == path.read_bytes()
        assert answer["ContentType"] == "image/png"
    assert stored_data(clients, names) == stored
    assert stored_data(clients, names, "pets").classes == ("cat", "dög ü")


def test_the_bucket_is_closed_and_tagged(make_folder, send, clients, names) -> None:
    send(make_folder(SPLITS))
    tags = clients.s3.get_bucket_tagging(Bucket=names.bucket)["TagSet"]
    assert tags == [{"Key": "sagehound:project", "Value": names.project}]
    block = clients.s3.get_public_access_block(Bucket=names.bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())


def test_only_what_changed_is_sent(make_folder, send, picture) -> None:
    folder = make_folder(SPLITS)
    first, _ = send(folder)
    again, result = send(folder)
    assert (result["sent"], result["unchanged"]) == (0, 18)
    assert again == first
    (folder / "train" / "cat" / "000.png").write_bytes(picture(4711))
    (folder / "train" / "cat" / "new.png").write_bytes(picture(4712))
    changed, result = send(folder)
    assert (result["sent"], result["unchanged"]) == (2, 17)
    assert changed.digest != first.digest


def test_objects_that_are_not_in_the_data_are_named_and_removed_only_when_told_to(
    make_folder, send, clients, names
) -> None:
    folder = make_folder(SPLITS)
    send(folder)
    (folder / "train" / "cat" / "000.png").unlink()
    with pytest.raises(StepFailed) as refused:
        send(folder)
    assert "holds 1 objects that are not in your data" in refused.value.cause
    assert "train/cat/000.png" in refused.value.cause
    assert "--mirror" in refused.value.hint
    _, result = send(folder, mirror=True)
    assert (result["removed"], result["sent"]) == (1, 0)
    assert not [key for key in keys(clients, names, names.data_prefix("pets")) if key.endswith("train/cat/000.png")]


def test_a_file_that_changes_between_check_and_upload_stops_it(
    make_folder, clients, names, recorded, picture, tmp_path
) -> None:
    folder = make_folder(SPLITS)
    manifest = take_in(str(folder), DataSettings(name="pets"), tmp_path / "cache", recorded.reporter)
    (folder / "valid" / "cat" / "001.png").write_bytes(picture(4713))
    with (
        recorded.reporter.step("outer") as step,
        pytest.raises(StepFailed, match=r"001.png changed after it was checked"),
    ):
        upload(clients, names, manifest, recorded.reporter, step)
    with pytest.raises(StepFailed, match="no uploaded data set"):
        stored_data(clients, names)  # half of it is there, so nothing may train on it


def test_an_interrupted_upload_leaves_no_record_and_the_next_sends_the_rest(
    make_folder, send, clients, names, recorded, tmp_path
) -> None:
    folder = make_folder(SPLITS)
    send(folder)
    gone = sorted(keys(clients, names, names.data_prefix("pets")))[:5]
    clients.s3.delete_objects(Bucket=names.bucket, Delete={"Objects": [{"Key": key} for key in gone]})
    _, result = send(folder)
    assert (result["sent"], result["unchanged"]) == (5, 13)
    record = json.loads(clients.s3.get_object(Bucket=names.bucket, Key=names.data_record("pets"))["Body"].read())
    assert len(record["pictures"]) == len(record["etags"]) == 18


def test_without_an_upload_there_is_nothing_to_train_on(clients, names) -> None:
    with pytest.raises(StepFailed) as missing:
        stored_data(clients, names)
    assert "sagehound upload" in missing.value.hint
    with pytest.raises(StepFailed, match="no data set birds"):
        stored_data(clients, names, "birds")


@pytest.mark.parametrize("suffix", ["", "/"])
def test_pictures_in_a_bucket_are_a_source_and_fetched_once(
    suffix, make_folder, send, clients, names, recorded, tmp_path
) -> None:
    stored, _ = send(make_folder(SPLITS))
    clients.s3.put_object(Bucket=names.bucket, Key=f"{names.project}/data/pets2/train/cat/x.png", Body=b"a neighbour")
    source = stored.uri.rstrip("/") + suffix

    fetched: list[str] = []
    clients.s3.meta.events.register("before-call.s3.GetObject", lambda params, **_: fetched.append(params["url_path"]))
    manifest = take_in(source, DataSettings(), tmp_path / "other", recorded.reporter, clients.s3)
    assert (manifest.name, manifest.digest) == ("pets", stored.digest)
    assert len(fetched) == 18
    take_in(source, DataSettings(), tmp_path / "other", recorded.reporter, clients.s3)
    assert len(fetched) == 18
    # A picture that is gone from the bucket is gone from the data set.
    clients.s3.delete_object(Bucket=names.bucket, Key=f"{names.data_prefix('pets')}train/cat/000.png")
    assert len(take_in(source, DataSettings(), tmp_path / "other", recorded.reporter, clients.s3).pictures) == 17


def test_a_bucket_key_that_would_leave_the_folder_is_refused(
    clients, names, recorded, make_folder, send, tmp_path
) -> None:
    send(make_folder(SPLITS))
    clients.s3.put_object(Bucket=names.bucket, Key="evil/a/../../../x.png", Body=b"x")
    with pytest.raises(DataRefused, match=r"holds '\.\.'"):
        take_in(f"s3://{names.bucket}/evil", DataSettings(), tmp_path / "other", recorded.reporter, clients.s3)


def test_a_missing_bucket_or_prefix_is_said(clients, names, recorded, make_folder, send, tmp_path) -> None:
    send(make_folder(SPLITS))
    with pytest.raises(DataRefused, match="holds no objects"):
        take_in(f"s3://{names.bucket}/nothing/", DataSettings(), tmp_path / "o", recorded.reporter, clients.s3)
    with pytest.raises(StepFailed, match="NoSuchBucket"):
        take_in("s3://no-such-bucket-here/x", DataSettings(), tmp_path / "o", recorded.reporter, clients.s3)


def test_a_zip_in_a_bucket_is_unpacked(clients, names, recorded, picture, make_folder, send, tmp_path) -> None:
    send(make_folder(SPLITS))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for label in ("a", "b"):
            for number in range(4):
                archive.writestr(f"{label}/{number}.png", picture(hash((label, number))))
    clients.s3.put_object(Bucket=names.bucket, Key="zips/birds.zip", Body=out.getvalue())
    source = f"s3://{names.bucket}/zips/birds.zip"
    manifest = take_in(source, DataSettings(), tmp_path / "other", recorded.reporter, clients.s3)
    assert (manifest.name, len(manifest.pictures)) == ("birds", 8)


def test_a_bucket_whose_etags_are_no_md5_is_not_sent_again(
    make_folder, send, clients, names, recorded, tmp_path
) -> None:
    folder = make_folder(SPLITS)
    send(folder)
    # What a bucket that is encrypted with a key of KMS looks like: ETags say nothing about the bytes. Objects that
    # came in parts have such ETags everywhere.
    prefix, record_key = names.data_prefix("pets"), names.data_record("pets")
    record = json.loads(clients.s3.get_object(Bucket=names.bucket, Key=record_key)["Body"].read())
    path = folder / "train" / "cat" / "000.png"
    place = {"Bucket": names.bucket, "Key": f"{prefix}train/cat/000.png"}
    upload_id = clients.s3.create_multipart_upload(**place)["UploadId"]
    part = clients.s3.upload_part(**place, UploadId=upload_id, PartNumber=1, Body=path.read_bytes())
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    etag = clients.s3.complete_multipart_upload(**place, UploadId=upload_id, MultipartUpload=parts)["ETag"]
    record["etags"]["train/cat/000.png"] = etag.strip('"')
    clients.s3.put_object(Bucket=names.bucket, Key=record_key, Body=json.dumps(record).encode())
    _, result = send(folder)
    assert (result["sent"], result["unchanged"]) == (0, 18)
