"""Whether a client under `sagehound exec` is what the registry gives: its files as packed, nothing of ours in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.clients.scenarios import command, surroundings
from tests.cloud_process import CloudProcess

_LOOK = """
import base64, hashlib, importlib.metadata, json, sys
import boto3, sagemaker
packed = {}
for distribution in importlib.metadata.distributions():
    for file in distribution.files or ():
        if file.hash is not None:  # some files are in several packages: the one that came last has been kept
            packed.setdefault(file.locate(), set()).add((file.hash.mode, file.hash.value))
places = {file.locate() for package in sys.argv[1:] for file in importlib.metadata.files(package)} & set(packed)
changed = [
    str(place)
    for place in sorted(places)
    if not any(
        base64.urlsafe_b64encode(hashlib.new(mode, place.read_bytes()).digest()).decode().rstrip("=") == value
        for mode, value in packed[place]
    )
]
ours = [name for name in sys.modules if name.partition(".")[0] == "sagehound"]
strange = [place for place in sys.path[1:] if place and not place.startswith((sys.prefix, sys.base_prefix))]
print(json.dumps({"files": len(places), "changed": changed, "ours": ours, "strange": strange}))
"""


def look(cloud: CloudProcess, python: Path, home: Path, *packages: str) -> dict[str, object]:
    """How many files the packages have, which of them are changed, and what else the interpreter has got."""
    words = [str(python), "-c", _LOOK, *packages]
    done = subprocess.run(
        command(cloud, words), env=surroundings(python, home), capture_output=True, text=True, check=True, timeout=300
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def assert_as_packed(cloud: CloudProcess, python: Path, home: Path, *packages: str) -> None:
    """Fail where a file of the packages is changed, or where something that is not theirs is loaded."""
    found = look(cloud, python, home, *packages)
    files = found.pop("files")
    assert isinstance(files, int)
    assert files > 100
    assert found == {"changed": [], "ours": [], "strange": []}
