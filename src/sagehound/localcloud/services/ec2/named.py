"""Which resource a request means that does not name it by its id: asked before a policy decides about it."""

from __future__ import annotations

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2.images import ImageParameters
from sagehound.localcloud.services.ec2.key_pairs import KeyPairs
from sagehound.localcloud.services.ec2.network import subnets
from sagehound.localcloud.services.ec2.security_groups import GroupTable
from sagehound.localcloud.services.ec2.table import InstanceTable


class Named:
    """A provider of IAM's checks; None is what is not there."""

    def __init__(
        self, table: InstanceTable, groups: GroupTable, key_pairs: KeyPairs, parameters: ImageParameters
    ) -> None:
        self._table = table
        self._groups = groups
        self._key_pairs = key_pairs
        self._parameters = parameters

    def security_group(self, region: str, name: str, /) -> str | None:
        """The id of a group of the default VPC."""
        return next((group["GroupId"] for group in self._groups.all(region) if group["GroupName"] == name), None)

    def default_subnet(self, region: str, zone: str | None, /) -> str | None:
        """The id of the first subnet, or of the zone's."""
        known = subnets(self._groups.account_id, region)
        return next((item["SubnetId"] for item in known if zone in (None, item["AvailabilityZone"])), None)

    def key_pair(self, region: str, key_pair_id: str, /) -> str | None:
        """The name of a key pair."""
        record = self._key_pairs.by_id(region, key_pair_id)
        return None if record is None else str(record["KeyName"])

    def associated_instance(self, region: str, association_id: str, /) -> str | None:
        """The id of the instance that an association of an instance profile is about."""
        record = self._table.associated(region, association_id)
        return None if record is None else str(record["InstanceId"])

    def image(self, region: str, parameter: str, /) -> str | None:
        """The id of the image that a parameter of Systems Manager names."""
        try:
            return self._parameters(region, parameter)
        except AwsError:
            return None  # the operation says why
