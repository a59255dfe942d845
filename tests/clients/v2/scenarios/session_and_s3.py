"""The session, its role and its bucket; files to S3 and back; the images of old and new frameworks."""

import tempfile
from pathlib import Path

import boto3
import sagemaker
from sagemaker import image_uris
from sagemaker.s3 import S3Downloader, S3Uploader

session = sagemaker.Session()
region = session.boto_region_name
account = boto3.client("sts").get_caller_identity()["Account"]

role = sagemaker.get_execution_role()
assert role.startswith(f"arn:aws:iam::{account}:role/"), role
trusted = boto3.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
assert "sagemaker.amazonaws.com" in str(trusted), trusted

bucket = session.default_bucket()
assert bucket == f"sagemaker-{region}-{account}"
assert sagemaker.Session().default_bucket() == bucket
assert session.account_id() == account

with tempfile.TemporaryDirectory() as folder:
    home, back = Path(folder) / "home", Path(folder) / "back"
    (home / "train" / "001.Affenpinscher").mkdir(parents=True)
    (home / "train" / "001.Affenpinscher" / "one.jpg").write_bytes(b"\xff\xd8 one")
    (home / "names äöü +&.txt").write_text("Affenpinscher\n")

    uri = session.upload_data(path=str(home), bucket=bucket, key_prefix="dogs")
    assert uri == f"s3://{bucket}/dogs"
    assert sorted(session.list_s3_files(bucket, "dogs/")) == [
        "dogs/names äöü +&.txt",
        "dogs/train/001.Affenpinscher/one.jpg",
    ]
    assert session.read_s3_file(bucket, "dogs/names äöü +&.txt") == "Affenpinscher\n"
    session.download_data(path=str(back), bucket=bucket, key_prefix="dogs/train")
    assert [path.name for path in back.rglob("*.jpg")] == ["one.jpg"]

    assert session.upload_data(path=str(home / "train")).startswith(f"s3://{bucket}/data")
    uploaded = S3Uploader.upload(str(home), f"s3://{bucket}/uploaded")
    assert uploaded == f"s3://{bucket}/uploaded"
    assert len(S3Downloader.list(uploaded)) == 2
    S3Downloader.download(f"{uploaded}/train", str(back / "again"))
    assert [path.read_bytes() for path in (back / "again").rglob("*.jpg")] == [b"\xff\xd8 one"]

note = S3Uploader.upload_string_as_file_body("a note", f"s3://{bucket}/notes/note.txt")
assert S3Downloader.read_file(note) == "a note"
assert S3Downloader.read_bytes(note) == b"a note"

own = f"dogs-{account}"
boto3.client("s3").create_bucket(Bucket=own)
with tempfile.NamedTemporaryFile(suffix=".jpg") as picture:
    picture.write(b"\xff\xd8")
    picture.flush()
    assert session.upload_data(picture.name, bucket=own, key_prefix="train").startswith(f"s3://{own}/train/")

for version, python, kind, tag in (
    ("1.4.0", "py3", "ml.g4dn.xlarge", "1.4.0-gpu-py3"),
    ("1.8", "py36", "ml.m5.xlarge", "1.8-cpu-py36"),
    ("1.13.1", "py39", "ml.m5.large", "1.13.1-cpu-py39"),
):
    image = image_uris.retrieve(
        "pytorch", region, version=version, py_version=python, instance_type=kind, image_scope="training"
    )
    assert image == f"763104351884.dkr.ecr.{region}.amazonaws.com/pytorch-training:{tag}", image
