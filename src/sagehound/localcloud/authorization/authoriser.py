"""IAM decides: every call of every service is asked of the caller's policies and of the resource's, and recorded."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial

from sagehound.localcloud.authorization import context as keys
from sagehound.localcloud.authorization import denial, rules, s3
from sagehound.localcloud.authorization.check import Check, Context, Rule, Value
from sagehound.localcloud.authorization.needs import IAM, ResourcePolicies, ResourceTags
from sagehound.localcloud.authorization.subjects import Subject, Subjects
from sagehound.localcloud.call import Call, Caller, Request
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.policy.decision import Decision, Query, decide
from sagehound.localcloud.policy.document import Policy, compile_policy
from sagehound.localcloud.recorder import Recorder
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.wire.copy_source import parse_copy_source
from sagehound.localcloud.wire.route import Route

logger = logging.getLogger(__name__)

_CONCEALED = ("NoSuchKey", "NoSuchVersion")
_NO_PUBLIC = Decision(False, "implicitDeny", "resource-based policy", "", "RestrictPublicBuckets")
Entry = dict[str, str]
"""What the record of a call says of one decision: action, resource, verdict, by, policy, statement."""


class Authoriser:
    """Root is excepted; everybody else may do what a policy allows and none denies."""

    def __init__(self, iam: IAM, clock: Clock, account_id: str, recorder: Recorder) -> None:
        self._clock = clock
        self._account_id = account_id
        self._recorder = recorder
        self._rules = rules.by_service(iam, account_id)
        self._resource_policies: dict[str, ResourcePolicies] = {}
        self._resource_tags: dict[str, ResourceTags] = {}
        self._restricts_public: dict[str, Callable[[str], bool]] = {}
        self._subjects = Subjects(iam, account_id)

    def add_rule(self, service: str, rule: Rule) -> None:
        """Ask `rule` what the calls of a service need: one that must look into the service."""
        self._rules[service] = rule

    def add_resource_policies(
        self, service: str, provider: ResourcePolicies, *, restricts_public: Callable[[str], bool] | None = None
    ) -> None:
        """Ask `provider` for the policies of the resources that actions `service:...` are about.

        `restricts_public` says of a resource that its policy lets nobody in who is unknown; it
        raises what even they are told: that there is no such bucket.
        """
        self._resource_policies[service] = provider
        if restricts_public is not None:
            self._restricts_public[service] = restricts_public

    def add_resource_tags(self, service: str, provider: ResourceTags) -> None:
        """Ask `provider` for the tags of the resources that actions `service:...` are about."""
        self._resource_tags[service] = provider

    def authorise(self, call: Call, route: Route, params: Request) -> None:
        """AwsError in AWS's words unless the caller may make this call; the record is told what decided."""
        if call.caller.is_root:
            return
        checks = self._rules.get(route.service, rules.generic)(call, params)
        if checks and call.resource == "*":
            call.resource = checks[0].resource  # what is recorded of a call that ends here
        self.demand(call, checks)

    def demand(self, call: Call, checks: Iterable[Check]) -> None:
        """The same for what an operation itself finds out that it needs (a key of DeleteObjects, a form's object)."""
        caller = call.caller
        if caller.is_root:
            return
        subject = self._subjects.of(caller)
        known = {**subject.keys, **keys.of_call(call, self._clock.time())}
        for check in checks:
            self._ask(call.service, subject, check, {**known, **check.context}, call.authorised)

    def require(
        self,
        caller: Caller,
        region: str,
        action: str,
        resource: str,
        context: Context | None = None,
        *,
        service: str,
        authorised: list[Entry] | None = None,
    ) -> None:
        """A question that is about no call of the gateway's (a function URL); `service` says whose words refuse it.

        `context` are the keys of the action and those of the request, if there is one. What decided is added to
        `authorised`, which the caller of this records.
        """
        if caller.is_root:
            return
        subject = self._subjects.of(caller)
        known = self._known(subject, region, context)
        self._ask(service, subject, Check(action, resource), known, [] if authorised is None else authorised)

    def denied(
        self,
        role_arn: str,
        session_name: str,
        action: str,
        resource: str,
        context: Context | None = None,
        /,
        *,
        region: str,
        via: str,
    ) -> str | None:
        """May a role do this while a service acts with it? None, or AWS's sentence why not. Recorded as a call."""
        asked = role_arn, session_name, action, (resource,), resource, context
        found = self.denied_among(*asked, region=region, via=via)
        return None if found is None else found[1]

    def denied_among(
        self,
        role_arn: str,
        session_name: str,
        action: str,
        resources: Sequence[str],
        shown: str,
        context: Context | None = None,
        /,
        *,
        region: str,
        via: str,
        ahead: bool = False,
    ) -> tuple[str, str] | None:
        """The first resource that `denied` has a sentence about, and the sentence.

        One record for all: about `shown` (`arn:aws:s3:::bucket/prefix*`) where all are allowed. What is asked `ahead`
        of the access is recorded only when it is refused.
        """
        subject = self._subjects.of_role(role_arn, session_name)
        arn, known = subject.principal.arn, self._known(subject, region, context)
        policy_of = cache(self._policy_of)  # a job has thousands of objects: their bucket's policy is found out once
        for resource in resources:
            check = Check(action, resource)
            decision = self._decide(subject, check, known, policy_of)
            if not decision.allowed:
                break
        if ahead and decision.allowed:
            return None
        refusal = None if decision.allowed else _refused("", arn, check, decision)
        about = check if refusal is not None else Check(action, shown)
        self._recorder.write(
            time=self._clock.time(),
            request_id=str(uuid.uuid4()),
            caller=arn,
            session_issuer=role_arn,
            via=via,
            action=action,
            resource=about.resource,
            region=region,
            source=via,
            status=200 if refusal is None else 403,
            refused_by=None if refusal is None else "authorise",
            error=None if refusal is None else "AccessDenied",
            message=None if refusal is None else refusal.message,
            authorised=[_entry(about, decision)],
            milliseconds=0.0,
        )
        return None if refusal is None else (check.resource, refusal.message)

    def concealed(self, call: Call, params: Request, error: AwsError) -> AwsError:
        """What S3 answers for a key that is not there: only who may list the bucket learns that it is not."""
        if call.service != "s3" or error.code not in _CONCEALED or call.caller.is_root:
            return error
        bucket, key = params["Bucket"], error.members.get("Key")
        if "CopySource" in params:
            source = parse_copy_source(params["CopySource"])
            if source["Key"] == key:
                bucket = source["Bucket"]
        try:
            self.demand(call, [Check("s3:ListBucket", s3.bucket_arn(bucket), {"s3:prefix": str(key)})])
        except AwsError as refusal:
            return refusal
        return error

    def _known(self, subject: Subject, region: str, context: Context | None) -> dict[str, Value]:
        moment = keys.of_moment(self._clock.time(), region, self._account_id)
        return {**subject.keys, **moment, **(context or {})}

    def _ask(
        self, service: str, subject: Subject, check: Check, known: dict[str, Value], authorised: list[Entry]
    ) -> None:
        decision = self._decide(subject, check, known, self._policy_of)
        authorised.append(_entry(check, decision))
        if not decision.allowed:
            raise _refused(service, subject.principal.arn, check, decision)

    def _decide(
        self, subject: Subject, check: Check, known: dict[str, Value], policy_of: Callable[[str, str], Policy | None]
    ) -> Decision:
        service, resource, principal = check.action.partition(":")[0], check.resource, subject.principal
        asked = not principal.arn and service in self._restricts_public and check.action != "s3:CreateBucket"
        if asked and self._restricts_public[service](resource):
            return _NO_PUBLIC
        owner = resource.partition("/")[0] if service == "s3" else resource
        tags = partial(self._tags, service, resource) if service in self._resource_tags else None
        query = Query(check.action, resource, known, principal, tags)
        same_account = principal.account_id == self._account_id
        return decide(query, subject.rights.policies, policy_of(service, owner), same_account=same_account)

    def _policy_of(self, service: str, owner: str) -> Policy | None:
        """The policy of a bucket, a function, a role."""
        provider = self._resource_policies.get(service)
        text = None if provider is None else provider.resource_policy(owner)
        return None if text is None else compile_policy(text, f"policy of {owner}")

    def _tags(self, service: str, resource: str) -> dict[str, str]:
        found = {}
        for key, value in self._resource_tags[service].resource_tags(resource).items():
            for name in ("aws:resourcetag", f"{service}:resourcetag", f"{service}:existingobjecttag"):
                found[f"{name}/{key}".lower()] = value
        return found


def _entry(check: Check, decision: Decision) -> Entry:
    return {
        "action": check.action,
        "resource": check.resource,
        "verdict": decision.verdict,
        "by": decision.by,
        "policy": decision.policy,
        "statement": decision.statement,
    }


def _refused(service: str, arn: str, check: Check, decision: Decision) -> AwsError:
    """The denial, said in the server's log with what AWS tells nobody: the policy and the statement."""
    decided = f" {decision.policy}, {decision.statement}" if decision.statement else ""
    logger.info(
        "%s may not %s on %s: %s by %s%s",
        arn or "anonymous",
        check.action,
        check.resource if check.resource.isprintable() else ascii(check.resource),
        decision.verdict,
        decision.by,
        decided,
    )
    return denial.refusal(service, arn, check, decision)
