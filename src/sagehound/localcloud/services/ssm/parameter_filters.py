"""ParameterFilters: which keys and options a listing takes, and which parameters they let through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ssm import names
from sagehound.localcloud.services.ssm.errors import invalid_filter_key, invalid_filter_option

Record = dict[str, Any]
Wanted = Callable[[Record], bool]
OF_A_PATH = ("Type", "KeyId", "Label", "DataType")
OF_ALL = ("Path", "Name", "Type", "KeyId", "Tier", "DataType")
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "Equals": lambda text, value: text == value,
    "BeginsWith": lambda text, value: text.startswith(value),
    "Contains": lambda text, value: value in text,
}
_OPTIONS = {"Name": ("BeginsWith", "Equals", "Contains"), "Path": ("Recursive", "OneLevel")}
_VALUES = {
    "Type": ("String", "StringList", "SecureString"),
    "Tier": ("Standard", "Advanced", "Intelligent-Tiering"),
}


def compiled(filters: Iterable[Mapping[str, Any]], keys: Sequence[str]) -> Wanted:
    """Whether a parameter passes all filters; AwsError for one that this listing does not take."""
    tests: dict[str, Wanted] = {}
    for given in filters:
        key = given["Key"]
        if key in tests:
            raise AwsError(
                "InvalidFilterKey",
                f"The following filter is duplicated in the request: {key}. A request can contain only one occurrence "
                "of a specific filter.",
            )
        tests[key] = _test(key, given.get("Option"), given.get("Values", []), keys)
    return lambda record: all(test(record) for test in tests.values())


def _test(key: str, option: str | None, values: list[str], keys: Sequence[str]) -> Wanted:
    if key.startswith("tag:") and "Path" in keys:
        name = key.removeprefix("tag:")
        return lambda record: name in record["Tags"] and (not values or record["Tags"][name] in values)
    if key not in keys:
        raise invalid_filter_key(key, keys)
    valid = _OPTIONS.get(key, ("Equals", "BeginsWith"))
    option = option or ("OneLevel" if key == "Path" else "Equals")
    if option not in valid:
        raise invalid_filter_option(option, valid)
    if not values:
        message = f"The following filter values are missing : null for filter key {key}."
        raise AwsError("InvalidFilterValue", message)
    for value in values:
        if key in _VALUES and value not in _VALUES[key]:
            raise invalid_filter_option(value, _VALUES[key])
    if key == "Path":
        paths = [names.check_path(value) for value in values]
        recursive = option == "Recursive"
        return lambda record: any(names.is_below(record["Name"], path, recursive=recursive) for path in paths)
    if key == "Label":
        return lambda record: False  # there are no labels
    compare = _TEXT[option]
    return lambda record: any(compare(str(record.get(key, "")), value) for value in values)
