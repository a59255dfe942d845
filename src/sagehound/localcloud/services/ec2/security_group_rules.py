"""Authorize and Revoke of ingress and egress, and DescribeSecurityGroupRules."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, ids, permissions, selection
from sagehound.localcloud.services.ec2.security_groups import GroupTable, SecurityGroups
from sagehound.localcloud.services.ec2.tags import specified
from sagehound.localcloud.state import arns

MOST_RULES = 60
"""Of a group and a direction."""
Record = dict[str, Any]
_FILTERS = {"group-id": "GroupId", "security-group-rule-id": "SecurityGroupRuleId"}


class SecurityGroupRules:
    """The operations."""

    def __init__(self, table: GroupTable, groups: SecurityGroups) -> None:
        self._table = table
        self._groups = groups

    def AuthorizeSecurityGroupIngress(self, call: Call, request: Request) -> Response:
        """Let traffic in; all rules of the request or, when one is there already, none."""
        return self._authorize(call, request, egress=False)

    def AuthorizeSecurityGroupEgress(self, call: Call, request: Request) -> Response:
        """Let traffic out."""
        return self._authorize(call, request, egress=True)

    def RevokeSecurityGroupIngress(self, call: Call, request: Request) -> Response:
        """Take rules away, by what they say or by their ids."""
        return self._revoke(call, request, egress=False)

    def RevokeSecurityGroupEgress(self, call: Call, request: Request) -> Response:
        """Take rules for outgoing traffic away."""
        return self._revoke(call, request, egress=True)

    def DescribeSecurityGroupRules(self, call: Call, request: Request) -> Response:
        """One entry a rule."""
        region = call.region
        rules = [self._shown(region, group, rule) for group in self._table.all(region) for rule in group["Rules"]]
        if wanted := request.get("SecurityGroupRuleIds"):
            have = {rule["SecurityGroupRuleId"]: rule for rule in rules}
            if absent := [rule_id for rule_id in wanted if rule_id not in have]:
                raise errors.not_found("InvalidSecurityGroupRuleId.NotFound", "security group rule ID", absent)
            rules = [have[rule_id] for rule_id in wanted]
        found = selection.select(rules, request.get("Filters", ()), _FILTERS)
        shown, token = selection.page(found, request, lambda rule: str(rule["SecurityGroupRuleId"]))
        return {"SecurityGroupRules": shown, **token}

    def _authorize(self, call: Call, request: Request, *, egress: bool) -> Response:
        region = call.region
        group = self._groups.one(region, request)
        call.resource = group["SecurityGroupArn"]
        tags = specified(request, "security-group-rule").get("security-group-rule", {})
        added: list[Record] = []
        for rule in self._asked(region, request, egress):
            if any(permissions.same(rule, other) for other in (*group["Rules"], *added)):
                message = f'the specified rule "{permissions.shown(rule)}" already exists'
                raise AwsError("InvalidPermission.Duplicate", message)
            added.append({"SecurityGroupRuleId": ids.new("sgr"), **rule})
        group["Rules"] += added
        if sum(rule["IsEgress"] == egress for rule in group["Rules"]) > MOST_RULES:
            message = "The maximum number of rules per security group has been reached."
            raise AwsError("RulesPerSecurityGroupLimitExceeded", message)
        self._table.put(region, group, {rule["SecurityGroupRuleId"]: tags for rule in added})
        return {"Return": True, "SecurityGroupRules": [self._shown(region, group, rule) for rule in added]}

    def _revoke(self, call: Call, request: Request, *, egress: bool) -> Response:
        region = call.region
        group = self._groups.one(region, request)
        call.resource = group["SecurityGroupArn"]
        own = [rule for rule in group["Rules"] if rule["IsEgress"] == egress]
        if wanted := request.get("SecurityGroupRuleIds"):
            gone = [rule for rule in own if rule["SecurityGroupRuleId"] in wanted]
            if len(gone) < len({*wanted}):
                raise AwsError(
                    "InvalidSecurityGroupRuleId.NotFound", "The specified rule does not exist in this security group."
                )
        else:
            asked = self._asked(region, request, egress)
            gone = [rule for rule in own if any(permissions.same(rule, other) for other in asked)]
            if len(gone) < len(asked):
                raise AwsError(
                    "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
                )
        group["Rules"] = [rule for rule in group["Rules"] if rule not in gone]
        self._table.put(region, group)
        for rule in gone:
            self._table.tags.remove(region, rule["SecurityGroupRuleId"])
        return {"Return": True}

    def _asked(self, region: str, request: Request, egress: bool) -> list[Record]:
        """The rules of a request; groups that they name exist, and are named by their ids."""
        found = []
        for rule in permissions.rules_of(request, self._table.account_id):
            if reference := rule.get("ReferencedGroupInfo"):
                name = reference.pop("GroupName", None)
                other = self._table.named(region, name) if name else self._table.get(region, reference["GroupId"])
                reference["GroupId"] = other["GroupId"]
            found.append({"IsEgress": egress, **rule})
        return found

    def _shown(self, region: str, group: Record, rule: Record) -> Record:
        rule_id = rule["SecurityGroupRuleId"]
        return {
            "GroupId": group["GroupId"],
            "GroupOwnerId": group["OwnerId"],
            "SecurityGroupRuleArn": arns.make("ec2", region, group["OwnerId"], f"security-group-rule/{rule_id}"),
            **rule,
            **self._table.tags.shown(region, rule_id),
        }
