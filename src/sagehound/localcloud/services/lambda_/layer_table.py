"""The layer versions that there are, and the layers of a function looked up among them."""

from __future__ import annotations

import re
from typing import Any

from sagehound.localcloud.services.lambda_ import records
from sagehound.localcloud.services.lambda_.errors import invalid, unsupported
from sagehound.localcloud.services.lambda_.unzip import MAX_UNZIPPED
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.store import Store

Record = dict[str, Any]

MAX_LAYERS = 5
_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:(?P<region>[^:]+):(?P<account>\d{12}):layer:(?P<name>[^:]+):(?P<version>\d+)"
)


class LayerTable:
    """Layer versions of all regions."""

    def __init__(self, store: Store, account_id: str) -> None:
        self.store = store
        self.account_id = account_id

    def arn(self, region: str, name: str) -> str:
        """The ARN of a layer; with `:VERSION` that of one of its versions."""
        return arns.make("lambda", region, self.account_id, f"layer:{name}")

    def find(self, region: str, name: str, version: int) -> Record | None:
        """A layer version."""
        return self.store.get(records.LAYER, region, f"{name}:{version}")

    def used(self, region: str, layer_arns: list[str], unzipped_size: int) -> list[Record]:
        """The Layers of a function's configuration; refused in AWS's words, as when code and layers are too large."""
        if len(layer_arns) > MAX_LAYERS:
            raise invalid(f"Cannot reference more than {MAX_LAYERS} layers.")
        found: list[Record] = []
        seen: dict[str, str] = {}
        for text in layer_arns:
            record = self._used(region, text)
            of_layer = text.rpartition(":")[0]
            if of_layer in seen:
                raise invalid(
                    "Two different versions of the same layer are not allowed to be referenced in the same function. "
                    f"{seen[of_layer]} and {text} are versions of the same layer."
                )
            seen[of_layer] = text
            unzipped_size += record["UnzippedSize"]
            # The digest is kept with the function: a layer version may be deleted, and its functions go on.
            found.append({"Arn": text, "CodeSize": record["CodeSize"], "CodeSha256": record["CodeSha256"]})
        if unzipped_size > MAX_UNZIPPED:
            raise invalid(
                f"Function code combined with layers exceeds the maximum allowed size of {MAX_UNZIPPED} bytes. "
                f"The actual size is {unzipped_size} bytes."
            )
        return found

    def _used(self, region: str, text: str) -> Record:
        parsed = _ARN.fullmatch(text)
        if parsed is None or parsed["account"] != self.account_id:
            raise unsupported(f"layers of other accounts ({text})")
        if parsed["region"] != region:
            raise invalid(
                f"Layers are not in the same region as the function. Layers are expected to be in region {region}."
            )
        record = self.find(region, parsed["name"], int(parsed["version"]))
        if record is None:
            raise invalid(f"Layer version {text} does not exist.")
        return record
