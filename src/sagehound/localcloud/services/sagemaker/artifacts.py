"""What a training job leaves behind: all hosts' /opt/ml/model as one model.tar.gz, output/data as output.tar.gz."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker import channels, job_files
from sagehound.localcloud.services.sagemaker.needs import Objects
from sagehound.localcloud.services.sagemaker.role_actions import RoleActions

_COMPRESSION = 1
"""Weights hardly shrink: the fastest level costs a quarter of gzip's default and is as small within a per cent."""


class UploadError(Exception):
    """The artefacts cannot be stored; the text is what FailureReason says."""


def model_uri(job: dict[str, Any]) -> str:
    """ModelArtifacts.S3ModelArtifacts of a job: an archive, or a prefix with OutputDataConfig.CompressionType NONE."""
    output = job["OutputDataConfig"]
    base = f"{output['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/output"
    return f"{base}/model/" if output.get("CompressionType") == "NONE" else f"{base}/model.tar.gz"


def upload(job: dict[str, Any], mls: list[Path], work: Path, objects: Objects, role: RoleActions) -> bool:
    """Store the model and the other output of all hosts (their /opt/ml folders); whether there was a model. Blocking.

    Of two hosts' files with one name the first host's is kept. An empty folder is not stored, as on AWS. UploadError
    before anything is stored when the role may not store all of it.
    """
    model = _merged(mls, "model")
    output = _merged(mls, "output/data")
    failures = [path for ml in mls if (path := job_files.regular(ml, ml / "output/failure"))]
    if failures:
        output["failure"] = failures[0]
    uri = model_uri(job)
    if uri.endswith("/"):
        files = {uri + name: path for name, path in _followed(mls, model).items()}
        below = f"{uri.removesuffix('model/')}data/"
        files |= {below + name: path for name, path in _followed(mls, output).items()}
        check_writable(role, list(files))
        for target, path in files.items():
            _put(target, path, objects)
    else:
        archives = {uri: model, f"{uri.removesuffix('model.tar.gz')}output.tar.gz": output}
        archives = {target: members for target, members in archives.items() if members}
        check_writable(role, list(archives))
        for target, members in archives.items():
            archive = work / target.rpartition("/")[2]
            write_archive(members, archive)
            _put(target, archive, objects, move=True)
    return bool(model)


def check_writable(role: RoleActions, uris: list[str], *, ahead: bool = False) -> None:
    """UploadError when the role may not store one of these objects, all of one bucket; `ahead` is before the job."""
    places = [channels.location(uri) for uri in uris]
    refusal = role.writes(places[0].bucket, [place.key for place in places], ahead=ahead) if places else None
    if refusal is not None:
        raise UploadError(
            f"ClientError: Artifact upload failed:Unable to upload file to s3://{places[0].bucket}/{refusal.key} "
            f"(AccessDenied: {refusal.sentence})"
        )


def _merged(mls: list[Path], below: str) -> dict[str, Path]:
    """Every file and link below a folder of all hosts by its name there; folders only where they are empty."""
    found: dict[str, Path] = {}
    try:
        for ml in reversed(mls):
            found.update(job_files.leaves(ml, below))
    except OSError as error:
        raise UploadError(f"ClientError: Artifact upload failed:/opt/ml/{below} cannot be read: {error}") from error
    return dict(sorted(found.items()))


def _followed(mls: list[Path], members: dict[str, Path]) -> dict[str, Path]:
    """The regular files among `members`, and those that links lead to inside of their host."""
    found: dict[str, Path] = {}
    for name, path in members.items():
        ml = next(ml for ml in mls if path.is_relative_to(ml))
        file = job_files.regular(ml, path)
        if file is not None:
            found[name] = file
    return found


def write_archive(members: dict[str, Path], archive: Path) -> None:
    """A tar.gz that depends on names, contents and modes only: the same model gives the same bytes."""
    try:
        with (
            archive.open("wb") as raw,
            gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, dereference=False) as tar,
        ):
            for name, path in members.items():
                tar.add(path, name, recursive=False, filter=_plain)
    except OSError as error:
        raise UploadError(f"ClientError: Artifact upload failed:{archive.name} cannot be written: {error}") from error


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without times and owners; sockets, pipes and devices are no part of a model."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None


def _put(uri: str, path: Path, objects: Objects, *, move: bool = False) -> None:
    bucket, key = channels.location(uri)
    try:
        objects.put_file(bucket, key, path, move=move)
    except AwsError as error:
        raise UploadError(
            f"ClientError: Artifact upload failed:Unable to upload file to {uri} ({error.code}: {error.message})"
        ) from error
    except UnicodeEncodeError as error:
        message = f"ClientError: Artifact upload failed:The name of {os.fsencode(path)!r} is no UTF-8, as keys must be"
        raise UploadError(message) from error
    except OSError as error:
        raise UploadError(f"ClientError: Artifact upload failed:Unable to upload file to {uri} ({error})") from error
