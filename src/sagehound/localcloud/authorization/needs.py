"""What deciding needs of the services, each as the smallest Protocol; cloud.py passes the providers in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sagehound.localcloud.authorization.rights import Rights
from sagehound.localcloud.call import Caller


class Entities(Protocol):
    """IAM, asked what its calls are about."""

    def entity(self, kind: str, name: str, /) -> Mapping[str, Any] | None:
        """The record of a `user`, `role` or `instance-profile`, with its Arn, Path, Tags and PermissionsBoundary."""

    def user_of_key(self, access_key_id: str, /) -> str | None:
        """The name of the user whose access key this is."""


class IAM(Entities, Protocol):
    """IAM, asked what its users and roles may do, too."""

    def rights_of(self, caller: Caller, /) -> Rights:
        """Those of a user or of a role's session, as they are now."""

    def rights_of_role(self, role_arn: str, /) -> Rights:
        """Those of a role; nothing when there is no such role."""


class ResourcePolicies(Protocol):
    """A service whose resources have policies of their own."""

    def resource_policy(self, arn: str, /) -> str | None:
        """The text of the policy that governs this very resource (an object's is its bucket's); None without one."""


class ScalableTargets(Protocol):
    """Application Auto Scaling, asked which scalable target a request is about."""

    def arn_of(self, region: str, request: Mapping[str, Any], /) -> str | None:
        """The target that ServiceNamespace, ResourceId and ScalableDimension name; None when it is not registered."""


class ResourceTags(Protocol):
    """A service whose resources have tags."""

    def resource_tags(self, arn: str, /) -> Mapping[str, str]:
        """The tags of this resource; none when it has none or does not exist."""


class Ec2Names(Protocol):
    """EC2, asked which resource a request means that does not name it by its id; None when there is none."""

    def security_group(self, region: str, name: str, /) -> str | None:
        """The id of a group of the default VPC."""

    def default_subnet(self, region: str, zone: str | None, /) -> str | None:
        """The id of the subnet that an instance gets which asks for a zone at most."""

    def key_pair(self, region: str, key_pair_id: str, /) -> str | None:
        """The name of a key pair, which its ARN has."""

    def associated_instance(self, region: str, association_id: str, /) -> str | None:
        """The id of the instance that an association of an instance profile is about."""

    def image(self, region: str, parameter: str, /) -> str | None:
        """The id of the image that a parameter of Systems Manager names."""
