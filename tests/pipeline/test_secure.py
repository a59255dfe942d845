"""Secure on a running function: found, derived from its calls, applied, proved by IAM and by real calls, restored."""

from __future__ import annotations

import dataclasses
import io
import json
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients, connect_endpoint, connect_local
from sagehound.pipeline.log_tail import function_group
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Step
from sagehound.pipeline.secure.catalogue import actions_of
from sagehound.pipeline.secure.findings import Finding
from sagehound.pipeline.secure.results import Findings
from sagehound.pipeline.secure.step import Options, restore_roles, secure
from sagehound.pipeline.train import train
from sagehound.settings import PipelineSettings
from tests.cloud.hosting import Hosting, answering
from tests.cloud_process import CloudProcess

pytestmark = pytest.mark.timeout(600)

FULL = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
HANDLER = """
import boto3, json
runtime = boto3.Session().client('sagemaker-runtime')
endpoint_Name = {endpoint!r}

def lambda_handler(event, context):
    if "list" in event:
        names = boto3.client('sagemaker').list_endpoints()['Endpoints']
        return {{'statusCode': 200, 'body': json.dumps([one['EndpointName'] for one in names])}}
    response = runtime.invoke_endpoint(EndpointName=endpoint_Name, ContentType="application/json",
                                       Accept='application/json', Body=json.dumps(event))
    result = response['Body'].read().decode('utf-8')
    return {{'statusCode': 200, 'body': json.dumps(json.loads(result))}}
"""


class Shop:
    """A project whose function was set up by hand: the endpoint's name in its code, two of AWS's policies on it."""

    def __init__(self, cloud: CloudProcess, endpoint: str, project: str) -> None:
        self.cloud = cloud
        self.clients = connect_local(cloud.data_dir, cloud.region)
        self.settings = PipelineSettings(project=project, bucket=f"{project}-bucket", role_name=f"{project}-training")
        self.names = Names.of(self.settings, cloud.account_id)
        self.endpoint = endpoint
        self._make()

    def _make(self) -> None:
        iam, names = self.clients.iam, self.names
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = iam.create_role(
            RoleName=names.function_role,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            Tags=names.tags,
        )["Role"]
        for arn in (FULL, BASIC):
            iam.attach_role_policy(RoleName=names.function_role, PolicyArn=arn)
        # The console makes the group with the first call; here it is there, so nobody has to be allowed to make it.
        self.clients.logs.create_log_group(logGroupName=function_group(names.function))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("lambdafunction.py", HANDLER.format(endpoint=self.endpoint))
        self.clients.lambda_.create_function(
            FunctionName=names.function,
            Runtime="python3.12",
            Handler="lambdafunction.lambda_handler",
            Role=role["Arn"],
            Timeout=60,
            MemorySize=512,
            Code={"ZipFile": content.getvalue()},
            Tags=names.tags_by_key,
        )
        self.clients.lambda_.get_waiter("function_active_v2").wait(
            FunctionName=names.function, WaiterConfig={"Delay": 1}
        )
        version = self.clients.lambda_.publish_version(FunctionName=names.function)["Version"]
        self.clients.lambda_.create_alias(FunctionName=names.function, Name="live", FunctionVersion=version)

    def call(self, event: Any) -> Any:
        answer = self.clients.lambda_.invoke(FunctionName=self.names.function, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def secure(self, folder: Path, *, prove: bool = False, **more: Any) -> tuple[Findings, Step]:
        step = Step("secure")
        options = Options(folder=folder, prove=prove)
        return secure(self.clients, self.names, self.settings, step, options=options, **more), step

    def attached(self) -> list[str]:
        answer = self.clients.iam.list_attached_role_policies(RoleName=self.names.function_role)
        return sorted(one["PolicyArn"] for one in answer["AttachedPolicies"])

    def inline(self) -> dict[str, Any]:
        iam, role = self.clients.iam, self.names.function_role
        return {
            name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        }

    @property
    def least(self) -> dict[str, Any]:
        """What the function needs: its endpoint, and its log."""
        where = f"{self.clients.region}:{self.clients.account_id}"
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": f"arn:aws:logs:{where}:log-group:/aws/lambda/{self.names.function}:*",
                },
                {
                    "Effect": "Allow",
                    "Action": "sagemaker:InvokeEndpoint",
                    "Resource": f"arn:aws:sagemaker:{where}:endpoint/{self.endpoint}",
                },
            ],
        }


def ours(findings: list[Finding]) -> list[Finding]:
    """Those about the project: the cloud is shared, and other tests make users with keys."""
    return [one for one in findings if not one.where.startswith("user ")]


@pytest.fixture(scope="module")
def endpoint(cloud: CloudProcess) -> Iterator[str]:
    hosting = Hosting(cloud)
    name = hosting.endpoint("dogs", answering("[[0.25, 0.75]]"))
    yield name
    hosting.delete(name)


@pytest.fixture
def shop(cloud: CloudProcess, endpoint: str, settings: PipelineSettings) -> Shop:
    return Shop(cloud, endpoint, settings.project)


def test_the_usual_choice_becomes_the_least_and_comes_back(shop: Shop, tmp_path: Path) -> None:
    assert shop.call({"url": "https://example.com/dog.jpg"}) == {"statusCode": 200, "body": "[[0.25, 0.75]]"}
    before = shop.inline(), shop.attached()

    found, step = shop.secure(tmp_path)
    codes = {(one.code, one.policy) for one in found.findings}
    assert {("full-access-policy", "AmazonSageMakerFullAccess"), ("pass-role", "AmazonSageMakerFullAccess")} <= codes
    assert ("resource-wildcard", "AWSLambdaBasicExecutionRole") in codes
    (role,) = found.roles
    assert role.plan is not None
    assert role.plan.put == {f"{shop.names.project}-least-privilege": shop.least}
    assert [policy.arn for policy in role.plan.detach] == [FULL, BASIC]
    assert role.proof is not None
    assert (role.proof.failures, role.proof.unproved, role.proof.applied) == ([], [], False)
    assert (shop.inline(), shop.attached()) == before  # nothing is changed unasked
    assert not list(tmp_path.iterdir())
    shown = "\n".join(step.lines)
    for part in ("HIGH", f"- attached {FULL} (", '+      "Action": "sagemaker:InvokeEndpoint"'):
        assert part in shown
    assert json.loads(json.dumps(step.result))["roles"][0]["replacement"]["detach"] == [FULL, BASIC]

    found, step = shop.secure(tmp_path, apply=True)
    assert (ours(found.left), found.roles[0].applied) == ([], True)
    assert shop.inline() == {f"{shop.names.project}-least-privilege": shop.least}
    assert shop.attached() == []
    proof = found.roles[0].proof
    assert proof is not None
    assert (proof.failures, proof.unproved, proof.applied) == ([], [], True)
    assert {action for action, _ in proof.allowed} == {
        *("logs:CreateLogStream", "logs:PutLogEvents", "sagemaker:InvokeEndpoint")
    }
    others = len(actions_of("logs")) + len(actions_of("sagemaker")) - 3
    assert len(set(proof.denied)) == len(proof.denied) == others
    assert "sagemaker:InvokeEndpoint" in {action for action, _ in proof.elsewhere}
    assert f"{len(proof.allowed)} calls allowed, {others:,} other actions denied" in "\n".join(step.lines)

    # What it is for still works, and what it could do beside it does no more.
    assert shop.call({"url": "https://example.com/dog.jpg"}) == {"statusCode": 200, "body": "[[0.25, 0.75]]"}
    refused = shop.call({"list": 1})["errorMessage"]
    assert "AccessDenied" in refused
    assert "is not authorized to perform: sagemaker:ListEndpoints" in refused

    (saved,) = tmp_path.iterdir()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    restore_roles(shop.clients, saved, Step("secure"))
    assert (shop.inline(), shop.attached()) == before
    assert shop.call({"list": 1})["statusCode"] == 200


def test_what_is_attached_to_be_shown_goes_again(shop: Shop, tmp_path: Path) -> None:
    iam, role = shop.clients.iam, shop.names.function_role
    iam.put_role_policy(RoleName=role, PolicyName=shop.names.function_policy, PolicyDocument=json.dumps(shop.least))
    for arn in (FULL, BASIC):
        iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    shop.call({"url": "x"})
    found, _ = shop.secure(tmp_path)
    assert ours(found.findings) == []
    assert found.roles[0].proof is not None
    assert found.roles[0].proof.applied  # nothing would change: IAM was asked about the role as it is

    found, step = shop.secure(tmp_path, attach="AmazonSageMakerFullAccess")
    assert shop.attached() == [FULL]
    assert {one.policy for one in found.findings if one.code == "full-access-policy"} == {"AmazonSageMakerFullAccess"}
    assert f"{FULL} was attached to role {role} because of --attach" in "\n".join(step.lines)
    shop.call({"url": "x"})  # decided by either policy: the inline one keeps it
    found, _ = shop.secure(tmp_path, attach=FULL, apply=True)
    assert (shop.attached(), ours(found.left)) == ([], [])
    assert shop.inline() == {shop.names.function_policy: shop.least}
    assert shop.call({"url": "x"})["statusCode"] == 200


def test_the_test_event_is_answered_with_the_least(shop: Shop, uploaded: Any, tmp_path: Path) -> None:
    uploaded(shop.settings)
    shop.call({"url": "x"})
    found, step = shop.secure(tmp_path, apply=True, prove=True)
    assert found.answer is not None
    assert (found.answer["status"], found.answer["answer"]["body"]) == (200, "[[0.25, 0.75]]")
    assert step.lines[-1].startswith("the function answers its test event with 200 in ")
    assert shop.attached() == []


def test_without_pictures_there_is_no_test_event_and_nothing_is_changed(shop: Shop, tmp_path: Path) -> None:
    shop.call({"url": "x"})
    with pytest.raises(StepFailed):
        shop.secure(tmp_path, apply=True, prove=True)
    assert shop.attached() == [FULL, BASIC]


def test_what_the_test_event_still_needs_brings_everything_back(shop: Shop, uploaded: Any, tmp_path: Path) -> None:
    """Only the list was called before: what is derived from that is too little, and is taken back."""
    uploaded(shop.settings)
    shop.call({"list": 1})
    with pytest.raises(StepFailed, match=r"answered Unhandled: .*sagemaker:InvokeEndpoint") as failed:
        shop.secure(tmp_path, apply=True, prove=True)
    assert failed.value.hint == "What was changed is taken back."
    assert (shop.inline(), shop.attached()) == ({}, [FULL, BASIC])
    assert shop.call({"url": "x"})["statusCode"] == 200


def test_a_role_that_the_project_did_not_make_is_changed_only_where_it_is_named(shop: Shop, tmp_path: Path) -> None:
    iam, role = shop.clients.iam, shop.names.function_role
    iam.untag_role(RoleName=role, TagKeys=[tag["Key"] for tag in shop.names.tags])
    shop.call({"url": "x"})
    found, step = shop.secure(tmp_path, apply=True)
    assert shop.attached() == [FULL, BASIC]
    assert found.left == found.findings
    assert f"role {role} was not made by the project and stays as it is" in "\n".join(step.lines)
    assert not list(tmp_path.iterdir())
    found, _ = shop.secure(tmp_path, apply=True, roles=[role])
    assert (shop.attached(), ours(found.left)) == ([], [])


def test_a_role_that_never_called_keeps_what_it_has(shop: Shop, tmp_path: Path) -> None:
    found, step = shop.secure(tmp_path, apply=True)
    assert shop.attached() == [FULL, BASIC]
    assert "full-access-policy" in {one.code for one in found.left}
    assert "nothing is derived, no call of it was seen between" in step.lines[-1]
    assert found.roles[0].plan is None


def test_a_file_that_holds_no_roles_restores_nothing(clients: Clients, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    with pytest.raises(StepFailed, match="cannot be read"):
        restore_roles(clients, other, Step("secure"))
    other.write_text("[]")
    with pytest.raises(StepFailed, match="holds no saved roles"):
        restore_roles(clients, other, Step("secure"))


def test_a_role_or_a_policy_that_is_not_there_is_named(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="there is no role nobody"):
        shop.secure(tmp_path, roles=["nobody"])
    with pytest.raises(StepFailed, match="there is no managed policy Nothing"):
        shop.secure(tmp_path, attach="Nothing")


def test_the_command_tells_machines_everything(shop: Shop, tmp_path: Path) -> None:
    shop.call({"url": "x"})
    command = [sys.executable, "-m", "sagehound.cli.main", "secure", "--data-dir", str(shop.cloud.data_dir)]
    project = [f"project={shop.names.project}", f"bucket={shop.names.bucket}", f"role_name={shop.names.role}"]
    command += [part for one in project for part in ("--set", one)]
    done = subprocess.run([*command, "--json", "--apply"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])["result"]
    assert told["severities"]["HIGH"] >= 4
    assert [one for one in told["left"] if not one["where"].startswith("user ")] == []
    assert told["roles"][0]["replacement"]["put"] == shop.inline()
    saved = tmp_path / told["saved"]
    done = subprocess.run(
        [*command, "--restore", str(saved)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"as they were: role {shop.names.function_role}" in done.stdout
    assert shop.attached() == [FULL, BASIC]


def test_what_may_not_be_asked_is_said_and_the_rest_is_looked_at(shop: Shop, tmp_path: Path) -> None:
    """Somebody who may read roles, but neither the event history, nor functions, nor users, nor simulations."""
    shop.call({"url": "x"})
    iam, user = shop.clients.iam, f"{shop.names.project}-reader"
    iam.create_user(UserName=user)
    hidden = ["cloudtrail:LookupEvents", "iam:ListUsers", "iam:SimulatePrincipalPolicy", "iam:SimulateCustomPolicy"]
    hidden.append("lambda:ListFunctions")
    statements = [
        {"Effect": "Allow", "Action": ["iam:*", "s3:*", "lambda:*", "cloudtrail:*"], "Resource": "*"},
        {"Effect": "Deny", "Action": hidden, "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=user, PolicyName="reader", PolicyDocument=document)
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    cloud = shop.cloud
    reader = connect_endpoint(cloud.endpoint_url, keys["AccessKeyId"], keys["SecretAccessKey"], cloud.region)
    step = Step("secure")
    found = secure(reader, shop.names, shop.settings, step, apply=True, options=Options(folder=tmp_path))
    assert "full-access-policy" in {one.code for one in found.findings}
    assert not {"unused-permissions", "unused-role"} & {one.code for one in found.findings}
    assert [note.partition(":")[0] for note in found.notes] == [
        *("functions were not looked at", "what was called is not known", "access keys were not looked at")
    ]
    assert shop.attached() == [FULL, BASIC]

    iam.put_user_policy(UserName=user, PolicyName="reader", PolicyDocument=document.replace(hidden[0], "sqs:*"))
    found = secure(reader, shop.names, shop.settings, step, options=Options(folder=tmp_path))
    assert f"role {shop.names.function_role}: not proved, since you may not ask IAM to simulate policies" in found.notes
    with pytest.raises(StepFailed, match="SimulatePrincipalPolicy was refused with AccessDenied"):
        secure(reader, shop.names, shop.settings, step, apply=True, options=Options(folder=tmp_path))
    assert (shop.inline(), shop.attached()) == ({}, [FULL, BASIC])  # not proved, so taken back


def test_a_role_that_nobody_took_is_unused(shop: Shop, tmp_path: Path) -> None:
    found, _ = shop.secure(tmp_path)
    (unused,) = [one for one in found.findings if one.code == "unused-role"]
    assert (unused.where, unused.severity) == (f"role {shop.names.function_role}", "LOW")
    shop.call({"url": "x"})
    found, _ = shop.secure(tmp_path)
    assert [one for one in found.findings if one.code == "unused-role"] == []


def test_what_was_refused_is_told(shop: Shop, tmp_path: Path) -> None:
    iam, role = shop.clients.iam, shop.names.function_role
    iam.detach_role_policy(RoleName=role, PolicyArn=FULL)
    assert "AccessDenied" in shop.call({"url": "x"})["errorMessage"]
    found, step = shop.secure(tmp_path)
    where = f"arn:aws:sagemaker:{shop.cloud.region}:{shop.clients.account_id}:endpoint/{shop.endpoint}"
    assert f"role {role} was refused sagemaker:InvokeEndpoint on {where} once: is it too narrow?" in step.lines
    assert found.roles[0].usage.denied == {("sagemaker:InvokeEndpoint", where): 1}


SCRIPT = """
import os, pathlib
folder = pathlib.Path(os.environ["SM_CHANNEL_TRAINING"])
pictures = [path for path in folder.rglob("*") if path.is_file()]
(pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.txt").write_text(str(len(pictures)))
print("pictures", len(pictures))
"""


def test_the_role_of_a_training_has_no_findings(
    clients: Clients, settings: PipelineSettings, names: Names, uploaded: Any, recorded: Any, tmp_path: Path
) -> None:
    """What the pipeline itself grants is used, or stands in the list of what it keeps, with the reason."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    own = dataclasses.replace(settings, train=dataclasses.replace(settings.train, entry_point=str(script)))
    with recorded.reporter.step("train") as step:
        train(clients, names, own, uploaded(own), None, recorded.reporter, step)
    step = Step("secure")
    found = secure(clients, names, own, step)
    assert [one for one in found.findings if one.where in (f"role {names.role}", f"bucket {names.bucket}")] == []
    (role,) = found.roles
    assert role.plan is None
    used = {action for action, _ in role.usage.uses}
    assert {"s3:GetObject", "s3:ListBucket", "s3:PutObject", "logs:CreateLogStream", "logs:PutLogEvents"} <= used
    assert role.usage.denied == {}
    granted = {action for policy in role.role.policies for one in policy.statements for action in one.actions}
    assert granted == used | {kept.action for kept in role.kept}
    assert role.proof is not None
    assert (role.proof.failures, role.proof.unproved) == ([], [])
    assert {action for action, _ in role.proof.allowed} == used

    # A permission too many is found, and a trust too wide; both are taken away, and nothing else.
    trust = clients.iam.get_role(RoleName=names.role)["Role"]["AssumeRolePolicyDocument"]
    wider_trust = {**trust, "Statement": [{**trust["Statement"][0], "Condition": {}}]}
    clients.iam.update_assume_role_policy(RoleName=names.role, PolicyDocument=json.dumps(wider_trust))
    policy = clients.iam.get_role_policy(RoleName=names.role, PolicyName=names.policy)["PolicyDocument"]
    more = {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{names.bucket}/*"}
    wider = json.dumps({**policy, "Statement": [*policy["Statement"], more]})
    clients.iam.put_role_policy(RoleName=names.role, PolicyName=names.policy, PolicyDocument=wider)
    found = secure(clients, names, own, step, apply=True, options=Options(folder=tmp_path))
    of_the_role = {one.code: one for one in found.findings if one.where == f"role {names.role}"}
    assert of_the_role.keys() == {"unused-permissions", "trust-without-source"}
    assert of_the_role["unused-permissions"].evidence[0]["unused"] == ["s3:DeleteObject"]
    assert clients.iam.get_role(RoleName=names.role)["Role"]["AssumeRolePolicyDocument"] == trust
    left = clients.iam.get_role_policy(RoleName=names.role, PolicyName=names.policy)["PolicyDocument"]
    assert {action for one in left["Statement"] for action in _listed(one["Action"])} == granted
    assert found.left == [one for one in found.findings if one.where != f"role {names.role}"]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
