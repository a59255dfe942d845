"""IAM decides: what a user, a role or a session may do, what it is told otherwise, and when a change counts."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.cloud.people import People, allow, document, statement
from tests.cloud.test_iam_users import refusal
from tests.cloud_process import CloudProcess


def denial(arn: str, action: str, resource: str, why: str) -> str:
    return f"User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"


class TestWords:
    """The code, the status and the sentence of each service."""

    @pytest.mark.parametrize(
        ("service", "method", "action", "code", "status"),
        [
            ("sagemaker", "list_models", "sagemaker:ListModels", "AccessDeniedException", 400),
            ("iam", "list_users", "iam:ListUsers", "AccessDenied", 403),
            ("cloudwatch", "list_metrics", "cloudwatch:ListMetrics", "AccessDenied", 403),
            ("lambda", "list_functions", "lambda:ListFunctions", "AccessDeniedException", 403),
            ("cloudtrail", "lookup_events", "cloudtrail:LookupEvents", "AccessDeniedException", 400),
        ],
    )
    def test_nothing_is_allowed_by_itself(
        self, people: People, service: str, method: str, action: str, code: str, status: int
    ) -> None:
        person = people.user()
        why = f"because no identity-based policy allows the {action} action"
        assert refusal(getattr(person.client(service), method)) == (
            code,
            status,
            denial(person.arn, action, "*", why),
        )

    def test_s3_quotes_the_resource(self, people: People) -> None:
        person = people.user()
        assert refusal(person.client("s3").list_objects_v2, Bucket="nobodys") == (
            "AccessDenied",
            403,
            f'User: {person.arn} is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::nobodys" '
            "because no identity-based policy allows the s3:ListBucket action",
        )

    def test_an_explicit_deny_is_said(self, people: People) -> None:
        deny = statement("Deny", "sagemaker:*", Sid="NoLearning")
        person = people.user(document(statement("Allow", "*"), deny))
        action = "sagemaker:ListModels"
        why = "with an explicit deny in an identity-based policy"
        assert refusal(person.client("sagemaker").list_models)[2] == denial(person.arn, action, "*", why)

    def test_an_endpoint_is_named(self, people: People, cloud: CloudProcess) -> None:
        person = people.user()
        invoke = person.client("sagemaker-runtime").invoke_endpoint
        arn = f"arn:aws:sagemaker:{cloud.region}:{cloud.account_id}:endpoint/dogs"
        code, status, message = refusal(invoke, EndpointName="dogs", Body=b"x" * 100)
        assert (code, status) == ("AccessDeniedException", 403)
        why = "because no identity-based policy allows the sagemaker:InvokeEndpoint action"
        assert message == denial(person.arn, "sagemaker:InvokeEndpoint", arn, why)

    def test_a_wrong_signature_learns_nothing_of_permissions(self, people: People) -> None:
        """The signature of InvokeEndpoint covers its body: it is verified before anybody is told a denial."""
        person = people.user()
        runtime = person.client("sagemaker-runtime", aws_secret_access_key="guess")
        code, _, message = refusal(runtime.invoke_endpoint, EndpointName="dogs", Body=b"x" * 100)
        assert code == "InvalidSignatureException"
        assert person.arn not in message

    def test_who_one_is_needs_no_permission(self, people: People) -> None:
        person = people.user(document(statement("Deny", "*")))
        assert person.client("sts").get_caller_identity()["Arn"] == person.arn
        assert person.client("sts").get_session_token()["Credentials"]["AccessKeyId"].startswith("ASIA")


class TestRecord:
    def test_which_statement_decided_is_recorded(self, people: People, cloud: CloudProcess) -> None:
        named = statement("Allow", "sagemaker:ListModels", Sid="Models")
        person = people.user(document(statement("Allow", "iam:*"), named))
        person.client("sagemaker").list_models()
        refusal(person.client("sagemaker").list_endpoints)
        allowed, denied = person.calls(2)
        assert allowed["authorised"] == [
            {
                "action": "sagemaker:ListModels",
                "resource": "*",
                "verdict": "allowed",
                "by": "identity-based policy",
                "policy": "given",
                "statement": "Models",
            }
        ]
        assert allowed["access_key_id"] == person.keys["AccessKeyId"]
        assert denied["authorised"][0]["verdict"] == "implicitDeny"
        assert (denied["refused_by"], denied["error"]) == ("authorise", "AccessDeniedException")
        assert f"{person.arn} may not sagemaker:ListEndpoints" in cloud.log()

    def test_what_a_denied_call_was_about(self, people: People, cloud: CloudProcess) -> None:
        person = people.user()
        refusal(person.client("sagemaker").delete_model, ModelName="dogs")
        (call,) = person.calls()
        assert call["resource"] == f"arn:aws:sagemaker:{cloud.region}:{cloud.account_id}:model/dogs"

    def test_a_session_is_recorded_with_its_role(self, people: People, cloud: CloudProcess) -> None:
        role = people.role(allow("sagemaker:ListModels"))
        session = people.session(role)
        session.client("sagemaker").list_models()
        (call,) = session.calls()
        assert (call["session_issuer"], call["access_key_id"]) == (role, session.keys["AccessKeyId"])

    def test_root_is_asked_nothing(self, cloud: CloudProcess) -> None:
        cloud.client("logs").describe_log_groups()
        cloud.client("iam").list_users()  # by its answer the call before is recorded
        root = f"arn:aws:iam::{cloud.account_id}:root"
        found = [call for call in cloud.calls() if call.get("caller") == root]
        assert found
        assert not [call for call in found if "authorised" in call]


class TestChanges:
    """The next call is judged by what the policies are then."""

    def test_an_inline_policy(self, people: People) -> None:
        person = people.user()
        client = person.client("sagemaker")
        for _ in range(3):
            assert refusal(client.list_models)[0] == "AccessDeniedException"
            person.may(allow("sagemaker:ListModels"))
            client.list_models()
            people.iam.delete_user_policy(UserName=person.name, PolicyName="given")

    def test_a_managed_policy_and_its_versions(self, people: People) -> None:
        person = people.user()
        arn = people.managed(allow("sagemaker:ListModels"))
        client = person.client("sagemaker")
        people.iam.attach_user_policy(UserName=person.name, PolicyArn=arn)
        client.list_models()
        people.iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("iam:ListUsers"), SetAsDefault=True)
        assert refusal(client.list_models)[0] == "AccessDeniedException"
        people.iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
        client.list_models()
        people.iam.detach_user_policy(UserName=person.name, PolicyArn=arn)
        assert refusal(client.list_models)[0] == "AccessDeniedException"

    def test_one_of_aws(self, people: People) -> None:
        person = people.user()
        arn = "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly"
        people.iam.attach_user_policy(UserName=person.name, PolicyArn=arn)
        person.client("sagemaker").list_models()
        assert refusal(person.client("sagemaker").delete_model, ModelName="any")[0] == "AccessDeniedException"

    def test_a_role_under_its_sessions(self, people: People) -> None:
        role = people.role(allow("sagemaker:ListModels"))
        client = people.session(role).client("sagemaker")
        client.list_models()
        people.iam.delete_role_policy(RoleName=role.rpartition("/")[2], PolicyName="given")
        assert refusal(client.list_models)[0] == "AccessDeniedException"

    def test_a_deleted_role_ends_its_sessions(self, people: People) -> None:
        """Even when another of the same name takes its place."""
        role = people.role(allow("*"))
        session = people.session(role)
        session.client("sagemaker").list_models()
        name = role.rpartition("/")[2]
        people.remove_role(name)
        for service, method, code in (
            ("sagemaker", "list_models", "UnrecognizedClientException"),
            ("sts", "get_caller_identity", "InvalidClientTokenId"),
            ("s3", "list_buckets", "InvalidAccessKeyId"),
        ):
            assert refusal(getattr(session.client(service), method))[0] == code
        trust = document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
        people.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        people.iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=allow("*"))
        assert refusal(session.client("sagemaker").list_models)[0] == "UnrecognizedClientException"

    def test_a_renamed_user_keeps_what_it_may(self, people: People) -> None:
        person = people.user(allow("sagemaker:ListModels"))
        token = person.client("sts").get_session_token()["Credentials"]
        session = type(person)(people.cloud, person.arn, token)
        renamed = f"{person.name}-renamed"
        people.iam.update_user(UserName=person.name, NewUserName=renamed)
        people.users[people.users.index(person.name)] = renamed
        assert "Models" in person.client("sagemaker").list_models()
        assert "Models" in session.client("sagemaker").list_models()

    def test_all_of_it_after_kill_9(self, own_cloud: CloudProcess) -> None:
        made = People(own_cloud)
        person, role = made.user(allow("sagemaker:ListModels")), made.role(allow("iam:ListUsers"))
        session = made.session(role, Policy=allow("iam:*"))
        own_cloud.restart(kill=True)
        person.client("sagemaker").list_models()
        session.client("iam").list_users()
        assert refusal(session.client("iam").list_roles)[0] == "AccessDenied"


class TestLimits:
    """Boundaries and session policies give nothing; they take away."""

    def test_a_boundary(self, people: People) -> None:
        boundary = people.managed(allow(["sagemaker:*", "iam:ListUsers"]))
        person = people.user(allow(["sagemaker:ListModels", "iam:ListRoles"]), PermissionsBoundary=boundary)
        person.client("sagemaker").list_models()
        why = "because no permissions boundary allows the iam:ListRoles action"
        assert refusal(person.client("iam").list_roles)[2] == denial(person.arn, "iam:ListRoles", "*", why)
        why = "because no identity-based policy allows the iam:ListUsers action"
        assert refusal(person.client("iam").list_users)[2] == denial(person.arn, "iam:ListUsers", "*", why)
        people.iam.delete_user_permissions_boundary(UserName=person.name)
        person.client("iam").list_roles()

    def test_a_boundary_that_denies(self, people: People) -> None:
        boundary = people.managed(document(statement("Allow", "*"), statement("Deny", "iam:*")))
        role = people.role(allow("*"), PermissionsBoundary=boundary)
        session = people.session(role)
        why = "with an explicit deny in a permissions boundary"
        assert refusal(session.client("iam").list_users)[2] == denial(session.arn, "iam:ListUsers", "*", why)

    def test_a_session_policy(self, people: People) -> None:
        role = people.role(allow(["sagemaker:*", "iam:ListUsers"]))
        session = people.session(role, Policy=allow("sagemaker:ListModels"))
        session.client("sagemaker").list_models()
        why = "because no session policy allows the iam:ListUsers action"
        assert refusal(session.client("iam").list_users)[2] == denial(session.arn, "iam:ListUsers", "*", why)
        people.session(role).client("iam").list_users()

    def test_managed_session_policies(self, people: People) -> None:
        role = people.role(allow("*"))
        arn = people.managed(allow("sagemaker:ListModels"))
        session = people.session(role, PolicyArns=[{"arn": arn}])
        session.client("sagemaker").list_models()
        assert refusal(session.client("iam").list_users)[0] == "AccessDenied"


class TestPassRole:
    """Who hands a role to a service must be allowed to pass it there: otherwise it would act with others' rights."""

    def model(self, role: str) -> dict[str, Any]:
        image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
        return {
            "ModelName": f"passed-{uuid.uuid4().hex[:8]}",
            "ExecutionRoleArn": role,
            "PrimaryContainer": {"Image": image},
        }

    def test_it_is_denied_in_aws_s_words(self, people: People) -> None:
        role = people.role(allow("*"), principal={"Service": "sagemaker.amazonaws.com"})
        person = people.user(allow("sagemaker:*"))
        code, status, message = refusal(person.client("sagemaker").create_model, **self.model(role))
        why = "because no identity-based policy allows the iam:PassRole action"
        assert (code, status) == ("AccessDeniedException", 400)
        assert message == denial(person.arn, "iam:PassRole", role, why)

    def test_to_one_service_and_not_to_another(self, people: People) -> None:
        role = people.role(allow("*"), principal={"Service": "sagemaker.amazonaws.com"})
        for service, passes in (("lambda.amazonaws.com", False), ("sagemaker.amazonaws.com", True)):
            condition = {"StringEquals": {"iam:PassedToService": service}}
            policy = document(
                statement("Allow", "sagemaker:*"), statement("Allow", "iam:PassRole", role, Condition=condition)
            )
            person = people.user(policy)
            model = self.model(role)
            code, _, message = refusal(person.client("sagemaker").create_model, **model)
            if passes:  # it may; what it asks for lacks model data, which the local cloud does not do
                assert code == "NotImplemented"
            else:
                assert "iam:PassRole" in message

    def test_every_job_of_a_tuning_counts(self, people: People) -> None:
        """A role in a definition is handed over as one in the request is."""
        mine, others = people.role(), people.role()
        person = people.user(document(statement("Allow", "sagemaker:*"), statement("Allow", "iam:PassRole", mine)))
        job = {
            "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        objective = {"Type": "Maximize", "MetricName": "m"}
        _, _, message = refusal(
            person.client("sagemaker").create_hyper_parameter_tuning_job,
            HyperParameterTuningJobName="passing",
            HyperParameterTuningJobConfig={
                "Strategy": "Random",
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
            },
            TrainingJobDefinitions=[
                {**job, "RoleArn": mine, "DefinitionName": "a", "TuningObjective": objective},
                {**job, "RoleArn": others, "DefinitionName": "b", "TuningObjective": objective},
            ],
        )
        assert f"iam:PassRole on resource: {others}" in message


class TestAssumeRole:
    """The role's trust policy and the caller's own policies."""

    def test_a_trusted_account_lets_its_users_in_by_their_policies(self, people: People) -> None:
        role = people.role(allow("sagemaker:ListModels"))
        person = people.user()
        asked = {"RoleArn": role, "RoleSessionName": "s1"}
        why = "because no identity-based policy allows the sts:AssumeRole action"
        assert refusal(person.client("sts").assume_role, **asked) == (
            "AccessDenied",
            403,
            denial(person.arn, "sts:AssumeRole", role, why),
        )
        person.may(allow("sts:AssumeRole", role))
        person.client("sts").assume_role(**asked)

    def test_a_user_that_is_named_needs_no_policy_and_a_policy_no_trust(self, people: People) -> None:
        named, other = people.user(), people.user(allow("sts:AssumeRole"))
        role = people.role(principal={"AWS": named.arn})
        named.client("sts").assume_role(RoleArn=role, RoleSessionName="s1")
        assert refusal(other.client("sts").assume_role, RoleArn=role, RoleSessionName="s1")[0] == "AccessDenied"

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
            ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
            ({"StringEquals": {"aws:PrincipalTag/team": "dogs"}}, True),
            ({"StringEquals": {"aws:PrincipalTag/team": "cats"}}, False),
            ({"StringLike": {"sts:RoleSessionName": "${aws:username}"}}, True),
        ],
    )
    def test_conditions_of_the_trust_policy(self, people: People, condition: dict[str, Any], holds: bool) -> None:
        role = people.role()
        trust = statement("Allow", "sts:AssumeRole", Principal={"AWS": "*"}, Condition=condition)
        del trust["Resource"]
        people.iam.update_assume_role_policy(RoleName=role.rpartition("/")[2], PolicyDocument=document(trust))
        person = people.user(Tags=[{"Key": "team", "Value": "dogs"}])
        asked = {"RoleArn": role, "RoleSessionName": person.name}
        if holds:
            person.client("sts").assume_role(**asked)
        else:
            assert refusal(person.client("sts").assume_role, **asked)[0] == "AccessDenied"

    def test_session_tags_need_their_own_permission(self, people: People) -> None:
        person = people.user(allow("sts:AssumeRole"))
        role = people.role()
        tags = [{"Key": "team", "Value": "dogs"}]
        _, _, message = refusal(person.client("sts").assume_role, RoleArn=role, RoleSessionName="s1", Tags=tags)
        assert "sts:TagSession" in message


def test_iam_does_not_take_the_keys_of_get_session_token(people: People) -> None:
    """Nor does AWS, without a second factor."""
    person = people.user(allow("*"))
    session = type(person)(people.cloud, person.arn, person.client("sts").get_session_token()["Credentials"])
    session.client("sagemaker").list_models()
    assert refusal(session.client("iam").list_users)[:2] == ("InvalidClientTokenId", 403)


class TestConditions:
    def test_tags_of_who_asks_and_of_what_is_asked_about(self, people: People, cloud: CloudProcess) -> None:
        condition = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
        policy = allow("logs:DeleteLogGroup", Condition=condition)
        person = people.user(policy, Tags=[{"Key": "team", "Value": "dogs"}])
        logs = cloud.client("logs")
        names = {team: f"/test/{uuid.uuid4().hex}" for team in ("dogs", "cats")}
        for team, name in names.items():
            logs.create_log_group(logGroupName=name, tags={"team": team})
        assert refusal(person.client("logs").delete_log_group, logGroupName=names["cats"])[0] == "AccessDeniedException"
        person.client("logs").delete_log_group(logGroupName=names["dogs"])
        logs.tag_log_group(logGroupName=names["cats"], tags={"team": "dogs"})
        person.client("logs").delete_log_group(logGroupName=names["cats"])

    def test_session_tags_win(self, people: People) -> None:
        condition = {"StringEquals": {"aws:PrincipalTag/team": "dogs"}}
        role = people.role(allow("iam:ListUsers", Condition=condition), Tags=[{"Key": "team", "Value": "cats"}])
        assert refusal(people.session(role).client("iam").list_users)[0] == "AccessDenied"
        people.session(role, Tags=[{"Key": "team", "Value": "dogs"}]).client("iam").list_users()

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
            ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
            ({"Bool": {"aws:SecureTransport": "true"}}, False),
            ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
            ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
            ({"NumericGreaterThan": {"aws:EpochTime": "1600000000"}}, True),
            ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
            ({"StringLike": {"aws:UserAgent": "Boto3/*"}}, True),
            ({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, True),
            ({"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}, True),
            ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
            ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, True),
            ({"StringLike": {"aws:userid": "AROA*:test"}}, True),
            ({"Null": {"aws:username": "true"}}, True),
            ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/role-*"}}, True),
            ({"Bool": {"aws:ViaAWSService": "false"}}, True),
        ],
    )
    def test_what_every_session_s_request_carries(self, people: People, condition: dict[str, Any], holds: bool) -> None:
        role = people.role(allow("iam:ListUsers", Condition=condition))
        client = people.session(role).client("iam")
        if holds:
            client.list_users()
        else:
            assert refusal(client.list_users)[0] == "AccessDenied"

    def test_the_name_of_the_user(self, people: People) -> None:
        person = people.user(allow("iam:ListAccessKeys", "arn:aws:iam::*:user/${aws:username}"))
        other = people.user()
        person.client("iam").list_access_keys(UserName=person.name)
        person.client("iam").list_access_keys()
        assert refusal(person.client("iam").list_access_keys, UserName=other.name)[0] == "AccessDenied"

    def test_instance_types(self, people: People) -> None:
        condition = {"ForAllValues:StringLike": {"sagemaker:InstanceTypes": ["ml.m5.*"]}}
        person = people.user(allow("sagemaker:CreateEndpointConfig", Condition=condition))

        def create(kind: str) -> tuple[str, str]:
            name = f"config-{uuid.uuid4().hex[:8]}"
            variant = {"VariantName": "v", "ModelName": "missing", "InitialInstanceCount": 1, "InstanceType": kind}
            code, _, message = refusal(
                person.client("sagemaker").create_endpoint_config, EndpointConfigName=name, ProductionVariants=[variant]
            )
            return code, message

        assert create("ml.p4d.24xlarge")[0] == "AccessDeniedException"
        code, message = create("ml.m5.large")
        assert code == "ValidationException"  # it may; there is no such model
        assert "missing" in message

    def test_a_boundary_may_be_demanded_of_whom_one_makes(self, people: People) -> None:
        """Who may only make users under a boundary cannot make one that may do more."""
        boundary = people.managed(allow("sagemaker:*"))
        condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        person = people.user(allow(["iam:CreateUser", "iam:PutUserPolicy"], Condition=condition))
        name = f"made-{uuid.uuid4().hex[:8]}"
        assert refusal(person.client("iam").create_user, UserName=name)[0] == "AccessDenied"
        person.client("iam").create_user(UserName=name, PermissionsBoundary=boundary)
        people.users.append(name)
        given = {"PolicyName": "all", "PolicyDocument": allow("*")}
        person.client("iam").put_user_policy(UserName=name, **given)
        assert refusal(person.client("iam").put_user_policy, UserName=person.name, **given)[0] == "AccessDenied"

    def test_a_policy_that_may_be_attached(self, people: People) -> None:
        arn = "arn:aws:iam::aws:policy/AmazonSageMakerReadOnly"
        person = people.user(allow("iam:AttachUserPolicy", Condition={"ArnEquals": {"iam:PolicyARN": arn}}))
        attach = person.client("iam").attach_user_policy
        full = "arn:aws:iam::aws:policy/AdministratorAccess"
        assert refusal(attach, UserName=person.name, PolicyArn=full)[0] == "AccessDenied"
        attach(UserName=person.name, PolicyArn=arn)

    def test_a_namespace(self, people: People) -> None:
        condition = {"StringEquals": {"cloudwatch:namespace": "A"}}
        person = people.user(allow("cloudwatch:PutMetricData", Condition=condition))
        data = [{"MetricName": "m", "Value": 1.0}]
        person.client("cloudwatch").put_metric_data(Namespace="A", MetricData=data)
        assert refusal(person.client("cloudwatch").put_metric_data, Namespace="B", MetricData=data)[0] == "AccessDenied"


class TestTagsOnCreation:
    def test_need_a_permission_of_their_own(self, people: People) -> None:
        person = people.user(allow("logs:CreateLogGroup"))
        name = f"/test/{uuid.uuid4().hex}"
        create = person.client("logs").create_log_group
        assert "logs:TagResource" in refusal(create, logGroupName=name, tags={"a": "b"})[2]
        create(logGroupName=name)


def test_a_region_in_an_arn_opens_no_other_region(people: People, cloud: CloudProcess) -> None:
    """Logs takes ARNs for names; what counts is the region that is asked."""
    name = f"/test/{uuid.uuid4().hex}"
    cloud.client("logs").create_log_group(logGroupName=name)
    elsewhere = f"arn:aws:logs:eu-west-1:{cloud.account_id}:log-group:{name}"
    person = people.user(allow("logs:*", f"{elsewhere}*"))
    code, _, message = refusal(person.client("logs").filter_log_events, logGroupIdentifier=elsewhere)
    assert code == "AccessDeniedException"
    assert f"arn:aws:logs:{cloud.region}:" in message


def test_a_document_that_cannot_be_read_denies(own_cloud: CloudProcess) -> None:
    """IAM refuses such documents; one that is on the disk all the same lets nobody in."""
    import sqlite3

    person = People(own_cloud).user(allow("*"))
    person.client("sagemaker").list_models()
    own_cloud.stop()
    with sqlite3.connect(own_cloud.data_dir / "cloud.sqlite") as database:
        where = "WHERE kind = 'iam-user'"
        (body,) = database.execute(f"SELECT body FROM records {where}").fetchone()
        record = json.loads(body)
        record["InlinePolicies"]["given"] = allow("*").replace("Allow", "Alow")
        database.execute(f"UPDATE records SET body = ? {where}", (json.dumps(record),))
    database.close()
    own_cloud.start()
    assert refusal(person.client("sagemaker").list_models)[0] == "AccessDeniedException"
