"""More rights than one was given: by a role that is passed, a service that is used, a policy that is read wrongly."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.cloud.hosting import IMAGE as INFERENCE
from tests.cloud.lambda_functions import RUNTIME, unique, zipped
from tests.cloud.people import People, Person, allow, document, statement
from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

OTHER_ACCOUNT = "999999999999"
TRUSTING = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
SERVICES = {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]}


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    """Code and message of a call that is refused."""
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


class TestPrivilegesThroughPassRole:
    """Who may make functions and jobs does not get the rights of every role that those could have."""

    @pytest.fixture
    def modest(self, people: People) -> str:
        """A role that may nothing."""
        return people.role(principal=SERVICES)

    @pytest.fixture
    def mighty(self, people: People) -> str:
        """A role that may everything."""
        return people.role(allow("*"), principal=SERVICES)

    @pytest.fixture
    def person(self, people: People, modest: str) -> Person:
        """Who may do everything with SageMaker and Lambda, and pass the modest role."""
        may = [
            statement("Allow", ["sagemaker:*", "lambda:*", "s3:*", "iam:GetRole", "iam:ListRoles"]),
            statement("Allow", "iam:PassRole", modest),
        ]
        return people.user(document(*may))

    def denied(self, person: Person, role: str, call: Any, **params: Any) -> None:
        code, message = refusal(call, **params)
        assert code in ("AccessDeniedException", "AccessDenied")
        assert message.startswith(f"User: {person.arn} is not authorized to perform: iam:PassRole on resource: {role}")

    def test_to_a_new_function(self, person: Person, mighty: str) -> None:
        client, name = person.client("lambda"), unique()
        code = {"ZipFile": zipped("def handler(event, context): pass")}
        given = {"FunctionName": name, "Runtime": RUNTIME, "Handler": "app.handler", "Code": code}
        self.denied(person, mighty, client.create_function, Role=mighty, **given)
        assert refusal(client.get_function, FunctionName=name)[0] == "ResourceNotFoundException"

    def test_to_a_function_that_one_has(self, person: Person, modest: str, mighty: str, cloud: CloudProcess) -> None:
        client, name = person.client("lambda"), unique()
        code = {"ZipFile": zipped("def handler(event, context): pass")}
        client.create_function(FunctionName=name, Runtime=RUNTIME, Handler="app.handler", Code=code, Role=modest)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
        self.denied(person, mighty, client.update_function_configuration, FunctionName=name, Role=mighty)
        assert client.get_function_configuration(FunctionName=name)["Role"] == modest
        client.delete_function(FunctionName=name)

    def test_to_a_training_job(self, person: Person, mighty: str, cloud: CloudProcess) -> None:
        request = Workshop(cloud).request("print('ran')", RoleArn=mighty)
        client = person.client("sagemaker")
        self.denied(person, mighty, client.create_training_job, **request)
        name = request["TrainingJobName"]
        assert refusal(client.describe_training_job, TrainingJobName=name)[1] == "Requested resource not found."

    def test_to_a_model(self, person: Person, mighty: str) -> None:
        client, name = person.client("sagemaker"), unique("model")
        container = {"Image": INFERENCE, "ModelDataUrl": "s3://any/model.tar.gz"}
        given = {"ModelName": name, "ExecutionRoleArn": mighty, "PrimaryContainer": container}
        self.denied(person, mighty, client.create_model, **given)
        assert client.list_models(NameContains=name)["Models"] == []

    def test_by_the_role_s_name_alone(self, person: Person, modest: str, mighty: str) -> None:
        """The pattern is about the whole ARN: a role of the same name under another path is another role."""
        iam = person.client("iam")
        name = mighty.rpartition("/")[2]
        assert iam.get_role(RoleName=name)["Role"]["Arn"] == mighty
        client, twin = person.client("lambda"), modest.replace(":role/", ":role/other/")
        code = {"ZipFile": zipped("def handler(event, context): pass")}
        given = {"FunctionName": unique(), "Runtime": RUNTIME, "Handler": "app.handler", "Code": code}
        self.denied(person, twin, client.create_function, Role=twin, **given)

    def test_by_giving_it_to_oneself(self, person: Person, mighty: str) -> None:
        """Neither IAM nor STS give what PassRole does not."""
        iam, name = person.client("iam"), person.name
        for call, params in (
            (iam.put_user_policy, {"UserName": name, "PolicyName": "more", "PolicyDocument": allow("*")}),
            (iam.attach_user_policy, {"UserName": name, "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
            (iam.create_access_key, {"UserName": name}),
            (person.client("sts").assume_role, {"RoleArn": mighty, "RoleSessionName": "more"}),
        ):
            code, message = refusal(call, **params)
            assert code == "AccessDenied"
            assert message.startswith(f"User: {person.arn} is not authorized to perform: ")


class TestAConfusedDeputy:
    """A service is not to do for one account what another account has trusted it with."""

    @pytest.mark.parametrize(
        "condition",
        [
            {"StringEquals": {"aws:SourceAccount": OTHER_ACCOUNT}},
            {"ArnLike": {"aws:SourceArn": f"arn:aws:sagemaker:*:{OTHER_ACCOUNT}:*"}},
            {"ArnLike": {"aws:SourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/*"}},
        ],
    )
    def test_sagemaker_with_a_role_that_trusts_it_for_others(
        self, cloud: CloudProcess, condition: dict[str, Any]
    ) -> None:
        shop, iam, name = Workshop(cloud), cloud.client("iam"), f"deputy-{uuid.uuid4().hex[:10]}"
        trust = document({**TRUSTING, "Condition": condition})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
        request = shop.request("print('ran')", RoleArn=role)
        code, message = refusal(shop.sagemaker.create_training_job, **request)
        assert code == "ValidationException"
        assert message.startswith(f"Could not assume role {role}.")
        assert refusal(shop.describe, name=request["TrainingJobName"])[1] == "Requested resource not found."

    def test_sagemaker_for_the_account_and_the_jobs_that_it_is_trusted_with(self, cloud: CloudProcess) -> None:
        shop, iam, name = Workshop(cloud), cloud.client("iam"), f"deputy-{uuid.uuid4().hex[:10]}"
        condition = {
            "StringEquals": {"aws:SourceAccount": cloud.account_id},
            "ArnLike": {"aws:SourceArn": f"arn:aws:sagemaker:{cloud.region}:{cloud.account_id}:training-job/*"},
        }
        trust = document({**TRUSTING, "Condition": condition})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
        assert shop.run("pass", RoleArn=role)["TrainingJobStatus"] == "Completed"

    def test_a_bucket_that_trusts_the_service_is_not_open_to_those_who_use_it(
        self, people: People, vault: str, cloud: CloudProcess
    ) -> None:
        """SageMaker reads as the execution role: what the bucket grants SageMaker itself is no way round the role."""
        policy = document(
            statement(
                "Allow",
                ["s3:GetObject", "s3:ListBucket"],
                [f"arn:aws:s3:::{vault}", f"arn:aws:s3:::{vault}/*"],
                Principal={"Service": "sagemaker.amazonaws.com"},
            )
        )
        cloud.client("s3").put_bucket_policy(Bucket=vault, Policy=policy)
        shop = Workshop(cloud)
        role = people.role(
            allow(
                ["s3:*", "logs:*"],
                [f"arn:aws:s3:::{shop.bucket}", f"arn:aws:s3:::{shop.bucket}/*", "arn:aws:logs:*:*:*"],
            ),
            principal={"Service": "sagemaker.amazonaws.com"},
        )
        stolen = shop.channel("train", "", S3Uri=f"s3://{vault}/secret")
        code, message = refusal(
            shop.sagemaker.create_training_job, **shop.request("pass", RoleArn=role, InputDataConfig=[stolen])
        )
        assert code == "ValidationException"
        assert "is not authorized to perform: s3:ListBucket" in message
        person = people.user(allow("sagemaker:*"))
        assert refusal(person.client("s3").get_object, Bucket=vault, Key="secret")[0] == "AccessDenied"

    def test_a_function_that_trusts_a_bucket_is_not_open_to_who_writes_there(
        self, people: People, vault: str, cloud: CloudProcess
    ) -> None:
        client, name = cloud.client("lambda"), unique()
        role = people.role(principal=SERVICES)
        code = {"ZipFile": zipped("def handler(event, context): return 'ran'")}
        client.create_function(FunctionName=name, Runtime=RUNTIME, Handler="app.handler", Code=code, Role=role)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
        client.add_permission(
            FunctionName=name,
            StatementId="bucket",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn=f"arn:aws:s3:::{vault}",
            SourceAccount=cloud.account_id,
        )
        writer = people.user(allow("s3:*", [f"arn:aws:s3:::{vault}", f"arn:aws:s3:::{vault}/*"]))
        code_said, message = refusal(writer.client("lambda").invoke, FunctionName=name)
        assert code_said == "AccessDeniedException"
        assert f"User: {writer.arn} is not authorized to perform: lambda:InvokeFunction" in message
        client.delete_function(FunctionName=name)


class TestABucketPolicyWithNotPrincipal:
    """Everybody but those who are named; read the wrong way round it opens what it should close."""

    @pytest.fixture
    def alice(self, people: People) -> Person:
        return people.user(allow("s3:*"))

    @pytest.fixture
    def bob(self, people: People) -> Person:
        return people.user(allow("*"))

    def policy(self, cloud: CloudProcess, vault: str, effect: str, named: list[str]) -> None:
        both = [f"arn:aws:s3:::{vault}", f"arn:aws:s3:::{vault}/*"]
        said = {"Effect": effect, "NotPrincipal": {"AWS": named}, "Action": "s3:*", "Resource": both}
        cloud.client("s3").put_bucket_policy(Bucket=vault, Policy=document(said))

    def test_that_denies_keeps_out_who_may_everything(
        self, cloud: CloudProcess, vault: str, alice: Person, bob: Person
    ) -> None:
        root = f"arn:aws:iam::{cloud.account_id}:root"
        self.policy(cloud, vault, "Deny", [root, alice.arn])
        assert alice.client("s3").get_object(Bucket=vault, Key="secret")["Body"].read() == b"kept"
        s3 = bob.client("s3")
        for call, params in (
            (s3.get_object, {"Key": "secret"}),
            (s3.put_object, {"Key": "secret", "Body": b"changed"}),
            (s3.delete_object, {"Key": "secret"}),
            (s3.list_objects_v2, {}),
            (s3.delete_bucket_policy, {}),
        ):
            code, message = refusal(call, Bucket=vault, **params)
            assert code == "AccessDenied"
            assert "with an explicit deny in a resource-based policy" in message
        assert cloud.client("s3").get_object(Bucket=vault, Key="secret")["Body"].read() == b"kept"

    def test_that_names_a_role_still_keeps_out_other_roles_and_nobody(
        self, cloud: CloudProcess, vault: str, people: People
    ) -> None:
        inside, outside = people.role(allow("s3:*")), people.role(allow("*"))
        session = people.session(inside)
        self.policy(cloud, vault, "Deny", [f"arn:aws:iam::{cloud.account_id}:root", inside, session.arn])
        assert session.client("s3").get_object(Bucket=vault, Key="secret")["Body"].read() == b"kept"
        code, _ = refusal(people.session(outside).client("s3").get_object, Bucket=vault, Key="secret")
        assert code == "AccessDenied"
        assert requests.get(f"{cloud.endpoint_url}/{vault}/secret", timeout=60).status_code == 403

    def test_that_allows_all_but_some_does_not_let_those_in(
        self, cloud: CloudProcess, vault: str, people: People
    ) -> None:
        """Alice has no rights of her own, and is the one who is left out."""
        alice = people.user()
        with pytest.raises(ClientError, match="AccessDenied"):  # Block Public Access knows it for what it is
            self.policy(cloud, vault, "Allow", [alice.arn])
        cloud.client("s3").delete_public_access_block(Bucket=vault)
        self.policy(cloud, vault, "Allow", [alice.arn])
        assert refusal(alice.client("s3").get_object, Bucket=vault, Key="secret")[0] == "AccessDenied"
