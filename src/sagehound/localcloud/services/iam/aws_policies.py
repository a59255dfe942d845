"""AWS's own managed policies, read from the copy that moto ships without importing it.

The copy is a Python file around one JSON text of 4.7 MB. An index of where each policy begins is made at the first use
(40 ms) and each policy is read from the file when it is asked for, so that they cost no memory.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from sagehound.localcloud.state.store import Record

PREFIX = "arn:aws:iam::aws:policy"
_ENTRY = re.compile(rb'^ "([^"]+)":\{$', re.MULTILINE)


def is_aws(arn: str) -> bool:
    """Whether an ARN is that of an AWS managed policy."""
    return arn.startswith(PREFIX + "/")


def find(arn: str) -> Record | None:
    """The policy as GetPolicy describes it, with its document as `Document`; None when AWS has none of that ARN."""
    name = arn.rpartition("/")[2]
    if name not in _index():
        return None
    record = _described(name, _read(name))
    return record if record["Arn"] == arn else None


@functools.cache
def described() -> list[Record]:
    """All of them as ListPolicies describes them, without documents (some 60 ms at the first use)."""
    text = _file().read_bytes()
    policies = json.loads(text[text.index(b'"""') + 3 : text.rindex(b'"""')])
    found = []
    for name, policy in policies.items():
        record = _described(name, policy)
        del record["Document"]
        found.append(record)
    return found


def _described(name: str, policy: dict[str, Any]) -> Record:
    path = policy["Path"]
    return {
        "PolicyName": name,
        "PolicyId": _policy_id(name),
        "Arn": f"{PREFIX}{path}{name}",
        "Path": path,
        "DefaultVersionId": policy["DefaultVersionId"],
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": not path.startswith("/aws-service-role/"),
        "CreateDate": datetime.fromisoformat(policy["CreateDate"]),
        "UpdateDate": datetime.fromisoformat(policy["UpdateDate"]),
        "Document": policy["Document"],
    }


def _policy_id(name: str) -> str:
    """The copy lacks AWS's ids: one that is always the same for a name."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    number = int.from_bytes(name.encode(), "big")
    return "ANPA" + "".join(alphabet[(number * (at + 7) >> at) % 32] for at in range(16))


@functools.cache
def _file() -> Path:
    spec = importlib.util.find_spec("moto")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("moto, whose copy of the AWS managed policies is used, is not installed")
    return Path(spec.submodule_search_locations[0]) / "iam" / "aws_managed_policies.py"


_lock = threading.Lock()


def _index() -> dict[str, tuple[int, int]]:
    """Where each policy stands in the file: (offset, length)."""
    with _lock:
        return _made_index()


@functools.cache
def _made_index() -> dict[str, tuple[int, int]]:
    text = _file().read_bytes()
    end = text.rindex(b'"""')
    found = list(_ENTRY.finditer(text))
    ends = [*(match.start() for match in found[1:]), end]
    return {
        match[1].decode(): (match.end() - 1, stop - match.end() + 1) for match, stop in zip(found, ends, strict=True)
    }


def _read(name: str) -> dict[str, Any]:
    offset, length = _index()[name]
    descriptor = os.open(_file(), os.O_RDONLY)
    try:
        text = os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
    policy: dict[str, Any] = json.JSONDecoder().raw_decode(text.decode())[0]
    return policy
