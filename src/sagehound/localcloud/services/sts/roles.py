"""Sessions: AssumeRole for roles, GetSessionToken for the caller itself."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.authorization.context import of_call, of_principal
from sagehound.localcloud.authorization.sts import checks
from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import grammar, trust
from sagehound.localcloud.services.iam.service import IAM
from sagehound.localcloud.services.sts.sessions import Sessions
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record

CHAINED_SECONDS = 3600
"""The longest session that a session can get by assuming a role."""
_PACKED_LIMIT = 2048
_SESSION_MEMBERS = ("Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "SourceIdentity")


class AssumedRoles:
    """Temporary keys."""

    def __init__(self, account_id: str, iam: IAM, sessions: Sessions, clock: Clock) -> None:
        self._account_id = account_id
        self._iam = iam
        self._sessions = sessions
        self._clock = clock

    def AssumeRole(self, call: Call, request: Request) -> Response:
        """Keys of a role, if its trust policy names the caller."""
        call.resource = request["RoleArn"]
        role = self._iam.role(request["RoleArn"])
        seconds = request.get("DurationSeconds", 3600)
        if role is None or not self._trusts(call, role, request):
            refused = f"sts:AssumeRole on resource: {request['RoleArn']}"
            message = f"User: {call.caller.arn} is not authorized to perform: {refused}"
            raise AwsError("AccessDenied", message, 403)
        if seconds > role["MaxSessionDuration"]:
            message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise AwsError("ValidationError", message)
        if "RoleArn" in call.caller.session and seconds > CHAINED_SECONDS:
            message = (
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
            )
            raise AwsError("ValidationError", message)
        packed = self._packed(request)
        session = {member: request[member] for member in _SESSION_MEMBERS if member in request}
        keys, user = self.issue(role, request["RoleSessionName"], seconds, session, call.region)
        answer: Response = {"Credentials": keys, "AssumedRoleUser": user}
        if "SourceIdentity" in request:
            answer["SourceIdentity"] = request["SourceIdentity"]
        if packed is not None:
            answer["PackedPolicySize"] = packed
        return answer

    def issue(
        self, role: Record, session_name: str, seconds: int, session: dict[str, Any], region: str
    ) -> tuple[Record, Record]:
        """Keys of a role without asking its trust policy, and the AssumedRoleUser that holds them."""
        arn = arns.make("sts", "", self._account_id, f"assumed-role/{role['RoleName']}/{session_name}")
        user_id = f"{role['RoleId']}:{session_name}"
        caller = {
            "Arn": arn,
            "UserId": user_id,
            "Account": self._account_id,
            "Session": {**session, "RoleArn": role["Arn"], "RoleSessionName": session_name},
        }
        keys = self._sessions.make(caller, seconds)
        self._iam.roles.note_use(role["RoleName"], region)
        return keys, {"AssumedRoleId": user_id, "Arn": arn}

    def GetSessionToken(self, call: Call, request: Request) -> Response:
        """Temporary keys of the user itself: twelve hours, one for root."""
        caller = call.caller
        if caller.access_key_id.startswith("ASIA"):
            raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
        longest = CHAINED_SECONDS if caller.is_root else 129600
        seconds = min(request.get("DurationSeconds", 43200), longest)
        record = {
            "Arn": caller.arn,
            "UserId": caller.user_id,
            "Account": caller.account_id,
            "IsRoot": caller.is_root,
            "Session": {},
        }
        return {"Credentials": self._sessions.make(record, seconds)}

    def _trusts(self, call: Call, role: Record, request: Request) -> bool:
        """The trust policy allows all that is asked for; the caller's own policies were asked before."""
        caller = call.caller
        tags = {} if caller.is_root else self._iam.effective.rights_of(caller).tags
        known = {**of_principal(caller, tags), **of_call(call, self._clock.time())}
        document, role_arn = role["AssumeRolePolicyDocument"], caller.session.get("RoleArn", "")
        return all(
            trust.trusts_caller(
                document,
                caller.arn,
                self._account_id,
                check.action,
                {**known, **check.context},
                role_arn=role_arn,
            )
            for check in checks(call, request)
        )

    def _packed(self, request: Request) -> int | None:
        """The percentage of the space for session policies and tags that this session uses."""
        size = 0
        if "Policy" in request:
            grammar.check_identity_policy(request["Policy"])
            size += grammar.size(request["Policy"])
        for policy in request.get("PolicyArns", []):
            self._iam.policies.describe(policy["arn"])
            size += len(policy["arn"])
        size += sum(len(tag["Key"]) + len(tag["Value"]) for tag in request.get("Tags", []))
        if size > _PACKED_LIMIT:
            message = (
                f"Packed size of session tags and policies consumes {size * 100 // _PACKED_LIMIT}% of allotted space"
            )
            raise AwsError("PackedPolicyTooLarge", message)
        return max(1, size * 100 // _PACKED_LIMIT) if size else None
