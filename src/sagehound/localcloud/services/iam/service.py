"""IAM put together: its operations, and what other services ask of it."""

from __future__ import annotations

from sagehound.localcloud.call import Credential, CredentialSource, Operation, operations_of
from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.iam import trust
from sagehound.localcloud.services.iam.access_keys import AccessKeys
from sagehound.localcloud.services.iam.account import Account
from sagehound.localcloud.services.iam.attachments import Attachments
from sagehound.localcloud.services.iam.effective import EffectivePolicies
from sagehound.localcloud.services.iam.inline import InlinePolicies
from sagehound.localcloud.services.iam.instance_profiles import InstanceProfiles
from sagehound.localcloud.services.iam.policies import Policies
from sagehound.localcloud.services.iam.roles import Roles
from sagehound.localcloud.services.iam.simulation import Simulation
from sagehound.localcloud.services.iam.users import Users
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store


class IAM:
    """AWS Identity and Access Management."""

    name = "iam"

    def __init__(self, store: Store, clock: Clock, account_id: str, root: Credential) -> None:
        self.account_id = account_id
        self.policies = Policies(store, clock, account_id)
        self.users = Users(store, clock, account_id, self.policies)
        self.roles = Roles(store, clock, account_id, self.policies)
        self.effective = EffectivePolicies(store)
        self.access_keys = AccessKeys(store, clock, account_id, root, self.users)
        self._operations = operations_of(
            self.users,
            self.access_keys,
            self.roles,
            self.policies,
            Attachments(store, self.policies),
            InlinePolicies(store),
            InstanceProfiles(store, clock, account_id),
            Account(store),
            Simulation(store, self.policies, account_id),
        )

    @property
    def operations(self) -> dict[str, Operation]:
        """By AWS's names."""
        return self._operations

    @property
    def credentials(self) -> CredentialSource:
        """The long-term keys: root's and the users'."""
        return self.access_keys

    def role(self, arn: str) -> Record | None:
        """The role with this ARN."""
        return self.roles.by_arn(arn)

    def role_trust(self, role_arn: str, service_principal: str, source_arn: str = "") -> None:
        """ValidationException when there is no such role, or when it does not trust the service.

        `source_arn` is the resource for which the service would assume it: aws:SourceArn in the trust policy.
        """
        role = self.roles.by_arn(role_arn)
        context = {"aws:SourceAccount": self.account_id, **({"aws:SourceArn": source_arn} if source_arn else {})}
        if role is None or not trust.trusts_service(role["AssumeRolePolicyDocument"], service_principal, context):
            raise validation(
                "Could not assume role " + role_arn + ". Please ensure that the role exists and allows principal "
                f"'{service_principal}' to assume the role."
            )
