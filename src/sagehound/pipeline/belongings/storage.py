"""The bucket, what lies in it, and who still needs it: found, emptied, and removed"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless, error_of
from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.places import CHECKPOINTS, JOBS
from sagehound.pipeline.belongings.thing import Kind, Scope, Thing
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients

_DELETED_AT_ONCE = 1000  # DeleteObjects takes no more
_TRIES = 3


def find_buckets(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """Buckets that carry a tag of the scope; of another bucket that the project uses, its own objects."""
    own = scope.names.bucket
    for name in dict.fromkeys([own, *(_listed(clients) if scope.everywhere else [])]):
        tags = _tags(clients, name) if name == own else answer_unless(partial(_tags, clients, name), "AccessDenied")
        if tags is None:
            continue
        owner = scope.owner(tags)
        if owner is not None and (name == own or _lies_here(clients, name)):
            yield Thing(Kind.BUCKET, name, *owner, detail=_counted(len(list_objects(clients, name, ""))))
        elif name == own:
            prefix = f"{scope.names.project}/"
            count = len(list_objects(clients, name, prefix))
            if count:
                yield Thing(Kind.OBJECTS, name, scope.names.project, detail=_counted(count), parts=(prefix,))


def find_outputs(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """What jobs have written into the project's bucket, as things of the runs that made the jobs."""
    if not scope.outputs:
        return
    names, found = scope.names, dict[str, dict[str, int]]()
    for folder in (JOBS, CHECKPOINTS):
        begin = f"{names.project}/{folder}/"
        for key in list_objects(clients, names.bucket, begin):
            job = key.removeprefix(begin).partition("/")[0]
            places = found.setdefault(job, {})
            places[f"{begin}{job}/"] = places.get(f"{begin}{job}/", 0) + 1
    for job, places in found.items():
        run = _run_of(clients, scope, job)
        if run is not None:
            yield Thing(
                Kind.OUTPUT,
                job,
                names.project,
                run,
                detail=_counted(sum(places.values())),
                needs=frozenset({(Kind.BUCKET, names.bucket)}),
                parts=(names.bucket, *places),
            )


def find_data(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """The data sets that were uploaded: they go with the bucket, and keep it while another run goes."""
    if not scope.outputs:
        return
    names = scope.names
    for key in list_objects(clients, names.bucket, names.data_record("").removesuffix(".json")):
        body = unless_gone(partial(_read, clients, names.bucket, key))
        if body is not None:
            needs = frozenset({(Kind.BUCKET, names.bucket)})
            yield Thing(Kind.DATA, str(body["name"]), names.project, str(body.get("run", "")), needs=needs)


def delete_bucket(clients: Clients, thing: Thing) -> None:
    """Empty it and remove it; again where something was written into it meanwhile."""
    from botocore.exceptions import ClientError

    for attempt in range(_TRIES):
        unless_gone(partial(_empty, clients, thing.name, ""))
        try:
            unless_gone(partial(clients.s3.delete_bucket, Bucket=thing.name))
            return
        except ClientError as error:
            if error_of(error)[0] != "BucketNotEmpty" or attempt == _TRIES - 1:
                raise


def delete_objects(clients: Clients, thing: Thing) -> None:
    """The project's objects in a bucket that is somebody else's."""
    for prefix in thing.parts:
        unless_gone(partial(_empty, clients, thing.name, prefix))


def delete_output(clients: Clients, thing: Thing) -> None:
    """What one job has written."""
    bucket, *prefixes = thing.parts
    for prefix in prefixes:
        unless_gone(partial(_empty, clients, bucket, prefix))


def _empty(clients: Clients, bucket: str, prefix: str) -> None:
    """Remove every version, delete marker and unfinished multipart upload below a prefix."""
    s3 = clients.s3
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        for start in range(0, len(versions), _DELETED_AT_ONCE):
            objects = [
                {"Key": version["Key"], "VersionId": version["VersionId"]}
                for version in versions[start : start + _DELETED_AT_ONCE]
            ]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if answer.get("Errors"):
                first = answer["Errors"][0]
                why = f"{first['Key']} was refused with {first['Code']}: {first['Message']}"
                raise StepFailed("delete", why, "Ask for s3:DeleteObject and s3:DeleteObjectVersion on it.")
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def _listed(clients: Clients) -> list[str]:
    """Every bucket of the account, in whatever region."""
    return [one["Name"] for one in clients.s3.list_buckets()["Buckets"]]


def _lies_here(clients: Clients, bucket: str) -> bool:
    """Whether it lies in the region; S3 has no word for its first one."""
    return (clients.s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1") == clients.region


def _tags(clients: Clients, bucket: str) -> list[dict[str, str]] | None:
    """The tags of a bucket; None where there is no such bucket."""
    from botocore.exceptions import ClientError

    try:
        found: list[dict[str, str]] = clients.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        code = error_of(error)[0]
        if code == "NoSuchTagSet":
            return []
        if code != "NoSuchBucket":
            raise
        return None
    return found


def _run_of(clients: Clients, scope: Scope, job: str) -> str | None:
    """The run that made a training job; None where nobody knows the job, or it is no job of the scope."""
    arn = f"arn:{clients.partition}:sagemaker:{clients.region}:{clients.account_id}:training-job/{job}"
    told = unless_gone(partial(clients.sagemaker.list_tags, ResourceArn=arn))
    owner = scope.owner(told["Tags"]) if told else None
    return owner[1] if owner else None


def _read(clients: Clients, bucket: str, key: str) -> Any:
    return json.loads(clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def _counted(count: int) -> str:
    return f"{count:,} objects"
