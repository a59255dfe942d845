"""DescribeRegions and DescribeAvailabilityZones: AWS's names; every region of this cloud is on this machine."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import selection

_DEFAULT = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
]
"""The regions that every account has without opting in."""
_LETTERS = {"us-east-1": "abcdef", "us-west-2": "abcd", "ap-northeast-2": "abcd", "us-west-1": "ab"}
_DIRECTIONS = {"north": "n", "south": "s", "east": "e", "west": "w", "central": "c"}
_FILTERS = {"region-name": "RegionName", "endpoint": "Endpoint", "opt-in-status": "OptInStatus"}
_ZONE_FILTERS = {
    "zone-name": "ZoneName",
    "zone-id": "ZoneId",
    "region-name": "RegionName",
    "state": "State",
    "group-name": "GroupName",
    "zone-type": "ZoneType",
    "opt-in-status": "OptInStatus",
}


def zones(region: str) -> dict[str, str]:
    """Names of a region's availability zones -> their ids (`us-east-1a` -> `use1-az1`)."""
    area, direction, number = region.rsplit("-", 2) if region.count("-") >= 2 else (region, "", "1")
    for name, letter in _DIRECTIONS.items():
        direction = direction.replace(name, letter)
    short = area.replace("-", "") + direction + number
    letters = _LETTERS.get(region, "abc")
    return {f"{region}{letter}": f"{short}-az{at}" for at, letter in enumerate(letters, 1)}


class Regions:
    """The operations."""

    def DescribeRegions(self, call: Call, request: Request) -> Response:
        """The regions that every account has, and the one that is asked."""
        names = request.get("RegionNames") or sorted({*_DEFAULT, call.region})
        for name in names:
            if name not in _DEFAULT and name != call.region:
                raise AwsError("InvalidParameterValue", f"Invalid region names: [{name}]")
        found: list[dict[str, Any]] = [
            {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "opt-in-not-required"}
            for name in names
        ]
        return {"Regions": selection.select(found, request.get("Filters", ()), _FILTERS)}

    def DescribeAvailabilityZones(self, call: Call, request: Request) -> Response:
        """The zones of the region that is asked."""
        known = zones(call.region)
        for name in request.get("ZoneNames", ()):
            if name not in known:
                raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{name}]")
        found: list[dict[str, Any]] = [
            {
                "ZoneName": name,
                "ZoneId": zone_id,
                "RegionName": call.region,
                "State": "available",
                "OptInStatus": "opt-in-not-required",
                "Messages": [],
                "GroupName": f"{call.region}-zg-1",
                "NetworkBorderGroup": call.region,
                "ZoneType": "availability-zone",
            }
            for name, zone_id in known.items()
            if name in (request.get("ZoneNames") or known) and zone_id in (request.get("ZoneIds") or known.values())
        ]
        return {"AvailabilityZones": selection.select(found, request.get("Filters", ()), _ZONE_FILTERS)}
