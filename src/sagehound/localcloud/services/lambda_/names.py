"""How a function is named: by its name, a partial ARN or a full one, with a qualifier inside or beside it."""

from __future__ import annotations

import re
from typing import NamedTuple

from sagehound.localcloud.services.lambda_.errors import function_not_found, invalid, not_found
from sagehound.localcloud.state import arns

LATEST = "$LATEST"
PRINCIPAL = "lambda.amazonaws.com"
"""Who assumes the roles of functions, and acts with them."""
_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_-]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?"
)


class FunctionName(NamedTuple):
    """A function, and the version or alias that is meant; None when none was said."""

    name: str
    qualifier: str | None


def parse(text: str, qualifier: str | None, region: str, account_id: str) -> FunctionName:
    """The function that a request in `region` means; ResourceNotFoundException for other regions and accounts."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise function_not_found(arn(region, account_id, text, qualifier))
    if found["region"] not in (None, region):
        raise not_found(f"Functions from '{found['region']}' are not reachable in this region ('{region}')")
    embedded = found["qualifier"]
    if found["account"] not in (None, account_id):
        raise function_not_found(arn(region, found["account"], found["name"], embedded))
    if embedded and qualifier and embedded != qualifier:
        raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
    return FunctionName(found["name"], qualifier or embedded)


def arn(region: str, account_id: str, name: str, qualifier: str | None = None) -> str:
    """The ARN of a function, or with a qualifier of one of its versions or aliases."""
    suffix = f":{qualifier}" if qualifier else ""
    return arns.make("lambda", region, account_id, f"function:{name}{suffix}")


def is_version(qualifier: str) -> bool:
    """Whether a qualifier names a version; all others name aliases."""
    return qualifier == LATEST or qualifier.isdecimal()
