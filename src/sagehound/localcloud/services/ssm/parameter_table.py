"""Parameters in the store: the latest version of each with what belongs to all of them, and every version kept."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.services.ssm import names
from sagehound.localcloud.services.ssm.errors import parameter_not_found, version_not_found
from sagehound.localcloud.state.store import Store

Record = dict[str, Any]
KIND, VERSION_KIND = "ssm:parameter", "ssm:parameter-version"
MOST_VERSIONS = 100
"""Of a parameter; the oldest goes when there would be more."""


class ParameterTable:
    """A record has the members of ParameterHistory, its Value encrypted where it is secret; the latest has Tags too."""

    def __init__(self, store: Store, account_id: str) -> None:
        self.store = store
        self._account_id = account_id

    def named(self, region: str, text: str) -> names.Named:
        """What a request names; ParameterNotFound for an ARN of another region or account."""
        named = names.parse(text)
        if not text.startswith("arn:"):
            return named
        if not text.startswith(self.arn(region, named.name)):
            raise parameter_not_found(text)
        twin = names.twin(named.name)
        return named._replace(name=twin) if self.find(region, named.name) is None and self.find(region, twin) else named

    def find(self, region: str, name: str) -> Record | None:
        """The latest version."""
        return self.store.get(KIND, region, name)

    def get(self, region: str, name: str) -> Record:
        """The latest version; ParameterNotFound when there is none."""
        found = self.find(region, name)
        if found is None:
            raise parameter_not_found(name)
        return found

    def version(self, region: str, named: names.Named) -> Record:
        """The version that is asked for; ParameterVersionNotFound when it is not there (any more)."""
        latest = self.get(region, named.name)
        if not named.selector or named.selector == str(latest["Version"]):
            return latest
        number = int(named.selector) if named.selector.isdecimal() and len(named.selector) < 10 else 0
        found = self.store.get(VERSION_KIND, region, _version_key(named.name, number))
        if found is None:
            raise version_not_found(named.name, named.selector)
        return found

    def history(self, region: str, name: str) -> list[Record]:
        """All versions that are kept, oldest first."""
        latest = self.get(region, name)["Version"]
        numbers = range(max(1, latest - MOST_VERSIONS + 1), latest + 1)
        found = [self.store.get(VERSION_KIND, region, _version_key(name, number)) for number in numbers]
        return [record for record in found if record is not None]

    def list(self, region: str) -> list[Record]:
        """The latest version of each, by name."""
        return self.store.list(KIND, region)

    def count(self, region: str, tier: str) -> int:
        """How many parameters of a tier there are."""
        sql = "SELECT count(*) FROM records WHERE kind = ? AND region = ? AND json_extract(body, '$.Tier') = ?"
        return int(self.store.execute(sql, (KIND, region, tier))[0][0])

    def put(self, region: str, record: Record) -> None:
        """A new version, which becomes the latest; inside a transaction of the caller."""
        name, version = record["Name"], record["Version"]
        self.store.put(KIND, region, name, record)
        kept = {member: value for member, value in record.items() if member != "Tags"}
        self.store.put(VERSION_KIND, region, _version_key(name, version), kept)
        if version > MOST_VERSIONS:
            self.store.delete(VERSION_KIND, region, _version_key(name, version - MOST_VERSIONS))

    def change_tags(self, region: str, record: Record, tags: dict[str, str]) -> None:
        """Tags are no new version."""
        self.store.put(KIND, region, record["Name"], {**record, "Tags": tags})

    def delete(self, region: str, name: str) -> bool:
        """Remove a parameter with all its versions; False when there is none."""
        with self.store.transaction():
            latest = self.find(region, name)
            if latest is None:
                return False
            for number in range(max(1, latest["Version"] - MOST_VERSIONS + 1), latest["Version"] + 1):
                self.store.delete(VERSION_KIND, region, _version_key(name, number))
            return self.store.delete(KIND, region, name)

    def arn(self, region: str, name: str) -> str:
        """The parameter's."""
        return names.arn(region, self._account_id, name)


def _version_key(name: str, version: int) -> str:
    return f"{name}:{version:09}"
