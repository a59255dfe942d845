"""Input channels: which S3 objects a host of a training job gets, under which names, and how they come there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker.needs import Objects
from sagehound.localcloud.services.sagemaker.role_actions import RoleActions

Channel = dict[str, Any]

Found = dict[str, list[str]]
"""Keys by channel name: what CreateTrainingJob saw, handed on so that it need not be listed again."""

_ODD_NAME = re.compile(r"^$|^/|//|/$|(^|/)\.{1,2}(/|$)|\0")
"""Names that are not a path of a file as they stand."""
_CHUNK = 500
"""Objects linked between two looks at whether the job was stopped."""


class DataError(Exception):
    """The input data cannot be brought to the instances; the text is what FailureReason says."""


class Interrupted(Exception):
    """The job was stopped while its data was on the way."""


class S3Location(NamedTuple):
    """s3://bucket/key taken apart."""

    bucket: str
    key: str


class Item(NamedTuple):
    """One object on its way into a channel: its key, and its name below the channel's folder."""

    key: str
    name: str


def location(uri: str) -> S3Location:
    """The parts of an S3 URI; ValidationException when it is none."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise validation(f"The S3 URI {uri!r} must look like s3://bucket/prefix.")
    return S3Location(bucket, key)


def check(channels: list[Channel], default_mode: str, groups: set[str]) -> None:
    """What CreateTrainingJob refuses of InputDataConfig by its looks: channels that cannot be served."""
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise validation(f"Channel names must be unique in InputDataConfig, got {', '.join(names)}.")
    for channel in channels:
        source = _source(channel)
        location(source["S3Uri"])
        _check_mode(channel, source, channel.get("InputMode", default_mode))
        unknown = sorted(set(source.get("InstanceGroupNames", [])) - groups)
        if unknown:
            raise validation(f"Channel {channel['ChannelName']} names unknown instance groups: {', '.join(unknown)}.")


def find(channels: list[Channel], objects: Objects, region: str, role: RoleActions) -> Found:
    """The keys that the role sees below each channel's S3Uri; CreateTrainingJob refuses one with none. Blocking."""
    found = {}
    for channel in channels:
        uri = _source(channel)["S3Uri"]
        try:
            keys = _keys(location(uri), objects, region, role)
        except _NotListed as denied:
            said = f" Error message from S3: {denied}"
            raise validation(_nothing_found(uri, location(uri).bucket, region, role.role_arn) + said) from denied
        if not keys:
            raise validation(_nothing_found(uri, location(uri).bucket, region, role.role_arn))
        found[channel["ChannelName"]] = keys
    return found


class _NotListed(Exception):
    """The role may not list the bucket; the text is IAM's sentence."""


def _keys(place: S3Location, objects: Objects, region: str, role: RoleActions) -> list[str]:
    if objects.bucket_region(place.bucket) != region:
        return []
    denied = role.lists(*place)
    if denied is not None:
        raise _NotListed(denied)
    return objects.list_keys(*place)


def _check_mode(channel: Channel, source: dict[str, Any], mode: str) -> None:
    name = channel["ChannelName"]
    if mode == "Pipe":
        raise _unsupported(f"input mode Pipe (channel {name}); use File or FastFile")
    kind = source["S3DataType"]
    if kind == "AugmentedManifestFile":
        raise validation(f"AugmentedManifestFile can only be used if the input mode of channel {name} is Pipe.")
    if kind not in ("S3Prefix", "ManifestFile"):
        raise _unsupported(f"S3DataType {kind} (channel {name})")
    if channel.get("RecordWrapperType", "None") != "None":
        raise _unsupported(f"RecordWrapperType {channel['RecordWrapperType']} (channel {name})")
    if channel.get("ShuffleConfig"):
        raise _unsupported(f"ShuffleConfig (channel {name})")


def _source(channel: Channel) -> dict[str, Any]:
    sources: dict[str, Any] = channel["DataSource"]
    if "S3DataSource" not in sources:
        raise _unsupported(f"data sources other than S3 (channel {channel['ChannelName']}: {', '.join(sources)})")
    found: dict[str, Any] = sources["S3DataSource"]
    return found


def _unsupported(what: str) -> AwsError:
    return AwsError("NotImplemented", f"The local cloud's training jobs do not have {what}.", 501)


def _nothing_found(uri: str, bucket: str, region: str, role_arn: str) -> str:
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists '
        f"in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
        f'"{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def items(channel: Channel, objects: Objects, region: str, found: Found, role: RoleActions) -> tuple[str, list[Item]]:
    """The bucket of a channel and its objects, in the order of their keys; DataError when there are none.

    The role may read each of them, or DataError names the first that it may not. `found` spares the listing when
    CreateTrainingJob has just made it. Blocking.
    """
    source = _source(channel)
    place = location(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        check_readable(role, place.bucket, [place.key])
        bucket, named = _manifest(source["S3Uri"], place, objects)
        check_readable(role, bucket, [item.key for item in named])
        return bucket, named
    try:
        keys = found.get(channel["ChannelName"]) or _keys(place, objects, region, role)
    except _NotListed as denied:
        raise DataError(
            f"ClientError: Data download failed:Unable to list objects under {source['S3Uri']} (AccessDenied: {denied})"
        ) from denied
    if not keys:
        raise DataError(f"ClientError: Data download failed:No S3 objects found under S3 URL {source['S3Uri']}")
    wanted = [Item(key, _name(key, place.key)) for key in keys if not key.endswith("/")]
    check_readable(role, place.bucket, [item.key for item in wanted])
    return place.bucket, wanted


def check_readable(role: RoleActions, bucket: str, keys: list[str]) -> None:
    """DataError in AWS's words when the role may not read one of the objects."""
    refusal = role.reads(bucket, keys)
    if refusal is not None:
        raise DataError(
            f"ClientError: Data download failed:Unable to download object s3://{bucket}/{refusal.key} "
            f"(AccessDenied: {refusal.sentence})"
        )


def _name(key: str, prefix: str) -> str:
    """The name of an object below its channel: its key behind the prefix, whole path parts only."""
    if key == prefix:
        return PurePosixPath(key).name
    if prefix.endswith("/") or not prefix:
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _manifest(uri: str, place: S3Location, objects: Objects) -> tuple[str, list[Item]]:
    """The objects that a manifest names: `[{"prefix": "s3://bucket/some/"}, "a", "b/c", ...]`."""
    try:
        entries = json.loads(objects.read_object(*place))
        prefix = location(entries[0]["prefix"])
        suffixes = [str(entry) for entry in entries[1:]]
    except KeyError as error:
        raise DataError(f"ClientError: Data download failed:Unable to download manifest {uri} ({error})") from error
    except (ValueError, TypeError, IndexError, AwsError) as error:
        raise DataError(
            f"ClientError: Data download failed:The manifest {uri} must be a JSON array whose first element is "
            f'{{"prefix": "s3://bucket/prefix/"}} and whose other elements are strings ({error})'
        ) from error
    return prefix.bucket, [Item(prefix.key + suffix, suffix) for suffix in suffixes]


def is_sharded(channel: Channel) -> bool:
    """Whether each host gets a part of the objects instead of all."""
    return bool(_source(channel).get("S3DataDistributionType") == "ShardedByS3Key")


def bring(objects: Objects, bucket: str, found: list[Item], folder: Path, stopped: Callable[[], bool]) -> None:
    """Put the objects into `folder` as links to S3's own content: no byte is copied. Blocking.

    FastFile channels come the same way: a link costs less than AWS's lazy file system would.
    """
    targets = _targets(found, folder)
    try:
        while chunk := list(islice(targets, _CHUNK)):
            if stopped():
                raise Interrupted
            objects.link_objects(bucket, chunk)
    except KeyError as error:
        raise DataError(
            f"ClientError: Data download failed:Unable to download object s3://{bucket}/{error.args[0]} "
            f"(NoSuchKey: The specified key does not exist.)"
        ) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(
            f"ClientError: Data download failed:{error.filename2 or error.filename} would have to be a file and "
            f"a folder, or two files: the keys below s3://{bucket} cannot all be names of files"
        ) from error
    except (OSError, AwsError) as error:
        raise DataError(f"ClientError: Data download failed:{error}") from error


def repeat(source: Path, folder: Path, stopped: Callable[[], bool]) -> None:
    """Give another host the same channel: links to the files that the first host has. Blocking."""
    try:
        for place, _, names in os.walk(source):
            if stopped():
                raise Interrupted
            target = os.path.join(folder, os.path.relpath(place, source))
            os.makedirs(target, exist_ok=True)
            for name in names:
                os.link(f"{place}/{name}", f"{target}/{name}")
    except OSError as error:
        raise DataError(f"ClientError: Data download failed:{error}") from error


def _targets(found: list[Item], folder: Path) -> Iterator[tuple[str, Path]]:
    """Where each object goes. Thousands of objects stand between a job and its first line, so names are texts here."""
    base, made = str(folder), {""}
    os.makedirs(base, exist_ok=True)
    for key, name in found:
        if _ODD_NAME.search(name):
            name = plain_name(key, name)
        parent = name.rpartition("/")[0]
        if parent not in made:
            os.makedirs(f"{base}/{parent}", exist_ok=True)
            made.add(parent)
        yield key, Path(f"{base}/{name}")


def plain_name(key: str, name: str) -> str:
    """A name without empty parts and dots; DataError when what remains is not below the channel."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or not parts or "\0" in name:
        raise DataError(f"ClientError: Data download failed:the key {key!r} cannot be the name of a file")
    return "/".join(parts)
