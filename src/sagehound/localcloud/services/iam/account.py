"""The account: its alias and how many of everything it has."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import limits, records
from sagehound.localcloud.state.store import Store


class Account:
    """What is true of the account as a whole."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ListAccountAliases(self, call: Call, request: Request) -> Response:
        """The alias, if it has one."""
        aliases = [record["AccountAlias"] for record in self._store.list(records.ALIAS, "")]
        return {"AccountAliases": aliases, "IsTruncated": False}

    def CreateAccountAlias(self, call: Call, request: Request) -> Response:
        """Set the alias; a second one replaces the first."""
        self._store.put(records.ALIAS, "", "alias", {"AccountAlias": request["AccountAlias"]})
        return {}

    def DeleteAccountAlias(self, call: Call, request: Request) -> Response:
        """No alias any more."""
        found = self._store.get(records.ALIAS, "", "alias")
        if found is None or found["AccountAlias"] != request["AccountAlias"]:
            message = f"The account alias {request['AccountAlias']} cannot be found."
            raise AwsError("NoSuchEntity", message, 404)
        self._store.delete(records.ALIAS, "", "alias")
        return {}

    def GetAccountSummary(self, call: Call, request: Request) -> Response:
        """Counts, and the quotas that hold here."""
        count = {kind: len(self._store.list(kind, "")) for kind in (records.USER, records.ROLE, records.POLICY)}
        policies = self._store.list(records.POLICY, "")
        summary = {
            "Users": count[records.USER],
            "UsersQuota": limits.USERS,
            "Roles": count[records.ROLE],
            "RolesQuota": limits.ROLES,
            "Policies": count[records.POLICY],
            "PoliciesQuota": limits.POLICIES,
            "PolicyVersionsInUse": sum(len(policy["Versions"]) for policy in policies),
            "PolicySizeQuota": limits.MANAGED_POLICY_SIZE,
            "VersionsPerPolicyQuota": limits.VERSIONS_PER_POLICY,
            "InstanceProfiles": len(self._store.list(records.PROFILE, "")),
            "InstanceProfilesQuota": limits.INSTANCE_PROFILES,
            "AccessKeysPerUserQuota": limits.ACCESS_KEYS_PER_USER,
            "AttachedPoliciesPerUserQuota": limits.POLICIES_PER_PRINCIPAL,
            "AttachedPoliciesPerRoleQuota": limits.POLICIES_PER_PRINCIPAL,
            "AssumeRolePolicySizeQuota": limits.TRUST_POLICY_SIZE,
            "UserPolicySizeQuota": limits.INLINE_SIZE["user"],
            "RolePolicySizeQuota": limits.INLINE_SIZE["role"],
            "Groups": 0,
            "MFADevices": 0,
            "AccountMFAEnabled": 0,
            "AccountAccessKeysPresent": 1,
        }
        return {"SummaryMap": summary}
