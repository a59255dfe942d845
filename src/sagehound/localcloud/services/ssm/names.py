"""Names of parameters: their rules, and the ARN and the version with which they can be asked for."""

from __future__ import annotations

import re
from typing import NamedTuple

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.ssm.errors import invalid_path
from sagehound.localcloud.state import arns

MOST_LEVELS = 15
_LONGEST_ARN = 1011
_CHARACTERS = re.compile(r"[a-zA-Z0-9_.\-/]+")
_PREFIX = (
    'Parameter name: can\'t be prefixed with "{}" (case-insensitive). If formed as a path, it can consist of sub-paths '
    "divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_"
)


class Named(NamedTuple):
    """A parameter as it was asked for."""

    name: str
    selector: str
    """What followed the colon; "" for the latest version."""


def parse(text: str) -> Named:
    """`name`, `name:version`, or either as an ARN."""
    if text.startswith("arn:"):
        try:
            resource = arns.parse(text).resource
        except ValueError:
            resource = ""
        if not resource.startswith("parameter/"):
            raise validation(f"Parameter ARN is not valid: {text}")
        text = resource.removeprefix("parameter")
        if "/" not in text[1:]:
            text = twin(text)  # the ARN of `name` and that of `/name` are the same
    name, _, selector = text.partition(":")
    return Named(name, selector)


def twin(name: str) -> str:
    """The other name that has the same ARN: `/name` of `name`, `name` of `/name`; a deeper path has none but itself."""
    if "/" in name[1:]:
        return name
    return name[1:] if name.startswith("/") else f"/{name}"


def is_public(name: str) -> bool:
    """Whether it is one of AWS's own."""
    return name.lower().startswith("/aws/")


def arn(region: str, account_id: str, name: str) -> str:
    """AWS's own parameters belong to no account."""
    return arns.make("ssm", region, "" if is_public(name) else account_id, f"parameter/{name.removeprefix('/')}")


def check_new(name: str, arn: str) -> None:
    """AwsError unless a parameter may have this name."""
    first = name.removeprefix("/").lower()
    if is_public(name):
        raise AwsError("AccessDeniedException", f"No access to reserved parameter name: {name}.")
    if first.startswith(("aws", "ssm")):
        raise validation(_PREFIX.format("ssm" if first.startswith("ssm") else "aws"))
    if "/" in name and not name.startswith("/"):
        raise validation("Parameter name must be a fully qualified name.")
    if not _CHARACTERS.fullmatch(name) or "//" in name or name.endswith("/"):
        raise validation(_PREFIX.format("ssm"))
    if name.removeprefix("/").count("/") >= MOST_LEVELS:
        raise AwsError(
            "HierarchyLevelLimitExceededException",
            f"A hierarchy can have a maximum of {MOST_LEVELS} levels. For more information, see Requirements and "
            "constraints for parameter names in the AWS Systems Manager User Guide.",
        )
    if len(arn) > _LONGEST_ARN:
        raise validation(f"The parameter name with its ARN must have at most {_LONGEST_ARN} characters: {len(arn)}.")


def check_path(path: str) -> str:
    """A path to look below, with its final slash."""
    if not path.startswith("/") or not _CHARACTERS.fullmatch(path) or "//" in path:
        raise invalid_path()
    return path if path.endswith("/") else f"{path}/"


def is_below(name: str, path: str, *, recursive: bool) -> bool:
    """Whether a parameter lies below `path` (which ends with a slash): directly, or at any depth."""
    if path == "/" and not name.startswith("/"):
        name = f"/{name}"  # parameters without a path are those of the root
    return name.startswith(path) and (recursive or "/" not in name[len(path) :])
